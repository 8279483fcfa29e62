"""SQL of verdicts: how alerts were closed, and what an undo takes back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, text
from sqlmodel import col, select

from core.infra.postgres import UnitOfWork
from core.stores.recordset import insert_rows
from core.tables.casework import Verdict


async def insert(work: UnitOfWork, rows: Sequence[Mapping[str, Any]]) -> None:
    await insert_rows(work, Verdict, rows)


async def standing(work: UnitOfWork, alert_ids: Sequence[UUID]) -> dict[UUID, Verdict]:
    """By alert, the verdict that was not undone."""
    query = select(Verdict).where(col(Verdict.alert_id).in_(alert_ids), col(Verdict.undone_at).is_(None))
    found = (await work.session.exec(query.order_by(col(Verdict.decided_at)).limit(len(alert_ids) * 4))).all()
    return {verdict.alert_id: verdict for verdict in found}


async def latest_of(work: UnitOfWork, user_id: UUID) -> Verdict | None:
    """This person's last one."""
    query = select(Verdict).where(Verdict.decided_by == user_id).order_by(col(Verdict.decided_at).desc()).limit(1)
    return (await work.session.exec(query)).one_or_none()


async def of_batch(work: UnitOfWork, batch_id: UUID, limit: int = 1000) -> Sequence[Verdict]:
    query = select(Verdict).where(Verdict.batch_id == batch_id).order_by(col(Verdict.alert_id)).limit(limit)
    return (await work.session.exec(query)).all()


async def count_of_batch(work: UnitOfWork, batch_id: UUID) -> int:
    """How many of them stand."""
    query = select(func.count()).where(Verdict.batch_id == batch_id, col(Verdict.undone_at).is_(None))
    return (await work.session.exec(query)).one()


async def mark_undone(work: UnitOfWork, ids: Sequence[UUID], now: datetime) -> None:
    statement = text("UPDATE verdict SET undone_at = :now WHERE id = ANY(CAST(:ids AS uuid[]))")
    await work.run(statement, {"now": now, "ids": list(ids)})
