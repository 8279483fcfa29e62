"""One data directory, one running Ronda: who holds it, and where its servers are for the commands beside it."""

import errno
import fcntl
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from backend.embedded_process import write_private
from core.base.errors import NotAllowedNow, RondaError, Unavailable
from core.base.settings import Settings

LEAST_FREE_BYTES = 512 * 2**20
"""PostgreSQL and RabbitMQ stop in ugly ways when a disk fills up: better not to start."""


class DataDirUnusable(Unavailable):
    code = "data_dir_unusable"


class PortTaken(RondaError):
    code = "port_taken"


class RunFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a running `up` or `demo` tells other commands. It holds passwords: mode 0600, gone when Ronda stops."""

    pid: int
    console_url: str
    database_url: str
    redis_url: str
    bus_url: str
    host: str
    port: int
    shards: int

    @staticmethod
    def path(data_dir: Path) -> Path:
        return data_dir / "run.json"

    def write(self, data_dir: Path) -> None:
        write_private(self.path(data_dir), msgspec.json.encode(self).decode())

    @classmethod
    def read(cls, data_dir: Path) -> "RunFile | None":
        """None = nothing runs on this data directory (a file left behind by a killed launcher does not count)."""
        if holder_of(data_dir) is None:
            return None
        with suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode(cls.path(data_dir).read_bytes(), type=cls)
        return None


def _lock_file(data_dir: Path) -> Path:
    return data_dir / "launcher.lock"


def holder_of(data_dir: Path) -> int | None:
    """The pid of the launcher that holds this data directory. The kernel drops the lock with its holder, so it is never stale."""
    try:
        descriptor = os.open(_lock_file(data_dir), os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        written = os.read(descriptor, 32).decode(errors="replace").strip()
        return int(written) if written.isdigit() else 0
    else:
        return None
    finally:
        os.close(descriptor)


@contextmanager
def held(data_dir: Path) -> Iterator[None]:
    """Holds the data directory, made if need be. Raises DataDirUnusable, or NotAllowedNow when another launcher has it."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(_lock_file(data_dir), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DataDirUnusable(f"cannot use the data directory {data_dir}: {_words(error)}") from error
    try:
        _take(descriptor, data_dir)
        try:
            yield
        finally:
            RunFile.path(data_dir).unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _take(descriptor: int, data_dir: Path) -> None:
    for attempt in range(10):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:  # a launcher, or for an instant a command that asks whether there is one
            pid = holder_of(data_dir)
            if pid is not None or attempt == 9:
                raise NotAllowedNow(
                    f"Ronda is already running on {data_dir} (process {pid}); stop it or choose another --data-dir"
                ) from None
            time.sleep(0.1)
    free = shutil.disk_usage(data_dir).free
    if free < LEAST_FREE_BYTES:
        raise DataDirUnusable(
            f"the disk of {data_dir} is full: {free // 2**20} MB are free and Ronda wants {LEAST_FREE_BYTES // 2**20} MB"
        )
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    except OSError as error:
        raise DataDirUnusable(f"cannot write in the data directory {data_dir}: {_words(error)}") from error


def _words(error: OSError) -> str:
    return "the disk is full" if error.errno == errno.ENOSPC else (error.strerror or str(error))


@contextmanager
def bound_socket(host: str, port: int) -> Iterator[socket.socket]:
    """The console's address, taken before anything is started and kept over restarts of the web process.

    It listens at once, so a browser that comes early or during a restart waits instead of being refused. Raises PortTaken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, port))
            bound.listen(2048)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(f"port {port} on {host} is taken by another program; choose one with --port") from error
            raise PortTaken(f"cannot listen on {host} port {port}: {_words(error)}") from error
        yield bound


def with_running_instance(settings: Settings) -> Settings:
    """`settings` with what is not set taken from the Ronda that runs on the same data directory, if one does."""
    missing = [
        name for name in ("database_url", "redis_url", "bus_url") if not getattr(settings, name).get_secret_value()
    ]
    running = RunFile.read(settings.data_dir) if missing else None
    if running is None:
        return settings
    taken = [*missing, "host", "port", "shards"]
    return Settings(**settings.model_dump() | {name: getattr(running, name) for name in taken})


def local_url(settings: Settings) -> str:
    """Where this machine reaches the web process, whatever address it listens on."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
