"""Stores dead letters in PostgreSQL, where people can see them, and takes them off the bus."""

from core.acts.audit import Event, record, system
from core.base.clock import utc_now
from core.base.ids import new_uuid
from core.base.terms import Action
from core.contracts.topology import DEAD
from core.infra.bus import Delivery
from core.stores import flow
from core.tables.flow import DeadLetter
from workers.handling import consume
from workers.runner import JobContext


async def bury(context: JobContext) -> None:
    async def handle(deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            await _store(context, delivery)
            await delivery.ack()

    await consume(context, [DEAD], handle, most=50)


async def _store(context: JobContext, delivery: Delivery) -> None:
    queue, reason = await context.resources.bus.dead_reason(delivery)
    row = DeadLetter(
        id=new_uuid(),
        queue=queue,
        message_id=delivery.message_id,
        reason=reason[:1000],
        body=delivery.body,
        died_at=utc_now(),
    )
    async with context.resources.postgres.unit_of_work() as work:
        await flow.add_dead_letter(work, row)
        detail = {"queue": queue, "reason": row.reason}
        await record(work, Event(system("bury"), Action.DEAD_LETTER_STORE, "dead_letter", str(row.id), detail))
