"""The private servers: what they keep, what they refuse, and that they never outlive us."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis.asyncio as redis

from backend.embedded import Running, ServerFailed, start_postgres, start_rabbit, start_valkey
from backend.embedded_process import telling_line

Start = Callable[[Path], Awaitable[Running]]
REPOSITORY = Path(__file__).parents[2]

PARENT = """
import asyncio, sys
from pathlib import Path
from backend.embedded import start_postgres, start_rabbit, start_valkey

async def main() -> None:
    folder = Path(sys.argv[1])
    servers = await asyncio.gather(start_postgres(folder), start_valkey(folder), start_rabbit(folder))
    print(*(process.pid for server in servers for process in (server, *server.helpers)), flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def test_postgres_keeps_its_data_its_port_and_its_password(tmp_path: Path) -> None:
    first = await start_postgres(tmp_path)
    connection = await asyncpg.connect(first.url)
    await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    assert await connection.fetchval("SHOW fsync") == "on"
    await connection.close()
    first.kill()
    await first.wait()
    second = await start_postgres(tmp_path)
    try:
        assert second.url == first.url
        connection = await asyncpg.connect(second.url)
        assert await connection.fetchval("SELECT answer FROM kept") == 42
        await connection.close()
    finally:
        await second.stop()


async def test_servers_ask_for_the_password(tmp_path: Path) -> None:
    postgres, valkey = await asyncio.gather(start_postgres(tmp_path), start_valkey(tmp_path))
    try:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(f"postgresql://ronda:guess@127.0.0.1:{postgres.port}/ronda")
        async with redis.Redis(port=valkey.port) as stranger:
            with pytest.raises(redis.AuthenticationError):
                await stranger.ping()
    finally:
        await asyncio.gather(postgres.stop(), valkey.stop())
    for secret in ("postgres/password", "valkey/password", "valkey/valkey.conf"):
        assert mode_of(tmp_path / secret) == 0o600


@pytest.mark.parametrize("start", [start_postgres, start_valkey], ids=["postgres", "valkey"])
async def test_a_second_server_on_the_same_files_is_refused(start: Start, tmp_path: Path) -> None:
    running = await start(tmp_path)
    try:
        with pytest.raises(ServerFailed, match="already running"):
            await start(tmp_path)
        assert running.process.returncode is None
    finally:
        await running.stop()


@pytest.mark.parametrize("start", [start_postgres, start_valkey], ids=["postgres", "valkey"])
async def test_a_taken_port_is_replaced(start: Start, tmp_path: Path) -> None:
    first = await start(tmp_path)
    await first.stop()
    squatter = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", first.port)
    async with squatter:
        second = await start(tmp_path)
        await second.stop()
    assert second.port != first.port


@pytest.mark.parametrize("start", [start_postgres, start_valkey, start_rabbit], ids=["postgres", "valkey", "rabbit"])
async def test_a_folder_that_cannot_be_is_one_line(start: Start, tmp_path: Path) -> None:
    obstacle = tmp_path / "file"
    obstacle.touch()
    with pytest.raises(ServerFailed) as caught:
        await start(obstacle)
    assert "cannot start" in caught.value.detail
    assert "\n" not in caught.value.detail


async def test_a_broken_store_is_named_by_its_own_log(tmp_path: Path) -> None:
    running = await start_valkey(tmp_path)
    await running.stop()
    for part in (tmp_path / "valkey" / "appendonlydir").glob("*.rdb"):
        part.unlink()
    with pytest.raises(ServerFailed, match=r"did not start: .*AOF"):
        await start_valkey(tmp_path)


async def test_nothing_outlives_a_parent_that_was_killed(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path), cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    servers = [psutil.Process(int(pid)) for pid in (await parent.stdout.readline()).split()]
    assert len(servers) == 4  # RabbitMQ brings its port mapper
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, servers, timeout=30)
    for process in alive:
        process.kill()
    assert alive == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("starting\nFATAL:  could not bind\nshut down\n", "FATAL:  could not bind"),
        ("one\ntwo\n", "two"),
        ("write failed: No space left on device\nFATAL: giving up", "the disk is full"),
        ("", "it said nothing"),
    ],
)
def test_the_telling_line(text: str, line: str) -> None:
    assert telling_line(text) == line
