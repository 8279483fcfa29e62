"""SQL of finding things by an id that somebody typed or pasted."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlmodel import col, select

from core.base.terms import EntityKind
from core.infra.postgres import UnitOfWork
from core.tables.casework import Alert
from core.tables.flow import Transaction, TransactionKey

_COLUMNS = {
    EntityKind.CUSTOMER: col(Transaction.customer_id),
    EntityKind.CARD: col(Transaction.card_id),
    EntityKind.MERCHANT: col(Transaction.merchant_id),
    EntityKind.DEVICE: col(Transaction.device_id),
    EntityKind.IP: col(Transaction.ip),
}


@dataclass(frozen=True)
class AlertHit:
    alert_id: UUID
    customer_id: str


@dataclass(frozen=True)
class PaymentHit:
    uid: UUID
    transaction_id: str
    source_id: str


async def alert_with(work: UnitOfWork, ident: UUID) -> AlertHit | None:
    """By its own id."""
    row = (await work.session.exec(select(Alert.id, Alert.customer_id).where(Alert.id == ident))).one_or_none()
    return AlertHit(*row) if row else None


async def payment_with(work: UnitOfWork, uid: UUID) -> PaymentHit | None:
    query = select(Transaction.uid, Transaction.transaction_id, Transaction.source_id).where(Transaction.uid == uid)
    row = (await work.session.exec(query)).one_or_none()
    return PaymentHit(*row) if row else None


async def payments_named(work: UnitOfWork, transaction_id: str, limit: int = 5) -> Sequence[PaymentHit]:
    """By the id their source gave them: every source may have used it."""
    query = (
        select(TransactionKey.uid, TransactionKey.transaction_id, TransactionKey.source_id)
        .where(TransactionKey.transaction_id == transaction_id)
        .limit(limit)
    )
    return [PaymentHit(*row) for row in (await work.session.exec(query)).all()]


async def kinds_named(work: UnitOfWork, ident: str) -> list[EntityKind]:
    """Which entities with this very id any payment names."""
    found = []
    for kind, column in _COLUMNS.items():
        if (await work.session.exec(select(Transaction.uid).where(column == ident).limit(1))).first():
            found.append(kind)
    return found


async def customers_beginning(work: UnitOfWork, start: str, limit: int = 5) -> Sequence[str]:
    """Customers with alerts whose id begins so."""
    column = col(Alert.customer_id)
    query = select(column).where(column.startswith(start, autoescape=True)).distinct().order_by(column).limit(limit)
    return (await work.session.exec(query)).all()
