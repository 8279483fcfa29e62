"""A case on paper: its history with where each event lies on the sealed trail, and what that can be checked against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from console.i18n import gettext as _
from console.views.audit import actor_name
from console.views.desk import event_words
from console.views.words import Moment, count, moment
from core.acts.audit import recomputed_leaf
from core.tables.ledger import AuditCheckpoint, AuditEvent


@dataclass(frozen=True)
class Line:
    """One event. `leaf`: its hash, which the proof of the event begins with. seal: in words."""

    number: str
    at: Moment
    who: str
    words: str
    seal: str
    leaf: str
    event_id: str


def history(
    events: Sequence[AuditEvent], names: Mapping[UUID, str], sealed: Mapping[int, int], now: datetime
) -> list[Line]:
    """Oldest first, as a story is read."""
    return [
        Line(
            number=count(event.id or 0),
            at=moment(event.at, now),
            who=actor_name(event.actor_type, event.actor_id, names),
            words=event_words(event, names),
            seal=_seal(event, sealed),
            leaf=event.leaf.hex()[:16],
            event_id=str(event.event_id),
        )
        for event in sorted(events, key=lambda event: event.id or 0)
    ]


def _seal(event: AuditEvent, sealed: Mapping[int, int]) -> str:
    if recomputed_leaf(event) != event.leaf:
        return _("altered")
    return count(sealed[event.xid]) if event.xid in sealed else _("not yet")


@dataclass(frozen=True)
class Reference:
    """The signed root that the seals above lead to."""

    seals: str
    root: str
    at: Moment
    key: str


def reference(checkpoint: AuditCheckpoint | None, now: datetime) -> Reference | None:
    if checkpoint is None:
        return None
    return Reference(count(checkpoint.size), checkpoint.root.hex(), moment(checkpoint.at, now), checkpoint.key)
