"""Redis is a cache of PostgreSQL: what it answers is compared while payments are scored, and what differs is found, told and repaired."""

import asyncio
import random
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from core.acts.audit import system
from core.acts.labels import LabelInput, record_labels
from core.base.clock import utc_now
from core.base.ids import TransactionId
from core.base.terms import Label, LabelSource
from core.infra.resources import Resources
from tests.damage import corrupt_merchant
from tests.faults.conftest import Note
from tests.faults.payments_at_work import SOURCE, Stream, at_work, ledger, settled
from tests.jobs import running
from workers import equality
from workers.comparing import compare

TEST = system("test")
ROUNDS = 3
JOBS = ("score", "relay", "rescore", "feedback")


@pytest.fixture
def shards() -> int:
    return 2


async def label_some(resources: Resources, stream: Stream) -> None:
    draw, now = random.Random(stream.sent), utc_now()
    said = [
        LabelInput(
            TransactionId(f"{stream.seed}-{draw.randrange(1, stream.sent)}"), draw.choice(list(Label)), source, now
        )
        for source in (LabelSource.ANALYST, LabelSource.CHARGEBACK, LabelSource.CUSTOMER)
    ]
    async with resources.postgres.unit_of_work() as work:
        await record_labels(work, SOURCE, said, by=TEST)


async def test_live_payments_are_no_difference(resources: Resources, note: Note) -> None:
    async with at_work(resources, *JOBS) as ingest:
        stream = Stream(ingest, seed=7)
        await stream.send(50, 150.0)
        await settled(resources, 60)
        stopping = asyncio.Event()
        sending = asyncio.create_task(_send_on(stream, stopping))
        all_found = []
        for number in range(ROUNDS):
            await label_some(resources, stream)
            all_found.append(await compare(resources, 20, draw=random.Random(number)))
            assert not all_found[-1].differences, [one.words() for one in all_found[-1].differences]
        assert not sending.done()
        stopping.set()
        await sending
    compared, unsettled = (sum(getattr(found, name) for found in all_found) for name in ("compared", "unsettled"))
    note(f"{compared} entities compared while {stream.sent} payments came, {unsettled} unsettled")
    assert compared >= 20 * ROUNDS


async def _send_on(stream: Stream, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        await stream.send(30, 100.0)


def counted(name: str) -> float:
    return REGISTRY.get_sample_value(f"ronda_features_{name}") or 0.0


async def events(resources: Resources) -> list[tuple[str, str]]:
    query = text("SELECT actor_id, action FROM audit_event WHERE subject_type = 'features' ORDER BY id")
    async with resources.postgres.reading() as work:
        return [(row.actor_id, row.action) for row in await work.run(query)]


async def test_a_damaged_key_is_found_repaired_and_counted(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    resources = replace(resources, settings=resources.settings.model_copy(update={"equality_entities": 2_000}))
    monkeypatch.setattr(equality, "FIRST_S", 0.0)
    compared, differing = counted("compared_total"), counted("differing_total")
    async with at_work(resources, *JOBS) as ingest:
        stream = Stream(ingest, seed=11)
        await stream.send(300, 200.0)
        await settled(resources, 60)
        before = await events(resources)
        await corrupt_merchant(resources.redis, "m3")
        async with running(resources, "equality"):
            sending = asyncio.create_task(stream.send(600, 100.0))
            async with asyncio.timeout(120):
                while (await events(resources))[-1][1] != "features.rebuild" or counted("differing_total") == differing:
                    await asyncio.sleep(0.1)
            await sending
        await settled(resources, 60)
        assert not (await compare(resources, 2_000, draw=random.Random(1))).differences
        assert (await events(resources))[len(before) :] == [
            ("equality", "features.differ"),
            ("equality", "features.rebuild"),
        ]
        assert counted("differing_total") == differing + 1
        assert counted("compared_total") > compared + 100
        found = await ledger(resources, with_vectors=False)
        assert found.accepted == stream.sent == found.decided
