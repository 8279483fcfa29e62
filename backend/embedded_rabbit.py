"""A private RabbitMQ node: own name, own port mapper, own directories, no plugins, everything on loopback."""

import asyncio
import os
import shutil
import signal
from pathlib import Path

from backend.embedded_process import (
    LOOPBACK,
    Home,
    Running,
    ServerFailed,
    lock,
    opened_home,
    spawn,
    tethered,
    until_ready,
    write_private,
)

START_S = 120.0
PLACES = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/opt/rabbitmq/sbin/rabbitmq-server")
"""Where packages put the script itself."""

CONFIG = """\
listeners.tcp.default = {host}:{port}
default_user = ronda
default_pass = {password}
default_user_tags.administrator = true
disk_free_limit.absolute = 100MB
cluster_name = ronda
log.console = false
log.file = server.log
log.file.level = warning
"""

PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"


def find_rabbit() -> Path | None:
    """The script that runs the node.

    Not Debian's `/usr/sbin/rabbitmq-server`: that wrapper changes to the account `rabbitmq` and refuses everybody but root.
    """
    found = shutil.which("rabbitmq-server")
    beside = [Path(found).resolve().with_name("rabbitmq-server")] if found else []
    for script in (*map(Path, PLACES), *beside):
        if os.access(script, os.X_OK) and (script.parent / "rabbitmq-env").exists() and shutil.which("erl"):
            return script
    return None


def find_mapper() -> str | None:
    """Erlang's epmd, on the search path or where packages put it."""
    return shutil.which("epmd") or next(map(str, Path("/usr/lib/erlang").glob("erts-*/bin/epmd")), None)


async def start_rabbit(data_dir: Path) -> Running:
    """Virtual host `/`, user `ronda`. Raises ServerFailed."""
    script = find_rabbit()
    if script is None:
        raise ServerFailed("RabbitMQ is not installed (Debian, Ubuntu: apt-get install rabbitmq-server)")
    with opened_home("RabbitMQ", data_dir / "rabbit") as home:
        locked = await lock(home)
        try:
            mapper_port = home.use_port("mapper-port")
            mapper = await _start_mapper(home, mapper_port)
            try:
                port = home.use_port()
                environment = _environment(home, port, mapper_port)
                command = [*tethered(signal.SIGTERM), str(script), "-noinput", "-start_epmd", "false"]
                process = await spawn(command, home, env=environment, locked=locked)
            except BaseException:
                mapper.kill()
                raise
        finally:
            os.close(locked)
        url = f"amqp://ronda:{home.password()}@{LOOPBACK}:{port}/"
        running = Running(home.name, url, port, process, signal.SIGTERM, helpers=[mapper])
        return await until_ready(running, home, lambda: _greets(port), START_S)


async def _start_mapper(home: Home, port: int) -> asyncio.subprocess.Process:
    """Erlang's port mapper in the foreground, as our child. Left alone, Erlang starts one that nobody ever stops."""
    epmd = find_mapper()
    if epmd is None:
        raise ServerFailed("RabbitMQ cannot start: Erlang's epmd is not installed", server=home.name)
    command = [*tethered(signal.SIGKILL), epmd, "-port", str(port), "-address", LOOPBACK]
    return await spawn(command, home, env={})


def _environment(home: Home, port: int, mapper_port: int) -> dict[str, str]:
    """Every path and port that RabbitMQ would otherwise share with a system-wide node."""
    folder = home.folder
    config, plugins = folder / "rabbitmq.conf", folder / "enabled_plugins"
    write_private(config, CONFIG.format(host=LOOPBACK, port=port, password=home.password()))
    write_private(plugins, "[].\n")
    home.secret(".erlang.cookie")  # read by Erlang from HOME
    return {
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(mapper_port),
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "RABBITMQ_NODENAME": "ronda@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(home.use_port("cluster-port")),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_CONF_ENV_FILE": str(folder / "no-env.conf"),
        "RABBITMQ_CONFIG_FILE": str(config),
        "RABBITMQ_CONFIG_FILES": str(folder / "no-conf.d"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "no-advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
        "RABBITMQ_MNESIA_BASE": str(folder / "nodes"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
        "RABBITMQ_PID_FILE": str(folder / "node.pid"),
        # Without it the script stays as a parent that forwards signals; with it the pid we know is the node itself.
        "RABBITMQ_ALLOW_INPUT": "1",
    }


async def _greets(port: int) -> bool:
    """Whether a broker answers the protocol header with a method frame (type 1): it listens once it is fully up."""
    try:
        async with asyncio.timeout(2.0):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                writer.write(PROTOCOL_HEADER)
                return await reader.read(1) == b"\x01"
            finally:
                writer.close()
    except OSError:  # includes TimeoutError
        return False
