"""Closing alerts with a label and a reason, and taking that back within seconds.

The label's message waits in the outbox until the window is over. Undoing removes it: whoever is first at the row, the relay or the
analyst, has it, so a label either leaves or is withdrawn and never both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from core.acts import lists, outbox
from core.acts.audit import Actor, Event, record
from core.acts.casework import changed, for_change, give, held_by_other, same_version, store_notes
from core.acts.labels import Statement, labels_message, store_labels
from core.base.clock import utc_now
from core.base.errors import Forbidden, InvalidInput, NotAllowedNow
from core.base.ids import AlertId, UserId, new_uuid
from core.base.terms import REASONS, Action, AlertStatus, DispositionReason, Label, LabelSource
from core.contracts.topology import LABELS
from core.infra.postgres import UnitOfWork
from core.infra.redis import Redis
from core.stores import casework, flow, verdicts
from core.tables.casework import Alert, Verdict


@dataclass(frozen=True)
class Ruling:
    """What an analyst says of one alert or of many. entry: what goes onto a list with it."""

    label: Label
    reason: DispositionReason
    note: str | None = None
    entry: lists.NewEntry | None = None

    def __post_init__(self) -> None:
        if self.reason not in REASONS[self.label]:
            raise InvalidInput(f"{self.reason.value} is no reason for {self.label.value}")


@dataclass(frozen=True)
class Hand:
    """Who decides, when, and for how long it can be undone. batch_id: of decisions made together."""

    user_id: UserId
    by: Actor
    now: datetime
    window: timedelta
    batch_id: UUID | None = None


async def decide(
    work: UnitOfWork,
    redis: Redis,
    alert_id: AlertId,
    user_id: UserId,
    *,
    ruling: Ruling,
    version: int,
    by: Actor,
    window: timedelta = timedelta(),
) -> Alert:
    """Label the payment and close its alert. `version` is the one the analyst saw: a stale act is refused."""
    alert, now = await for_change(work, alert_id), utc_now()
    same_version(alert, version)
    check_can_close(alert, user_id, now)
    entry = (
        await lists.add_entry(work, redis, replace(ruling.entry, alert_id=alert_id), by=by) if ruling.entry else None
    )
    entries = {alert.id: entry.id} if entry else {}
    await close(work, redis, [alert], ruling, Hand(user_id, by, now, window), entries)
    return alert


def check_can_close(alert: Alert, user_id: UUID, now: datetime) -> None:
    """Raises NotAllowedNow."""
    if alert.status == AlertStatus.CLOSED.value:
        raise NotAllowedNow("this alert is closed already")
    if held_by_other(alert, user_id, now):
        raise NotAllowedNow("a colleague has claimed this alert")


async def close(
    work: UnitOfWork,
    redis: Redis,
    alerts: Sequence[Alert],
    ruling: Ruling,
    hand: Hand,
    entries: Mapping[UUID, UUID] | None = None,
) -> None:
    """Close locked alerts that were checked. `entries`: by alert, the list entry made with it."""
    if ruling.note and ruling.note.strip():
        await store_notes(work, alerts, hand.user_id, ruling.note, hand.now)
    until = hand.now + hand.window
    payments = {row.uid: row for row in await flow.transactions(work, [alert.transaction_uid for alert in alerts])}
    statements = [
        Statement(payments[alert.transaction_uid], ruling.label, LabelSource.ANALYST, hand.now, ruling.note)
        for alert in alerts
    ]
    labels = await store_labels(work, statements, until, hand.by)
    # A message for each label: an undo takes one away and leaves the others.
    messages = await outbox.add(work, [(LABELS, labels_message([told])) for told in statements], hand.window)
    rows = []
    for alert, label_id, message in zip(alerts, labels, messages, strict=True):
        assert label_id is not None  # an alert that can be closed has no statement of this moment
        alert.status, alert.disposition, alert.disposition_reason = (
            AlertStatus.CLOSED.value,
            ruling.label.value,
            ruling.reason.value,
        )
        alert.closed_by, alert.closed_at = hand.user_id, hand.now
        alert.claimed_by, alert.claim_expires_at = None, None
        rows.append(
            {
                "id": new_uuid(),
                "alert_id": alert.id,
                "batch_id": hand.batch_id,
                "label": ruling.label.value,
                "reason": ruling.reason.value,
                "label_id": label_id,
                "message_id": UUID(message.message_id),
                "list_entry_id": (entries or {}).get(alert.id),
                "decided_by": hand.user_id,
                "decided_at": hand.now,
                "undo_until": until,
            }
        )
    await verdicts.insert(work, rows)
    detail = {"label": ruling.label.value, "reason": ruling.reason.value}
    detail |= {"batch": str(hand.batch_id)} if hand.batch_id else {}
    events = [Event(hand.by, Action.ALERT_CLOSE, "alert", str(alert.id), detail) for alert in alerts]
    await changed(work, redis, alerts, events)


async def undo(
    work: UnitOfWork, redis: Redis, alert_id: AlertId, user_id: UserId, *, lease: timedelta, by: Actor
) -> Alert:
    """Take one's own decision back: the label is withdrawn before it left, and the alert is this analyst's again."""
    alert, now = await for_change(work, alert_id), utc_now()
    verdict = (await verdicts.standing(work, [alert_id])).get(alert_id)
    check_can_undo(alert, verdict, user_id, now)
    assert verdict is not None  # checked
    if not await take_back(work, redis, [(alert, verdict)], user_id, lease=lease, by=by):
        raise NotAllowedNow("the label has left already")
    return alert


def check_can_undo(alert: Alert, verdict: Verdict | None, user_id: UUID, now: datetime) -> None:
    """Raises NotAllowedNow."""
    if verdict is None or verdict.undone_at or alert.closed_at != verdict.decided_at:
        raise NotAllowedNow("there is no decision to take back")
    if verdict.decided_by != user_id:
        raise NotAllowedNow("only the one who decided can take it back")
    if now >= verdict.undo_until:
        raise NotAllowedNow("the time to take this back is over")


async def reopen(
    work: UnitOfWork, redis: Redis, alert_id: AlertId, user_id: UserId, *, version: int, lease: timedelta, by: Actor
) -> Alert:
    """Take a closed alert to decide it anew. What was said of its payment stands until the new label outweighs it."""
    alert = await for_change(work, alert_id)
    same_version(alert, version)
    if alert.status != AlertStatus.CLOSED.value:
        raise NotAllowedNow("this alert is not closed")
    detail = {"label": alert.disposition} if alert.disposition else {}
    _open_for(alert, user_id, utc_now() + lease)
    await changed(work, redis, [alert], [Event(by, Action.ALERT_REOPEN, "alert", str(alert.id), detail)])
    return alert


def _open_for(alert: Alert, user_id: UUID, until: datetime) -> None:
    """As it was before it was closed, and this person's."""
    give(alert, user_id, until)
    alert.disposition, alert.disposition_reason, alert.closed_by, alert.closed_at = None, None, None, None


async def take_back(
    work: UnitOfWork,
    redis: Redis,
    closed: Sequence[tuple[Alert, Verdict]],
    user_id: UserId,
    *,
    lease: timedelta,
    by: Actor,
) -> list[Alert]:
    """Undo verdicts of locked alerts that were checked; those whose label has not begun to leave."""
    caught = await flow.unsend(work, [verdict.message_id for _, verdict in closed])
    back = [(alert, verdict) for alert, verdict in closed if verdict.message_id in caught]
    if not back:
        return []
    now = utc_now()
    await casework.withdraw_labels(work, [verdict.label_id for _, verdict in back], now)
    await verdicts.mark_undone(work, [verdict.id for _, verdict in back], now)
    events = []
    for alert, verdict in back:
        if verdict.list_entry_id:
            await _end_entry(work, redis, verdict.list_entry_id, by)
        _open_for(alert, user_id, now + lease)
        events.append(Event(by, Action.ALERT_UNDO, "alert", str(alert.id), {"label": verdict.label}))
    withdrawn = [
        Event(by, Action.LABEL_WITHDRAW, "transaction", str(alert.transaction_uid), {"label": verdict.label})
        for alert, verdict in back
    ]
    await record(work, *withdrawn)
    alerts = [alert for alert, _ in back]
    await changed(work, redis, alerts, events)
    return alerts


async def _end_entry(work: UnitOfWork, redis: Redis, entry_id: UUID, by: Actor) -> None:
    """One that a colleague ended or prolonged meanwhile is left alone."""
    try:
        await lists.end_entry(work, redis, entry_id, by=by)
    except (NotAllowedNow, Forbidden):
        return
