"""What happens while the feature state is known to lack something: a label comes, a scorer dies, nobody pays for a long time.

Afterwards Redis answers what a replay from PostgreSQL says, to the last bit.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from backend.embedded import start_valkey
from core.acts.audit import system
from core.base.terms import Label
from core.infra.resources import Resources
from core.stores import commit_order
from tests import servers
from tests.faults.conftest import Note
from tests.faults.payments_at_work import Stream, at_work, ledger, private, say, settled, taken
from tests.faults.system import frozen
from tests.jobs import running
from tests.servers import Server
from workers import live_features
from workers.comparing import Comparison, compare_these
from workers.live_features import LiveFeatures
from workers.sampled import entities_of

TEST = system("test")
PER_S = 100.0
ON_DISK_S = 1.3
"""The append-only file is synced each second."""


@pytest.fixture
async def cache(tmp_path: Path) -> AsyncIterator[Server]:
    async with servers.running_server(start_valkey, tmp_path / "cache") as server:
        yield server


@pytest.fixture
async def resources(
    cache: Server, postgres_server: Server, rabbit_server: Server, tmp_path: Path
) -> AsyncIterator[Resources]:
    async with (
        servers.fresh_database(postgres_server.url) as database,
        private(database, cache.url, rabbit_server.url, tmp_path, shards=1) as resources,
    ):
        yield resources


async def on_disk(cache: Server) -> int:
    """How long its file is, with everything in it that was written up to now."""
    await asyncio.sleep(ON_DISK_S)
    return file_of(cache).stat().st_size


async def loses(cache: Server, kept: int) -> None:
    """It is killed, and what was written since is gone."""

    def cut() -> None:
        with file_of(cache).open("r+b") as opened:
            opened.truncate(kept)

    await cache.restart(cache.kill, cut)


def file_of(cache: Server) -> Path:
    [file] = cache.data_dir.rglob("*.incr.aof")
    return file


async def until(holds: Callable[[], Awaitable[bool]], within_s: float = 30) -> None:
    async with asyncio.timeout(within_s):
        while not await holds():
            await asyncio.sleep(0.05)


async def equal(resources: Resources) -> None:
    """What was scored, and what Redis would answer now."""
    found = await ledger(resources)
    assert (found.decided, found.differing) == (found.accepted, 0), found
    async with resources.postgres.reading() as work:
        rows = [row for batch in [each async for each in commit_order.walk(work)] for row in batch]
    # Some still lead to the server that was killed.
    await resources.redis.connection_pool.disconnect(inuse_connections=False)
    entities, now = {entity for row in rows for entity in entities_of(row)}, Comparison()
    await compare_these(resources, entities, now)
    assert now.differences == [], [one.words() for one in now.differences[:5]]
    assert now.compared == len(entities) > 50


@pytest.mark.timeout(120)
async def test_a_label_between_a_restart_and_its_recovery(cache: Server, resources: Resources) -> None:
    """The label before it was lost; taken first, the second one would keep the first one out for ever."""
    async with at_work(resources, "score", "relay", "rescore", "feedback") as ingest:
        stream = Stream(ingest, seed=7)
        await stream.send(40, PER_S)
        await settled(resources, 30)
        kept = await on_disk(cache)
        lost = await say(resources, "7-1", Label.FRAUD)
        await taken(resources, lost)
        await loses(cache, kept)
        second = await say(resources, "7-1", Label.LEGITIMATE)
        await asyncio.sleep(1.0)  # the feedback worker has it now
        await stream.send(20, PER_S)
        await settled(resources, 30)
        await taken(resources, second)
        await equal(resources)


@pytest.mark.timeout(120)
async def test_a_restart_is_noticed_without_any_payment(
    cache: Server, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_features, "WATCH_TICKS", 2)
    async with at_work(resources, "score", "relay", "rescore", "feedback") as ingest:
        stream = Stream(ingest, seed=8)
        await stream.send(40, PER_S)
        await settled(resources, 30)
        kept = await on_disk(cache)
        await stream.send(10, PER_S)
        await settled(resources, 30)
        await loses(cache, kept)
        label = await say(resources, "8-45", Label.FRAUD)
        await taken(resources, label)
        await equal(resources)


@pytest.mark.timeout(120)
async def test_a_restart_that_nobody_noticed_for_an_hour(cache: Server, resources: Resources) -> None:
    """No scorer ran and nobody paid: what was lost is older than what is taken again after a restart, and is missed all the same."""
    async with at_work(resources, "score", "relay", "rescore") as ingest:
        stream = Stream(ingest, seed=9)
        await stream.send(40, PER_S)
        await settled(resources, 30)
        kept = await on_disk(cache)
        await stream.send(10, PER_S)
        await settled(resources, 30)
    await loses(cache, kept)
    await earlier(resources, timedelta(hours=1))
    features = LiveFeatures(resources, TEST)
    await features.open()
    await features.close()
    await equal(resources)


async def earlier(resources: Resources, span: timedelta) -> None:
    """As if all had been accepted so long before. The order of acceptance is that of commits, and stays."""
    await servers.run_sql(
        resources.settings.database_url.get_secret_value(),
        "SET session_replication_role = replica",
        f"UPDATE transaction SET accepted_at = accepted_at - interval '{span.total_seconds():g} s'",
    )


@pytest.mark.timeout(120)
async def test_a_scorer_that_takes_over_inside_a_gap(cache: Server, resources: Resources, note: Note) -> None:
    """The one that held the shard decided without features, and dies before it could make up for that. The other one knows of no outage."""
    async with (
        at_work(resources, "relay", "rescore") as ingest,
        AsyncExitStack() as standby,
        AsyncExitStack() as outage,
    ):
        stream = Stream(ingest, seed=10)
        async with running(resources, "score"):
            await stream.send(40, PER_S)
            await settled(resources, 30)
            await standby.enter_async_context(running(resources, "score"))
            await asyncio.sleep(1.0)  # it has opened its features, and waits for its turn
            await outage.enter_async_context(frozen(cache.running))
            await stream.send(60, PER_S)
            await until(lambda: all_decided(resources))
        await outage.aclose()  # only now, with the first one gone, Redis answers again
        await stream.send(60, PER_S)
        await settled(resources, 60)
        found = await ledger(resources)
    note(f"seed 10: {found.words()}")
    assert found.degraded > 0, "there was no gap"
    await equal(resources)


@pytest.mark.timeout(120)
async def test_a_label_waits_for_what_an_outage_left_out(cache: Server, resources: Resources) -> None:
    """Taken as soon as Redis answers again, it would count for the payments of the outage, which came before it."""
    async with at_work(resources, "relay", "rescore", "feedback") as ingest:
        stream = Stream(ingest, seed=11)
        async with AsyncExitStack() as outage, running(resources, "score"):
            await stream.send(40, PER_S)
            await settled(resources, 30)
            await outage.enter_async_context(frozen(cache.running))
            await stream.send(60, PER_S)
            await until(lambda: all_decided(resources))
        label = await say(resources, "11-1", Label.FRAUD)
        await asyncio.sleep(1.0)  # the feedback worker has it now
        async with running(resources, "score"):
            await taken(resources, label)
            await settled(resources, 60)
        await equal(resources)


@pytest.mark.timeout(120)
async def test_a_label_in_the_middle_of_an_outage(cache: Server, resources: Resources) -> None:
    """It counts for the payments that came after it, though all of them were left out."""
    async with at_work(resources, "relay", "rescore", "feedback") as ingest, running(resources, "score"):
        stream = Stream(ingest, seed=13)
        await stream.send(40, PER_S)
        await settled(resources, 30)
        async with frozen(cache.running):
            await stream.send(60, PER_S)
            await until(lambda: all_decided(resources))
            label = await say(resources, "13-1", Label.FRAUD)
            await stream.send(60, PER_S)
            await until(lambda: all_decided(resources))
        await settled(resources, 60)
        await taken(resources, label)
        await equal(resources)


@pytest.mark.timeout(120)
async def test_more_is_left_out_than_is_kept(
    cache: Server, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_features, "KEPT", 50)
    async with at_work(resources, "relay", "rescore") as ingest, running(resources, "score"):
        stream = Stream(ingest, seed=14)
        await stream.send(40, PER_S)
        await settled(resources, 30)
        async with frozen(cache.running):
            await stream.send(160, PER_S)
            await until(lambda: all_decided(resources))
        await settled(resources, 60)
        await equal(resources)


async def all_decided(resources: Resources) -> bool:
    found = await ledger(resources, with_vectors=False)
    return found.accepted == found.decided


@pytest.mark.timeout(180)
async def test_a_gap_ends_while_more_comes_than_is_scored(cache: Server, resources: Resources, note: Note) -> None:
    """Redis hangs for a moment under full load. What is accepted meanwhile must not keep features away until nobody pays any longer."""
    async with at_work(resources, "relay", "rescore") as ingest:
        stream = Stream(ingest, seed=12)

        async def pay(requests: int) -> None:
            for _ in range(requests):
                await ingest.accept([stream.arrival() for _ in range(100)], "key")

        await pay(20)
        async with running(resources, "score"):
            await until(lambda: decided(resources, 500))
            async with frozen(cache.running):
                await until(lambda: degraded(resources))
            before = await ledger(resources, with_vectors=False)
            await pay(80)
            await settled(resources, 120)
        found = await ledger(resources)
    after = found.degraded - before.degraded
    note(f"seed 12: {after:,} of those that were decided after Redis answered again had no features; {found.words()}")
    assert after < 1_500
    await equal(resources)


async def decided(resources: Resources, count: int) -> bool:
    return (await ledger(resources, with_vectors=False)).decided >= count


async def degraded(resources: Resources) -> bool:
    return (await ledger(resources, with_vectors=False)).degraded > 0
