"""What is said about payments: statements of analysts and of feeds, onto the trail and to the feedback worker."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from core.acts.audit import Actor, Event, record
from core.acts.outbox import enqueue
from core.base.clock import rfc3339, to_ms, utc_now
from core.base.ids import SourceId, TransactionId, new_uuid
from core.base.terms import Action, Label, LabelSource
from core.contracts.messages import LabelledPayment, LabelsRecorded
from core.contracts.topology import LABELS
from core.infra.postgres import UnitOfWork
from core.stores import accepting, casework, flow
from core.tables.flow import Transaction

LABELS_PER_MESSAGE = 500


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
class Statement:
    """A label before it is a row."""

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
            statements.append(Statement(rows[found.uid], item.label, item.source, item.reported_at, item.note))
            places.append(place)
    fresh = await store_labels(work, statements, utc_now(), by)
    newly = [statement for statement, new in zip(statements, fresh, strict=True) if new]
    for start in range(0, len(newly), LABELS_PER_MESSAGE):
        await enqueue(work, LABELS, labels_message(newly[start : start + LABELS_PER_MESSAGE]))
    states = ["unknown_transaction"] * len(items)
    for place, new in zip(places, fresh, strict=True):
        states[place] = "recorded" if new else "replayed"
    return [LabelResult(item.transaction_id, state) for item, state in zip(items, states, strict=True)]


async def store_labels(
    work: UnitOfWork, statements: Sequence[Statement], received_at: datetime, by: Actor
) -> list[UUID | None]:
    """The id of each that was new, None for those known already. They go onto the trail; the caller tells the feedback worker."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    keys = [(s.transaction.uid, s.source, s.label, s.reported_at) for s in statements]
    for key, statement in zip(keys, statements, strict=True):
        rows.setdefault(key, _label_row(statement, received_at, by))
    new_ids = await casework.insert_labels(work, list(rows.values()))
    fresh: list[UUID | None] = []
    for key in keys:
        row = rows.pop(key, None)  # the second of two equal statements in one request is a replay
        fresh.append(row["id"] if row is not None and row["id"] in new_ids else None)
    newly = [statement for statement, new in zip(statements, fresh, strict=True) if new]
    await record(work, *(_label_event(statement, by) for statement in newly))
    return fresh


def _label_row(statement: Statement, received_at: datetime, by: Actor) -> dict[str, Any]:
    return {
        "id": new_uuid(),
        "transaction_uid": statement.transaction.uid,
        "label": statement.label.value,
        "label_source": statement.source.value,
        "reported_at": statement.reported_at,
        "received_at": received_at,
        "actor_type": by.type.value,
        "actor_id": by.id,
        "note": statement.note,
    }


def _label_event(statement: Statement, by: Actor) -> Event:
    detail = {
        "label": statement.label.value,
        "source": statement.source.value,
        "reported_at": rfc3339(statement.reported_at),
    }
    return Event(by, Action.LABEL_RECORD, "transaction", str(statement.transaction.uid), detail)


def labels_message(statements: Sequence[Statement]) -> LabelsRecorded:
    """For the feedback worker."""
    return LabelsRecorded(
        labels=[labelled_payment(told.transaction, told.label, told.source, told.reported_at) for told in statements]
    )


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
