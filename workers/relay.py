"""Sends outbox rows that their writer did not: after a crash, a broker outage, or because the writer has no bus at hand."""

from collections.abc import Sequence
from datetime import timedelta
from random import uniform

from core.acts import outbox
from core.base import telemetry
from core.base.clock import utc_now
from core.infra.bus import Outgoing
from core.stores import flow
from core.tables.flow import OutboxMessage
from workers.runner import JobContext

POLL_S = 0.2
BATCH = 200
LEASE = timedelta(seconds=15)
KEEP_SENT = timedelta(hours=1)


async def relay(context: JobContext) -> None:
    rounds = 0
    while not context.stopping.is_set():
        sent_all = await relay_once(context)
        rounds += 1
        if rounds % 150 == 1:
            await _sweep(context)
        if not sent_all:
            await context.pause(POLL_S)


async def relay_once(context: JobContext) -> bool:
    """One batch of due rows; True when there may be more at once."""
    resources = context.resources
    async with resources.postgres.unit_of_work() as work:
        rows = await flow.due_outbox(work, utc_now(), lease=LEASE, limit=BATCH)
    if not rows:
        return False
    messages = [Outgoing(row.queue, str(row.id), row.body) for row in rows]
    sent = await outbox.publish_and_mark(resources.postgres, resources.bus, messages)
    if sent < len(rows):
        await _back_off(context, rows)
        return False
    return len(rows) == BATCH


async def _back_off(context: JobContext, rows: Sequence[OutboxMessage]) -> None:
    """Unconfirmed rows come back after 0.2 to 30 s, with jitter, by how often they were tried."""
    wait_s = min(30.0, 0.2 * 2 ** min(max(row.attempts for row in rows), 10)) * uniform(0.5, 1.0)  # noqa: S311
    async with context.resources.postgres.unit_of_work() as work:
        await flow.retry_outbox_at(work, [row.id for row in rows], utc_now() + timedelta(seconds=wait_s))


async def _sweep(context: JobContext) -> None:
    async with context.resources.postgres.unit_of_work() as work:
        await flow.purge_outbox(work, sent_before=utc_now() - KEEP_SENT, limit=20_000)
        state = await flow.outbox_state(work)
    telemetry.OUTBOX_UNSENT.set(state.unsent)
