"""Fixtures over real servers. A server starts when the first test asks for it and lives for the session.

| fixture | scope | what |
|---|---|---|
| `postgres_server` `valkey_server` `rabbit_server` | session | `tests.servers.Server`: url, kill(), start(), restart_after_kill() |
| `postgres_url` | module | a fresh, migrated database |
| `valkey_url` | module | an emptied Valkey, database 0 |
| `rabbit_url` | module | RabbitMQ without any queue of the topology |
| `bus_url`, `bus_server`, `bus` | module, test, test | both implementations in turn: the test runs twice |
| `settings`, `resources` | test | everything opened on PostgreSQL, Valkey and RabbitMQ, queues declared |
| `on_bus` | test | the same on each bus in turn: the test runs twice |
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis.asyncio as redis
from pydantic import SecretStr

from core.base.settings import Settings
from core.contracts.topology import queues
from core.infra.bus import Bus
from core.infra.resources import Resources, make_bus, open_resources
from core.infra.signing import ensure_local_keys
from tests import servers
from tests.servers import Server


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults", choices=("short", "long"), default="short", help="How long tests/faults go on.")


@pytest.fixture(scope="session")
def long_faults(pytestconfig: pytest.Config) -> bool:
    return bool(pytestconfig.getoption("--faults") == "long")


@pytest.fixture(scope="session")
async def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    from backend.migrations import migrate

    async with servers.running_server(servers.start_postgres, tmp_path_factory.mktemp("servers")) as server:
        await servers.run_sql(server.url, f"CREATE DATABASE {servers.TEMPLATE}")
        await asyncio.to_thread(migrate, servers.with_database(server.url, servers.TEMPLATE))
        yield server


@pytest.fixture(scope="session")
async def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with servers.running_server(servers.start_bus_valkey, tmp_path_factory.mktemp("servers")) as server:
        yield server


@pytest.fixture(scope="session")
async def rabbit_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    servers.rabbit_or_fail()
    async with servers.running_server(servers.start_rabbit, tmp_path_factory.mktemp("servers")) as server:
        yield server


@pytest.fixture(scope="module")
async def postgres_url(postgres_server: Server) -> AsyncIterator[str]:
    async with servers.fresh_database(postgres_server.url) as url:
        yield url


@pytest.fixture(scope="module")
async def valkey_url(valkey_server: Server) -> str:
    async with redis.from_url(valkey_server.url) as client:
        await client.flushall()
    return valkey_server.url


@pytest.fixture(scope="module")
async def rabbit_url(rabbit_server: Server) -> str:
    await servers.delete_queues(rabbit_server.url)
    return rabbit_server.url


@pytest.fixture(scope="module", params=["rabbit", "streams"])
def bus_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue("rabbit_url" if request.param == "rabbit" else "valkey_url")
    return url


@pytest.fixture
def bus_server(bus_url: str, request: pytest.FixtureRequest) -> Server:
    """The server behind `bus_url`."""
    server: Server = request.getfixturevalue("rabbit_server" if bus_url.startswith("amqp") else "valkey_server")
    return server


@pytest.fixture
async def bus(bus_url: str) -> AsyncIterator[Bus]:
    async with make_bus(Settings(bus_url=SecretStr(bus_url))) as bus:
        yield bus


@pytest.fixture
def settings(postgres_url: str, valkey_url: str, rabbit_url: str, tmp_path: Path) -> Settings:
    settings = Settings(
        database_url=SecretStr(postgres_url),
        redis_url=SecretStr(valkey_url),
        bus_url=SecretStr(rabbit_url),
        data_dir=tmp_path,
        shards=2,
        feature_timeout_ms=5000,  # two busy cores are no outage
    )
    ensure_local_keys(settings)
    return settings


@pytest.fixture
async def resources(settings: Settings) -> AsyncIterator[Resources]:
    async with open_resources(settings, "test") as resources:
        await resources.bus.declare(queues(settings.shards))
        yield resources


@pytest.fixture
async def on_bus(settings: Settings, bus_url: str) -> AsyncIterator[Resources]:
    """As `resources`, on each of the buses in turn."""
    chosen = settings.model_copy(update={"bus_url": SecretStr(bus_url)})
    async with open_resources(chosen, "test") as resources:
        await resources.bus.declare(queues(chosen.shards))
        yield resources
