"""Audit events: written in the same transaction as the act they describe, always with an actor."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.base.clock import exact_text, utc_now
from core.base.hashing import audit_leaf, canonical_json
from core.base.ids import new_uuid
from core.base.terms import Action, ActorType, Result
from core.infra.postgres import Work
from core.stores import ledger
from core.stores.ledger import SealableEvent, WrittenEvent
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


def _written(event: Event, written_at: datetime) -> WrittenEvent:
    unhashed = WrittenEvent(
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
    return unhashed._replace(leaf=recomputed_leaf(unhashed))


def recomputed_leaf(row: AuditEvent | SealableEvent | WrittenEvent) -> bytes:
    """The hash over every column a reader relies on. A stored leaf that differs means that the row was altered."""
    return audit_leaf(
        (
            str(row.event_id),
            row.actor_type,
            row.actor_id,
            row.action,
            row.subject_type,
            row.subject_id,
            row.result,
            row.detail,
            exact_text(row.written_at),
        )
    )


async def record(work: Work, *events: Event) -> None:
    """Append events to the trail in this unit of work."""
    now = utc_now()
    await ledger.append(work, [_written(event, now) for event in events])
