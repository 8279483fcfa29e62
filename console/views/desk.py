"""The desk beside an alert: state, notes, labels, history, and why an act was refused."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from markupsafe import Markup

from console.views.audit import ACTIONS, actor_name, user_ids
from console.views.notes import note_html
from console.views.payments import LabelRow, label_row
from console.views.queue import people_in, status_words
from console.views.words import LABELS, Moment, ago, maybe_moment, moment
from core.base.errors import NotAllowedNow, RondaError, StaleVersion
from core.base.terms import Action, ActorType, AlertStatus, Label
from core.tables.casework import Alert, Note, TransactionLabel
from core.tables.ledger import AuditEvent


@dataclass(frozen=True)
class NoteView:
    id: str
    author: str
    written: Moment
    body: Markup


@dataclass(frozen=True)
class HistoryEntry:
    id: str
    actor: str
    words: str
    at: Moment


@dataclass(frozen=True)
class Desk:
    id: str
    href: str
    version: str
    status: str
    status_words: str
    who: str
    until: Moment | None
    """When the claim runs out."""
    mine: bool
    held_by_other: bool
    closed: bool
    disposition: str
    disposition_words: str
    notes: list[NoteView]
    labels: list[LabelRow]
    history: list[HistoryEntry]
    timeline_href: str


def people_on(alert: Alert, notes: Sequence[Note], events: Sequence[AuditEvent]) -> list[UUID]:
    authors = [note.author_id for note in notes]
    actors = user_ids((event.actor_type, event.actor_id) for event in events)
    return list({*people_in([alert]), *authors, *actors})


def _history(events: Sequence[AuditEvent], names: Mapping[UUID, str], now: datetime) -> list[HistoryEntry]:
    entries = []
    for event in sorted(events, key=lambda row: row.id or 0, reverse=True):
        words = ACTIONS[Action(event.action)].lower()
        detail = _words_of(json.loads(event.detail or "{}"))
        who = actor_name(event.actor_type, event.actor_id, names)
        entries.append(
            HistoryEntry(str(event.id), who, f"{words} ({detail})" if detail else words, moment(event.at, now))
        )
    return entries


def _words_of(detail: Mapping[str, Any]) -> str:
    """Only what a person reads: no ids, no times."""
    return ", ".join(str(detail[key]) for key in ("outcome", "label", "source") if key in detail)


def _note(note: Note, names: Mapping[UUID, str], now: datetime) -> NoteView:
    author = names.get(note.author_id, "a former user")
    return NoteView(str(note.id), author, moment(note.written_at, now), note_html(note.body))


def desk(
    alert: Alert,
    notes: Sequence[Note],
    labels: Sequence[TransactionLabel],
    events: Sequence[AuditEvent],
    names: Mapping[UUID, str],
    *,
    me: UUID,
    now: datetime,
) -> Desk:
    claimed = alert.status == AlertStatus.CLAIMED.value
    live = claimed and alert.claim_expires_at is not None and alert.claim_expires_at > now
    holder = alert.closed_by or alert.claimed_by
    return Desk(
        id=str(alert.id),
        href=f"/alerts/{alert.id}",
        version=str(alert.version),
        status=alert.status,
        status_words=status_words(alert),
        who=names.get(holder, "") if holder else "",
        until=maybe_moment(alert.claim_expires_at, now) if claimed else None,
        mine=claimed and alert.claimed_by == me,
        held_by_other=live and alert.claimed_by != me,
        closed=alert.status == AlertStatus.CLOSED.value,
        disposition=alert.disposition or "",
        disposition_words=LABELS[Label(alert.disposition)] if alert.disposition else "",
        notes=[_note(note, names, now) for note in notes],
        labels=[label_row(label, now) for label in labels],
        history=_history(events, names, now),
        timeline_href=f"/audit?subject_type=alert&subject_id={alert.id}",
    )


def refusal(
    error: RondaError, alert: Alert, events: Sequence[AuditEvent], names: Mapping[UUID, str], now: datetime
) -> str:
    """Why an act was refused and, when somebody was first, who it was and what they did."""
    if not isinstance(error, (StaleVersion, NotAllowedNow)):
        return error.detail[:1].upper() + error.detail[1:] + "."
    change = next((event for event in events if event.action != Action.ALERT_VIEW.value), None)
    sentence = error.detail[:1].upper() + error.detail[1:] + "."
    if change is None:
        return sentence
    person = actor_name(change.actor_type, change.actor_id, names)
    who = person if change.actor_type == ActorType.USER.value else "Ronda"
    when = ago(now - change.at)
    then = "just now" if when == "now" else f"{when} ago"
    told = f"{who} {ACTIONS[Action(change.action)].lower()} {then}."
    return f"{sentence} {told} Nothing of yours was saved; the state below is the current one."
