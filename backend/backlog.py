"""Back-pressure: while decisions are too far behind, payments are refused before anything of them is read or stored.

Measured now and then, beside the requests: none of them asks the database for it.
"""

import asyncio
import math
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from core.base import telemetry
from core.base.clock import utc_now
from core.base.errors import Backlogged, RondaError
from core.base.ids import moment_of
from core.base.tasks import end
from core.infra.postgres import Work
from core.infra.resources import Resources
from core.stores import backlog

log = structlog.get_logger()
EVERY_S: Final = 2.0
REST: Final = 20
"""A pause is at least so many times as long as the reading before it: reading never takes more than a twentieth of a connection's time."""
READ_WITHIN_S: Final = 10.0
STALE_S: Final = 60.0
"""A reading this old says nothing any more: nobody is refused for it."""
BEGINS_AT: Final = timedelta(minutes=1)
"""How far the first reading looks back, and twice as far while that lies within the backlog."""
LATE_COMMITS: Final = timedelta(seconds=5)
"""A payment's id is made before its commit: so far before the oldest undecided one the next reading begins."""
STRAGGLERS: Final = 100
STRAGGLE: Final = timedelta(minutes=5)
"""So few that are undecided for so long are no backlog but trouble of their own: readings do not begin at them any more."""
RATE_OVER: Final = timedelta(seconds=10)
MOST_PER_S: Final = 20_000
COUNTED: Final = 100_000
"""How far payments are counted where none are refused; else to twice the limit."""
FLOW: Final = 1_000
"""Fewer undecided payments than that are on their way, and no backlog."""
UNKNOWN_S: Final = 60
"""`Retry-After` when nothing is being decided."""
MOST_RETRY_S: Final = 300


@dataclass(frozen=True)
class Reading:
    """`per_s`: first decisions a second lately; 0.0 where fewer than FLOW payments are undecided, as nobody asks then."""

    undecided: int
    per_s: float = 0.0


class Pressure:
    """From more than `most` undecided payments on, until half of them are left. `most` 0 = never."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._last, self._at = Reading(0), -math.inf
        self._refusing = False

    def take(self, reading: Reading, at: float) -> None:
        """`at`, also below: seconds of one steady clock."""
        self._last, self._at = reading, at
        limit = self._most // 2 if self._refusing else self._most
        refusing = self._most > 0 and reading.undecided > limit
        if refusing is not self._refusing:
            log.warning("payments are refused" if refusing else "payments are taken again", undecided=reading.undecided)
        self._refusing = refusing

    def admit(self, now: float) -> None:
        """Raises Backlogged."""
        if self._refusing and now - self._at < STALE_S:
            wait_s = self._until_resumed_s()
            raise Backlogged(
                f"{self._last.undecided:,} payments wait for their decision; nothing of this request was stored",
                undecided=self._last.undecided,
                most=self._most,
                retry_after_s=wait_s,
            )

    def _until_resumed_s(self) -> int:
        if not self._last.per_s:
            return UNKNOWN_S
        return min(max(math.ceil((self._last.undecided - self._most // 2) / self._last.per_s), 1), MOST_RETRY_S)

    def decides_within(self, seconds: float, now: float) -> bool:
        """Whether a payment that comes now can be decided in time, as far as is known."""
        if self._last.undecided < FLOW or now - self._at >= STALE_S:
            return True
        return self._last.undecided <= seconds * self._last.per_s


@dataclass(frozen=True)
class Found:
    """`since`: where the next count is to begin."""

    undecided: int
    oldest: datetime | None
    since: datetime


async def count_undecided(work: Work, since: datetime, now: datetime, *, most: int) -> Found:
    """Payments are decided about in the order they came, so what this costs grows with the backlog and not with what is behind it."""
    while True:
        found = await backlog.undecided(work, since, most=most)
        oldest = moment_of(found.oldest) if found.oldest else None
        if oldest is None or oldest >= since + LATE_COMMITS or found.count >= most:
            break
        since = now - 2 * (now - since)
    begin = min(oldest or now, now)
    if found.count <= STRAGGLERS:
        begin = max(begin, now - STRAGGLE)
    return Found(found.count, oldest, begin - LATE_COMMITS)


class Backlog:
    """One per web process. `start` and `stop` belong to the application's lifespan."""

    def __init__(self, resources: Resources) -> None:
        most = resources.settings.backlog_most
        self._postgres = resources.postgres
        self._pressure = Pressure(most)
        self._counted = 2 * most or COUNTED
        self._since = utc_now() - BEGINS_AT
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._read_for_ever())

    async def stop(self) -> None:
        await end(self._task)

    def admit(self) -> None:
        """Raises Backlogged while payments are refused."""
        try:
            self._pressure.admit(time.monotonic())
        except Backlogged:
            telemetry.POSTS_REFUSED.inc()
            raise

    def decides_within(self, seconds: float) -> bool:
        return self._pressure.decides_within(seconds, time.monotonic())

    async def _read_for_ever(self) -> None:
        while True:
            began = time.monotonic()
            try:
                async with asyncio.timeout(READ_WITHIN_S):
                    await self.read()
            except (RondaError, TimeoutError) as error:
                log.warning("the backlog could not be read", reason=str(error))
            except Exception:
                log.exception("the backlog could not be read")
            await asyncio.sleep(max(EVERY_S, REST * (time.monotonic() - began)))

    async def read(self) -> None:
        now, per_s = utc_now(), 0.0
        async with self._postgres.reading() as work:
            found = await count_undecided(work, self._since, now, most=self._counted)
            if found.undecided >= FLOW:
                most = round(MOST_PER_S * RATE_OVER.total_seconds())
                per_s = await backlog.decided(work, now - RATE_OVER, most=most) / RATE_OVER.total_seconds()
        self._since = found.since
        self._pressure.take(Reading(found.undecided, per_s), time.monotonic())
        telemetry.UNDECIDED.set(found.undecided)
        telemetry.UNDECIDED_SECONDS.set(max((now - (found.oldest or now)).total_seconds(), 0.0))
