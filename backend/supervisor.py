"""Keeps the parts of one machine alive: starts them, restarts what dies, stops them in order, leaves nothing behind."""

import asyncio
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from backend.embedded import Running
from backend.embedded_process import LOG_MAX_BYTES, send, telling_line, tethered
from core.base.errors import Unavailable

PATIENCE_S = 60.0
MOST_DEATHS = 3
"""A part that dies more often than that within PATIENCE_S takes everything down with it, unless it is `tireless`."""
BACKOFF_S = (0.5, 2.0, 5.0)
TRIM_EVERY_S = 15.0
_EXCEPTION = re.compile(r"(?:(?<=\\n)|\b)(?:[a-z_0-9]+\.)*[A-Z]\w*(?:Error|Exception|Unavailable|Failed): [^\n\\\"]+")
"""A traceback's last line, as such or inside a log line where line breaks are escaped."""

Say = Callable[[str], None]


class KeepsDying(Unavailable):
    code = "keeps_dying"


class Part(Protocol):
    """Something that runs: an embedded server, or a process of ours."""

    name: str
    stop_rank: int
    """Higher ones are stopped earlier; among equals the newest first."""
    tireless: bool
    """Started again however often it dies: the others can do without it meanwhile."""

    async def start(self) -> None:
        """Returns when it runs (a process of ours) or answers (a server)."""

    async def wait(self) -> int:
        """Its exit code, once it has ended for whatever reason."""

    async def stop(self) -> None:
        """In order; nothing of it runs afterwards. Safe to call when it never started or has ended."""

    def kill(self) -> None:
        """At once."""

    def last_words(self) -> str: ...


@dataclass
class ServerPart:
    """An embedded server. A restart must keep its URL, which the processes were given at their start."""

    name: str
    open: Callable[[Path], Awaitable[Running]]
    data_dir: Path
    log: Path
    stop_rank: int = 0
    tireless: bool = False
    running: Running | None = None

    @property
    def url(self) -> str:
        assert self.running is not None, f"{self.name} has not been started"
        return self.running.url

    async def start(self) -> None:
        before = self.running
        self.running = await self.open(self.data_dir)
        if before and before.url != self.running.url:
            raise KeepsDying(f"{self.name} could not have its port {before.port} back")

    async def wait(self) -> int:
        assert self.running is not None
        return await self.running.wait()

    async def stop(self) -> None:
        if self.running:
            await self.running.stop()

    def kill(self) -> None:
        if self.running:
            self.running.kill()

    def last_words(self) -> str:
        return telling_line(tail(self.log))


@dataclass
class ProcessPart:
    """`python -m backend <arguments>` in a session of its own, tied to us: it dies when we do, however we end."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    pass_fds: Sequence[int] = ()
    stop_rank: int = 1
    grace_s: float = 4.0
    """How long it may take to stop politely."""
    stdout: int | None = None
    """Where its stdout goes; None = to the log, like its stderr."""
    tireless: bool = False
    process: asyncio.subprocess.Process | None = None
    _log_start: int = 0

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self.process = await asyncio.create_subprocess_exec(
                *tethered(signal.SIGKILL),
                sys.executable,
                "-m",
                "backend",
                *self.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log if self.stdout is None else self.stdout,
                stderr=log,
                env=os.environ | dict(self.environment),
                start_new_session=True,
                pass_fds=self.pass_fds,
            )

    async def wait(self) -> int:
        assert self.process is not None
        return await self.process.wait()

    async def stop(self) -> None:
        if self.process is None:
            return
        send(self.process, signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(self.grace_s):
                await self.process.wait()
        self.kill()
        await self.process.wait()

    def kill(self) -> None:
        """The whole session: what the process started goes with it."""
        if self.process:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def last_words(self) -> str:
        return cause(tail(self.log, self._log_start))


def cause(text: str) -> str:
    """Why one of our own processes ended: its parting line, else the last exception it named, else what looks like a failure."""
    parting = [line for line in text.splitlines() if line.startswith("ronda: ")]
    if parting:
        return parting[-1].removeprefix("ronda: ")
    named = _EXCEPTION.findall(text)
    return str(named[-1])[:300] if named else telling_line(text)


def tail(log: Path, start: int = 0, most: int = 64 * 2**10) -> str:
    """The end of a log, from byte `start` at the earliest."""
    try:
        with log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(min(start, end), end - most))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


@dataclass
class Supervisor:
    """Keeps parts running and stops them by rank."""

    say: Say
    parts: list[Part] = field(default_factory=list)
    _keepers: list[asyncio.Task[None]] = field(default_factory=list)
    _stopping: bool = False

    async def start(self, part: Part) -> None:
        """Start and keep alive. Raises what the part's own start raises."""
        self.parts.append(part)
        await part.start()
        self._keepers.append(asyncio.create_task(self._keep(part), name=part.name))

    async def _keep(self, part: Part) -> None:
        """Runs until the part cannot be kept alive any more; then raises KeepsDying."""
        deaths: deque[float] = deque()
        now = asyncio.get_running_loop().time
        while True:
            how = ending(await part.wait())
            deaths.append(now())
            while now() - deaths[0] > PATIENCE_S:
                deaths.popleft()
            if len(deaths) > MOST_DEATHS and not part.tireless:
                raise KeepsDying(f"{part.name} keeps ending ({how}): {part.last_words()}")
            self.say(f"{part.name} ended ({how}): {part.last_words()} - starting it again")
            await asyncio.sleep(BACKOFF_S[min(len(deaths), len(BACKOFF_S)) - 1])
            await part.start()

    async def failure(self) -> None:
        """Returns never; raises the error of the first part that cannot be kept alive."""
        while True:
            for keeper in self._keepers:
                if keeper.done():
                    keeper.result()
            await asyncio.sleep(0.2)

    async def stop(self, within_s: float) -> None:
        """Everything, by rank; what still runs after `within_s` is killed."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                order = sorted(enumerate(self.parts), key=lambda place: (place[1].stop_rank, place[0]), reverse=True)
                for _, part in order:
                    await part.stop()
        self.kill()

    def kill(self) -> None:
        for part in reversed(self.parts):
            part.kill()


def ending(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


async def trim_logs(folder: Path) -> None:
    """For ever: a log over its bound is copied to `<name>.1` and emptied (its writer appends, so it goes on at the start)."""
    while True:
        await asyncio.sleep(TRIM_EVERY_S)
        await asyncio.to_thread(_trim, folder)


def _trim(folder: Path) -> None:
    for log in folder.glob("*.log"):
        if log.stat().st_size > LOG_MAX_BYTES:
            log.with_suffix(".log.1").write_bytes(log.read_bytes())
            os.truncate(log, 0)
