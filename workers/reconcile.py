"""Sends accepted transactions again that have no decision long after they should: closes holes nobody foresaw.

Harmless when wrong: a transaction that is decided already writes nothing. What stays undecided even so becomes a dead
letter, and is answered like one.
"""

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from core.acts import dead_letters as acts
from core.acts import outbox
from core.acts.audit import system
from core.base.clock import EPOCH, utc_now
from core.base.hashing import shard_of
from core.base.ids import moment_of
from core.contracts.messages import Message, ScoreBatch, encode
from core.contracts.topology import DEAD, SUSPECT, score_queue
from core.infra.bus import Bus
from core.infra.postgres import UnitOfWork
from core.infra.resources import Resources
from core.stores import backlog, dead_letters, flow
from core.tables.flow import Transaction
from workers.runner import JobContext
from workers.unscored import answer

log = structlog.get_logger()
EVERY_S = 60.0
ROUNDS_AN_HOUR = 60
OVERDUE = timedelta(seconds=60)
BETWEEN_RESENDS = timedelta(minutes=10)
UNCOMMITTED = timedelta(minutes=10)
"""No payment is committed so long after it got its id."""
MOST_RESENDS = 3
NEVER_DECIDED = "never decided"
ACTOR = system("reconcile")
BATCH = 500


async def reconcile(context: JobContext) -> None:
    """The first round looks at every payment, and so does one an hour: a clock may be wrong. Others begin at the oldest undecided one."""
    since = EPOCH
    for number in itertools.count():
        await context.pause(EVERY_S)
        if context.stopping.is_set():
            return
        now = utc_now()
        await reconcile_once(context.resources, now, EPOCH if number % ROUNDS_AN_HOUR == 0 else since)
        since = await decided_until(context.resources, now, since)


async def decided_until(resources: Resources, now: datetime, since: datetime) -> datetime:
    """Every payment from `since` until then has its decision."""
    async with resources.postgres.reading() as work:
        found = await backlog.undecided(work, since, most=1)
    return max(since, (moment_of(found.oldest) if found.oldest else now) - UNCOMMITTED)


async def reconcile_once(resources: Resources, now: datetime, since: datetime = EPOCH) -> int:
    """Re-send what is overdue at `now`, of the payments since then, unless the queues or the outbox still hold work; how many.

    After MOST_RESENDS a transaction is given up instead.
    """
    if not await _all_quiet(resources.bus, resources.settings.shards):
        return 0
    async with resources.postgres.unit_of_work() as work:
        if (await flow.outbox_state(work)).unsent:
            return 0
        await dead_letters.purge_trouble(work)
        overdue = await dead_letters.overdue(
            work, since=since, accepted_before=now - OVERDUE, resent_before=now - BETWEEN_RESENDS, limit=BATCH
        )
        again = [row for row, resends in overdue if resends < MOST_RESENDS]
        await _send_again(work, again, now, resources.settings.shards)
        for row in [row for row, resends in overdue if resends >= MOST_RESENDS]:
            await _give_up(work, resources, row)
    if overdue:
        log.warning("transactions without a decision", sent_again=len(again), given_up=len(overdue) - len(again))
    return len(again)


async def _send_again(work: UnitOfWork, rows: Sequence[Transaction], now: datetime, shards: int) -> None:
    batches: dict[int, ScoreBatch] = {}
    for row in rows:
        shard = shard_of(row.customer_id, shards)
        batches.setdefault(shard, ScoreBatch(shard=shard, payments=[])).payments.append(flow.payment_of(row))
    messages: list[tuple[str, Message]] = [(score_queue(shard), message) for shard, message in batches.items()]
    await outbox.add(work, messages, timedelta())
    await dead_letters.count_resend(work, [row.uid for row in rows], now)


async def _give_up(work: UnitOfWork, resources: Resources, row: Transaction) -> None:
    payment = flow.payment_of(row)
    shard = shard_of(row.customer_id, resources.settings.shards)
    body = encode(ScoreBatch(shard=shard, payments=[payment]))
    await acts.store(work, score_queue(shard), f"{NEVER_DECIDED} {row.uid}", NEVER_DECIDED, body, by=ACTOR)
    await answer(work, resources, [payment], NEVER_DECIDED, by=ACTOR)


async def _all_quiet(bus: Bus, shards: int) -> bool:
    for queue in (*(score_queue(shard) for shard in range(shards)), SUSPECT, DEAD):
        if await bus.depth(queue):
            return False
    return True
