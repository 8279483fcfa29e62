"""Payments in lists, a customer's usual spending, and labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from console.views.words import (
    LABEL_SOURCES,
    LABELS,
    OUTCOMES,
    EntityLink,
    Moment,
    Score,
    compact,
    entity,
    moment,
    money,
    score,
)
from core.base.money import to_major
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
        outcome=OUTCOMES[Outcome(decision.outcome)] if decision else ("History" if row.imported else "Waiting"),
        outcome_kind=decision.outcome if decision else "none",
        label=LABELS[Label(label)] if label else "",
        label_kind=label,
        current=current,
    )


@dataclass(frozen=True)
class Spending:
    """This payment beside the customer's others."""

    sentence: str


def spending(row: Transaction, others: Sequence[Transaction]) -> Spending | None:
    """Only payments in the same currency compare; None when there are fewer than three."""
    amounts = sorted(other.amount_minor for other in others if other.currency == row.currency and other.uid != row.uid)
    if len(amounts) < 3:
        return None
    usual = amounts[len(amounts) // 2]
    ratio = float(to_major(row.amount_minor, row.currency) / to_major(usual, row.currency)) if usual else 0.0
    times = f", {compact(float(f'{ratio:.2g}'))} times that" if ratio >= 1.5 else ""
    middle, own = money(usual, row.currency), money(row.amount_minor, row.currency)
    return Spending(
        f"Usually around {middle} (the middle of the {len(amounts)} payments before); this one is {own}{times}."
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
