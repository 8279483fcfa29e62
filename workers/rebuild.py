"""Builds the feature state in Redis anew from PostgreSQL, while scoring goes on.

Redis is a cache: f(transactions accepted, labels taken). It may be lost at any moment and comes back to the same values.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import groupby

import structlog
from redis.asyncio.lock import Lock
from redis.exceptions import LockNotOwnedError, RedisError

from core.acts.audit import Actor, Event, record
from core.base.clock import utc_now
from core.base.tasks import end
from core.base.terms import Action
from core.infra.resources import Resources
from core.stores import commit_order, flow
from core.tables.flow import Transaction
from models.features.online import MEMO_S, FeaturesUnavailable, OnlineFeatures
from workers.past import Taken, as_taken, walk_past
from workers.tail import OVERLAP, Tail, take_tail

log = structlog.get_logger()
Report = Callable[[float, str], None]
LOCK = "ronda:rebuilding"
LOCK_S = 60
"""So long after its holder died another process may begin."""
BATCH_S = 300
"""Most that a batch of the past may take: thousands of payments, gently, beside scorers on a slow machine."""


def silent(_fraction: float, _step: str) -> None:
    """For callers nobody watches."""


async def rebuild_features(resources: Resources, *, by: Actor, report: Report = silent) -> int | None:
    """Rebuild and switch to the new state; how many payments went in, None when another process is at it already.

    Raises FeaturesUnavailable when Redis goes away meanwhile, or has no room: then the old state stays in use.
    """
    try:
        count = await _rebuild_alone(resources, report)
    except (RedisError, OSError) as error:
        raise FeaturesUnavailable("the feature store takes nothing now", server="redis") from error
    if count is None:
        log.info("another process rebuilds the feature state")
        return None
    async with resources.postgres.unit_of_work() as work:
        await record(work, Event(by, Action.FEATURES_REBUILD, "features", "all", {"payments": count}))
    report(1.0, "done")
    return count


async def _rebuild_alone(resources: Resources, report: Report) -> int | None:
    lock = resources.redis.lock(LOCK, timeout=LOCK_S, blocking=False)
    if not await lock.acquire():
        return None
    keeping = asyncio.create_task(_keep(lock))
    try:
        return await _rebuild(resources, report)
    finally:
        await end(keeping)
        try:
            await lock.release()
        except LockNotOwnedError:
            log.warning("the lock of the rebuild was lost before its end")


async def _keep(lock: Lock) -> None:
    """Until Redis has lost it."""
    while True:
        await asyncio.sleep(LOCK_S / 3)
        try:
            await lock.extend(LOCK_S, replace_ttl=True)
        except LockNotOwnedError:
            return
        except (RedisError, OSError):
            log.warning("the lock of the rebuild could not be renewed")


async def _rebuild(resources: Resources, report: Report) -> int:
    features = OnlineFeatures(resources.redis)
    before = await features.prepare()
    in_use = before.whole and not before.empty
    await features.begin_generation()
    started = utc_now()
    async with resources.postgres.reading() as work:
        total = max(1, await flow.count_transactions(work))
        tail = Tail(await commit_order.newest_settled(work), started - OVERLAP)
    done = 0
    async with resources.postgres.reading(idle_s=BATCH_S) as work:
        async for taken in walk_past(work, upto=tail.place):
            await _backfill(features, taken, started, gently=in_use)
            done += sum(isinstance(row, Transaction) for row in taken)
            report(0.95 * done / total, f"{done:,} of {total:,} payments")
    report(0.95, "catching up")
    tail = await take_tail(resources, features, tail, settled=True, gently=in_use)
    await features.publish_generation(str(tail.place))
    # Scorers that go over take this themselves before they score on; those that have nothing to score do not.
    tail = await take_tail(resources, features, tail, settled=False, gently=in_use)
    return done + tail.taken


async def _backfill(features: OnlineFeatures, taken: Sequence[Taken], started: datetime, *, gently: bool) -> None:
    """Payments that may still be delivered are remembered, so that their delivery does not count twice."""
    recent = started - timedelta(seconds=MEMO_S)

    def may_come_again(row: Taken) -> bool:
        return isinstance(row, Transaction) and row.accepted_at >= recent and not row.imported

    for remember, rows in groupby(taken, may_come_again):
        await features.backfill([as_taken(row) for row in rows], remember=remember, gently=gently)
