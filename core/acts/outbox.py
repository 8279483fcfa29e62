"""A message decided together with a state change: it leaves when, and only when, the change is committed."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import structlog

from core.base.clock import utc_now
from core.base.errors import PublishFailed
from core.base.ids import new_uuid
from core.contracts.messages import Message, encode
from core.infra.bus import Bus, Outgoing
from core.infra.postgres import Postgres, UnitOfWork, Work
from core.stores import flow

WRITERS_TURN = timedelta(seconds=10)
"""How long the relay leaves a fresh row to its writer."""

log = structlog.get_logger()


async def enqueue(work: UnitOfWork, queue: str, message: Message) -> None:
    """For whoever has no bus at hand: the relay sends it within its next round."""
    await add(work, [(queue, message)], own_turn=timedelta())


async def add(work: Work, messages: Sequence[tuple[str, Message]], own_turn: timedelta) -> list[Outgoing]:
    """Outbox rows for `messages`; returns them ready to publish after the commit. `own_turn`: see WRITERS_TURN."""
    return await add_bodies(work, [(queue, encode(message)) for queue, message in messages], own_turn)


async def add_bodies(work: Work, bodies: Sequence[tuple[str, bytes]], own_turn: timedelta) -> list[Outgoing]:
    """For messages as they once were on the bus, readable or not."""
    now = utc_now()
    messages = [(new_uuid(), queue, body) for queue, body in bodies]
    rows = [
        {"id": ident, "queue": queue, "body": body, "created_at": now, "next_at": now + own_turn}
        for ident, queue, body in messages
    ]
    await flow.add_outbox(work, rows)
    return [Outgoing(queue, str(ident), body) for ident, queue, body in messages]


async def publish(bus: Bus, messages: Sequence[Outgoing]) -> list[UUID]:
    """Publish what a commit has made true; the ids of those that the broker confirmed."""
    unconfirmed: set[str] = set()
    try:
        await bus.publish(messages)
    except PublishFailed as error:
        unconfirmed = set(error.facts["unconfirmed"])
        log.warning("publish failed; the relay will retry", detail=error.detail, messages=len(unconfirmed))
    return [UUID(message.message_id) for message in messages if message.message_id not in unconfirmed]


async def publish_and_mark(postgres: Postgres, bus: Bus, messages: Sequence[Outgoing]) -> int:
    """How many the broker confirmed. Losing the mark is harmless: the relay sends the row again and the consumer recognises it."""
    sent = await publish(bus, messages)
    if sent:
        async with postgres.unit_of_work() as work:
            await flow.mark_sent(work, sent, utc_now())
    return len(sent)
