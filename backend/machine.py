"""Everything that runs for one `up` or `demo`: what is opened, in which order, and what waits for what."""

import asyncio
import os
import shutil
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx2
import msgspec
from pydantic import SecretStr

from backend import accounts
from backend.choices import BusChoice
from backend.display import FIRST_TRAINING, Display, Step, Welcome
from backend.embedded import Running, find_rabbit, start_postgres, start_rabbit, start_valkey
from backend.instance import RunFile, local_url
from backend.migrations import migrate
from backend.migrations.logins import JOBS as JOBS_LOGIN
from backend.migrations.logins import SCORER, WEB, as_login, derived_logins
from backend.supervisor import ProcessPart, ServerPart, Supervisor, ending
from core.base.errors import InvalidInput, Unavailable
from core.base.settings import Settings
from core.infra.postgres import Postgres, connect_postgres
from core.infra.signing import ensure_local_keys
from workers.roster import NAMES

READY_WITHIN_S = 60.0
JOBS = tuple(name for name in NAMES if name != "score")
"""What the second worker process does; the first one only scores."""
NO_RABBIT = "RabbitMQ is not installed: the bus runs on Redis Streams (Debian, Ubuntu: apt-get install rabbitmq-server)"


@dataclass(frozen=True)
class LaunchOptions:
    """`rate`: synthetic payments a second of the demo's stream."""

    settings: Settings
    bus: BusChoice = BusChoice.AUTO
    demo: bool = False
    stream: bool = True
    rate: float = 5.0


class Machine:
    def __init__(self, options: LaunchOptions, listening: socket.socket) -> None:
        self.display = Display()
        self.supervisor = Supervisor(self.display.say)
        self.logs = options.settings.data_dir / "logs"
        self._options, self._settings, self._listening = options, options.settings, listening
        self._data_dir = options.settings.data_dir
        self._welcome = Welcome()
        self._history_is_whole = asyncio.Event()
        self._logins: dict[str, str] = {}
        """Passwords; of a server that is not ours none."""

    async def open(self) -> None:
        """Returns when people can sign in and payments are decided. What does not depend on each other happens at once."""
        self.logs.mkdir(mode=0o700, exist_ok=True)
        shutil.rmtree(self._data_dir / "metrics", ignore_errors=True)
        (self._data_dir / "metrics").mkdir()
        ensure_local_keys(self._settings)
        async with asyncio.TaskGroup() as group:
            database = group.create_task(self._open_database())
            valkey = partial(start_valkey, carries_bus=self._bus_on_redis())
            redis = group.create_task(self._open_server("redis_url", "Valkey", valkey, "valkey"))
            bus = group.create_task(self._open_bus(redis))
            first_run = group.create_task(self._first_run(database, redis))
            group.create_task(self._open_processes(database, redis, bus, first_run))
        await self._until_ready()
        self.display.say("people can sign in")
        self.display.welcome(self._settings.base_url, self._welcome)
        if self._options.demo and self._options.stream and self._welcome.key:
            await self._start("stream", "stream", f"--rate={self._options.rate}", stop_rank=3)

    async def _open_database(self) -> str:
        url = await self._open_server("database_url", "PostgreSQL", start_postgres, "postgres")
        if not self._settings.database_url.get_secret_value():
            self._logins = derived_logins(url)
        await asyncio.to_thread(migrate, url, self._logins)
        postgres = connect_postgres(url, role=self._settings.database_role, pool=1, application="launcher")
        try:
            await self._prepare_people(postgres)
        finally:
            await postgres.close()
        return url

    async def _prepare_people(self, postgres: Postgres) -> None:
        if self._options.demo:
            demo = await accounts.demo_secrets(postgres, self._data_dir)
            if demo:
                self._welcome = Welcome(demo.users, demo.key)
            else:
                self._welcome.notes.append("This database has users of its own; the demo adds no user and no stream.")
            return
        admin = await accounts.first_admin(postgres)
        if admin:
            notes = [
                "This password is shown once. More people, sources and keys, while Ronda runs:",
                "ronda user add you@example.org --role analyst; ronda source add shop; ronda key add shop",
            ]
            self._welcome = Welcome([admin], None, notes)

    async def _open_server(
        self, setting: str, title: str, start: Callable[[Path], Awaitable[Running]], folder: str
    ) -> str:
        """The URL of a server: the one that is set, else a private one started here."""
        given: str = getattr(self._settings, setting).get_secret_value()
        if given:
            self.display.say(f"{title}: the one at RONDA_{setting.upper()}")
            return given
        part = ServerPart(title, start, self._data_dir, self._data_dir / folder / "server.log")
        await self.supervisor.start(part)
        self.display.say(f"{title} is ready")
        return part.url

    def _bus_on_redis(self) -> bool:
        """Nobody named a bus, and RabbitMQ is not wanted or not there."""
        given = self._settings.bus_url.get_secret_value()
        return not given and (self._options.bus is BusChoice.REDIS or find_rabbit() is None)

    async def _open_bus(self, redis: asyncio.Task[str]) -> str:
        choice, given = self._options.bus, self._settings.bus_url.get_secret_value()
        if not given and choice is not BusChoice.REDIS:
            if find_rabbit() is not None:
                return await self._open_server("bus_url", "RabbitMQ", start_rabbit, "rabbit")
            if choice is BusChoice.RABBIT:
                raise InvalidInput(NO_RABBIT.partition(":")[0] + NO_RABBIT[NO_RABBIT.index(" (") :])
            self.display.say(NO_RABBIT)
        return given or await redis

    async def _open_processes(
        self,
        database: asyncio.Task[str],
        redis: asyncio.Task[str],
        bus: asyncio.Task[str],
        first_run: asyncio.Task[None],
    ) -> None:
        self._settings = settings = self._with_urls(await database, await redis, await bus)
        RunFile(
            pid=os.getpid(),
            console_url=settings.base_url,
            database_url=settings.database_url.get_secret_value(),
            redis_url=settings.redis_url.get_secret_value(),
            bus_url=settings.bus_url.get_secret_value(),
            host=settings.host,
            port=settings.port,
            shards=settings.shards,
        ).write(self._data_dir)
        descriptor = self._listening.fileno()
        await self._start("web", "serve", f"--fd={descriptor}", login=WEB, pass_fds=(descriptor,), stop_rank=2)
        # A worker that meets half a history would build the features from it, and once more from the whole one.
        await self._history_is_whole.wait()
        # One poisonous payment ends it several times in a row; what was accepted waits meanwhile.
        await self._start("scorer", "work", "score", login=SCORER, tireless=True, OMP_NUM_THREADS="1")
        await first_run
        await self._start("jobs", "work", *JOBS, login=JOBS_LOGIN)

    def _with_urls(self, database: str, redis: str, bus: str) -> Settings:
        urls = {"database_url": SecretStr(database), "redis_url": SecretStr(redis), "bus_url": SecretStr(bus)}
        return self._settings.model_copy(update=urls)

    def _signing_in_as(self, login: str | None, settings: Settings) -> Settings:
        """As itself on a server of ours, by the URL that is set on another one. None: it has nothing to do with the database."""
        url = settings.database_url.get_secret_value() if login else ""
        if login in self._logins:
            url = as_login(url, login, self._logins[login])
        return settings.model_copy(update={"database_url": SecretStr(url)})

    async def _start(
        self,
        name: str,
        *arguments: str,
        login: str | None = None,
        pass_fds: tuple[int, ...] = (),
        stop_rank: int = 1,
        tireless: bool = False,
        **more: str,
    ) -> None:
        """`more`: environment variables of this process alone."""
        environment = environment_of(self._signing_in_as(login, self._settings)) | more
        part = ProcessPart(
            name, arguments, environment, self.logs / f"{name}.log", pass_fds, stop_rank, tireless=tireless
        )
        await self.supervisor.start(part)

    async def _first_run(self, database: asyncio.Task[str], redis: asyncio.Task[str]) -> None:
        """Synthetic history and a first model, unless there are; in a process of its own, whose libraries are heavy."""
        url = await database
        if self._options.demo and self._welcome.key:
            # Nothing is published here, so it need not wait for the bus.
            settings = self._with_urls(url, await redis, await redis)
            environment = environment_of(self._signing_in_as(JOBS_LOGIN, settings))
            part = ProcessPart("first run", ("first-run",), environment, self.logs / "first-run.log")
            part.stdout = asyncio.subprocess.PIPE
            self.supervisor.parts.append(part)
            await part.start()
            await self._follow(part)
        self._history_is_whole.set()

    async def _follow(self, part: ProcessPart) -> None:
        """Shows its steps until it ends. Raises Unavailable when it failed."""
        assert part.process is not None
        assert part.process.stdout is not None
        with self.display.progress() as steps:
            async for line in part.process.stdout:
                step = msgspec.json.decode(line, type=Step)
                steps.at(step)
                if step.words == FIRST_TRAINING:
                    self._history_is_whole.set()
            code = await part.wait()
            if code:
                raise Unavailable(f"the demo's first model could not be made ({ending(code)}): {part.last_words()}")
            steps.done()

    async def _until_ready(self) -> None:
        url = f"{local_url(self._settings)}/health/ready"
        deadline = asyncio.get_running_loop().time() + READY_WITHIN_S
        async with httpx2.AsyncClient(trust_env=False, timeout=5.0) as client:
            while asyncio.get_running_loop().time() < deadline:
                with suppress(httpx2.HTTPError):
                    if (await client.get(url)).status_code == httpx2.codes.OK:
                        return
                await asyncio.sleep(0.2)
        raise Unavailable(f"the console did not answer within {READY_WITHIN_S:.0f} s; see {self.logs / 'web.log'}")


def environment_of(settings: Settings) -> dict[str, str]:
    """What the children are told; everything else they inherit."""
    return {
        "RONDA_DATABASE_URL": settings.database_url.get_secret_value(),
        "RONDA_REDIS_URL": settings.redis_url.get_secret_value(),
        "RONDA_BUS_URL": settings.bus_url.get_secret_value(),
        "RONDA_DATA_DIR": str(settings.data_dir),
        "RONDA_HOST": settings.host,
        "RONDA_PORT": str(settings.port),
        "PROMETHEUS_MULTIPROC_DIR": str(settings.data_dir / "metrics"),
        # Threads that spin while they wait make a training several times slower on a machine that is busy otherwise.
        "OMP_WAIT_POLICY": "PASSIVE",
    }
