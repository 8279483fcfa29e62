"""Payments of one shard reach the features in the order in which they were accepted, whatever the bus does.

A bus keeps that order until something breaks: a publication that failed is repeated behind younger ones, what a dead consumer held comes
back at another place, a suspect takes another way. Therefore each message names the one before it. A scorer that does not know that one
looks whether its payments were taken or decided, and takes them from the outbox when they were not. Its own message finds that done.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final, cast
from uuid import UUID

import structlog

from core.base import telemetry
from core.contracts.messages import ScoreBatch, decode
from core.infra.bus import Delivery
from core.infra.postgres import Postgres
from core.stores import flow
from workers.live_features import LiveFeatures

log = structlog.get_logger()
REMEMBERED: Final = 10_000
"""Messages known to have been taken, over all shards; to forget one costs a look at the database."""
FURTHEST: Final = 1_000
"""Most messages taken from the outbox before one. What lies further back is taken when it comes."""

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
        for ident, message in held.items():
            if ident not in placed:
                way = [(ident, message)]
                while (before := way[-1][1].after) and str(before) not in placed and len(way) <= FURTHEST:
                    missing = held.get(str(before)) or await self._missing(before)
                    if missing is None:
                        break
                    way.append((str(before), missing))
                placed.update(reversed(way))
        overtaken = len(placed) - len(held)
        if overtaken:
            log.info("messages were overtaken and are taken first", messages=overtaken)
            telemetry.OVERTAKEN.inc(overtaken)
        return list(placed.values())

    async def _missing(self, ident: UUID) -> ScoreBatch | None:
        """The message, unless its payments are taken; one that left the outbox was sent an hour ago and is no longer waited for."""
        if str(ident) in self._taken:
            return None
        async with self._postgres.reading() as work:
            body = await flow.outbox_body(work, ident)
            message = None if body is None else cast(ScoreBatch, decode(body))
            uids = [payment.uid for payment in message.payments] if message else []
            decided = await flow.decided(work, uids) >= set(uids)
        if message is None or decided or await self._features.hold(message.payments):
            self.remember([str(ident)])
            return None
        return message

    def remember(self, idents: Iterable[str]) -> None:
        """These were taken."""
        self._taken.update(dict.fromkeys(idents))
        while len(self._taken) > REMEMBERED:
            self._taken.popitem(last=False)
