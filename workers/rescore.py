"""Decides again what was decided without features or model, as soon as both are there. Version 1 stays as it was given.

The vector is the guard's: what the payment was answered when it was taken into the state, in the order of acceptance. So it is what
the live call would have given, and what a replay gives. A payment nobody has taken is taken first, with all that came after it.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import structlog

from core.acts.audit import system
from core.acts.rescoring import rescore as store
from core.base import telemetry
from core.base.clock import utc_now
from core.base.due import DueTimes
from core.base.errors import Unavailable
from core.base.tasks import end
from core.base.terms import FeaturesStatus
from core.infra.resources import Resources
from core.stores import commit_order, flow, policy, rescoring
from core.tables.flow import Transaction
from models.features.online import MEMO_S, FeaturesUnavailable, OnlineFeatures
from workers.again import rescored
from workers.control import ControlSample
from workers.judging import judge
from workers.lineup import Lineup, LineupKeeper
from workers.runner import JobContext
from workers.tail import OVERLAP, Tail, take_missing
from workers.verdicts import Verdict

log = structlog.get_logger()
ACTOR = system("rescore")
EVERY_S = 2.0
WITHIN = timedelta(seconds=MEMO_S) - timedelta(days=1)
"""Decisions older than the guard's memory stay as they are."""
SCORERS_TURN = timedelta(seconds=60)
"""How long a payment is left to its scorer, which takes what it left out before it goes on."""
_NO_SAMPLE = ControlSample(0.0, 1.0, 0.0)
"""Whether a payment is looked at for training was drawn with version 1, or not at all."""


async def rescore(context: JobContext) -> None:
    keeper = LineupKeeper(context.resources)
    follower = asyncio.create_task(keeper.follow())
    features = OnlineFeatures(context.resources.redis)
    try:
        while not context.stopping.is_set():
            try:
                done = await rescore_once(context.resources, features, await keeper.refresh())
            except (FeaturesUnavailable, Unavailable):
                done = 0  # what is away now is the reason for being here
            if done < rescoring.MOST:
                await context.pause(EVERY_S)
    finally:
        await end(follower)


async def rescore_once(resources: Resources, features: OnlineFeatures, lineup: Lineup) -> int:
    """At most rescoring.MOST decisions; how many were made again. Raises FeaturesUnavailable, Unavailable."""
    if lineup.champion is None:
        return 0
    async with resources.postgres.reading() as work:
        champion = await policy.champion(work)
        model_since = champion.promoted_at if champion else None
        since = utc_now() - WITHIN
        rows = await rescoring.degraded(work, since=since, limit=rescoring.MOST, model_since=model_since)
    if not rows:
        return 0
    verdicts = await _judged(resources, features, rows, lineup)
    done, due = 0, DueTimes.of(resources.settings)
    for verdict in verdicts:
        async with resources.postgres.unit_of_work() as work:
            done += await store(work, resources.redis, rescored(verdict, due), by=ACTOR)
    if done:
        telemetry.RESCORED.inc(done)
        log.info("decided again", payments=done)
    return done


async def _judged(
    resources: Resources, features: OnlineFeatures, rows: Sequence[Transaction], lineup: Lineup
) -> list[Verdict]:
    """Of those that are part of the state."""
    payments = [flow.payment_of(row) for row in rows]
    vectors = await features.first_vectors(payments)
    missing = [row for row, vector in zip(rows, vectors, strict=True) if vector is None]
    overdue = [row.accepted_at for row in missing if row.accepted_at < utc_now() - SCORERS_TURN]
    if overdue:
        async with resources.postgres.reading() as work:
            place = await commit_order.place_before(work, min(overdue))
        if place:
            await take_missing(resources, features, Tail(place, min(overdue) - OVERLAP))
        vectors = await features.first_vectors(payments)
    known = [(payment, vector) for payment, vector in zip(payments, vectors, strict=True) if vector is not None]
    if not known:
        return []
    matrix = np.stack([vector for _, vector in known])
    return await asyncio.to_thread(
        judge, [payment for payment, _ in known], matrix, FeaturesStatus.COMPLETE, lineup, _NO_SAMPLE, utc_now()
    )
