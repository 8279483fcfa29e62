"""Redis dies, loses the end of its file, is emptied, hangs, is full: every payment is decided, none is approved without its features, and
afterwards every vector is what a replay from PostgreSQL says.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import redis.asyncio as redis

from backend.embedded import start_valkey
from core.infra.resources import Resources
from tests import servers
from tests.faults.conftest import Note
from tests.faults.payments_at_work import Stream, at_work, ledger, private, settled
from tests.servers import Server

BEFORE, DURING, AFTER, PER_S = 500, 600, 300, 120.0


class Cache:
    """A Valkey of our own that loses what it is told to."""

    def __init__(self, server: Server, home: Path) -> None:
        self.server, self._home = server, home

    async def killed(self) -> None:
        await self.server.restart_after_kill()

    async def cut(self, share: float) -> None:
        """Killed, and the end of its append-only file is gone."""
        await self.server.kill()
        [file] = self._home.rglob("*.incr.aof")
        size = file.stat().st_size
        with file.open("r+b") as opened:
            opened.truncate(int(size * (1 - share)))
        await self.server.start()

    async def emptied(self) -> None:
        async with redis.from_url(self.server.url) as client:
            await client.flushall()

    async def full(self, seconds: float) -> None:
        """It takes nothing more, as with `maxmemory` reached and nothing to be evicted; what it holds can be read."""
        async with redis.from_url(self.server.url) as client:
            await client.config_set("maxmemory", 1)
            await asyncio.sleep(seconds)
            await client.config_set("maxmemory", 0)

    async def emptied_and_full(self, seconds: float) -> None:
        """Others need the room: there is none for what would have to be built anew."""
        async with redis.from_url(self.server.url) as client:
            await client.flushall()
        await self.full(seconds)

    async def hangs(self, seconds: float) -> None:
        os.kill(self.server.running.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(self.server.running.pid, signal.SIGCONT)


@pytest.fixture
async def cache(tmp_path: Path) -> AsyncIterator[Cache]:
    async with servers.running_server(start_valkey, tmp_path / "cache") as server:
        yield Cache(server, tmp_path / "cache")


@pytest.fixture
async def database(postgres_server: Server) -> AsyncIterator[str]:
    async with servers.fresh_database(postgres_server.url) as url:
        yield url


@pytest.fixture
async def resources(cache: Cache, database: str, rabbit_server: Server, tmp_path: Path) -> AsyncIterator[Resources]:
    """One shard: payments of all entities are then taken in one order, and a replay must agree on every feature."""
    async with private(database, cache.server.url, rabbit_server.url, tmp_path, shards=1) as resources:
        yield resources


async def _nothing(_cache: Cache) -> None:
    """What the others are measured against."""


FAULTS: dict[str, Callable[[Cache], Awaitable[None]]] = {
    "left alone": _nothing,
    "killed": Cache.killed,
    "cut by 2 %": lambda cache: cache.cut(0.02),
    "cut by 50 %": lambda cache: cache.cut(0.5),
    "emptied": Cache.emptied,
    "hangs for 4 s": lambda cache: cache.hangs(4.0),
    "is full for 3 s": lambda cache: cache.full(3.0),
    "is emptied and full for 3 s": lambda cache: cache.emptied_and_full(3.0),
}


SHORT = ("emptied", "is full for 3 s")


@pytest.mark.parametrize("fault", FAULTS)
async def test_nothing_is_lost_or_made_up(
    fault: str, cache: Cache, resources: Resources, note: Note, long_faults: bool
) -> None:
    if not long_faults and fault not in SHORT:
        pytest.skip("a part of --faults long")
    async with at_work(resources, "score", "relay", "rescore") as ingest:
        stream = Stream(ingest, seed=len(fault))
        await stream.send(BEFORE, PER_S)
        sending = asyncio.create_task(stream.send(DURING, PER_S))
        await asyncio.sleep(1.0)
        await FAULTS[fault](cache)
        await sending
        await settled(resources, 60)
        await stream.send(AFTER, PER_S)
        await settled(resources, 60)
        found = await ledger(resources)
    note(f"seed {stream.seed}: {found.words()}")
    assert found.accepted == stream.sent == found.decided
    assert found.approved_without_features == 0
    assert found.repeated == found.degraded
    assert found.vectors == found.accepted
    assert found.differing == 0
    if fault.startswith(("hangs", "is")):
        assert found.degraded > 0, "the fault was not felt"
