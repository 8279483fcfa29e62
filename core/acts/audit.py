"""Audit events: written in the same transaction as the act they describe, always with an actor."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from core.base.clock import rfc3339, utc_now
from core.base.hashing import audit_leaf, canonical_json
from core.base.ids import new_uuid
from core.base.terms import Action, ActorType, Result
from core.infra.postgres import UnitOfWork
from core.stores import ledger
from core.tables.ledger import AuditEvent


@dataclass(frozen=True)
class Actor:
    """Who acts: a user's id, a key's prefix, or a process's name."""

    type: ActorType
    id: str

    def __str__(self) -> str:
        return f"{self.type.value}:{self.id}"


def system(process: str) -> Actor:
    return Actor(ActorType.SYSTEM, process)


@dataclass(frozen=True)
class Event:
    """One act to be recorded. `subject_type` is a table's word (alert, model, ...), `detail` plain JSON."""

    actor: Actor
    action: Action
    subject_type: str
    subject_id: str
    detail: dict[str, Any] = field(default_factory=dict)
    result: Result = Result.DONE


def leaf_of(
    event_id: UUID,
    actor_type: str,
    actor_id: str,
    action: str,
    subject_type: str,
    subject_id: str,
    result: str,
    detail: str,
    written_at: datetime,
) -> bytes:
    """The hash over every column a reader relies on; `written_at` to the millisecond."""
    return audit_leaf(
        (str(event_id), actor_type, actor_id, action, subject_type, subject_id, result, detail, rfc3339(written_at))
    )


def _row(event: Event, written_at: datetime) -> AuditEvent:
    row = AuditEvent(
        event_id=new_uuid(),
        actor_type=event.actor.type.value,
        actor_id=event.actor.id,
        action=event.action.value,
        subject_type=event.subject_type,
        subject_id=event.subject_id,
        result=event.result.value,
        detail=canonical_json(event.detail),
        written_at=written_at,
        leaf=b"",
    )
    row.leaf = recomputed_leaf(row)
    return row


def recomputed_leaf(row: AuditEvent) -> bytes:
    """What the leaf of a stored row must be; anything else means the row was altered."""
    return leaf_of(
        row.event_id,
        row.actor_type,
        row.actor_id,
        row.action,
        row.subject_type,
        row.subject_id,
        row.result,
        row.detail,
        row.written_at,
    )


async def record(work: UnitOfWork, *events: Event) -> None:
    """Append events to the trail in this unit of work."""
    now = utc_now()
    await ledger.append(work, [_row(event, now) for event in events])


CLOCKS_APART = timedelta(seconds=60)
"""Most that a writer's clock may differ from the database's before an event counts as altered."""


@dataclass(frozen=True)
class BadEvent:
    id: int
    why: str


@dataclass(frozen=True)
class Verification:
    """`bad` is empty when every event reads as it was written."""

    events: int
    bad: list[BadEvent]


async def verify(work: UnitOfWork, report: Callable[[int], None] = lambda _done: None) -> Verification:
    """Hash the whole trail again; `report` hears how many events were read. An altered event is found by its leaf.

    A deleted event is not found yet: that takes the seals that close over it.
    """
    events, bad = 0, list[BadEvent]()
    async for rows in ledger.walk(work):
        bad += [BadEvent(row.id or 0, why) for row in rows if (why := _fault(row))]
        events += len(rows)
        report(events)
    return Verification(events, bad)


def _fault(row: AuditEvent) -> str:
    """What is wrong with a stored event, in words; empty when nothing is."""
    if row.leaf != recomputed_leaf(row):
        return "its content does not match its leaf hash"
    if abs(row.at - row.written_at) > CLOCKS_APART:
        return "its time of entry is far from its writer's time"
    return ""
