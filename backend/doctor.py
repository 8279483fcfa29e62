"""`ronda doctor`: what is installed, reachable, migrated, loaded and lagging; each finding says what to do."""

import asyncio
import platform
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from redis.exceptions import RedisError
from rich.table import Table

from backend.backlog import BEGINS_AT, COUNTED, count_undecided
from backend.embedded import find_rabbit
from backend.instance import holder_of
from backend.migrations import schema_state
from core.base.clock import utc_now
from core.base.errors import InvalidInput, ModelRefused, RondaError
from core.base.settings import Settings
from core.contracts.topology import queues
from core.infra.resources import Resources, open_resources
from core.stores import dead_letters, flow, policy

CHECK_S = 5.0
OUTBOX_LATE = timedelta(seconds=30)
LOOKED_AT = timedelta(days=7)
UNDECIDED_LATE = timedelta(seconds=60)
QUEUE_LONG = 1000
SHOWN = 1000


class State(StrEnum):
    OK = "ok"
    NOTE = "note"
    """Nothing is broken, but somebody may want to know."""
    BAD = "bad"

    @property
    def fine(self) -> bool:
        return self is not State.BAD


@dataclass(frozen=True)
class Finding:
    """`todo`: what to do about it; empty when there is nothing to do."""

    name: str
    state: State
    words: str
    todo: str = ""

    def as_json(self) -> dict[str, str]:
        return {"name": self.name, "state": self.state.value, "words": self.words, "todo": self.todo}


async def examine(settings: Settings) -> list[Finding]:
    """Every finding, in the order people read them. What cannot be asked is a finding too."""
    findings = [*_installed(), _running(settings)]
    try:
        async with open_resources(settings, "doctor") as resources:
            for name, check in CHECKS.items():
                findings += await _asked(name, check, resources)
    except InvalidInput as error:  # a URL is missing
        findings.append(Finding("servers", State.BAD, error.detail, "start Ronda (`ronda up`), or set the RONDA_*_URL"))
    return findings


async def _asked(
    name: str, check: Callable[[Resources], Awaitable[list[Finding]]], resources: Resources
) -> list[Finding]:
    try:
        async with asyncio.timeout(CHECK_S):
            return await check(resources)
    except TimeoutError:
        return [
            Finding(
                name, State.BAD, f"no answer within {CHECK_S:.0f} s", "is the server overloaded, or the address wrong?"
            )
        ]
    except (RedisError, OSError) as error:
        return [Finding(name, State.BAD, f"no answer: {error}", "is the server running, and the address right?")]
    except RondaError as error:
        return [Finding(name, State.BAD, error.detail, "is the server running, and the address right?")]


def _installed() -> list[Finding]:
    rabbit, chromium = find_rabbit(), shutil.which("chromium") or shutil.which("chromium-browser")
    return [
        Finding("python", State.OK, f"{platform.python_version()} at {sys.executable}"),
        Finding("rabbitmq-server", State.OK, str(rabbit))
        if rabbit
        else Finding(
            "rabbitmq-server",
            State.NOTE,
            "not installed: the private bus is Redis Streams",
            "apt-get install rabbitmq-server",
        ),
        Finding("chromium", State.OK, chromium)
        if chromium
        else Finding(
            "chromium", State.NOTE, "not installed: only the browser tests need it", "apt-get install chromium"
        ),
    ]


def _running(settings: Settings) -> Finding:
    pid = holder_of(settings.data_dir)
    if pid is None:
        return Finding("launcher", State.NOTE, f"no `ronda up` or `ronda demo` runs on {settings.data_dir}")
    return Finding("launcher", State.OK, f"process {pid} runs on {settings.data_dir}")


async def _postgres(resources: Resources) -> list[Finding]:
    started = time.perf_counter()
    async with resources.postgres.reading():
        took = time.perf_counter() - started
    version = ".".join(map(str, resources.postgres.engine.dialect.server_version_info or ()))
    return [Finding("postgres", State.OK, f"PostgreSQL {version} answered in {took * 1000:.0f} ms")]


async def _schema(resources: Resources) -> list[Finding]:
    schema = await schema_state(resources.settings.database_url.get_secret_value())
    if schema.current:
        return [Finding("schema", State.OK, f"at {schema.newest}, the newest")]
    if schema.later:
        return [
            Finding("schema", State.NOTE, f"at {schema.database}, of a later version; this one knows {schema.newest}")
        ]
    return [
        Finding("schema", State.BAD, f"at {schema.database or 'nothing'}, but this is {schema.newest}", "ronda migrate")
    ]


async def _redis(resources: Resources) -> list[Finding]:
    started = time.perf_counter()
    await resources.redis.ping()
    took = time.perf_counter() - started
    server = await resources.redis.info("server")
    name, version = (
        ("Valkey", server["valkey_version"]) if "valkey_version" in server else ("Redis", server["redis_version"])
    )
    return [Finding("redis", State.OK, f"{name} {version} answered in {took * 1000:.0f} ms")]


async def _bus(resources: Resources) -> list[Finding]:
    started = time.perf_counter()
    depths = {queue.name: await resources.bus.depth(queue.name) for queue in queues(resources.settings.shards)}
    took = time.perf_counter() - started
    long = {name: depth for name, depth in depths.items() if depth > QUEUE_LONG}
    shown = ", ".join(f"{name} {depth}" for name, depth in depths.items() if depth) or "all empty"
    return [
        Finding("bus", State.OK, f"{resources.bus.name} answered {len(depths)} times in {took * 1000:.0f} ms"),
        Finding("queues", State.BAD, shown, "are the workers running (`ronda work`), and what do their logs say?")
        if long
        else Finding("queues", State.OK, shown),
    ]


async def _model(resources: Resources) -> list[Finding]:
    async with resources.postgres.reading() as work:
        champion = await policy.champion(work)
    if champion is None:
        return [
            Finding(
                "model",
                State.NOTE,
                "no champion: payments are decided by rules alone",
                "ronda train, then ronda promote",
            )
        ]
    try:
        size = len(await asyncio.to_thread(resources.artifacts.get, champion.artifact_sha))
    except ModelRefused as error:
        return [Finding("model", State.BAD, error.detail, "restore the artifact, or go back: ronda rollback")]
    except ImportError:
        return [
            Finding("model", State.NOTE, f"champion {champion.id}; not verified: there are no worker libraries here")
        ]
    return [
        Finding(
            "model", State.OK, f"champion {champion.id}, {size:,} bytes as registered, signed by {champion.signed_by}"
        )
    ]


async def _features(resources: Resources) -> list[Finding]:
    try:
        from models.features.online import OnlineFeatures
    except ImportError:
        return [Finding("features", State.NOTE, "not asked: this installation has no worker libraries")]
    found = await OnlineFeatures(resources.redis).prepare()
    if found.generation is not None:
        return [Finding("features", State.OK, f"state {found.generation} is in use")]
    async with resources.postgres.reading() as work:
        payments = await flow.count_transactions(work)
    if payments:
        return [Finding("features", State.BAD, f"no state, but {payments:,} transactions", "ronda features rebuild")]
    return [Finding("features", State.NOTE, "no state yet, and no transactions")]


async def _lag(resources: Resources) -> list[Finding]:
    now = utc_now()
    async with resources.postgres.reading() as work:
        outbox = await flow.outbox_state(work)
        undecided = len(
            await flow.undecided(work, since=now - LOOKED_AT, accepted_before=now - UNDECIDED_LATE, limit=SHOWN)
        )
        dead = await dead_letters.count_waiting(work)
    age = now - outbox.oldest if outbox.oldest else timedelta()
    relay = "is `ronda work relay` running, and does the bus answer?"
    many = f"{undecided:,}" + ("+" if undecided == SHOWN else "")
    return [
        Finding("outbox", State.BAD, f"{outbox.unsent:,} unsent, the oldest {age.total_seconds():.0f} s old", relay)
        if age > OUTBOX_LATE
        else Finding("outbox", State.OK, f"{outbox.unsent:,} unsent"),
        Finding(
            "decisions",
            State.BAD,
            f"{many} transactions are undecided after {UNDECIDED_LATE.seconds} s",
            "is `ronda work score` running?",
        )
        if undecided
        else Finding("decisions", State.OK, f"none of the last {LOOKED_AT.days} days is overdue"),
        Finding("dead letters", State.NOTE, f"{dead:,} messages could not be handled", "the worker's log says why")
        if dead
        else Finding("dead letters", State.OK, "none"),
    ]


async def _backlog(resources: Resources) -> list[Finding]:
    now, most = utc_now(), resources.settings.backlog_most
    async with resources.postgres.reading() as work:
        found = await count_undecided(work, now - BEGINS_AT, now, most=2 * most or COUNTED)
    waiting = f"{found.undecided:,} payments wait for their decision"
    if not most:
        return [Finding("backlog", State.OK, f"{waiting}; none is ever refused for it")]
    if found.undecided <= most // 2:
        return [Finding("backlog", State.OK, f"{waiting}; from {most:,} on new ones are refused")]
    state = State.BAD if found.undecided > most else State.NOTE
    todo = "is `ronda work score` running, and does it keep up? The limit is RONDA_BACKLOG_MOST"
    return [Finding("backlog", state, f"{waiting}; over {most:,} new ones are refused, until half are left", todo)]


CHECKS: dict[str, Callable[[Resources], Awaitable[list[Finding]]]] = {
    "postgres": _postgres,
    "schema": _schema,
    "redis": _redis,
    "bus": _bus,
    "model": _model,
    "features": _features,
    "lag": _lag,
    "backlog": _backlog,
}
_COLOURS = {State.OK: "green", State.NOTE: "yellow", State.BAD: "red"}


def report_table(findings: list[Finding]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    for finding in findings:
        words = finding.words + (f"\n-> {finding.todo}" if finding.todo else "")
        table.add_row(f"[{_COLOURS[finding.state]}]{finding.state.value}[/]", finding.name, words)
    return table
