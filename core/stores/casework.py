"""SQL of alerts, notes and labels."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, text
from sqlmodel import col, select

from core.base.terms import AlertStatus, LabelSource
from core.infra.postgres import UnitOfWork, Work
from core.stores.recordset import insert_rows
from core.tables.casework import Alert, Note, TransactionLabel
from core.tables.flow import Transaction

_STANDS: Final = col(TransactionLabel.withdrawn_at).is_(None)
"""The label was not withdrawn."""
_COUNTS: Final = _STANDS & (col(TransactionLabel.received_at) <= func.now())
"""And can no longer be: what is built from labels uses these."""


async def insert_alerts(work: Work, rows: Sequence[Mapping[str, Any]]) -> set[UUID]:
    """Ids of the alerts that were new; one transaction opens at most one."""
    return set(await insert_rows(work, Alert, rows, tail="ON CONFLICT (transaction_uid) DO NOTHING RETURNING id"))


async def alert(work: UnitOfWork, alert_id: UUID) -> Alert | None:
    return await work.session.get(Alert, alert_id)


async def alert_for_update(work: UnitOfWork, alert_id: UUID) -> Alert | None:
    """Locked until the unit of work ends, so that two acts on one alert happen one after the other."""
    query = select(Alert).where(Alert.id == alert_id).with_for_update()
    return (await work.session.exec(query)).one_or_none()


async def alerts_for_update(work: UnitOfWork, ids: Sequence[UUID]) -> Sequence[Alert]:
    """Locked in the order of their ids, so that two such acts never wait for each other."""
    query = select(Alert).where(col(Alert.id).in_(ids)).order_by(col(Alert.id)).limit(len(ids)).with_for_update()
    return (await work.session.exec(query)).all()


async def alert_of(work: UnitOfWork, transaction_uid: UUID) -> Alert | None:
    return (await work.session.exec(select(Alert).where(Alert.transaction_uid == transaction_uid))).one_or_none()


async def alert_of_for_update(work: UnitOfWork, transaction_uid: UUID) -> Alert | None:
    """Locked until the unit of work ends."""
    query = select(Alert).where(Alert.transaction_uid == transaction_uid).with_for_update()
    return (await work.session.exec(query)).one_or_none()


async def alerts_by_id(work: UnitOfWork, ids: Sequence[UUID]) -> Sequence[Alert]:
    return (await work.session.exec(select(Alert).where(col(Alert.id).in_(ids)).limit(len(ids)))).all()


async def add_notes(work: UnitOfWork, notes: Sequence[Note]) -> None:
    work.session.add_all(notes)
    await work.session.flush()


async def notes(work: UnitOfWork, alert_id: UUID, limit: int = 200) -> Sequence[Note]:
    """Oldest first."""
    query = select(Note).where(Note.alert_id == alert_id).order_by(col(Note.written_at)).limit(limit)
    return (await work.session.exec(query)).all()


async def insert_labels(work: UnitOfWork, rows: Sequence[Mapping[str, Any]]) -> set[UUID]:
    """Ids of the labels that were new; a statement already known is left alone."""
    tail = "ON CONFLICT (transaction_uid, label_source, label, reported_at) DO NOTHING RETURNING id"
    return set(await insert_rows(work, TransactionLabel, rows, tail=tail))


async def withdraw_labels(work: UnitOfWork, ids: Sequence[UUID], now: datetime) -> None:
    """Nobody counts them from now on."""
    await work.fetch("UPDATE label SET withdrawn_at = $2 WHERE id = ANY(CAST($1 AS uuid[]))", ids, now)


async def labels_of(work: UnitOfWork, transaction_uid: UUID, limit: int = 50) -> Sequence[TransactionLabel]:
    """By the time they were reported."""
    query = (
        select(TransactionLabel)
        .where(TransactionLabel.transaction_uid == transaction_uid, _STANDS)
        .order_by(col(TransactionLabel.reported_at), col(TransactionLabel.received_at))
        .limit(limit)
    )
    return (await work.session.exec(query)).all()


@dataclass(frozen=True)
class ArrivedLabel:
    """A label with the entities whose history it changes."""

    label: TransactionLabel
    transaction: Transaction


async def walk_labels(
    work: UnitOfWork, *, with_history: bool, batch: int = 5000
) -> AsyncIterator[Sequence[ArrivedLabel]]:
    """Labels in batches. with_history: those imported together with their payments, in the order they were reported; else the
    others, in the order they were received.
    """
    imported = (col(TransactionLabel.label_source) == LabelSource.IMPORT.value) & col(Transaction.imported)
    moment = col(TransactionLabel.reported_at if with_history else TransactionLabel.received_at)
    last: tuple[datetime, UUID] | None = None
    while True:
        query = (
            select(TransactionLabel, Transaction)
            .join(Transaction, col(Transaction.uid) == col(TransactionLabel.transaction_uid))
            .where(imported if with_history else ~imported, _COUNTS)
            .order_by(moment, col(TransactionLabel.id))
            .limit(batch)
        )
        if last is not None:
            query = query.where(func.row(moment, col(TransactionLabel.id)) > func.row(*last))
        rows = (await work.session.exec(query)).all()
        if not rows:
            return
        yield [ArrivedLabel(label, transaction) for label, transaction in rows]
        newest = rows[-1][0]
        last = (newest.reported_at if with_history else newest.received_at, newest.id)
        work.session.expunge_all()


async def walk_alert_chances(
    work: UnitOfWork, until: datetime | None, *, batch: int = 5000
) -> AsyncIterator[Sequence[tuple[UUID, float | None]]]:
    """(transaction uid, chance with which it was drawn for the control sample; None = an alert on its own merit) of alerts opened by
    `until`, in batches.
    """
    last = UUID(int=0)
    while True:
        query = (
            select(Alert.transaction_uid, Alert.control_probability)
            .where(col(Alert.transaction_uid) > last)
            .order_by(col(Alert.transaction_uid))
            .limit(batch)
        )
        if until is not None:
            query = query.where(col(Alert.opened_at) <= until)
        rows = (await work.session.exec(query)).all()
        if not rows:
            return
        yield [(row[0], row[1]) for row in rows]
        last = rows[-1][0]


async def labels_since(
    work: UnitOfWork, since: datetime, *, until: datetime | None = None, limit: int
) -> Sequence[ArrivedLabel]:
    """Labels received since then, and not after `until`, in that order."""
    query = (
        select(TransactionLabel, Transaction)
        .join(Transaction, col(Transaction.uid) == col(TransactionLabel.transaction_uid))
        .where(col(TransactionLabel.received_at) >= since, _COUNTS)
        .order_by(col(TransactionLabel.received_at), col(TransactionLabel.id))
        .limit(limit)
    )
    if until is not None:
        query = query.where(col(TransactionLabel.received_at) <= until)
    return [ArrivedLabel(label, transaction) for label, transaction in (await work.session.exec(query)).all()]


async def labels_since_last_training(work: UnitOfWork) -> int:
    """Analysts', customers' and chargeback labels received since the newest training run was asked for."""
    query = text(
        "SELECT count(*) FROM label WHERE label_source <> 'import' AND withdrawn_at IS NULL AND received_at <= now() "
        "AND received_at > COALESCE((SELECT max(requested_at) FROM training_run), '-infinity')"
    )
    return int((await work.run(query)).scalar_one())


async def expired_claims(work: UnitOfWork, now: datetime, limit: int) -> Sequence[Alert]:
    """Claims whose lease has run out, locked."""
    query = (
        select(Alert)
        .where(Alert.status == AlertStatus.CLAIMED.value, col(Alert.claim_expires_at) < now)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return (await work.session.exec(query)).all()


async def alert_versions(work: UnitOfWork, ids: Sequence[UUID], *, newest: int) -> dict[UUID, int]:
    """Versions of these alerts and of the `newest` ones."""
    latest = select(Alert.id, Alert.version).order_by(col(Alert.opened_at).desc(), col(Alert.id).desc()).limit(newest)
    asked = select(Alert.id, Alert.version).where(col(Alert.id).in_(ids)).limit(len(ids))
    rows = [*(await work.session.exec(latest)).all(), *((await work.session.exec(asked)).all() if ids else ())]
    return {row[0]: row[1] for row in rows}


async def labels_by_transaction(work: UnitOfWork, uids: Sequence[UUID]) -> dict[UUID, TransactionLabel]:
    """The label that counts for each: the weightiest source's, and of those the latest reported."""
    told = select(TransactionLabel).where(col(TransactionLabel.transaction_uid).in_(uids), _STANDS)
    query = told.limit(len(uids) * 8)
    weight = {source.value: place for place, source in enumerate(LabelSource)}
    best: dict[UUID, TransactionLabel] = {}
    for label in (await work.session.exec(query)).all() if uids else ():
        other = best.get(label.transaction_uid)
        rank = (weight[label.label_source], label.reported_at)
        if other is None or rank > (weight[other.label_source], other.reported_at):
            best[label.transaction_uid] = label
    return best
