"""A stream of payments through the real walk, and what became of each: the ledger of a fault test."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import text

from backend.feature_check import check
from backend.ingest import Ingest
from core.acts import labels, people
from core.acts.audit import system
from core.acts.labels import LabelInput, labelled_payment
from core.base.clock import to_ms, utc_now
from core.base.ids import SourceId, TransactionId, new_uuid
from core.base.settings import Settings
from core.base.terms import Label, LabelSource
from core.contracts.messages import LabelledPayment, Payment
from core.contracts.topology import queues
from core.infra.resources import Resources, open_resources
from core.infra.signing import ensure_local_keys
from core.stores import accepting
from core.stores.accepting import Arrival
from models.features.online import FeaturesUnavailable, OnlineFeatures
from tests import servers
from tests.faults import model
from workers.roster import JOBS
from workers.runner import JobContext

SOURCE = SourceId("faults")


@asynccontextmanager
async def private(database: str, cache: str, broker: str, folder: Path, **more: Any) -> AsyncIterator[Resources]:
    """An empty Ronda, by the URLs of its servers. No control sample: what is approved opens no alert. `more`: settings."""
    await servers.delete_queues(broker)
    settings = Settings(
        database_url=SecretStr(database), redis_url=SecretStr(cache), bus_url=SecretStr(broker), data_dir=folder,
        control_share=0.0, control_unusual_share=0.0, **more,
    )  # fmt: skip
    ensure_local_keys(settings)
    async with open_resources(settings, "test") as resources:
        await resources.redis.flushall()
        await resources.bus.declare(queues(settings.shards))
        yield resources


@asynccontextmanager
async def at_work(resources: Resources, *jobs: str) -> AsyncIterator[Ingest]:
    """A source, a champion, the jobs, and the way in."""
    async with resources.postgres.unit_of_work() as work:
        await people.add_source(work, SOURCE, "Faults", system("test"))
    await model.promote(resources)
    context = JobContext(resources, asyncio.Event())
    tasks = [asyncio.create_task(JOBS[name](context)) for name in jobs]
    ingest = Ingest(resources)
    ingest.start()
    try:
        yield ingest
        assert not any(task.done() for task in tasks), [task for task in tasks if task.done()]
    finally:
        await ingest.stop()
        context.stopping.set()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Stream:
    """Payments of few entities, so that each depends on many before it. Event times follow the clock."""

    ingest: Ingest
    seed: int
    sent: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    async def send(self, count: int, per_s: float) -> None:
        """In small requests at an even rate, whatever becomes of the payments."""
        loop = asyncio.get_running_loop()
        start, at_once = loop.time(), 5
        for sent in range(0, count, at_once):
            await asyncio.sleep(max(0.0, start + sent / per_s - loop.time()))
            await self.ingest.accept([self.arrival() for _ in range(min(at_once, count - sent))], "key")

    def arrival(self) -> Arrival:
        draw, now = self._random, to_ms(utc_now())
        self.sent += 1
        customer = draw.randrange(40)
        payment = Payment(
            uid=new_uuid(), source_id=SOURCE, transaction_id=f"{self.seed}-{self.sent}", occurred_at_ms=now,
            accepted_at_ms=now, amount_minor=draw.randrange(100, 100_000), currency="EUR", customer_id=f"c{customer}",
            card_id=f"k{customer}-{draw.randrange(2)}", merchant_id=f"m{draw.randrange(15)}",
            merchant_category=str(5000 + draw.randrange(4)), device_id=f"d{draw.randrange(60)}",
            ip=f"10.0.0.{draw.randrange(90)}",
        )  # fmt: skip
        return Arrival(payment, payment.uid.bytes)


@dataclass(frozen=True)
class Ledger:
    """What became of the payments. differing: vectors, of version 1 or 2, that differ from a replay from PostgreSQL."""

    accepted: int
    decided: int
    degraded: int
    approved_without_features: int
    repeated: int
    vectors: int
    differing: int

    def words(self) -> str:
        return ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in vars(self).items())


_COUNTS = text(
    """
    SELECT (SELECT count(*) FROM transaction WHERE NOT imported) AS accepted,
           count(*) FILTER (WHERE version = 1) AS decided,
           count(*) FILTER (WHERE version = 1 AND features_status = 'degraded') AS degraded,
           count(*) FILTER (WHERE features_status = 'degraded' AND outcome = 'approve') AS approved,
           count(*) FILTER (WHERE version = 2) AS repeated
    FROM decision
    """
)


async def ledger(resources: Resources, *, with_vectors: bool = True) -> Ledger:
    async with resources.postgres.reading() as work:
        counts = (await work.run(_COUNTS)).one()
    found = await check(resources) if with_vectors else None
    if found and found.unequal:
        print(f"\n{found.words()}")
    return Ledger(*counts, found.vectors if found else 0, found.unequal if found else 0)


async def settled(resources: Resources, within_s: float) -> None:
    """Until everything is decided, and everything degraded decided again."""
    async with asyncio.timeout(within_s):
        while True:
            now = await ledger(resources, with_vectors=False)
            if now.decided == now.accepted and now.repeated == now.degraded:
                return
            await asyncio.sleep(0.2)


async def say(resources: Resources, ident: str, label: Label) -> LabelledPayment:
    """A chargeback's label on its way to the features; as it travels."""
    told = LabelInput(TransactionId(ident), label, LabelSource.CHARGEBACK, utc_now())
    async with resources.postgres.unit_of_work() as work:
        await labels.record_labels(work, SOURCE, [told], by=system("test"))
    async with resources.postgres.reading() as work:
        row = await accepting.transaction_by_key(work, SOURCE, told.transaction_id)
    assert row
    return labelled_payment(row, label, told.source, told.reported_at)


async def taken(resources: Resources, label: LabelledPayment) -> None:
    """Until it is part of the feature state."""
    features = OnlineFeatures(resources.redis)
    async with asyncio.timeout(60):
        while True:
            with suppress(FeaturesUnavailable):
                if (await features.ask([], payments=[], labels=[label])).labels == [True]:
                    return
            await asyncio.sleep(0.05)
