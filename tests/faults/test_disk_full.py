"""PostgreSQL's disk is full: a database on a small one of its own. What cannot be stored is refused, nothing acknowledged is lost, and all
is decided once there is room.
"""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest

from backend.ingest import Acceptance, Ingest
from core.base.errors import Unavailable
from core.infra.resources import Resources
from core.stores.accepting import Arrival
from tests import servers
from tests.faults.conftest import Note
from tests.faults.payments_at_work import Stream, at_work, ledger, private, settled
from tests.servers import Server

SIZE = "96m"
BEFORE, MEANWHILE, PER_S = 100, 60, 100.0


@pytest.fixture
def disk(postgres_server: Server) -> Iterator[Path]:
    """A small file system that PostgreSQL's account owns, where that account can reach it."""
    owner = (postgres_server.data_dir / "postgres" / "cluster").stat()
    options = f"size={SIZE},mode=0700,uid={owner.st_uid},gid={owner.st_gid}"
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]).returncode:
            pytest.skip("a file system of our own cannot be mounted here")
        try:
            yield folder
        finally:
            subprocess.run(["umount", folder], check=True)


@pytest.fixture
async def database(disk: Path, postgres_server: Server) -> AsyncIterator[str]:
    """A copy of the migrated template whose tables lie on the small disk; the log is written elsewhere."""
    name, place = f"test_{uuid4().hex[:12]}", f"small_{uuid4().hex[:12]}"
    await servers.run_sql(postgres_server.url, f"CREATE TABLESPACE {place} LOCATION '{disk}'")
    await servers.run_sql(postgres_server.url, f"CREATE DATABASE {name} TEMPLATE {servers.TEMPLATE} TABLESPACE {place}")
    try:
        yield servers.with_database(postgres_server.url, name)
    finally:
        await servers.run_sql(postgres_server.url, f"DROP DATABASE {name} WITH (FORCE)")
        await servers.run_sql(postgres_server.url, f"DROP TABLESPACE {place}")


@pytest.fixture
async def resources(database: str, valkey_url: str, rabbit_server: Server, tmp_path: Path) -> AsyncIterator[Resources]:
    async with private(
        database, valkey_url, rabbit_server.url, tmp_path, shards=1, feature_timeout_ms=5000
    ) as resources:
        yield resources


def fill(disk: Path) -> Path:
    """To the last byte."""
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return ballast


async def refused(ingest: Ingest, arrivals: list[Arrival]) -> list[Arrival]:
    """Those that were not accepted, one request each."""
    left = []
    for arrival in arrivals:
        try:
            await ingest.accept([arrival], "key")
        except Unavailable:
            left.append(arrival)
        await asyncio.sleep(0.02)
    return left


@pytest.mark.timeout(300)
async def test_the_databases_disk_is_full(disk: Path, resources: Resources, note: Note) -> None:
    async with at_work(resources, "score", "relay", "rescore") as ingest:
        stream = Stream(ingest, seed=53)
        await stream.send(BEFORE, PER_S)
        await settled(resources, 60)
        ballast = fill(disk)
        left = await refused(ingest, [stream.arrival() for _ in range(MEANWHILE)])
        ballast.unlink()
        again = [answer.status for arrival in left for answer in await ingest.accept([arrival], "key")]
        await stream.send(BEFORE, PER_S)
        await settled(resources, 60)
        found = await ledger(resources)
    note(f"refused {len(left)}, {found.words()}")
    assert left, "the disk was not full"
    assert set(again) == {Acceptance.ACCEPTED}, "something was stored that was refused"
    assert found.accepted == stream.sent == found.decided
    assert found.repeated == found.degraded == 0
    assert found.vectors == found.accepted
    assert found.differing == 0
