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
from core.infra.postgres import Postgres, UnitOfWork
from core.stores import flow
from core.tables.flow import OutboxMessage

WRITERS_TURN = timedelta(seconds=10)
"""How long the relay leaves a fresh row to its writer."""

log = structlog.get_logger()


async def enqueue(work: UnitOfWork, queue: str, message: Message) -> None:
    """For whoever has no bus at hand: the relay sends it within its next round."""
    await add(work, [(queue, message)], own_turn=timedelta())


async def add(work: UnitOfWork, messages: Sequence[tuple[str, Message]], own_turn: timedelta) -> list[Outgoing]:
    """Outbox rows for `messages`; returns them ready to publish after the commit. `own_turn`: see WRITERS_TURN."""
    rows = await add_bodies(work, [(queue, encode(message)) for queue, message in messages], own_turn)
    return [Outgoing(row.queue, str(row.id), row.body) for row in rows]


async def add_bodies(work: UnitOfWork, bodies: Sequence[tuple[str, bytes]], own_turn: timedelta) -> list[OutboxMessage]:
    """For messages as they once were on the bus, readable or not."""
    now = utc_now()
    rows = [
        OutboxMessage(id=new_uuid(), queue=queue, body=body, created_at=now, next_at=now + own_turn)
        for queue, body in bodies
    ]
    await flow.add_outbox(work, rows)
    return rows


async def publish_and_mark(postgres: Postgres, bus: Bus, messages: Sequence[Outgoing]) -> int:
    """Publish what a commit has made true, then mark what the broker confirmed; how many were.

    Losing the mark is harmless: the relay sends the row again and the consumer recognises it.
    """
    unconfirmed: set[str] = set()
    try:
        await bus.publish(messages)
    except PublishFailed as error:
        unconfirmed = set(error.facts["unconfirmed"])
        log.warning("publish failed; the relay will retry", detail=error.detail, messages=len(unconfirmed))
    sent = [UUID(message.message_id) for message in messages if message.message_id not in unconfirmed]
    if sent:
        async with postgres.unit_of_work() as work:
            await flow.mark_sent(work, sent, utc_now())
    return len(sent)
