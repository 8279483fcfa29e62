"""SQL of the lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
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


class State(StrEnum):
    """Which entries of a list are asked for."""

    LIVE = "live"
    SOON = "soon"
    ENDED = "ended"


@dataclass(frozen=True)
class ListFilter:
    """list: None = all. words: part of an entity's id or of a reason. soon: until when an entry runs out soon."""

    list: EntityList | None
    state: State
    words: str
    soon: datetime


@dataclass(frozen=True)
class ListPlace:
    """Keyset: strictly after this. moment: when it was added, or when it runs out for those that do so soon."""

    moment: datetime
    id: UUID


async def entries(
    work: UnitOfWork, wanted: ListFilter, now: datetime, *, after: ListPlace | None, limit: int
) -> Sequence[ListEntry]:
    """Newest first; those that run out soon in that order."""
    soon = wanted.state is State.SOON
    moment = col(ListEntry.expires_at) if soon else col(ListEntry.created_at)
    order = (moment, col(ListEntry.id)) if soon else (moment.desc(), col(ListEntry.id).desc())
    query = select(ListEntry).order_by(*order).limit(limit)
    if wanted.state is State.ENDED:
        query = query.where(or_(col(ListEntry.ended_at).is_not(None), col(ListEntry.expires_at) <= now))
    else:
        query = query.where(_live(now))
    if soon:
        query = query.where(col(ListEntry.expires_at) <= wanted.soon)
    if wanted.list:
        query = query.where(ListEntry.list == wanted.list.value)
    if wanted.words:
        named = (col(ListEntry.entity_id), col(ListEntry.reason))
        query = query.where(or_(*(name.icontains(wanted.words, autoescape=True) for name in named)))
    if after:
        here, there = func.row(moment, col(ListEntry.id)), func.row(after.moment, after.id)
        query = query.where(here > there if soon else here < there)
    return (await work.session.exec(query)).all()


async def counts(work: UnitOfWork, now: datetime) -> dict[EntityList, int]:
    """Of live entries, by list."""
    query = select(ListEntry.list, func.count()).where(_live(now)).group_by(ListEntry.list)
    found = {EntityList(name): number for name, number in (await work.session.exec(query)).all()}
    return {entity_list: found.get(entity_list, 0) for entity_list in EntityList}


async def entries_of(work: UnitOfWork, kind: EntityKind, entity_id: str, limit: int) -> Sequence[ListEntry]:
    """An entity's, newest first, ended ones as well."""
    query = (
        select(ListEntry)
        .where(ListEntry.kind == kind.value, ListEntry.entity_id == entity_id)
        .order_by(col(ListEntry.created_at).desc())
        .limit(limit)
    )
    return (await work.session.exec(query)).all()
