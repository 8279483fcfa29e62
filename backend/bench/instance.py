"""A Ronda of its own for the bench: private servers in a temporary folder, a first model, and processes that can be exchanged."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import psutil

from backend import accounts
from backend.bench import probe
from backend.bench.workload import begin_before
from backend.choices import BusChoice
from backend.display import Display, Step
from backend.embedded import Running, find_rabbit, start_postgres, start_rabbit, start_valkey
from backend.embedded_process import write_private
from backend.instance import local_url
from backend.machine import JOBS, NO_RABBIT, environment_of
from backend.migrations import migrate
from backend.supervisor import ProcessPart, ending
from core.base.errors import InvalidInput, Unavailable
from core.base.settings import Settings
from core.infra.postgres import connect_postgres
from core.infra.redis import Redis, connect_redis
from core.infra.signing import ensure_local_keys
from core.stores import throughput

READY_WITHIN_S = 60.0
TIDY_S = 10.0
NOT_OURS = (
    "artifacts_url",
    "artifacts_endpoint",
    "signing_key",
    "trusted_keys",
    "audit_key",
    "audit_trusted_keys",
    "public_url",
)
"""Settings that may point at what the bench must not touch."""


@dataclass
class Instance:
    """`key`: a source's API key. `begin`: where the synthetic history ended."""

    settings: Settings
    folder: Path
    listening: socket.socket
    servers: dict[str, Running]
    accounts: accounts.DemoSecrets
    processes: list[ProcessPart] = field(default_factory=list)

    @property
    def key(self) -> str:
        return self.accounts.key

    def part(self, name: str, *arguments: str, **more: str) -> ProcessPart:
        """`more`: environment variables of this process alone."""
        environment = environment_of(self.settings) | {f"RONDA_{name.upper()}": "" for name in NOT_OURS}
        environment |= {"RONDA_AUDIT_ANCHOR": str(self.folder / "audit-anchor.txt"), **more}
        return ProcessPart(name, arguments, environment, self.folder / f"{name}.log")

    async def start(self) -> None:
        """Jobs, and what `exchange` starts."""
        jobs = self.part("jobs", "work", *JOBS)
        await jobs.start()
        self.processes.append(jobs)
        await self.exchange()

    async def leave_out(self, name: str) -> None:
        """One of `probe.WITHOUT`, from now on; "" = nothing."""
        write_private(self.folder / probe.LEFT_OUT, name)
        await asyncio.sleep(2 * probe.EVERY_S)

    async def exchange(self, *, scorers: int = 1) -> None:
        """New web and scorer processes in place of those that run; returns when they answer."""
        await self._end([part for part in self.processes if part.name != "jobs"])
        descriptor = self.listening.fileno()

        def probed(name: str, *arguments: str, **more: str) -> ProcessPart:
            trace = f"--trace={self.trace(name)}"
            return self.part(name, "bench-part", trace, "--", *arguments, **more)

        web = probed("web", "serve", f"--fd={descriptor}")
        web.pass_fds = (descriptor,)
        new = [web]
        for number in range(scorers):
            own = " ".join(map(str, range(number, self.settings.shards, scorers)))
            new.append(probed(f"scorer{number}", "work", "score", OMP_NUM_THREADS="1", RONDA_SCORE_SHARDS=own))
        self.processes += new
        await asyncio.gather(*(part.start() for part in new))
        await self._until_ready()

    def trace(self, name: str) -> Path:
        return self.folder / f"{name}.trace.json"

    def traces(self) -> list[Path]:
        return [self.trace(part.name) for part in self.processes if part.name != "jobs"]

    async def stop(self) -> None:
        await self._end([*self.processes])

    async def _end(self, parts: Sequence[ProcessPart]) -> None:
        await asyncio.gather(*(part.stop() for part in parts))
        self.processes = [part for part in self.processes if part not in parts]
        for path in self.folder.glob("*.trace.json"):
            path.unlink()

    async def tidy_up(self) -> None:
        """After many rows came at once: what the servers would else do beside the work that follows."""
        owner = connect_postgres(self.settings.database_url.get_secret_value(), role=None, pool=1, application="bench")
        redis = connect_redis(self.settings.redis_url.get_secret_value(), timeout_s=TIDY_S)
        try:
            await throughput.tidy_up(owner)
            await _rewritten(redis)
        finally:
            await redis.aclose()
            await owner.close()

    def alive(self) -> None:
        """Raises Unavailable when one of the processes or servers has ended."""
        for part in self.processes:
            if part.process and part.process.returncode is not None:
                raise Unavailable(f"{part.name} ended ({ending(part.process.returncode)}): {part.last_words()}")
        for name, server in self.servers.items():
            if server.process.returncode is not None:
                raise Unavailable(f"{name} ended ({ending(server.process.returncode)})")

    def cpu_seconds(self) -> dict[str, float]:
        """Spent so far by each process or server, with what it started."""
        spent = {name: _cpu_seconds(server.pid) for name, server in self.servers.items()}
        for part in self.processes:
            assert part.process
            name = part.name.rstrip("0123456789")
            spent[name] = spent.get(name, 0.0) + _cpu_seconds(part.process.pid)
        return spent

    async def _until_ready(self) -> None:
        """The web process answers, and every scorer has written that it works."""
        deadline = asyncio.get_running_loop().time() + READY_WITHIN_S
        async with httpx2.AsyncClient(trust_env=False, timeout=5.0) as client:
            while asyncio.get_running_loop().time() < deadline:
                self.alive()
                with suppress(httpx2.HTTPError):
                    answer = await client.get(f"{local_url(self.settings)}/health/ready")
                    if answer.status_code == httpx2.codes.OK and all(path.exists() for path in self.traces()):
                        return
                await asyncio.sleep(0.1)
        raise Unavailable(f"the private Ronda was not ready within {READY_WITHIN_S:.0f} s")


def _cpu_seconds(pid: int) -> float:
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        own = root.cpu_times()
        total = own.user + own.system + own.children_user + own.children_system
        for child in root.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                times = child.cpu_times()
                total += times.user + times.system
        return total
    return 0.0


@asynccontextmanager
async def private_instance(
    folder: Path, listening: socket.socket, bus: BusChoice, days: int, display: Display
) -> AsyncIterator[Instance]:
    """Servers up, schema, source, history and champion there; no process of ours runs yet."""
    async with AsyncExitStack() as stack:
        servers = await _servers(folder, bus, stack)
        given: dict[str, Any] = _urls(servers) | dict.fromkeys(NOT_OURS, "")
        settings = Settings(data_dir=folder, host="127.0.0.1", port=listening.getsockname()[1], **given)
        ensure_local_keys(settings)
        (folder / "metrics").mkdir()
        instance = Instance(settings, folder, listening, servers, await _accounts(settings))
        stack.push_async_callback(instance.stop)
        await _first_model(instance, days, display)
        yield instance


def _urls(servers: dict[str, Running]) -> dict[str, str]:
    redis = servers["valkey"].url
    bus = servers["rabbit"].url if "rabbit" in servers else redis
    return {"database_url": servers["postgres"].url, "redis_url": redis, "bus_url": bus}


async def _servers(folder: Path, bus: BusChoice, stack: AsyncExitStack) -> dict[str, Running]:
    if bus is BusChoice.RABBIT and find_rabbit() is None:
        raise InvalidInput(NO_RABBIT.partition(":")[0])
    on_redis = bus is BusChoice.REDIS or find_rabbit() is None
    starts: dict[str, Callable[[Path], Awaitable[Running]]] = {
        "postgres": start_postgres,
        "valkey": partial(start_valkey, carries_bus=on_redis),
    }
    if not on_redis:
        starts["rabbit"] = start_rabbit
    servers: dict[str, Running] = {}

    async def open_one(name: str) -> None:
        servers[name] = await starts[name](folder)
        stack.push_async_callback(servers[name].stop)

    try:
        async with asyncio.TaskGroup() as group:
            for name in starts:
                group.create_task(open_one(name))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return servers


async def _rewritten(redis: Redis) -> None:
    """The append-only file is as short as it can be, also where the server began that by itself: it refuses a second time meanwhile."""
    await _no_rewrite(redis)
    await redis.bgrewriteaof()
    await _no_rewrite(redis)


async def _no_rewrite(redis: Redis) -> None:
    while True:
        state = await redis.info("persistence")
        if not (state["aof_rewrite_in_progress"] or state["aof_rewrite_scheduled"]):
            return
        await asyncio.sleep(0.2)


async def _accounts(settings: Settings) -> accounts.DemoSecrets:
    """The demo's users and source; the history ends early enough that everything the bench sends comes after it."""
    url = settings.database_url.get_secret_value()
    await asyncio.to_thread(migrate, url)
    postgres = connect_postgres(url, role=settings.database_role, pool=1, application="bench")
    try:
        made = await accounts.demo_secrets(postgres, settings.data_dir)
    finally:
        await postgres.close()
    assert made, "a fresh database has no users"
    made = msgspec.structs.replace(made, made_at=begin_before(made.made_at))
    write_private(accounts.secrets_path(settings.data_dir), msgspec.json.encode(made).decode())
    return made


async def _first_model(instance: Instance, days: int, display: Display) -> None:
    part = instance.part("first-run", "first-run", f"--days={days}")
    part.stdout = asyncio.subprocess.PIPE
    await part.start()
    try:
        assert part.process
        assert part.process.stdout
        with display.progress() as steps:
            async for line in part.process.stdout:
                steps.at(msgspec.json.decode(line, type=Step))
            code = await part.wait()
            if code:
                raise Unavailable(f"the bench's model could not be made ({ending(code)}): {part.last_words()}")
            steps.done()
    finally:
        await part.stop()
