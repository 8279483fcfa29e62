"""A scorer's way to its features: what happens when Redis is away, and what has to happen before it is used again.

A payment that is decided without features is missing in the state, so that the next ones of its customer would be told wrong numbers.
Therefore the first failure opens a *gap*: from then on every batch is decided without features, and costs no time, until what was left out
has been taken in the order of acceptance. That is why this is no breaker from a library: those close on the first answer.

A scorer keeps the payments it leaves out. Once Redis answers, every batch takes some of them before it is decided, more than it adds: so a
gap ends under any load. Before that, what a restart lost or another scorer left out is read from PostgreSQL beside the work, up to what was
accepted when that began.
"""

import asyncio
import itertools
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
import structlog

from core.acts.audit import Actor
from core.base import telemetry
from core.base.clock import from_ms, utc_now
from core.base.errors import Unavailable
from core.base.tasks import end
from core.base.terms import FeaturesStatus
from core.contracts.messages import Payment
from core.infra.resources import Resources
from core.stores import commit_order, rescoring
from core.stores.commit_order import Place
from models.features.catalogue import NAMES
from models.features.online import (
    MEMO_S,
    FeaturesUnavailable,
    OnlineFeatures,
    Prepared,
    ServerRestarted,
    StaleGeneration,
)
from models.features.vector import FloatMatrix
from workers.rebuild import rebuild_features
from workers.tail import OVERLAP, Tail, take_left_out, take_missing

log = structlog.get_logger()
PROBE_S, PROBE_MOST_S = 0.25, 4.0
"""Between two looks whether Redis is back: the first wait, doubled up to the longest."""
AT_ONCE_S, CHANGED_S = 0.05, 1.0
"""How long a batch waits for a recovery that has just begun: most have little to take, least where another process built the state anew."""
KEPT, PIECE = 50_000, 128
"""Most payments that are kept, some 50 MB; and how many of them are taken at once."""
PIECES_S = 0.25
"""For how long a batch takes what was left out before it: several times as many as it has itself."""
TICK_S = 0.25
WATCH_TICKS = 20
"""How often a scorer that has nothing to do looks whether its state is whole."""
REMEMBERED = timedelta(seconds=MEMO_S) / 2
"""For so long it is certain that the state knows what it took."""
KNOWN = 100
"""Payments looked up to see whether a restart lost more than the tail."""


@dataclass(frozen=True)
class _Recovered:
    """Nothing is missing but what the gap keeps. extent: the gap's when this was begun."""

    run: str
    extent: int


class _Gap:
    """since: when the first payment was accepted that is missing and not kept; None = all are kept."""

    def __init__(self, since: datetime | None = None) -> None:
        self.since = since
        self.extent = 0
        """How often it was found that more is missing."""
        self.left_out = 0
        self.kept: list[Payment] = []
        """In the order of acceptance."""
        self.labels_from = utc_now() - OVERLAP
        self._first: datetime | None = None
        self.start: Tail | None = None
        """Where its first recovery began: one that is cut short is begun again from there."""
        self.recovery: asyncio.Task[_Recovered | None] | None = None
        self.patience_s = AT_ONCE_S
        self._wait_s, self._not_before = PROBE_S, 0.0

    def leave_out(self, payments: Sequence[Payment]) -> None:
        accepted = from_ms(min(payment.accepted_at_ms for payment in payments))
        self._first = min(self._first or accepted, accepted)
        if not self.left_out:
            self.labels_from = min(self.labels_from, accepted - OVERLAP)
        self.left_out += len(payments)
        self.kept += payments
        if len(self.kept) > KEPT:
            self.kept.clear()
            self.begin_again()

    def begin_again(self) -> None:
        """What was left out and taken may be lost, or is not kept any longer."""
        if self._first:
            self.reaches_back(self._first)

    def reaches_back(self, *moments: datetime | None) -> None:
        """To the first of these."""
        self.since = min((moment for moment in (*moments, self.since) if moment), default=None)
        self.extent += 1

    @property
    def due(self) -> bool:
        return time.monotonic() >= self._not_before

    def later(self) -> None:
        self.recovery = None
        self._not_before = time.monotonic() + self._wait_s
        self._wait_s = min(2 * self._wait_s, PROBE_MOST_S)


class LiveFeatures:
    """One for each scorer process."""

    def __init__(self, resources: Resources, by: Actor) -> None:
        self._resources, self._by = resources, by
        settings = resources.settings
        self._features = OnlineFeatures(resources.redis, budget_s=settings.feature_timeout_ms / 1000, follow=False)
        self._window = timedelta(minutes=settings.feature_tail_minutes)
        self._generation: str | None = None
        self._gap: _Gap | None = _Gap()
        self._turn = asyncio.Lock()
        self.away = False
        """Redis did not answer when it was last asked."""

    async def open(self) -> None:
        """Before the first batch: recover, and wait for it as long as Redis answers."""
        with suppress(FeaturesUnavailable):
            await self._features.prepare()
            gap = self._gap = _Gap(await self._left_out_before())
            gap.recovery = asyncio.create_task(self._recover(gap))
            await asyncio.wait({gap.recovery})
            await self._closes(gap)

    async def keep(self) -> None:
        """For ever: close a gap also while no payments come, and notice then, too, that Redis lost something: labels wait for that."""
        for tick in itertools.count(1):
            await asyncio.sleep(TICK_S)
            async with self._turn:
                if self._gap:
                    await self._closes(self._gap)
                elif tick % WATCH_TICKS == 0:
                    await self._watch()

    async def _watch(self) -> None:
        with suppress(FeaturesUnavailable):  # who does not answer has lost nothing yet
            if not await self._features.whole():
                self._begin_gap(StaleGeneration("the feature store was emptied, rebuilt or restarted"))

    async def close(self) -> None:
        await end(self._gap.recovery if self._gap else None)

    async def taken(self, payments: Sequence[Payment]) -> set[UUID]:
        """Those of them that were taken; none when Redis cannot tell."""
        async with self._turn:
            if self._gap:
                return set()
            with suppress(FeaturesUnavailable):
                taken = await self._features.taken([payment.uid for payment in payments])
                return {payment.uid for payment, known in zip(payments, taken, strict=True) if known}
            return set()

    async def catch_up(self, left_out: Sequence[Payment]) -> None:
        """These were decided without features by a scorer that is gone, and not taken since: features are used again when they are."""
        if not left_out:
            return
        async with self._turn:
            if self._gap is None:
                self._gap = _Gap()
                telemetry.FEATURES_WHOLE.set(0)
                log.warning("another scorer left payments out; they are taken first", at_least=len(left_out))
            since = None
            with suppress(FeaturesUnavailable):
                since = await self._left_out_before()
            self._gap.reaches_back(from_ms(min(payment.accepted_at_ms for payment in left_out)), since)

    async def vectors(self, payments: Sequence[Payment]) -> tuple[FloatMatrix, FeaturesStatus]:
        """(n, len(NAMES)); all NaN when degraded."""
        async with self._turn:
            if self._gap is None or await self._closes(self._gap):
                try:
                    return await self._features.vectors(payments), FeaturesStatus.COMPLETE
                except FeaturesUnavailable as error:
                    gap = self._begin_gap(error)
                    if gap.due and await self._closes(gap):
                        with suppress(FeaturesUnavailable):
                            return await self._features.vectors(payments), FeaturesStatus.COMPLETE
            gap = self._gap or self._begin_gap(FeaturesUnavailable("the feature store does not answer"))
            gap.leave_out(payments)
            return np.full((len(payments), len(NAMES)), np.nan), FeaturesStatus.DEGRADED

    def _begin_gap(self, error: FeaturesUnavailable) -> _Gap:
        """What Redis does not hold can be taken at once; one that does not answer is left alone for a moment."""
        gap = self._gap = _Gap()
        self.away = not isinstance(error, StaleGeneration | ServerRestarted)
        if self.away:
            gap.later()
        elif isinstance(error, StaleGeneration):
            gap.patience_s = CHANGED_S
        telemetry.FEATURES_WHOLE.set(0)
        log.warning("deciding without features", detail=error.detail)
        return gap

    async def _closes(self, gap: _Gap) -> bool:
        """Whether the features may be used again."""
        if gap.recovery is None:
            if not gap.due:
                return False
            gap.recovery = asyncio.create_task(self._recover(gap))
            await asyncio.wait({gap.recovery}, timeout=gap.patience_s)
        if not gap.recovery.done():
            return False
        try:
            recovered = gap.recovery.result()
            if recovered is None or recovered.extent != gap.extent:
                gap.later()  # another process rebuilds, or more is missing than when it was begun
                return False
            if not await self._kept_taken(gap):
                return False
            await self._features.vouch(recovered.run)
        except (FeaturesUnavailable, Unavailable) as error:
            log.info("features are not back yet", detail=str(error))
            if isinstance(error, StaleGeneration | ServerRestarted):
                gap.begin_again()
            gap.later()
            return False
        self._gap = None
        telemetry.FEATURES_WHOLE.set(1)
        log.info("deciding with features", left_out=gap.left_out)
        return True

    async def _kept_taken(self, gap: _Gap) -> bool:
        """Whether all of them are, after PIECES_S at most, and the labels up to now."""
        until = time.monotonic() + PIECES_S
        while gap.kept and time.monotonic() < until:
            piece, rest = gap.kept[:PIECE], gap.kept[PIECE:]
            gap.labels_from = await take_left_out(self._resources, self._features, piece, gap.labels_from)
            gap.kept = rest
        if gap.kept:
            return False
        await take_left_out(self._resources, self._features, [], gap.labels_from)
        return True

    async def _recover(self, gap: _Gap) -> _Recovered | None:
        """What is missing and not kept; None = another process rebuilds the state."""
        prepared, rebuilt = await self._features.prepare(), False
        self.away = False
        if not prepared.whole:
            gap.begin_again()
        extent, since = gap.extent, gap.since
        if prepared.empty or (not prepared.whole and await self._lost_more()):
            if await rebuild_features(self._resources, by=self._by) is None:
                return None
            prepared, rebuilt = await self._features.prepare(), True
        newer = rebuilt or self._generation not in (None, prepared.generation)
        tail = await self._start(since, prepared, newer=newer)
        if tail and gap.start:
            tail = Tail(min(tail.place, gap.start.place), min(tail.labels_from, gap.start.labels_from))
        gap.start = tail = tail or gap.start
        self._generation = prepared.generation
        if tail:
            await take_missing(self._resources, self._features, tail)
        return _Recovered(prepared.run, extent)

    async def _start(self, since: datetime | None, prepared: Prepared, *, newer: bool) -> Tail | None:
        """A state that was built meanwhile holds what was left out before. One whose server was restarted may have lost its newest part.

        None where neither is so: what is accepted and not taken yet is on its way to a scorer, and taking the newest of it here would
        put it before older payments that still wait.
        """
        now = utc_now()
        moments = [] if prepared.whole else [now - self._window]
        if since is not None and not newer:
            moments.append(since)
        if not moments and not newer:
            return None
        async with self._resources.postgres.reading() as work:
            places = [await commit_order.newest_settled(work)]
            places += [Place.parse(prepared.until)] if newer and prepared.until else []
            places += [place for moment in moments if (place := await commit_order.place_before(work, moment))]
        return Tail(min(places), min([now - OVERLAP, *moments]))

    async def _lost_more(self) -> bool:
        """Whether something older than the window is missing, or may be: then only a rebuild helps."""
        now = utc_now()
        start = now - self._window
        async with self._resources.postgres.reading() as work:
            if await commit_order.imported_since(work, start):
                return True
            older = await commit_order.newest_before(work, start, since=now - REMEMBERED, limit=KNOWN)
        return not all(await self._features.taken([row.uid for row in older]))

    async def _left_out_before(self) -> datetime | None:
        """When the oldest payment was accepted that another scorer, or this one in its former life, left out and nobody took since."""
        async with self._resources.postgres.reading() as work:
            rows = await rescoring.degraded(work, since=utc_now() - REMEMBERED, limit=rescoring.MOST)
        taken = await self._features.taken([row.uid for row in rows])
        missing = [row.accepted_at for row, known in zip(rows, taken, strict=True) if not known]
        if len(rows) == rescoring.MOST:  # what comes behind these was not looked at
            missing += [rows[0].accepted_at]
        return min(missing, default=None)
