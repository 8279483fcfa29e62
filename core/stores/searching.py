"""SQL of the search over transactions. Each page of it looks at a bounded number of payments, whatever is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, false, func, or_, text, true
from sqlmodel import col, select

from core.base.terms import EntityKind, LabelSource
from core.infra.postgres import UnitOfWork
from core.stores.flow import ENTITY_COLUMNS, its_decision
from core.tables.flow import Decision, Transaction, TransactionKey

MOST: Final = 10_000
"""Payments that a page looks at when what is asked for is in no index: then it says how far back it came."""
UNLABELLED: Final = "none"
_RAREST: Final = (EntityKind.CUSTOMER, EntityKind.CARD, EntityKind.DEVICE, EntityKind.IP, EntityKind.MERCHANT)
_LABEL: Final = (
    "(SELECT l.label FROM label l WHERE l.transaction_uid = transaction.uid AND l.withdrawn_at IS NULL "
    "ORDER BY array_position(CAST(:sources AS text[]), l.label_source) DESC, l.reported_at DESC LIMIT 1)"
)
"""The label that counts: the weightiest source's, and of those the latest reported."""


@dataclass(frozen=True)
class Named:
    """What an id names: payments, and kinds of entities that have it."""

    id: str
    uids: Sequence[UUID] = ()
    kinds: Sequence[EntityKind] = ()


@dataclass(frozen=True)
class TransactionFilter:
    """Empty fields do not filter. label: a label, or UNLABELLED."""

    named: Named | None = None
    entities: dict[EntityKind, str] = field(default_factory=dict)
    outcome: str = ""
    label: str = ""
    currency: str = ""
    amount_from_minor: int | None = None
    amount_to_minor: int | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class TransactionPlace:
    """Keyset of the search: strictly older than this."""

    occurred_at: datetime
    uid: UUID


@dataclass(frozen=True)
class Found:
    """rows: newest first, each with its latest decision. edge: the last payment looked at, where there are older ones."""

    rows: Sequence[tuple[Transaction, Decision | None]]
    edge: TransactionPlace | None = None


async def named(work: UnitOfWork, ident: str, limit: int = 50) -> Named:
    """Whose id this is, whole: of payments by their source's id or ours, and of entities."""
    keys = select(TransactionKey.uid).where(TransactionKey.transaction_id == ident).limit(limit)
    uids = list((await work.session.exec(keys)).all())
    own = _as_uuid(ident)
    kinds = []
    for kind, column in ENTITY_COLUMNS.items():
        one = select(Transaction.uid).where(getattr(Transaction, column) == ident).limit(1)
        if (await work.session.exec(one)).one_or_none():
            kinds.append(kind)
    return Named(ident, [*uids, own] if own else uids, kinds)


def _as_uuid(ident: str) -> UUID | None:
    try:
        return UUID(ident) if len(ident) == 36 else None
    except ValueError:
        return None


async def search_transactions(
    work: UnitOfWork, wanted: TransactionFilter, *, after: TransactionPlace | None, limit: int, most: int = MOST
) -> Found:
    """What an index finds is walked newest first; what else is asked for is looked for among the first `most` of that."""
    place = func.row(col(Transaction.occurred_at), col(Transaction.uid))
    order = (col(Transaction.occurred_at).desc(), col(Transaction.uid).desc())
    decision = its_decision()
    indexed, others = _indexed(wanted), _others(wanted, decision)
    if after:
        indexed.append(place < func.row(after.occurred_at, after.uid))
    edge: TransactionPlace | None = None
    if others:
        last = (
            select(Transaction.occurred_at, Transaction.uid).where(*indexed).order_by(*order).offset(most - 1).limit(1)
        )
        found = (await work.session.exec(last)).one_or_none()
        edge = TransactionPlace(*found) if found else None
    if edge:
        indexed.append(place >= func.row(edge.occurred_at, edge.uid))
    query = (
        select(Transaction, decision)
        .join(decision, true(), isouter=True)
        .where(*indexed, *others)
        .order_by(*order)
        .limit(limit)
    )
    return Found([(row[0], row[1]) for row in (await work.session.exec(query)).all()], edge)


def _by_rarity(wanted: TransactionFilter) -> list[EntityKind]:
    return [kind for kind in _RAREST if kind in wanted.entities]


def _is(kind: EntityKind, ident: str) -> ColumnElement[bool]:
    return col(getattr(Transaction, ENTITY_COLUMNS[kind])) == ident


def _indexed(wanted: TransactionFilter) -> list[ColumnElement[bool]]:
    """The rarest entity, what the id names, and the time."""
    conditions = [_is(kind, wanted.entities[kind]) for kind in _by_rarity(wanted)[:1]]
    if wanted.named:
        either = [_is(kind, wanted.named.id) for kind in wanted.named.kinds]
        if wanted.named.uids:
            either.append(col(Transaction.uid).in_(wanted.named.uids))
        conditions.append(or_(*either) if either else false())
    if wanted.since:
        conditions.append(col(Transaction.occurred_at) >= wanted.since)
    if wanted.until:
        conditions.append(col(Transaction.occurred_at) < wanted.until)
    return conditions


def _others(wanted: TransactionFilter, decision: type[Decision]) -> list[ColumnElement[bool]]:
    conditions = [_is(kind, wanted.entities[kind]) for kind in _by_rarity(wanted)[1:]]
    if wanted.outcome:
        conditions.append(col(decision.outcome) == wanted.outcome)
    if wanted.currency:
        conditions.append(col(Transaction.currency) == wanted.currency)
    if wanted.amount_from_minor is not None:
        conditions.append(col(Transaction.amount_minor) >= wanted.amount_from_minor)
    if wanted.amount_to_minor is not None:
        conditions.append(col(Transaction.amount_minor) <= wanted.amount_to_minor)
    if wanted.label:
        asked = f"{_LABEL} IS NULL" if wanted.label == UNLABELLED else f"{_LABEL} = :label"
        values = {"sources": [source.value for source in LabelSource]}
        if wanted.label != UNLABELLED:
            values |= {"label": wanted.label}  # type: ignore[dict-item]
        conditions.append(text(asked).bindparams(**values))  # type: ignore[arg-type]
    return conditions
