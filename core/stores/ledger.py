"""The audit trail's SQL: append, page, walk. There is no update and no delete."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from sqlalchemy import func
from sqlmodel import col, select

from core.infra.postgres import UnitOfWork
from core.stores.recordset import insert_rows
from core.tables.ledger import AuditEvent

WRITTEN_COLUMNS = (
    "event_id",
    "actor_type",
    "actor_id",
    "action",
    "subject_type",
    "subject_id",
    "result",
    "detail",
    "written_at",
    "leaf",
)
"""The columns the application may set; the rest are the server's. The grant names the same ones."""


async def append(work: UnitOfWork, rows: Sequence[AuditEvent]) -> None:
    values = [{name: getattr(row, name) for name in WRITTEN_COLUMNS} for row in rows]
    await insert_rows(work, AuditEvent, values)


@dataclass(frozen=True)
class AuditFilter:
    """Empty fields do not filter."""

    action: str = ""
    actor_type: str = ""
    actor_id: str = ""
    subject_type: str = ""
    subject_id: str = ""


async def page(work: UnitOfWork, chosen: AuditFilter, *, before_id: int | None, limit: int) -> Sequence[AuditEvent]:
    """Newest first, from below `before_id`."""
    query = select(AuditEvent).order_by(col(AuditEvent.id).desc()).limit(limit)
    if before_id is not None:
        query = query.where(col(AuditEvent.id) < before_id)
    for name, value in vars(chosen).items():
        if value:
            query = query.where(getattr(AuditEvent, name) == value)
    return (await work.session.exec(query)).all()


async def walk(work: UnitOfWork, *, batch: int = 2000) -> AsyncIterator[Sequence[AuditEvent]]:
    """The whole trail by id, in batches."""
    last = 0
    while True:
        query = select(AuditEvent).where(col(AuditEvent.id) > last).order_by(col(AuditEvent.id)).limit(batch)
        rows = (await work.session.exec(query)).all()
        if not rows:
            return
        yield rows
        work.session.expunge_all()
        last = rows[-1].id or last


async def count(work: UnitOfWork) -> int:
    return (await work.session.exec(select(func.count()).select_from(AuditEvent))).one()
