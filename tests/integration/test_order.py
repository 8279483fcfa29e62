"""A payment that younger ones of its customer overtake on their way is taken before them all the same."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

import workers.score
from backend.ingest import Ingest
from core.acts import outbox, people
from core.acts.audit import system
from core.base.clock import to_ms, utc_now
from core.base.errors import PublishFailed
from core.base.hashing import shard_of
from core.base.ids import SourceId, new_uuid
from core.contracts.messages import LabelsRecorded, Payment
from core.contracts.topology import LABELS, TRAINING, score_queue
from core.infra.bus import Outgoing
from core.infra.resources import Resources
from core.stores import flow
from core.stores.accepting import Arrival
from models.features.catalogue import NAMES
from tests.jobs import running

FREQUENT = NAMES.index("customer_velocity_24h_count")
PAYMENTS = 4


@asynccontextmanager
async def at_the_door(resources: Resources) -> AsyncIterator[Ingest]:
    ingest = Ingest(resources)
    ingest.start()
    try:
        yield ingest
    finally:
        await ingest.stop()


async def source(resources: Resources) -> SourceId:
    name = SourceId(f"order-{new_uuid().hex[-12:]}")
    async with resources.postgres.unit_of_work() as work:
        await people.add_source(work, name, "Order", system("test"))
    return name


def payment(of: SourceId) -> Payment:
    """All of one source are one customer's."""
    now = to_ms(utc_now())
    return Payment(
        uid=new_uuid(), source_id=of, transaction_id=str(new_uuid()), occurred_at_ms=now, accepted_at_ms=now,
        amount_minor=1_000, currency="EUR", customer_id=of,
    )  # fmt: skip


async def first(ingest: Ingest, resources: Resources, of: SourceId) -> UUID:
    """Decided already, so that the features are in use: state that is built anew is in order whatever the bus does."""
    uid = await accept(ingest, of)
    async with running(resources, "score"):
        assert await counted(resources, [uid]) == [1]
    return uid


async def accept(ingest: Ingest, of: SourceId) -> UUID:
    one = payment(of)
    await ingest.accept([Arrival(one, one.uid.bytes)], "key")
    return one.uid


async def counted(resources: Resources, uids: Sequence[UUID]) -> list[float | None]:
    """What each was told of how often its customer paid, itself included."""
    async with asyncio.timeout(30):
        while True:
            async with resources.postgres.reading() as work:
                found = await flow.latest_decisions(work, uids)
            if len(found) == len(uids):
                return [found[uid].features[FREQUENT] for uid in uids]
            await asyncio.sleep(0.05)


async def waiting(resources: Resources) -> int:
    return sum([await resources.bus.depth(score_queue(shard)) for shard in range(resources.settings.shards)])


async def published(resources: Resources, uid: UUID) -> None:
    """Until the newest message, which carries this payment, is on the bus."""
    query = text("SELECT sent_at IS NOT NULL FROM outbox WHERE position(CAST(:uid AS bytea) IN body) > 0")
    async with asyncio.timeout(10):
        while True:
            async with resources.postgres.reading() as work:
                if (await work.run(query, {"uid": str(uid).encode()})).scalar_one():
                    return
            await asyncio.sleep(0.01)


async def test_a_publication_fails_and_is_made_up_for_later(on_bus: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    of, publish, refused = await source(on_bus), on_bus.bus.publish, list[Outgoing]()

    async def refuse(messages: Sequence[Outgoing]) -> None:
        refused.extend(messages)
        raise PublishFailed("no", unconfirmed=[message.message_id for message in messages])

    async with at_the_door(on_bus) as ingest:
        uids = [await first(ingest, on_bus, of)]
        monkeypatch.setattr(on_bus.bus, "publish", refuse)
        uids += [await accept(ingest, of) for _ in range(PAYMENTS - 2)]
        async with asyncio.timeout(10):
            while len(refused) < PAYMENTS - 2:
                await asyncio.sleep(0.01)
        monkeypatch.setattr(on_bus.bus, "publish", publish)
        uids.append(await accept(ingest, of))
        await published(on_bus, uids[-1])
    await publish(refused)
    async with running(on_bus, "score"):
        assert await counted(on_bus, uids) == [1, 2, 3, 4]
        while await waiting(on_bus):
            await asyncio.sleep(0.05)
    async with on_bus.postgres.reading() as work:
        assert len(await flow.decided(work, uids)) == len(uids)


async def test_a_web_process_dies_before_it_published(on_bus: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    """No relay runs: what the dead process left is found by the next one's payment."""
    of, publish = await source(on_bus), on_bus.bus.publish

    async def hang(_: Sequence[Outgoing]) -> None:
        await asyncio.Event().wait()

    async with running(on_bus, "score"):
        async with at_the_door(on_bus) as ingest:
            uids = [await accept(ingest, of)]
            assert await counted(on_bus, uids) == [1]
            monkeypatch.setattr(on_bus.bus, "publish", hang)
            uids += [await accept(ingest, of) for _ in range(PAYMENTS - 2)]
        monkeypatch.setattr(on_bus.bus, "publish", publish)
        async with at_the_door(on_bus) as ingest:
            uids.append(await accept(ingest, of))
            assert await counted(on_bus, uids) == [1, 2, 3, 4]


def failures(queue: str) -> float:
    """Batches of this queue that failed in this process so far."""
    return REGISTRY.get_sample_value("ronda_batches_returned_total", {"queue": queue, "why": "failed"}) or 0.0


async def returned(resources: Resources, times: int) -> None:
    """A consumer takes what waits and dies, so many times."""
    for _ in range(times):
        consumer = await resources.bus.consumer([score_queue(n) for n in range(resources.settings.shards)], prefetch=50)
        assert await consumer.take(50, 10)
        await consumer.close()


async def test_a_suspect_that_was_never_handled_does_not_lose_its_turn(
    on_bus: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its poison reaches nobody who comes after it."""
    of, judge = await source(on_bus), workers.score.judge
    queue = score_queue(shard_of(of, on_bus.settings.shards))
    failed_before = failures(queue)

    def judged(batch: Sequence[Payment], *rest: Any) -> Any:
        if any(one.uid == poison for one in batch):
            raise ZeroDivisionError
        return judge(batch, *rest)

    async with at_the_door(on_bus) as ingest:
        await first(ingest, on_bus, of)
        uids = [poison := await accept(ingest, of), await accept(ingest, of)]
        await published(on_bus, uids[-1])
        await returned(on_bus, 2)
        uids.append(await accept(ingest, of))
        await published(on_bus, uids[-1])
    monkeypatch.setattr(workers.score, "judge", judged)
    async with running(on_bus, "score", "bury"):
        told = await counted(on_bus, uids)
    assert told[1:] == [3, 4]
    assert failures(queue) == failed_before


async def test_a_row_to_be_tried_again_keeps_younger_ones_of_its_queue_waiting(resources: Resources) -> None:
    now, ours = utc_now(), dict[str, str]()

    async def write(name: str, queue: str) -> None:
        async with resources.postgres.unit_of_work() as work:
            [message] = await outbox.add(work, [(queue, LabelsRecorded(labels=[]))], timedelta())
        ours[message.message_id] = name

    async def due(after_s: float) -> list[str]:
        async with resources.postgres.unit_of_work() as work:
            moment = now + timedelta(seconds=after_s)
            rows = await flow.due_outbox(work, moment, lease=timedelta(seconds=15), limit=100)
        return [ours[str(row.id)] for row in rows if str(row.id) in ours]

    await write("first", LABELS)
    assert await due(5) == ["first"]
    await write("second", LABELS)
    await write("elsewhere", TRAINING)
    assert await due(6) == ["elsewhere"]
    assert await due(30) == ["first", "second", "elsewhere"]
