"""Real servers for tests: one of each per session, started when a test first asks, private and on loopback."""

import asyncio
import shutil
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import aio_pika
import asyncpg

from backend.embedded import Running, find_rabbit, start_postgres, start_rabbit, start_valkey
from backend.embedded_process import plain_environment
from core.contracts.topology import queues

start_bus_valkey = partial(start_valkey, carries_bus=True)

TEMPLATE = "ronda_template"
MOST_SHARDS = 8
"""Score queues that a test may have left behind."""


class Server:
    """A server that tests may kill and start again; its URL stays the same."""

    def __init__(self, start: Callable[[Path], Awaitable[Running]], data_dir: Path) -> None:
        self._start = start
        self.data_dir = data_dir
        self._running: Running | None = None

    @property
    def url(self) -> str:
        return self.running.url

    @property
    def running(self) -> Running:
        assert self._running is not None, "the server was not started"
        return self._running

    async def start(self) -> None:
        self._running = await self._start(self.data_dir)

    async def kill(self) -> None:
        """SIGKILL, and waits until the process is gone."""
        self.running.kill()
        await self.running.wait()

    async def stop(self) -> None:
        if self._running is not None:
            await self._running.stop()

    async def restart_after_kill(self) -> None:
        await self.restart(self.kill)

    async def restart(self, end: Callable[[], Awaitable[None]], meanwhile: Callable[[], None] = lambda: None) -> None:
        """meanwhile: what is done to its files. Raises AssertionError if the URL changed: clients could not find the server again."""
        url = self.url
        await end()
        meanwhile()
        await self.start()
        assert self.url == url, "another program took the server's port"


@asynccontextmanager
async def running_server(start: Callable[[Path], Awaitable[Running]], data_dir: Path) -> AsyncIterator[Server]:
    server = Server(start, data_dir)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def rabbit_or_fail() -> None:
    """A missing broker is a failure, not a skip: half of the contract would go untested unseen."""
    assert find_rabbit(), "rabbitmq-server is not installed: run `./ronda test`, or `apt-get install rabbitmq-server`"


async def run_sql(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def fresh_database(server_url: str) -> AsyncIterator[str]:
    """A copy of the migrated template, dropped afterwards."""
    name = f"test_{uuid4().hex[:12]}"
    await run_sql(server_url, f'CREATE DATABASE "{name}" TEMPLATE {TEMPLATE}')
    try:
        yield with_database(server_url, name)
    finally:
        await run_sql(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


def with_database(url: str, name: str) -> str:
    return f"{url.rsplit('/', 1)[0]}/{name}"


async def delete_queues(rabbit_url: str) -> None:
    """Removes every queue of the topology, with its messages."""
    connection = await aio_pika.connect(rabbit_url)
    async with connection:
        channel = await connection.channel()
        for queue in queues(MOST_SHARDS):
            await channel.queue_delete(queue.name)


async def rabbitmqctl(server: Server, *words: str) -> None:
    """What a broker's administrator types. Raises AssertionError with what it said when it did not work."""
    script, home = find_rabbit(), server.data_dir / "rabbit"
    assert script
    environment = plain_environment() | {
        "HOME": str(home),  # where the node's cookie is
        "ERL_EPMD_PORT": (home / "mapper-port").read_text(),
        "RABBITMQ_NODENAME": "ronda@localhost",
        "RABBITMQ_CONF_ENV_FILE": str(home / "no-env.conf"),
        "RABBITMQ_CTL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }
    process = await asyncio.create_subprocess_exec(
        *(str(script.with_name("rabbitmqctl")), *words), env=environment, stdout=PIPE, stderr=STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode(errors="replace")


def lose_everything(rabbit: Server) -> None:
    """While it is not running."""
    shutil.rmtree(rabbit.data_dir / "rabbit" / "nodes")


class Proxy:
    """Stands between a client and a server, so that a test can cut the wire: what a dying client looks like to the server."""

    def __init__(self, server_url: str) -> None:
        self._target = urlsplit(server_url)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._swallowing = False

    @property
    def url(self) -> str:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        credentials = self._target.netloc.rpartition("@")[0]
        return self._target._replace(netloc=f"{credentials}@127.0.0.1:{port}").geturl()

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.cut()

    def cut(self) -> None:
        """Every connection breaks, and nobody gets through any more."""
        assert self._server is not None
        self._server.close()
        self._abort()

    def swallow_answers(self) -> None:
        """What the client says arrives; what the server says does not."""
        self._swallowing = True

    def heal(self) -> None:
        """Ends the connections whose answers were swallowed; new ones work."""
        self._swallowing = False
        self._abort()

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        self._writers |= {writer, there_writer}
        await asyncio.gather(self._copy(reader, there_writer), self._copy(there_reader, writer, answers=True))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False) -> None:
        with suppress(OSError):
            while chunk := await reader.read(65536):
                if answers and self._swallowing:
                    continue
                writer.write(chunk)
                await writer.drain()
        writer.close()


__all__ = [
    "Proxy",
    "Server",
    "delete_queues",
    "fresh_database",
    "lose_everything",
    "rabbit_or_fail",
    "rabbitmqctl",
    "run_sql",
    "running_server",
    "start_bus_valkey",
    "start_postgres",
    "start_rabbit",
    "with_database",
]
