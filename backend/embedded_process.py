"""Private servers as our own children: how one is spawned, awaited, stopped and kept from outliving us."""

import asyncio
import errno
import fcntl
import os
import random
import re
import secrets
import shutil
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from core.base.errors import Unavailable

LOOPBACK = "127.0.0.1"
STOP_S = 8.0
"""How long a server may take to stop politely before it is killed."""
LOCK_WAIT_S = 5.0
"""How long to wait for a predecessor of ours that is still dying."""
LOG_MAX_BYTES = 16 * 2**20
# Below the range from which the kernel picks client ports (32768 and up on Linux): a client that retries a
# closed port inside that range can connect to itself, and then the restarted server cannot bind.
PORTS = range(15000, 32000)
_TELLING = re.compile(r"fatal|panic|error|no space|in use|denied|failed|refus", re.IGNORECASE)


class ServerFailed(Unavailable):
    """An embedded server did not start; `detail` is one line that says why."""

    code = "server_failed"


@dataclass
class Running:
    """A server that answers. `url` holds its password. It ends with us, even when we are killed (on Linux)."""

    name: str
    url: str
    port: int
    process: asyncio.subprocess.Process
    polite: signal.Signals
    helpers: list[asyncio.subprocess.Process] = field(default_factory=list)
    """Processes that live exactly as long as the server (RabbitMQ's port mapper)."""

    @property
    def pid(self) -> int:
        return self.process.pid

    async def wait(self) -> int:
        """The exit code, once the server has ended for whatever reason."""
        return await self.process.wait()

    async def stop(self) -> None:
        """Ends the server in order; kills it after STOP_S. Safe to call twice."""
        send(self.process, self.polite)
        try:
            async with asyncio.timeout(STOP_S):
                await self.process.wait()
        except TimeoutError:
            pass
        finally:
            self.kill()
        for process in (self.process, *self.helpers):
            await process.wait()

    def kill(self) -> None:
        """SIGKILL, at once: what a power cut looks like to the server."""
        for process in (self.process, *self.helpers):
            send(process, signal.SIGKILL)


def send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Signals by pid, and only while the process is ours to signal (not yet reaped)."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.send_signal(number)


@dataclass
class Home:
    """One server's folder under the data directory: its files, password, port and log."""

    name: str
    folder: Path
    log_start: int = 0
    """Size of the log before this start, in bytes."""

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def password(self) -> str:
        """The random password of this installation, made on first use; readable by the owner only."""
        return self._remembered("password", lambda: secrets.token_urlsafe(24))

    def secret(self, name: str) -> str:
        """Random hex digits kept in the file `name`."""
        return self._remembered(name, lambda: secrets.token_hex(16))

    def use_port(self, name: str = "port") -> int:
        """The port of the last run when it is still free (so that URLs stay the same), else a new one."""
        known = self._remembered(name, lambda: str(free_port()))
        if known.isdigit() and is_free(int(known)):
            return int(known)
        port = free_port()
        write_private(self.folder / name, str(port))
        return port

    def _remembered(self, name: str, make: Callable[[], str]) -> str:
        path = self.folder / name
        if not path.exists():
            write_private(path, make())
        return path.read_text().strip()


def write_private(path: Path, text: str) -> None:
    """Writes a file only its owner can read, whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    for _ in range(100):
        port = random.choice(PORTS)  # noqa: S311 - not a secret
        if is_free(port):
            return port
    raise ServerFailed("no free port on 127.0.0.1")


@contextmanager
def opened_home(name: str, folder: Path) -> Iterator[Home]:
    """The folder, made if need be; what the system refuses in it becomes one line."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        home = Home(name, folder.absolute())
        if home.log.exists() and home.log.stat().st_size > LOG_MAX_BYTES:
            home.log.replace(home.log.with_suffix(".log.1"))
        home.log_start = home.log.stat().st_size if home.log.exists() else 0
        yield home
    except OSError as error:
        if isinstance(error, TimeoutError):
            raise
        where = f" ({error.filename})" if error.filename else ""
        raise ServerFailed(f"{name} cannot start: {_disk_or(error)}{where}", server=name) from error


def _disk_or(error: OSError) -> str:
    return "the disk is full" if error.errno == errno.ENOSPC else (error.strerror or str(error))


async def lock(home: Home) -> int:
    """A file descriptor that locks the folder. Handed to the server, so the lock lasts as long as any process of it.

    Raises ServerFailed while another server works on the same files (two would corrupt them).
    """
    descriptor = os.open(home.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = asyncio.get_running_loop().time() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if asyncio.get_running_loop().time() > deadline:
                os.close(descriptor)
                raise ServerFailed(
                    f"{home.name} is already running on {home.folder} (another `ronda up` or `ronda demo`?)",
                    server=home.name,
                ) from None
            await asyncio.sleep(0.1)
        except BaseException:
            os.close(descriptor)
            raise
        else:
            return descriptor


def tethered(die_by: signal.Signals, *more: str) -> list[str]:
    """A command prefix: the kernel sends `die_by` to the command when we end, however we end. [] where there is no setpriv."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return []
    return [setpriv, "--pdeathsig", die_by.name.removeprefix("SIG"), *more, "--"]


async def spawn(
    command: Sequence[str], home: Home, *, env: Mapping[str, str], locked: int | None = None
) -> asyncio.subprocess.Process:
    """Starts `command` in its own session (a Ctrl+C at our terminal does not reach it), its output in the home's log."""
    with home.log.open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=asyncio.subprocess.STDOUT,
            cwd=home.folder,
            env=plain_environment() | dict(env),
            start_new_session=True,
            pass_fds=() if locked is None else (locked,),
        )


def plain_environment() -> dict[str, str]:
    """Nothing of ours but the search path: a server must not read settings meant for another one."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


async def run_tool(command: Sequence[str], home: Home, *, env: Mapping[str, str] | None = None) -> tuple[int, str]:
    """(exit code, what it printed). The tool dies with us if we are cancelled."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=home.folder,
        env=plain_environment() | dict(env or {}),
        start_new_session=True,
    )
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        send(process, signal.SIGKILL)
        raise
    return process.returncode or 0, output.decode(errors="replace")


async def until_ready(running: Running, home: Home, ready: Callable[[], Awaitable[bool]], timeout_s: float) -> Running:
    """Waits until the server answers. Raises ServerFailed with the log's telling line, and leaves nothing behind."""
    try:
        async with asyncio.timeout(timeout_s):
            while not await ready():
                if running.process.returncode is not None:
                    raise ServerFailed(f"{home.name} did not start: {reason(home)}", server=home.name)
                await asyncio.sleep(0.05)
    except BaseException as error:
        running.kill()
        for process in (running.process, *running.helpers):
            await process.wait()
        if isinstance(error, TimeoutError):
            raise ServerFailed(f"{home.name} did not answer within {timeout_s:.0f} s", server=home.name) from error
        raise
    return running


def reason(home: Home) -> str:
    """The line of this start's log that says why."""
    with home.log.open("rb") as file:
        file.seek(home.log_start)
        return telling_line(file.read(2**20).decode(errors="replace"))


def telling_line(text: str) -> str:
    """The last line that speaks of a failure, else the last line; `No space left` wins over both."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if any("no space left" in line.lower() or "enospc" in line.lower() for line in lines):
        return "the disk is full"
    telling = [line for line in lines if _TELLING.search(line)] or lines or ["it said nothing"]
    return telling[-1][:300]
