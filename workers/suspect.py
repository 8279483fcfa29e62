"""The suspect lane: what came back too often is scored message by message, then payment by payment, so that a poisonous
one harms no other.

A broker counts every return of whatever its consumer held, guilty or not. Here an attempt is committed to PostgreSQL
before it begins, and nothing else is handled meanwhile: when the process dies, it is known of what.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, cast

import structlog

from core.base import telemetry
from core.contracts.messages import Payment, ScoreBatch, encode
from core.contracts.topology import SUSPECT
from core.infra.bus import Delivery, Outgoing
from core.infra.resources import Resources
from core.stores import dead_letters
from workers.handling import Handle, is_outage, read

log = structlog.get_logger()
SUSPECT_FROM: Final = 2
"""Redeliveries after which a message is suspect."""
HARMFUL_FROM: Final = 4
"""Redeliveries after which even taking a message's payments into the features may be what kills."""
MOST_ATTEMPTS: Final = 3
"""How often a payment is tried alone."""

Settle = Callable[[Sequence[Payment]], Awaitable[None]]


def without_suspects(handle: Handle, take: Handle) -> Handle:
    """Moves suspect deliveries to the lane, then hands over the others.

    Before, `take` takes all of them into the features: whenever the lane comes to decide a payment, it finds the readings of its turn.
    """

    async def sorted_out(deliveries: list[Delivery]) -> None:
        suspects = [delivery for delivery in deliveries if delivery.redeliveries >= SUSPECT_FROM]
        if suspects:
            await take([delivery for delivery in deliveries if delivery.redeliveries < HARMFUL_FROM])
        for delivery in suspects:
            await delivery.move(SUSPECT)
        if suspects:
            log.warning("messages came back too often and go to the suspect lane", messages=len(suspects))
            telemetry.SUSPECTS.inc(len(suspects))
        await handle([delivery for delivery in deliveries if delivery.redeliveries < SUSPECT_FROM])

    return sorted_out


class SuspectLane:
    """`settle` decides payments; `turn` keeps it and the other batches of this process apart."""

    def __init__(self, resources: Resources, settle: Settle) -> None:
        self._resources, self._settle = resources, settle
        self.turn = asyncio.Lock()

    async def handle(self, deliveries: list[Delivery]) -> None:
        for delivery, message in await read(deliveries, ScoreBatch):
            batch = cast(ScoreBatch, message)
            if len(batch.payments) == 1:
                await self._try(delivery, batch.payments[0])
            elif delivery.redeliveries:
                await self._split(batch)
            else:
                # Most came here for the company they were delivered in: whole, this message may be innocent.
                await self._settle(batch.payments)
            await delivery.ack()

    async def _split(self, batch: ScoreBatch) -> None:
        """Under the payments' own ids, so that a split that is repeated makes the same messages."""
        singles = [ScoreBatch(shard=batch.shard, payments=[payment]) for payment in batch.payments]
        messages = [Outgoing(SUSPECT, str(single.payments[0].uid), encode(single)) for single in singles]
        await self._resources.bus.publish(messages)

    async def _try(self, delivery: Delivery, payment: Payment) -> None:
        async with self._resources.postgres.unit_of_work() as work:
            trouble = await dead_letters.begin_attempt(work, payment.uid)
        if trouble.attempts > MOST_ATTEMPTS:
            await delivery.reject(
                f"scoring it alone {trouble.failure or 'ended or hung its process'}, {MOST_ATTEMPTS} times"
            )
            return
        try:
            await self._settle([payment])
        except Exception as failure:
            async with self._resources.postgres.unit_of_work() as work:
                if is_outage(failure):
                    await dead_letters.take_back_attempt(work, payment.uid)
                else:
                    await dead_letters.note_failure(work, payment.uid, f"raised {type(failure).__name__}")
            raise
