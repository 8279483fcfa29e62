"""Sends accepted transactions again that have no decision long after they should: closes holes nobody foresaw.

Harmless when wrong: a transaction that is decided already writes nothing.
"""

from datetime import datetime, timedelta

import structlog

from core.acts import outbox
from core.base.clock import utc_now
from core.base.hashing import shard_of
from core.contracts.messages import Message, ScoreBatch
from core.contracts.topology import score_queue
from core.infra.bus import Bus
from core.infra.resources import Resources
from core.stores import flow
from workers.runner import JobContext

log = structlog.get_logger()
EVERY_S = 60.0
OVERDUE = timedelta(seconds=60)
BATCH = 500


async def reconcile(context: JobContext) -> None:
    while not context.stopping.is_set():
        await context.pause(EVERY_S)
        if not context.stopping.is_set():
            await reconcile_once(context.resources, utc_now())


async def reconcile_once(resources: Resources, now: datetime) -> int:
    """Re-send what is overdue at `now`, unless the queues or the outbox still hold work; how many transactions."""
    if not await _all_quiet(resources.bus, resources.settings.shards):
        return 0
    async with resources.postgres.unit_of_work() as work:
        if (await flow.outbox_state(work)).unsent:
            return 0
        overdue = await flow.undecided(work, accepted_before=now - OVERDUE, limit=BATCH)
        shards: dict[int, ScoreBatch] = {}
        for row in overdue:
            shard = shard_of(row.customer_id, resources.settings.shards)
            shards.setdefault(shard, ScoreBatch(shard=shard, payments=[])).payments.append(flow.payment_of(row))
        messages: list[tuple[str, Message]] = [(score_queue(shard), message) for shard, message in shards.items()]
        await outbox.add(work, messages, timedelta())
    if overdue:
        log.warning("transactions without a decision were sent again", count=len(overdue))
    return len(overdue)


async def _all_quiet(bus: Bus, shards: int) -> bool:
    for shard in range(shards):
        if await bus.depth(score_queue(shard)):
            return False
    return True
