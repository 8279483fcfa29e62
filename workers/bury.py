"""Stores dead letters in PostgreSQL, where people can see them, answers the payments in them, and takes them off the bus."""

from hashlib import sha256

from core.acts import dead_letters
from core.acts.audit import system
from core.contracts.topology import DEAD, SUSPECT
from core.infra.bus import Delivery
from core.infra.resources import Resources
from workers.handling import consume
from workers.runner import JobContext
from workers.unscored import answer

ACTOR = system("bury")
REASONS = {
    "delivery_limit": "its consumer died or failed too often",
    "expired": "it waited too long",
    "maxlen": "its queue was full",
}
"""What the brokers call why they gave a message up."""


async def bury(context: JobContext) -> None:
    async def handle(deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            await store(context.resources, delivery)
            await delivery.ack()

    await consume(context, [DEAD], handle, most=50)


async def store(resources: Resources, delivery: Delivery) -> None:
    """Dead letter, decisions, alerts and audit events in one commit."""
    queue, reason = await resources.bus.dead_reason(delivery)
    reason = REASONS.get(reason, reason)
    message_id = delivery.message_id or sha256(delivery.body).hexdigest()
    async with resources.postgres.unit_of_work() as work:
        row = await dead_letters.store(work, queue, message_id, reason, delivery.body, by=ACTOR)
        if row and (queue == SUSPECT or queue.startswith("score.")):
            await answer(work, resources, dead_letters.payments_of(row.body), reason, by=ACTOR)
