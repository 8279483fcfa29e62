"""Messages no consumer could handle: kept, sent again, or set aside, each by somebody."""

from datetime import datetime, timedelta

import msgspec

from core.acts import outbox
from core.acts.audit import Actor, Event, record
from core.base.clock import utc_now
from core.base.errors import InvalidInput, NotAllowedNow, NotFound
from core.base.ids import new_uuid
from core.base.terms import Action, DeadLetterState
from core.contracts.messages import Message, Payment, ScoreBatch, decode
from core.contracts.topology import DEAD, queues
from core.infra.postgres import UnitOfWork
from core.stores import dead_letters
from core.tables.flow import DeadLetter

MOST_AT_ONCE = 1000
"""Dead letters that one act sends again."""
_STATES = {DeadLetterState.REDRIVEN: "sent again", DeadLetterState.DISCARDED: "discarded"}


def message_of(body: bytes) -> Message | None:
    """None when it cannot be read."""
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def payments_of(body: bytes) -> list[Payment]:
    """Of a message that carries payments to be scored; else none."""
    message = message_of(body)
    return message.payments if isinstance(message, ScoreBatch) else []


async def store(
    work: UnitOfWork, queue: str, message_id: str, reason: str, body: bytes, *, by: Actor
) -> DeadLetter | None:
    """None when it is stored already: the bus may say so twice."""
    payments = payments_of(body)
    row = DeadLetter(
        id=new_uuid(),
        queue=queue,
        message_id=message_id,
        reason=reason[:1000],
        body=body,
        died_at=utc_now(),
        payments=len(payments),
        transaction_uid=payments[0].uid if len(payments) == 1 else None,
    )
    if not await dead_letters.add(work, row):
        return None
    detail = {"queue": queue, "reason": row.reason, "payments": row.payments}
    await record(work, Event(by, Action.DEAD_LETTER_STORE, "dead_letter", str(row.id), detail))
    return row


async def redrive(work: UnitOfWork, row: DeadLetter, *, by: Actor, shards: int) -> None:
    """Back into its queue by way of the outbox, with all its attempts before it again.

    Raises NotAllowedNow when somebody settled it first, or its queue is no more.
    """
    _still_waiting(row)
    if row.queue == DEAD or row.queue not in {queue.name for queue in queues(shards)}:
        raise NotAllowedNow(f"there is no queue {row.queue or 'for it'} any more; it can only be discarded")
    await dead_letters.forget_trouble(work, [payment.uid for payment in payments_of(row.body)])
    await outbox.add_bodies(work, [(row.queue, row.body)], own_turn=timedelta())
    detail = {"queue": row.queue, "reason": row.reason}
    await _settle(
        work, row, DeadLetterState.REDRIVEN, by, Event(by, Action.DEAD_LETTER_REDRIVE, *_subject(row), detail)
    )


async def discard(work: UnitOfWork, row: DeadLetter, *, by: Actor, reason: str) -> None:
    """Raises InvalidInput without a reason, NotAllowedNow when somebody settled it first."""
    _still_waiting(row)
    row.note = reason.strip()[:1000]
    if not row.note:
        raise InvalidInput("a reason is needed: the audit trail keeps it")
    detail = {"queue": row.queue, "reason": row.note}
    await _settle(
        work, row, DeadLetterState.DISCARDED, by, Event(by, Action.DEAD_LETTER_DISCARD, *_subject(row), detail)
    )


async def redrive_reason(work: UnitOfWork, reason: str, *, until: datetime, by: Actor, shards: int) -> int:
    """All that wait for this reason and died up to `until`, MOST_AT_ONCE at most; how many."""
    rows = await dead_letters.waiting_for_update(work, reason, until=until, limit=MOST_AT_ONCE)
    for row in rows:
        await redrive(work, row, by=by, shards=shards)
    return len(rows)


def taken(row: DeadLetter | None) -> DeadLetter:
    """Raises NotFound when there is none."""
    if row is None:
        raise NotFound("there is no such dead letter")
    return row


def _still_waiting(row: DeadLetter) -> None:
    if row.state != DeadLetterState.WAITING.value:
        how = _STATES[DeadLetterState(row.state)]
        raise NotAllowedNow(f"it was {how} by {row.settled_by}", settled_by=row.settled_by)


async def _settle(work: UnitOfWork, row: DeadLetter, state: DeadLetterState, by: Actor, event: Event) -> None:
    row.state, row.settled_at, row.settled_by = state.value, utc_now(), str(by)
    await dead_letters.save(work, row)
    await record(work, event)


def _subject(row: DeadLetter) -> tuple[str, str]:
    return "dead_letter", str(row.id)
