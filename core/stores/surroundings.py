"""SQL of what surrounds a payment: its customer's other payments, and alerts on payments that share something with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import col, select

from core.infra.postgres import UnitOfWork
from core.tables.casework import SEARCHED, Alert
from core.tables.flow import Transaction

MOST_EARLIER: Final = 500
"""Earlier payments of a customer that say what is usual: more would not say it better."""
MOST_BEFORE: Final = 250
MOST_AFTER: Final = 50
"""Payments a timeline shows on either side of the one in question."""


@dataclass(frozen=True)
class EarlierPayment:
    """What is compared of a customer's payment."""

    occurred_at: datetime
    amount_minor: int
    currency: str
    merchant_id: str | None
    merchant_category: str | None
    merchant_country: str | None
    channel: str | None
    device_id: str | None
    card_id: str | None
    ip: str | None
    latitude: float | None
    longitude: float | None


_EARLIER: Final = text(
    "SELECT o.occurred_at, o.amount_minor, o.currency, o.merchant_id, o.merchant_category, o.merchant_country, o.channel, "
    "o.device_id, o.card_id, o.ip, o.latitude, o.longitude FROM transaction o "
    "WHERE o.customer_id = :customer AND o.occurred_at <= :until "
    "AND (o.xid, o.uid) < (SELECT t.xid, t.uid FROM transaction t WHERE t.uid = :uid) "
    "ORDER BY o.occurred_at DESC, o.xid DESC, o.uid DESC LIMIT :most"
)


async def earlier_payments(work: UnitOfWork, row: Transaction, most: int = MOST_EARLIER) -> list[EarlierPayment]:
    """The customer's payments that came before `row`, both in event time and by acceptance, newest first."""
    values = {"customer": row.customer_id, "until": row.occurred_at, "uid": row.uid, "most": most}
    return [EarlierPayment(*found) for found in (await work.run(_EARLIER, values)).all()]


@dataclass(frozen=True)
class TimedPayment:
    """A payment on its customer's timeline, with what was decided and the alert it raised."""

    uid: UUID
    occurred_at: datetime
    amount_minor: int
    currency: str
    merchant_id: str | None
    imported: bool
    score: float | None
    outcome: str | None
    """None while it is not decided, and for imported history."""
    alert_id: UUID | None
    alert_status: str | None


_TIMED: Final = (
    "SELECT o.uid, o.occurred_at, o.amount_minor, o.currency, o.merchant_id, o.imported, d.score, d.outcome, a.id, a.status "
    "FROM (SELECT * FROM transaction WHERE customer_id = :customer AND occurred_at {side} :moment AND uid <> :uid "
    "AND occurred_at >= :since AND occurred_at <= :until ORDER BY occurred_at {order}, uid {order} LIMIT :most) o "
    "LEFT JOIN LATERAL (SELECT score, outcome FROM decision WHERE transaction_uid = o.uid ORDER BY version DESC LIMIT 1) d ON true "
    "LEFT JOIN alert a ON a.transaction_uid = o.uid ORDER BY o.occurred_at {order}, o.uid {order}"
)


async def payments_around(work: UnitOfWork, row: Transaction, since: datetime, until: datetime) -> list[TimedPayment]:
    """The customer's payments between the two, oldest first, `row` not among them: the nearest before it and after it."""
    values = {"customer": row.customer_id, "moment": row.occurred_at, "uid": row.uid, "since": since, "until": until}
    before = text(_TIMED.format(side="<=", order="DESC"))
    after = text(_TIMED.format(side=">", order="ASC"))
    earlier = (await work.run(before, values | {"most": MOST_BEFORE})).all()
    later = (await work.run(after, values | {"most": MOST_AFTER})).all()
    return [TimedPayment(*found) for found in [*reversed(earlier), *later]]


LINKS: Final = {
    "card": "card_id",
    "device": "device_id",
    "email": "email_hash",
    "ip": "ip",
    "customer": "customer_id",
    "merchant": "merchant_id",
}
"""What two payments can share, and the column that says so: the most telling first."""


@dataclass(frozen=True)
class LinkedAlert:
    """Another alert, and all that its payment shares with ours, the most telling first."""

    alert: Alert
    shared: Sequence[str]


async def linked_alerts(
    work: UnitOfWork, row: Transaction, *, payments: int = 300, each: int = 12
) -> list[LinkedAlert]:
    """Alerts on other payments that share something with `row`, at most `each` for each thing shared, newest first.

    payments: an alert does not hold its payment's address, so only the latest payments from it are looked at.
    """
    found: dict[UUID, Alert] = {}
    for column in LINKS.values():
        ident = getattr(row, column)
        if ident is None:
            continue
        query = select(Alert).where(Alert.transaction_uid != row.uid)
        if column in SEARCHED:
            query = query.where(getattr(Alert, column) == ident)
        else:
            latest = col(Transaction.occurred_at).desc()
            theirs = (
                select(Transaction.uid).where(getattr(Transaction, column) == ident).order_by(latest).limit(payments)
            )
            query = query.where(col(Alert.transaction_uid).in_(theirs))
        newest = (await work.session.exec(query.order_by(col(Alert.id).desc()).limit(each))).all()
        found |= {alert.id: alert for alert in newest}
    shareable = await _shareable(work, [alert.transaction_uid for alert in found.values()])
    linked = [LinkedAlert(alert, _shared(row, shareable[alert.transaction_uid])) for alert in found.values()]
    return sorted(linked, key=lambda link: link.alert.opened_at, reverse=True)


async def _shareable(work: UnitOfWork, uids: Sequence[UUID]) -> dict[UUID, Row[*tuple[object, ...]]]:
    """What payments can share, by payment."""
    if not uids:
        return {}
    columns = ", ".join(LINKS.values())
    query = text(f"SELECT uid, {columns} FROM transaction WHERE uid = ANY(:uids) LIMIT :most")  # noqa: S608 - columns of ours
    return {found[0]: found for found in (await work.run(query, {"uids": list(uids), "most": len(uids)})).all()}


def _shared(row: Transaction, other: Row[*tuple[object, ...]]) -> list[str]:
    return [
        kind
        for kind, column in LINKS.items()
        if getattr(row, column) not in (None,) and getattr(row, column) == getattr(other, column)
    ]
