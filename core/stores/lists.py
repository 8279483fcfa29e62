"""SQL of the lists."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, text
from sqlmodel import col, select

from core.base.terms import EntityKind, EntityList
from core.infra.postgres import UnitOfWork
from core.tables.policy import ListEntry


def _live(now: datetime) -> ColumnElement[bool]:
    return col(ListEntry.ended_at).is_(None) & or_(col(ListEntry.expires_at).is_(None), col(ListEntry.expires_at) > now)


async def lock(work: UnitOfWork) -> None:
    """One change at a time, until the end of this unit of work: so the order of `change` is the order of commits."""
    await work.run(text("SELECT pg_advisory_xact_lock(hashtext('ronda.lists'))"))


async def last_change(work: UnitOfWork) -> int:
    return (await work.session.exec(select(func.coalesce(func.max(ListEntry.change), 0)))).one()


async def entry(work: UnitOfWork, entry_id: UUID) -> ListEntry | None:
    return await work.session.get(ListEntry, entry_id, populate_existing=True)


async def unended(work: UnitOfWork, entity_list: EntityList, kind: EntityKind, entity_id: str) -> ListEntry | None:
    """The one that nobody has ended; it may have run out."""
    query = select(ListEntry).where(
        ListEntry.list == entity_list.value,
        ListEntry.kind == kind.value,
        ListEntry.entity_id == entity_id,
        col(ListEntry.ended_at).is_(None),
    )
    return (await work.session.exec(query)).one_or_none()


async def count_live(work: UnitOfWork, now: datetime) -> int:
    return (await work.session.exec(select(func.count()).select_from(ListEntry).where(_live(now)))).one()


async def live_entries(work: UnitOfWork, now: datetime, limit: int) -> Sequence[ListEntry]:
    return (await work.session.exec(select(ListEntry).where(_live(now)).limit(limit))).all()


async def changed_after(work: UnitOfWork, change: int, limit: int) -> Sequence[ListEntry]:
    """In the order of their changes, ended ones as well."""
    query = select(ListEntry).where(col(ListEntry.change) > change).order_by(col(ListEntry.change)).limit(limit)
    return (await work.session.exec(query)).all()


async def save(work: UnitOfWork, row: ListEntry) -> None:
    work.session.add(row)
    await work.session.flush()
