"""A running Ronda for a whole file of fault tests, a source for each test, and the table of what each test did and counted."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from core.acts import people
from core.acts.audit import system as system_actor
from core.base.settings import Settings
from core.contracts.topology import queues
from core.infra.resources import Resources, open_resources
from core.infra.signing import ensure_local_keys
from models.scoring.scorer import Scorer
from tests import servers
from tests.faults import checker, crashing, model
from tests.faults.checker import Account
from tests.faults.client import Client, Ledger
from tests.faults.payments_at_work import private
from tests.faults.system import System, running_system
from tests.servers import Server

CLI = system_actor("cli")
NOTE = "note"
Note = Callable[[str], None]


@dataclass(frozen=True)
class Profile:
    """How much a fault test does. `long`: the numbers of a nightly run."""

    long: bool

    def of(self, short: int, long: int) -> int:
        return long if self.long else short


@dataclass
class Run:
    """One test's source, and what it was answered."""

    system: System
    resources: Resources
    source: str
    client: Client
    scorer: Scorer
    note: Note

    @property
    def ledger(self) -> Ledger:
        return self.client.ledger

    async def settle(self, seed: int) -> Account:
        """Waits until everything is decided, notes the account, and checks it."""
        found = await checker.account(seed, self.system, self.resources, self.ledger, self.source, self.scorer)
        self.note(found.words())
        found.check()
        return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes a seed runs once in the short profile, three times in the long one."""
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", (1, 2, 3) if metafunc.config.getoption("--faults") == "long" else (1,))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Also when tests failed, or the run was stopped. What a fixture noted at its end is in the report of the teardown."""
    table = Table("", "", title="fault runs", show_header=False, show_lines=True)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "teardown":
                for name, words in report.user_properties:
                    if name == NOTE:
                        table.add_row(report.nodeid.partition("::")[2], words)
    if table.row_count:
        Console(width=160, markup=False).print(table)


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Note:
    """Keeps a line for the closing table: the seed, the faults that were caused, what was counted."""
    return lambda words: request.node.user_properties.append((NOTE, words))


@pytest.fixture
def shards() -> int:
    """One: payments of all entities are taken in one order, and a replay must agree on every feature."""
    return 1


@pytest.fixture
async def resources(
    postgres_server: Server, valkey_url: str, rabbit_server: Server, shards: int, tmp_path: Path
) -> AsyncIterator[Resources]:
    """An empty Ronda. Redis has time: nothing is to be decided without it."""
    async with (
        servers.fresh_database(postgres_server.url) as database,
        private(database, valkey_url, rabbit_server.url, tmp_path, shards=shards, feature_timeout_ms=5000) as resources,
    ):
        yield resources


@pytest.fixture(scope="session")
def profile(long_faults: bool) -> Profile:
    return Profile(long_faults)


@pytest.fixture(scope="module")
def fault_bus(request: pytest.FixtureRequest) -> str:
    """RabbitMQ, unless the tests of a file ask for `streams`."""
    return str(getattr(request, "param", "rabbit"))


@pytest.fixture(scope="module")
async def fault_settings(
    fault_bus: str,
    postgres_server: Server,
    valkey_url: str,
    rabbit_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Settings]:
    """A database of their own: a file may run on one bus after the other."""
    async with servers.fresh_database(postgres_server.url) as database:
        settings = Settings(
            database_url=SecretStr(database),
            redis_url=SecretStr(valkey_url),
            bus_url=SecretStr(rabbit_url if fault_bus == "rabbit" else valkey_url),
            data_dir=tmp_path_factory.mktemp("ronda"),
            shards=2,
        )
        ensure_local_keys(settings)
        yield settings


@pytest.fixture(scope="module")
async def fault_resources(fault_settings: Settings) -> AsyncIterator[Resources]:
    async with open_resources(fault_settings, "test") as resources:
        await resources.redis.flushall()
        await resources.bus.declare(queues(fault_settings.shards))
        yield resources


@pytest.fixture(scope="module")
async def champion(fault_resources: Resources) -> Scorer:
    return await model.promote(fault_resources)


@pytest.fixture(scope="module")
async def system(fault_settings: Settings, champion: Scorer) -> AsyncIterator[System]:
    async with running_system(fault_settings, fault_settings.data_dir) as running:
        yield running


@pytest.fixture(scope="module")
def points(fault_settings: Settings) -> Path:
    """The folder in which fault points are armed."""
    folder = fault_settings.data_dir / "points"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
async def crashing_system(fault_settings: Settings, champion: Scorer, points: Path) -> AsyncIterator[System]:
    more = {crashing.VARIABLE: str(points)}
    async with running_system(
        fault_settings, fault_settings.data_dir, module="tests.faults.crashing", more=more
    ) as running:
        await running.uses_features()
        yield running


async def new_run(name: str, system: System, resources: Resources, champion: Scorer, note: Note) -> Run:
    system.faults.clear()
    source = f"shop-{uuid4().hex[:12]}"
    async with resources.postgres.unit_of_work() as work:
        await people.add_source(work, source, name, CLI)
        key = await people.add_key(work, source, CLI)
    ledger = Ledger(system.folder / f"{source}.ledger")
    return Run(system, resources, source, Client(system.base_url, key, ledger), champion, note)


@pytest.fixture
async def run(
    request: pytest.FixtureRequest, system: System, fault_resources: Resources, champion: Scorer, note: Note
) -> Run:
    return await new_run(request.node.name, system, fault_resources, champion, note)


@pytest.fixture
async def crashing_run(
    request: pytest.FixtureRequest, crashing_system: System, fault_resources: Resources, champion: Scorer, note: Note
) -> Run:
    return await new_run(request.node.name, crashing_system, fault_resources, champion, note)
