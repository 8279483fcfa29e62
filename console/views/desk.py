"""The desk beside an alert: state, notes, labels, history, and why an act was refused."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from markupsafe import Markup

from console.i18n import gettext as _
from console.i18n import ngettext
from console.refusals import told
from console.views.audit import ACTIONS, actor_name, user_ids
from console.views.notes import note_html
from console.views.payments import LabelRow, label_row
from console.views.queue import people_in, status_words
from console.views.verdicts import DISPOSITION_REASONS, said
from console.views.words import LABEL_SOURCES, LABELS, OUTCOMES, Moment, ago, maybe_moment, moment, money
from core.base.clock import rfc3339
from core.base.errors import NotAllowedNow, RondaError, StaleVersion
from core.base.terms import Action, ActorType, AlertStatus, DispositionReason, Label, LabelSource, Outcome
from core.tables.casework import Alert, Note, TransactionLabel, Verdict
from core.tables.ledger import AuditEvent
from core.tables.people import User

MOST_CHANGES = 4
"""Changes named when an act was refused."""


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
    undo: bool
    """This is the decision that can still be taken back."""


@dataclass(frozen=True)
class Undo:
    """A decision of the reader that can still be taken back. here: it is this very alert's."""

    words: str
    href: str
    until: Moment
    seconds: str
    here: bool
    batch: bool
    """Together with others: all of them come back."""
    now: str
    """The server's time, by which the page counts down whatever its own clock says."""


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
    left: str
    """How long that is: `14:05`."""
    mine: bool
    held_by_other: bool
    closed: bool
    disposition: str
    disposition_words: str
    reason_words: str
    lapsed: str
    """That the reader's claim ran out, and when; empty when it did not."""
    undo: Undo | None
    notes: list[NoteView]
    labels: list[LabelRow]
    history: list[HistoryEntry]
    timeline_href: str
    now: str


def people_on(alert: Alert, notes: Sequence[Note], events: Sequence[AuditEvent]) -> list[UUID]:
    authors = [note.author_id for note in notes]
    actors = user_ids((event.actor_type, event.actor_id) for event in events)
    given = user_ids((ActorType.USER.value, str(_detail(event).get("to", ""))) for event in events)
    return list({*people_in([alert]), *authors, *actors, *given})


def _detail(event: AuditEvent) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event.detail or "{}")
    return found


def event_words(event: AuditEvent, names: Mapping[UUID, str]) -> str:
    """What was done, with what a person reads of its detail: no ids, no times."""
    detail, words = _detail(event), ACTIONS[Action(event.action)].lower()
    parts = [OUTCOMES[Outcome(detail["outcome"])].lower()] if detail.get("outcome") in set(Outcome) else []
    if detail.get("label"):
        parts.append(said(detail["label"], detail.get("reason")).lower())
    parts += [LABEL_SOURCES[LabelSource(detail["source"])].lower()] if detail.get("source") in set(LabelSource) else []
    if detail.get("to"):
        parts.append(_("to %(name)s", name=names.get(UUID(detail["to"]), _("a former user"))))
    if detail.get("how") == "next":
        parts.append(_("as the next one"))
    return f"{words} ({', '.join(parts)})" if parts else words


def _history(
    events: Sequence[AuditEvent], names: Mapping[UUID, str], undo: Undo | None, now: datetime
) -> list[HistoryEntry]:
    ordered = sorted(events, key=lambda row: row.id or 0, reverse=True)
    closed = next((event.id for event in ordered if event.action == Action.ALERT_CLOSE.value), None)
    return [
        HistoryEntry(
            id=str(event.id),
            actor=actor_name(event.actor_type, event.actor_id, names),
            words=event_words(event, names),
            at=moment(event.at, now),
            undo=undo is not None and undo.here and event.id == closed,
        )
        for event in ordered
    ]


def _note(note: Note, names: Mapping[UUID, str], now: datetime) -> NoteView:
    author = names.get(note.author_id, _("a former user"))
    return NoteView(str(note.id), author, moment(note.written_at, now), note_html(note.body))


def undo_of(
    verdict: Verdict | None, closed: Alert | None, alert: Alert | None, now: datetime, *, together: int = 1
) -> Undo | None:
    """`closed`: the verdict's alert, one of `together`. `alert`: the one that is looked at. None when nothing can be taken back."""
    if verdict is None or closed is None or verdict.undone_at or verdict.undo_until <= now:
        return None
    decided = said(verdict.label, verdict.reason)
    here = alert is not None and alert.id == verdict.alert_id
    href = f"/queue/bulk/{verdict.batch_id}/undo" if verdict.batch_id else f"/alerts/{verdict.alert_id}/undo"
    if verdict.batch_id:
        words = ngettext(
            "%(num)s alert closed: %(decided)s", "%(num)s alerts closed: %(decided)s", together, decided=decided
        )
    else:
        amount = money(closed.amount_minor, closed.currency)
        words = _("%(amount)s closed: %(decided)s", amount=amount, decided=decided)
    left = max(1, round((verdict.undo_until - now).total_seconds()))
    return Undo(
        words, href, moment(verdict.undo_until, now), str(left), here, verdict.batch_id is not None, rfc3339(now)
    )


def clock_words(until: datetime, now: datetime) -> str:
    """`14:05`, `7:59:30`; `0:00` once it is over."""
    seconds = max(0, int((until - now).total_seconds()))
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"


def since(moment: datetime, now: datetime) -> str:
    """`just now`, `3 min ago`."""
    gap = now - moment
    return _("just now") if gap < timedelta(seconds=5) else _("%(ago)s ago", ago=ago(gap))


def lapsed(alert: Alert, events: Sequence[AuditEvent], me: UUID, now: datetime) -> str:
    """That this person's claim was the last thing that happened here, and ran out."""
    over = alert.claim_expires_at is not None and alert.claim_expires_at <= now
    if alert.status == AlertStatus.CLAIMED.value and alert.claimed_by == me and over:
        return _("Your claim has just run out. Claim the alert again to go on.")
    looks = {Action.ALERT_VIEW.value, Action.NOTE_ADD.value}
    last = next((event for event in sorted(events, key=lambda row: -(row.id or 0)) if event.action not in looks), None)
    if alert.status != AlertStatus.OPEN.value or last is None or last.action != Action.ALERT_RELEASE.value:
        return ""
    if _detail(last).get("claimed_by") != str(me):
        return ""
    return _("Your claim ran out %(when)s, so the alert went back to the queue.", when=since(last.at, now))


def desk(
    alert: Alert,
    notes: Sequence[Note],
    labels: Sequence[TransactionLabel],
    events: Sequence[AuditEvent],
    names: Mapping[UUID, str],
    *,
    me: UUID,
    now: datetime,
    undo: Undo | None = None,
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
        left=clock_words(alert.claim_expires_at, now) if live and alert.claim_expires_at else "",
        mine=live and alert.claimed_by == me,
        held_by_other=live and alert.claimed_by != me,
        closed=alert.status == AlertStatus.CLOSED.value,
        disposition=alert.disposition or "",
        disposition_words=LABELS[Label(alert.disposition)] if alert.disposition else "",
        reason_words=DISPOSITION_REASONS[DispositionReason(alert.disposition_reason)]
        if alert.disposition_reason
        else "",
        lapsed=lapsed(alert, events, me, now),
        undo=undo,
        notes=[_note(note, names, now) for note in notes],
        labels=[label_row(label, now) for label in labels],
        history=_history(events, names, undo, now),
        timeline_href=f"/audit?subject_type=alert&subject_id={alert.id}",
        now=rfc3339(now),
    )


@dataclass(frozen=True)
class Colleague:
    id: str
    name: str
    chosen: bool


def colleagues(people: Sequence[User], me: UUID, chosen: str) -> list[Colleague]:
    """To whom an alert may be handed over."""
    return [
        Colleague(str(person.id), f"{person.name} ({person.email})", str(person.id) == chosen)
        for person in people
        if person.id != me
    ]


def sentence(error: RondaError) -> str:
    return told(error.detail)


def refusal(
    error: RondaError,
    alert: Alert,
    events: Sequence[AuditEvent],
    names: Mapping[UUID, str],
    now: datetime,
) -> str:
    """Why an act was refused and, when somebody was first, what changed since the refused form was made: who, what, when."""
    if not isinstance(error, (StaleVersion, NotAllowedNow)):
        return sentence(error)
    changes = [event for event in events if event.action != Action.ALERT_VIEW.value]
    seen = error.facts.get("seen")
    if seen is not None:
        changes = [event for event in changes if _detail(event).get("version", seen + 1) > seen]
    told = [_told(event, names, now) for event in changes[: MOST_CHANGES if seen is not None else 1]]
    kept = _("Nothing of yours was saved; the state below is the current one.")
    return " ".join([sentence(error), *told, kept]) if told else sentence(error)


def _told(event: AuditEvent, names: Mapping[UUID, str], now: datetime) -> str:
    person = actor_name(event.actor_type, event.actor_id, names)
    who = person if event.actor_type == ActorType.USER.value else "Ronda"
    return f"{who} {event_words(event, names)} {since(event.at, now)}."
