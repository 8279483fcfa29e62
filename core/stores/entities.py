"""SQL of an entity's own page. Everything is about its latest payments: a merchant with a million costs what one with five hundred does."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func, text
from sqlmodel import col, select

from core.base.terms import AlertStatus, EntityKind
from core.infra.postgres import UnitOfWork
from core.stores.flow import ENTITY_COLUMNS
from core.tables.casework import Alert
from core.tables.flow import Transaction

MOST: Final = 500
"""Latest payments that are looked at."""
MOST_SHARED: Final = 200
"""Latest payments of a linked entity that say who else uses it."""


@dataclass(frozen=True)
class Seen:
    """What is counted of a payment. outcome: of its latest decision; None while it is not decided, and for imported history."""

    uid: UUID
    occurred_at: datetime
    amount_minor: int
    currency: str
    ids: dict[EntityKind, str | None]
    outcome: str | None


async def latest_payments(work: UnitOfWork, kind: EntityKind, entity_id: str, most: int = MOST) -> list[Seen]:
    """Newest first."""
    columns = ", ".join(f"o.{name}" for name in ENTITY_COLUMNS.values())
    query = text(
        f"SELECT o.uid, o.occurred_at, o.amount_minor, o.currency, d.outcome, {columns} FROM "  # noqa: S608 - columns of ours
        f"(SELECT * FROM transaction WHERE {ENTITY_COLUMNS[kind]} = :id ORDER BY occurred_at DESC, uid DESC LIMIT :most) o "
        "LEFT JOIN LATERAL (SELECT outcome FROM decision WHERE transaction_uid = o.uid ORDER BY version DESC LIMIT 1) d ON true "
        "ORDER BY o.occurred_at DESC, o.uid DESC"
    )
    found = (await work.run(query, {"id": entity_id, "most": most})).all()
    return [
        Seen(row[0], row[1], row[2], row[3], dict(zip(ENTITY_COLUMNS, row[5:], strict=True)), row[4]) for row in found
    ]


async def first_seen(work: UnitOfWork, kind: EntityKind, entity_id: str) -> datetime | None:
    named = getattr(Transaction, ENTITY_COLUMNS[kind]) == entity_id
    moment = col(Transaction.occurred_at)
    return (await work.session.exec(select(moment).where(named).order_by(moment).limit(1))).one_or_none()


async def alerts_of(work: UnitOfWork, kind: EntityKind, entity_id: str, limit: int) -> Sequence[Alert]:
    """Alerts on an entity's payments, newest first."""
    named = getattr(Alert, ENTITY_COLUMNS[kind]) == entity_id
    return (await work.session.exec(select(Alert).where(named).order_by(col(Alert.id).desc()).limit(limit))).all()


async def alert_counts_on(work: UnitOfWork, uids: Sequence[UUID]) -> dict[AlertStatus, int]:
    query = select(Alert.status, func.count()).where(col(Alert.transaction_uid).in_(uids)).group_by(Alert.status)
    return {AlertStatus(status): number for status, number in (await work.session.exec(query)).all()} if uids else {}


async def users_of(work: UnitOfWork, kind: EntityKind, ids: Sequence[str]) -> dict[str, int]:
    """How many different customers the latest payments of each of these entities name."""
    query = text(
        "SELECT i.id, s.customers FROM unnest(CAST(:ids AS text[])) AS i(id) CROSS JOIN LATERAL "  # noqa: S608 - a column of ours
        "(SELECT count(DISTINCT customer_id) AS customers FROM (SELECT customer_id FROM transaction "
        f"WHERE {ENTITY_COLUMNS[kind]} = i.id ORDER BY occurred_at DESC LIMIT :most) latest) s"
    )
    return (
        {row[0]: row[1] for row in (await work.run(query, {"ids": list(ids), "most": MOST_SHARED})).all()}
        if ids
        else {}
    )
