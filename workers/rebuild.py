"""Builds the feature state in Redis anew from PostgreSQL, while scoring goes on.

Redis is a cache: f(transactions accepted, labels taken). It may be lost at any moment and comes back to the same values.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from redis.exceptions import LockNotOwnedError

from core.acts.audit import Actor, Event, record
from core.acts.casework import labelled_payment
from core.base.clock import utc_now
from core.base.terms import Action, Label, LabelSource
from core.contracts.messages import Payment
from core.infra.resources import Resources
from core.stores import casework, flow
from core.tables.flow import Transaction
from models.features.online import MEMO_S, OnlineFeatures

log = structlog.get_logger()
Report = Callable[[float, str], None]
LOCK = "ronda:rebuilding"
LOCK_S = 300
OVERLAP = timedelta(minutes=2)
"""Payments accepted this shortly before the switch may have been scored in the old state only; they are taken again."""


def silent(_fraction: float, _step: str) -> None:
    """For callers nobody watches."""


async def rebuild_features(resources: Resources, *, by: Actor, report: Report = silent) -> int:
    """Rebuild and switch to the new state; how many payments went in, 0 also when another process is at it already.

    Raises FeaturesUnavailable when Redis goes away meanwhile: then the old state stays in use.
    """
    lock = resources.redis.lock(LOCK, timeout=LOCK_S, blocking=False)
    if not await lock.acquire():
        log.info("another process rebuilds the feature state")
        return 0
    try:
        count = await _rebuild(resources, report)
    finally:
        try:
            await lock.release()
        except LockNotOwnedError:
            log.warning("the rebuild took longer than its lock")
    async with resources.postgres.unit_of_work() as work:
        await record(work, Event(by, Action.FEATURES_REBUILD, "features", "all", {"payments": count}))
    report(1.0, "done")
    return count


async def _rebuild(resources: Resources, report: Report) -> int:
    features = OnlineFeatures(resources.redis)
    await features.prepare()
    await features.begin_generation()
    started = utc_now()
    async with resources.postgres.reading() as work:
        total = max(1, await flow.count_transactions(work))
    done = 0
    async with resources.postgres.reading() as work:
        async for rows in flow.walk_accepted(work):
            await _backfill(features, rows, started)
            await resources.redis.expire(LOCK, LOCK_S)
            done += len(rows)
            report(0.9 * done / total, f"{done:,} of {total:,} payments")
    async with resources.postgres.reading() as work:
        async for arrived in casework.walk_labels(work):
            labels = [
                labelled_payment(
                    a.transaction, Label(a.label.label), LabelSource(a.label.label_source), a.label.reported_at
                )
                for a in arrived
            ]
            await features.backfill([], labels)
    report(0.95, "catching up")
    await _catch_up(resources, features, started)
    await features.publish_generation()
    await _catch_up(resources, features, started)
    return done


async def _backfill(features: OnlineFeatures, rows: Sequence[Transaction], started: datetime) -> None:
    """Payments that may still be delivered are remembered, so that their delivery does not count twice."""
    recent = started - timedelta(seconds=MEMO_S)
    old: list[Payment] = []
    new: list[Payment] = []
    for row in rows:
        (new if row.accepted_at >= recent and not row.imported else old).append(flow.payment_of(row))
    await features.backfill(old, [])
    await features.backfill(new, [], remember=True)


async def _catch_up(resources: Resources, features: OnlineFeatures, started: datetime) -> None:
    """What was accepted since shortly before the rebuild began; the guard takes each payment once."""
    async with resources.postgres.reading() as work:
        rows = await flow.accepted_since(work, started - OVERLAP, limit=50_000)
    await features.backfill([flow.payment_of(row) for row in rows if not row.imported], [], remember=True)
