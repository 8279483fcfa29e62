"""A scorer's way to its features: what happens when Redis is away, and what has to happen before it is used again.

A payment that is decided without features is missing in the state, so that the next ones of its customer would be told wrong numbers.
Therefore the first failure opens a *gap*: from then on every batch is decided without features, and costs no time, until what was left out
has been taken in the order of acceptance. That is why this is no breaker from a library: those close on the first answer.
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
from workers.tail import OVERLAP, Tail, take_tail

log = structlog.get_logger()
PROBE_S, PROBE_MOST_S = 0.25, 4.0
"""Between two looks whether Redis is back: the first wait, doubled up to the longest."""
AT_ONCE_S, CHANGED_S = 0.05, 1.0
"""How long a batch waits for a recovery that has just begun: most have little to take, least where another process built the state anew."""
LAST_STEP_S = 5.0
TICK_S = 0.25
WATCH_TICKS = 20
"""How often a scorer that has nothing to do looks whether its state is whole."""
REMEMBERED = timedelta(seconds=MEMO_S) / 2
"""For so long it is certain that the state knows what it took."""
KNOWN = 100
"""Payments looked up to see whether a restart lost more than the tail."""


@dataclass(frozen=True)
class _Recovered:
    """tail: where to go on; None = nothing is missing. since: the gap's when it was begun."""

    tail: Tail | None
    run: str
    since: datetime | None


class _Gap:
    """since: when the first payment that was left out was accepted; None = none was."""

    def __init__(self, since: datetime | None = None) -> None:
        self.since = since
        self.left_out = 0
        self.start: Tail | None = None
        """Where its first recovery began: one that is cut short is begun again from there."""
        self.recovery: asyncio.Task[_Recovered | None] | None = None
        self.patience_s = AT_ONCE_S
        self._wait_s, self._not_before = PROBE_S, 0.0

    def leave_out(self, payments: Sequence[Payment]) -> None:
        self.reaches_back([payment.accepted_at_ms for payment in payments])
        self.left_out += len(payments)

    def reaches_back(self, accepted_at_ms: Sequence[int], moment: datetime | None = None) -> None:
        """To when the first of these was accepted."""
        moments = [from_ms(min(accepted_at_ms)), moment, self.since]
        self.since = min(one for one in moments if one)

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
            self._gap.reaches_back([payment.accepted_at_ms for payment in left_out], since)

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
            if recovered is None or recovered.since != gap.since:
                gap.later()  # another process rebuilds, or older payments were left out meanwhile
                return False
            async with asyncio.timeout(LAST_STEP_S):
                if recovered.tail:
                    await take_tail(self._resources, self._features, recovered.tail, settled=False)
                await self._features.vouch(recovered.run)
        except (FeaturesUnavailable, Unavailable, TimeoutError) as error:
            log.info("features are not back yet", detail=str(error))
            gap.later()
            return False
        self._gap = None
        telemetry.FEATURES_WHOLE.set(1)
        log.info("deciding with features", left_out=gap.left_out)
        return True

    async def _recover(self, gap: _Gap) -> _Recovered | None:
        """Everything but the last moments; None = another process rebuilds the state."""
        since = gap.since
        prepared, rebuilt = await self._features.prepare(), False
        self.away = False
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
            tail = await take_tail(self._resources, self._features, tail, settled=True)
        return _Recovered(tail, prepared.run, since)

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
