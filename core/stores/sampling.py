"""SQL of a sample of entities: which ones, and everything that names them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Text, Uuid, any_, func, literal, literal_column, or_, text
from sqlmodel import col, select

from core.base.terms import EntityKind, FeaturesStatus
from core.infra.postgres import UnitOfWork
from core.stores.casework import ArrivedLabel
from core.stores.commit_order import Place
from core.stores.flow import ENTITY_COLUMNS
from core.tables.casework import TransactionLabel
from core.tables.flow import Decision, Transaction


async def accepted_span(work: UnitOfWork) -> tuple[datetime, datetime] | None:
    """When the first and the newest transaction was accepted."""
    query = select(func.min(Transaction.accepted_at), func.max(Transaction.accepted_at))
    oldest, newest = (await work.session.exec(query)).one()
    return (oldest, newest) if oldest else None


async def first_accepted(work: UnitOfWork, since: datetime) -> Transaction | None:
    """The first one accepted at that moment or later."""
    query = (
        select(Transaction)
        .where(col(Transaction.accepted_at) >= since)
        .order_by(col(Transaction.accepted_at), col(Transaction.uid))
        .limit(1)
    )
    return (await work.session.exec(query)).one_or_none()


async def names_at_most(work: UnitOfWork, kind: EntityKind, entity_id: str, most: int) -> bool:
    """Whether no more than so many transactions name it."""
    column = col(getattr(Transaction, ENTITY_COLUMNS[kind]))
    some = select(column).where(column == entity_id).limit(most + 1).subquery()
    return (await work.session.exec(select(func.count()).select_from(some))).one() <= most


async def naming(
    work: UnitOfWork, entities: Mapping[EntityKind, Collection[str]], *, limit: int
) -> list[tuple[Place, Transaction]]:
    """All transactions that name one of them, in the order of acceptance."""
    named = [
        col(getattr(Transaction, ENTITY_COLUMNS[kind])) == any_(literal(list(ids), ARRAY(Text)))
        for kind, ids in entities.items()
        if ids
    ]
    if not named:
        return []
    query: Any = (
        select(literal_column("CAST(transaction.xid AS text)"), Transaction)
        .where(or_(*named))
        .order_by(text("transaction.xid, transaction.uid"))
        .limit(limit)
    )
    return [(Place(int(xid), row.uid), row) for xid, row in (await work.session.exec(query)).all()]


async def labels_of(work: UnitOfWork, transactions: Sequence[Transaction], *, limit: int) -> list[ArrivedLabel]:
    """Everything said about these transactions, in the order it was received."""
    row_of = {row.uid: row for row in transactions}
    query = (
        select(TransactionLabel)
        .where(
            col(TransactionLabel.transaction_uid) == any_(literal(list(row_of), ARRAY(Uuid))),
            col(TransactionLabel.withdrawn_at).is_(None),
        )
        .order_by(col(TransactionLabel.received_at), col(TransactionLabel.id))
        .limit(limit)
    )
    labels = (await work.session.exec(query)).all()
    return [ArrivedLabel(label, row_of[label.transaction_uid]) for label in labels]


async def decided_with_features(work: UnitOfWork, uids: Sequence[UUID]) -> set[UUID]:
    """Those that have a decision, of whatever version, for which the feature store answered."""
    query = (
        select(Decision.transaction_uid)
        .where(
            col(Decision.transaction_uid) == any_(literal(list(uids), ARRAY(Uuid))),
            Decision.features_status == FeaturesStatus.COMPLETE.value,
        )
        .limit(2 * len(uids))
    )
    return set((await work.session.exec(query)).all())
