"""Payments in lists, and labels."""

from dataclasses import dataclass
from datetime import datetime

from console.i18n import gettext as _
from console.views.words import (
    LABEL_SOURCES,
    LABELS,
    OUTCOMES,
    EntityLink,
    Moment,
    Score,
    entity,
    moment,
    money,
    score,
)
from core.base.terms import EntityKind, Label, LabelSource, Outcome
from core.tables.casework import TransactionLabel
from core.tables.flow import Decision, Transaction


def entity_of(row: Transaction, kind: EntityKind) -> str | None:
    ids = {
        EntityKind.CUSTOMER: row.customer_id,
        EntityKind.CARD: row.card_id,
        EntityKind.MERCHANT: row.merchant_id,
        EntityKind.DEVICE: row.device_id,
        EntityKind.IP: row.ip,
    }
    return ids[kind]


@dataclass(frozen=True)
class PaymentRow:
    """A payment in a list of payments."""

    uid: str
    href: str
    id: str
    occurred: Moment
    amount: str
    customer: EntityLink | None
    card: EntityLink | None
    merchant: EntityLink | None
    score: Score | None
    outcome: str
    outcome_kind: str
    label: str
    label_kind: str
    current: bool


def payment_row(
    row: Transaction, decision: Decision | None, now: datetime, *, label: str = "", current: bool = False
) -> PaymentRow:
    return PaymentRow(
        uid=str(row.uid),
        href=f"/transactions/{row.uid}",
        id=row.transaction_id,
        occurred=moment(row.occurred_at, now),
        amount=money(row.amount_minor, row.currency),
        customer=entity(EntityKind.CUSTOMER, row.customer_id),
        card=entity(EntityKind.CARD, row.card_id),
        merchant=entity(EntityKind.MERCHANT, row.merchant_id),
        score=score(decision.score) if decision else None,
        outcome=OUTCOMES[Outcome(decision.outcome)] if decision else (_("History") if row.imported else _("Waiting")),
        outcome_kind=decision.outcome if decision else "none",
        label=LABELS[Label(label)] if label else "",
        label_kind=label,
        current=current,
    )


@dataclass(frozen=True)
class LabelRow:
    label: str
    kind: str
    source: str
    reported: Moment
    note: str


def label_row(row: TransactionLabel, now: datetime) -> LabelRow:
    return LabelRow(
        label=LABELS[Label(row.label)],
        kind=row.label,
        source=LABEL_SOURCES[LabelSource(row.label_source)],
        reported=moment(row.reported_at, now),
        note=row.note or "",
    )
