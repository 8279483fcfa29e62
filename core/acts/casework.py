"""What analysts and chargeback feeds do: claim, note, label, close. Each = one unit of work + audit + outbox."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from core.acts.audit import Actor, Event, record
from core.acts.outbox import enqueue
from core.base.clock import rfc3339, to_ms, utc_now
from core.base.errors import InvalidInput, NotAllowedNow, NotFound, StaleVersion
from core.base.ids import AlertId, SourceId, TransactionId, UserId, new_uuid
from core.base.terms import Action, AlertStatus, Label, LabelSource
from core.contracts.messages import LabelledPayment, LabelsRecorded
from core.contracts.topology import BELL_ALERTS, LABELS
from core.infra.postgres import UnitOfWork
from core.infra.redis import Redis, ring
from core.stores import accepting, casework, flow
from core.tables.casework import Alert, Note
from core.tables.flow import Transaction

MAX_NOTE = 4000
LABELS_PER_MESSAGE = 500


async def _for_change(work: UnitOfWork, alert_id: UUID) -> Alert:
    alert = await casework.alert_for_update(work, alert_id)
    if alert is None:
        raise NotFound("there is no such alert")
    return alert


def _bell(work: UnitOfWork, redis: Redis, alert: Alert) -> None:
    work.after_commit.append(partial(ring, redis, BELL_ALERTS, [str(alert.id)]))


def _held_by_other(alert: Alert, user_id: UUID, now: datetime) -> bool:
    live = alert.claim_expires_at is not None and alert.claim_expires_at > now
    return alert.status == AlertStatus.CLAIMED.value and live and alert.claimed_by != user_id


async def _changed(work: UnitOfWork, redis: Redis, alert: Alert, event: Event) -> Alert:
    alert.version += 1
    work.session.add(alert)
    await work.session.flush()
    await record(work, event)
    _bell(work, redis, alert)
    return alert


async def claim(
    work: UnitOfWork, redis: Redis, alert_id: AlertId, user_id: UserId, *, lease: timedelta, by: Actor
) -> Alert:
    """Take an alert for `lease`; claiming one's own again extends it."""
    alert, now = await _for_change(work, alert_id), utc_now()
    if alert.status == AlertStatus.CLOSED.value:
        raise NotAllowedNow("this alert is closed")
    if _held_by_other(alert, user_id, now):
        raise NotAllowedNow("a colleague has claimed this alert")
    alert.status, alert.claimed_by, alert.claim_expires_at = AlertStatus.CLAIMED.value, user_id, now + lease
    return await _changed(work, redis, alert, Event(by, Action.ALERT_CLAIM, "alert", str(alert.id)))


async def release(work: UnitOfWork, redis: Redis, alert_id: AlertId, user_id: UserId, *, by: Actor) -> Alert:
    """Give one's own claim back."""
    alert = await _for_change(work, alert_id)
    if alert.status != AlertStatus.CLAIMED.value or alert.claimed_by != user_id:
        raise NotAllowedNow("you have not claimed this alert")
    alert.status, alert.claimed_by, alert.claim_expires_at = AlertStatus.OPEN.value, None, None
    return await _changed(work, redis, alert, Event(by, Action.ALERT_RELEASE, "alert", str(alert.id)))


async def release_expired(work: UnitOfWork, redis: Redis, *, by: Actor, limit: int = 200) -> int:
    """Re-open alerts whose claim ran out; how many."""
    expired = await casework.expired_claims(work, utc_now(), limit)
    for alert in expired:
        detail = {"claimed_by": str(alert.claimed_by)}
        alert.status, alert.claimed_by, alert.claim_expires_at = AlertStatus.OPEN.value, None, None
        await _changed(work, redis, alert, Event(by, Action.ALERT_RELEASE, "alert", str(alert.id), detail))
    return len(expired)


async def decide(
    work: UnitOfWork,
    redis: Redis,
    alert_id: AlertId,
    user_id: UserId,
    *,
    label: Label,
    note: str | None,
    version: int,
    by: Actor,
) -> Alert:
    """Label the payment and close its alert. `version` is the one the analyst saw: a stale act is refused."""
    alert, now = await _for_change(work, alert_id), utc_now()
    if alert.version != version:
        raise StaleVersion("this alert changed while you were looking at it", version=alert.version)
    if alert.status == AlertStatus.CLOSED.value:
        raise NotAllowedNow("this alert is closed already")
    if _held_by_other(alert, user_id, now):
        raise NotAllowedNow("a colleague has claimed this alert")
    if note and note.strip():
        await _store_note(work, alert, user_id, note, now)
    transaction = await flow.transaction(work, alert.transaction_uid)
    assert transaction is not None  # alerts reference it
    await _store_labels(work, [_Statement(transaction, label, LabelSource.ANALYST, now, note)], now, by)
    alert.status, alert.disposition = AlertStatus.CLOSED.value, label.value
    alert.closed_by, alert.closed_at = user_id, now
    alert.claimed_by, alert.claim_expires_at = None, None
    event = Event(by, Action.ALERT_CLOSE, "alert", str(alert.id), {"label": label.value})
    return await _changed(work, redis, alert, event)


async def add_note(
    work: UnitOfWork, redis: Redis, alert_id: AlertId, user_id: UserId, *, body: str, by: Actor
) -> Alert:
    alert = await _for_change(work, alert_id)
    await _store_note(work, alert, user_id, body, utc_now())
    await record(work, Event(by, Action.NOTE_ADD, "alert", str(alert.id)))
    _bell(work, redis, alert)
    return alert


async def _store_note(work: UnitOfWork, alert: Alert, user_id: UUID, body: str, now: datetime) -> None:
    words = body.strip()
    if not words or len(words) > MAX_NOTE or "\x00" in words:
        raise InvalidInput(f"a note has 1 to {MAX_NOTE} characters")
    note = Note(id=new_uuid(), alert_id=alert.id, author_id=user_id, body=words, written_at=now)
    await casework.add_note(work, note)


@dataclass(frozen=True)
class LabelInput:
    """A statement of a source about one of its transactions."""

    transaction_id: TransactionId
    label: Label
    source: LabelSource
    reported_at: datetime
    note: str | None = None


@dataclass(frozen=True)
class LabelResult:
    """`status`: recorded, replayed (known already) or unknown_transaction."""

    transaction_id: str
    status: str


@dataclass(frozen=True)
class _Statement:
    transaction: Transaction
    label: Label
    source: LabelSource
    reported_at: datetime
    note: str | None


async def record_labels(
    work: UnitOfWork, source_id: SourceId, items: Sequence[LabelInput], *, by: Actor
) -> list[LabelResult]:
    """Take a feed's labels, in order, one result each. The same statement twice is recorded once."""
    wanted = list({(source_id, item.transaction_id) for item in items})
    keys = await accepting.known(work, wanted)
    rows = {row.uid: row for row in await flow.transactions(work, [known.uid for known in keys.values()])}
    statements, places = [], []
    for place, item in enumerate(items):
        found = keys.get((source_id, item.transaction_id))
        if found:
            statements.append(_Statement(rows[found.uid], item.label, item.source, item.reported_at, item.note))
            places.append(place)
    fresh = await _store_labels(work, statements, utc_now(), by)
    states = ["unknown_transaction"] * len(items)
    for place, new in zip(places, fresh, strict=True):
        states[place] = "recorded" if new else "replayed"
    return [LabelResult(item.transaction_id, state) for item, state in zip(items, states, strict=True)]


async def _store_labels(work: UnitOfWork, statements: Sequence[_Statement], now: datetime, by: Actor) -> list[bool]:
    """Which statements were new; those go to the feedback worker and onto the trail."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    keys = [(s.transaction.uid, s.source, s.label, s.reported_at) for s in statements]
    for key, statement in zip(keys, statements, strict=True):
        rows.setdefault(key, _label_row(statement, now, by))
    new_ids = await casework.insert_labels(work, list(rows.values()))
    fresh = []
    for key in keys:
        row = rows.get(key)
        new = row is not None and row["id"] in new_ids
        if new:
            del rows[key]  # the second of two equal statements in one request is a replay
        fresh.append(new)
    newly = [statement for statement, new in zip(statements, fresh, strict=True) if new]
    for start in range(0, len(newly), LABELS_PER_MESSAGE):
        chunk = newly[start : start + LABELS_PER_MESSAGE]
        await enqueue(work, LABELS, LabelsRecorded(labels=[_labelled(statement) for statement in chunk]))
    await record(work, *(_label_event(statement, by) for statement in newly))
    return fresh


def _label_row(statement: _Statement, now: datetime, by: Actor) -> dict[str, Any]:
    return {
        "id": new_uuid(),
        "transaction_uid": statement.transaction.uid,
        "label": statement.label.value,
        "label_source": statement.source.value,
        "reported_at": statement.reported_at,
        "received_at": now,
        "actor_type": by.type.value,
        "actor_id": by.id,
        "note": statement.note,
    }


def _label_event(statement: _Statement, by: Actor) -> Event:
    detail = {
        "label": statement.label.value,
        "source": statement.source.value,
        "reported_at": rfc3339(statement.reported_at),
    }
    return Event(by, Action.LABEL_RECORD, "transaction", str(statement.transaction.uid), detail)


def _labelled(statement: _Statement) -> LabelledPayment:
    return labelled_payment(statement.transaction, statement.label, statement.source, statement.reported_at)


def labelled_payment(
    transaction: Transaction, label: Label, source: LabelSource, reported_at: datetime
) -> LabelledPayment:
    """A label as it travels, with the entities whose history it changes."""
    return LabelledPayment(
        transaction_uid=transaction.uid,
        label=label,
        label_source=source,
        occurred_at_ms=to_ms(transaction.occurred_at),
        reported_at_ms=to_ms(reported_at),
        merchant_id=transaction.merchant_id,
        customer_id=transaction.customer_id,
        card_id=transaction.card_id,
        device_id=transaction.device_id,
        ip=transaction.ip,
        amount_minor=transaction.amount_minor,
        currency=transaction.currency,
        merchant_category=transaction.merchant_category,
        merchant_country=transaction.merchant_country,
        latitude=transaction.latitude,
        longitude=transaction.longitude,
    )
