"""Payments of one shard reach the features in the order in which they were accepted, whatever the bus does.

A bus keeps that order until something breaks: a publication that failed is repeated behind younger ones, what a dead consumer held comes
back at another place, a suspect takes another way. Therefore each message names the one before it. A scorer that does not know that one
looks whether its payments were taken or decided, and takes them from the outbox when they were not. Its own message finds that done.
What another scorer decided without features, and did not come to take afterwards, is made up for as after an outage of our own.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

import structlog

from core.acts.dead_letters import message_of
from core.base import telemetry
from core.base.terms import FeaturesStatus
from core.contracts.messages import ScoreBatch
from core.infra.bus import Delivery
from core.infra.postgres import Postgres
from core.stores import flow
from workers.live_features import LiveFeatures

log = structlog.get_logger()
REMEMBERED: Final = 10_000
"""Messages known to have been taken, over all shards; to forget one costs a look at the database."""
FURTHEST: Final = 1_000
"""Most messages taken from the outbox before one. What lies further back is taken when it comes."""

PAGE: Final = 50
DEGRADED: Final = FeaturesStatus.DEGRADED

Readable = Sequence[tuple[Delivery, ScoreBatch]]


class Order:
    """One for each scorer process."""

    def __init__(self, postgres: Postgres, features: LiveFeatures) -> None:
        self._postgres, self._features = postgres, features
        self._taken: OrderedDict[str, None] = OrderedDict()

    async def complete(self, readable: Readable) -> list[ScoreBatch]:
        """These messages, each behind those before it that were not taken yet, of these or from the outbox."""
        held = {delivery.message_id: message for delivery, message in readable}
        placed: dict[str, ScoreBatch] = {}
        found: dict[str, ScoreBatch] = {}
        for ident, message in held.items():
            way = [] if ident in placed else [(ident, message)]
            while way and (before := way[-1][1].after) and len(way) <= FURTHEST:
                name = str(before)
                if name in placed or name in self._taken:
                    break
                if name not in held and name not in found:
                    found |= await self._look_back(before, PAGE if len(way) > 1 else 1)
                missing = held.get(name) or found.get(name)
                if missing is None:
                    break
                way.append((name, missing))
            placed.update(reversed(way))
        overtaken = len(placed) - len(held)
        if overtaken:
            log.info("messages were overtaken and are taken first", messages=overtaken)
            telemetry.OVERTAKEN.inc(overtaken)
        return list(placed.values())

    async def _look_back(self, ident: UUID, most: int) -> dict[str, ScoreBatch]:
        """From the outbox: the message and those before it, where a payment is neither decided nor taken.

        What left the outbox was sent an hour ago and is no longer waited for.
        """
        async with self._postgres.reading() as work:
            rows = await flow.outbox_back(work, ident, limit=most)
            bodies = [(str(row.id), message_of(row.body)) for row in rows]
            messages = {name: message for name, message in bodies if isinstance(message, ScoreBatch)}
            payments = [payment for message in messages.values() for payment in message.payments]
            decided = await flow.decided(work, [payment.uid for payment in payments])
        unsure = [payment for payment in payments if decided.get(payment.uid, DEGRADED) is DEGRADED]
        taken = await self._features.taken(unsure)
        await self._features.catch_up([p for p in unsure if p.uid in decided and p.uid not in taken])
        done = decided.keys() | taken
        missing = {
            name: message for name, message in messages.items() if not done.issuperset(p.uid for p in message.payments)
        }
        self.remember(messages.keys() - missing.keys())
        return missing

    def remember(self, names: Iterable[str]) -> None:
        """These were taken."""
        self._taken.update(dict.fromkeys(names))
        while len(self._taken) > REMEMBERED:
            self._taken.popitem(last=False)
