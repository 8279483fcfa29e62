"""Ronda as it runs in production, under test: the web process and workers with pids of their own, which a test may kill."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psutil

from backend.embedded import Running
from backend.embedded_process import free_port
from core.base.settings import Settings

HOME = Path(__file__).parents[2]
START_S = 60.0
STOP_S = 15.0


@dataclass
class Process:
    """A process that is started again whenever it ends, as a supervisor does. `deaths`: how often it ended unasked."""

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    log: Path
    deaths: int = 0
    running: asyncio.subprocess.Process | None = None
    keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.keeper = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        while True:
            with self.log.open("ab") as log:
                self.running = await asyncio.create_subprocess_exec(
                    *self.command, cwd=HOME, env=self.environment, stdout=log, stderr=log
                )
            await self.running.wait()
            self.deaths += 1
            await asyncio.sleep(0.1)

    def send(self, number: signal.Signals) -> None:
        if self.running is not None and self.running.returncode is None:
            with suppress(ProcessLookupError):
                self.running.send_signal(number)

    async def stop(self) -> None:
        if self.keeper is None or self.running is None:
            return
        self.keeper.cancel()
        self.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await self.running.wait()
        except TimeoutError:
            self.send(signal.SIGKILL)
            await self.running.wait()


@dataclass
class System:
    """`faults` counts what was done to it, by name."""

    settings: Settings
    folder: Path
    base_url: str
    web: Process
    scorers: list[Process]
    others: list[Process]
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def processes(self) -> list[Process]:
        return [self.web, *self.scorers, *self.others]

    @property
    def deaths(self) -> int:
        return sum(process.deaths for process in self.processes)

    def logs(self, words: str) -> int:
        """How many lines of all logs hold these words."""
        return sum(process.log.read_text(errors="replace").count(words) for process in self.processes)

    def kill(self, process: Process) -> None:
        process.send(signal.SIGKILL)
        self.faults[f"kill -9 {process.name}"] += 1

    async def uses_features(self) -> None:
        """Until each scorer, just started, decides with features."""
        async with asyncio.timeout(2 * START_S):
            while any("deciding with features" not in scorer.log.read_text() for scorer in self.scorers):
                await asyncio.sleep(0.1)

    async def answers(self) -> None:
        """Until the web process answers."""
        async with asyncio.timeout(START_S), httpx2.AsyncClient() as client:
            while True:
                with suppress(httpx2.HTTPError):
                    if (await client.get(f"{self.base_url}/health/live")).status_code == 200:
                        return
                await asyncio.sleep(0.1)


def environment_of(settings: Settings) -> dict[str, str]:
    """What makes a child process work with these settings, and nothing of the caller's own."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("RONDA_")}
    return own | {
        "RONDA_DATABASE_URL": settings.database_url.get_secret_value(),
        "RONDA_REDIS_URL": settings.redis_url.get_secret_value(),
        "RONDA_BUS_URL": settings.bus_url.get_secret_value(),
        "RONDA_DATA_DIR": str(settings.data_dir),
        "RONDA_SHARDS": str(settings.shards),
        "RONDA_CONTROL_SHARE": "0",
        "RONDA_CONTROL_UNUSUAL_SHARE": "0",
    }


@asynccontextmanager
async def running_system(
    settings: Settings, folder: Path, *, scorers: int = 2, module: str = "backend", more: dict[str, str] | None = None
) -> AsyncIterator[System]:
    """`module`: what `python -m` runs as `ronda`. `more`: environment variables on top."""
    environment, port = environment_of(settings) | (more or {}), free_port()

    def process(name: str, *arguments: str) -> Process:
        return Process(name, [sys.executable, "-m", module, *arguments], environment, folder / f"{name}.log")

    system = System(
        settings,
        folder,
        f"http://127.0.0.1:{port}",
        process("web", "serve", "--port", str(port)),
        [process(f"scorer{number}", "work", "score") for number in range(scorers)],
        [process("keeper", "work", "relay", "reconcile", "bury", "seal")],
    )
    for each in system.processes:
        each.start()
    try:
        await system.answers()
        yield system
    finally:
        await asyncio.gather(*(each.stop() for each in system.processes))


@asynccontextmanager
async def frozen(server: Running) -> AsyncIterator[None]:
    """SIGSTOP for a server and all its processes: it neither answers nor closes a connection."""
    processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    try:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()
