"""SQL of the queue's views that people keep."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select

from core.infra.postgres import UnitOfWork
from core.tables.casework import SavedView


async def view(work: UnitOfWork, view_id: UUID) -> SavedView | None:
    return await work.session.get(SavedView, view_id)


async def view_for_update(work: UnitOfWork, view_id: UUID) -> SavedView | None:
    """Locked until the unit of work ends."""
    query = select(SavedView).where(SavedView.id == view_id).with_for_update()
    return (await work.session.exec(query)).one_or_none()


async def view_named(work: UnitOfWork, owner_id: UUID, name: str) -> SavedView | None:
    query = select(SavedView).where(SavedView.owner_id == owner_id, SavedView.name == name)
    return (await work.session.exec(query)).one_or_none()


async def views_of(work: UnitOfWork, owner_id: UUID, limit: int) -> Sequence[SavedView]:
    """A person's own, by name."""
    query = select(SavedView).where(SavedView.owner_id == owner_id).order_by(col(SavedView.name)).limit(limit)
    return (await work.session.exec(query)).all()


async def shared_views(work: UnitOfWork, *, but_of: UUID, limit: int) -> Sequence[SavedView]:
    """What others show to the team, by name."""
    query = (
        select(SavedView)
        .where(col(SavedView.shared), SavedView.owner_id != but_of)
        .order_by(col(SavedView.name), col(SavedView.id))
        .limit(limit)
    )
    return (await work.session.exec(query)).all()


async def count_of(work: UnitOfWork, owner_id: UUID) -> int:
    query = select(func.count()).select_from(SavedView).where(SavedView.owner_id == owner_id)
    return (await work.session.exec(query)).one()


async def save(work: UnitOfWork, view: SavedView) -> None:
    work.session.add(view)
    await work.session.flush()


async def delete(work: UnitOfWork, view: SavedView) -> None:
    await work.session.delete(view)
    await work.session.flush()
