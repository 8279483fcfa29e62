"""The audit trail's SQL: append, page, walk. There is no update and no delete."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, text
from sqlmodel import col, select

from core.base.ids import first_uuid_at
from core.infra.postgres import UnitOfWork, Work
from core.stores.recordset import insert_rows
from core.tables.ledger import AuditEvent


class WrittenEvent(NamedTuple):
    """The columns the application may set; the rest are the server's. The grant names the same ones. Written by the thousand a second,
    so it is no table object: those take ten times as long to make as all the rest of an event.
    """

    event_id: UUID
    actor_type: str
    actor_id: str
    action: str
    subject_type: str
    subject_id: str
    result: str
    detail: str
    written_at: datetime
    leaf: bytes


async def append(work: Work, rows: Sequence[WrittenEvent]) -> None:
    await insert_rows(work, AuditEvent, [row._asdict() for row in rows])


@dataclass(frozen=True)
class AuditFilter:
    """Empty fields do not filter. Times are of entry. also: (subject type, subject id) beside the one that is named."""

    action: str = ""
    actor_type: str = ""
    actor_id: str = ""
    subject_type: str = ""
    subject_id: str = ""
    result: str = ""
    since: datetime | None = None
    until: datetime | None = None
    also: tuple[str, str] | None = None


_NAMES = ("action", "actor_type", "actor_id", "result")


async def page(work: UnitOfWork, chosen: AuditFilter, *, before_id: int | None, limit: int) -> Sequence[AuditEvent]:
    """Newest first, from below `before_id`."""
    query = select(AuditEvent).order_by(col(AuditEvent.id).desc()).limit(limit)
    low, high = await _ids_between(work, chosen.since, chosen.until)
    if low is not None:
        query = query.where(col(AuditEvent.id) >= low, col(AuditEvent.at) >= chosen.since)
    if high is not None:
        query = query.where(col(AuditEvent.id) <= high, col(AuditEvent.at) < chosen.until)
    if before_id is not None:
        query = query.where(col(AuditEvent.id) < before_id)
    for name in _NAMES:
        if getattr(chosen, name):
            query = query.where(getattr(AuditEvent, name) == getattr(chosen, name))
    return (await work.session.exec(query.where(*_subject(chosen)))).all()


def _subject(chosen: AuditFilter) -> list[ColumnElement[bool]]:
    named = [
        getattr(AuditEvent, name) == getattr(chosen, name)
        for name in ("subject_type", "subject_id")
        if getattr(chosen, name)
    ]
    if not (named and chosen.also):
        return named
    kind, ident = chosen.also
    return [or_(and_(*named), and_(col(AuditEvent.subject_type) == kind, col(AuditEvent.subject_id) == ident))]


_SLACK = timedelta(minutes=2)
_NEAR = 10_000
"""Numbers of events that were written side by side lie no further apart."""


async def _ids_between(
    work: UnitOfWork, since: datetime | None, until: datetime | None
) -> tuple[int | None, int | None]:
    """Numbers that the events entered in [since, until) lie between, found by the time in their ids: `at` itself has no index.

    Generous: a writer's clock may differ from the database's, and ids are not numbered in the order they were made.
    """
    low = high = None
    if since is not None:
        first = first_uuid_at(since - _SLACK)
        query = (
            select(AuditEvent.id).where(col(AuditEvent.event_id) >= first).order_by(col(AuditEvent.event_id)).limit(1)
        )
        found = (await work.session.exec(query)).first()
        low = NO_END if found is None else found - _NEAR
    if until is not None:
        beyond = first_uuid_at(until + _SLACK)
        query = select(AuditEvent.id).where(col(AuditEvent.event_id) < beyond)
        found = (await work.session.exec(query.order_by(col(AuditEvent.event_id).desc()).limit(1))).first()
        high = 0 if found is None else found + _NEAR
    return low, high


class SealableEvent(NamedTuple):
    """A row of the trail as it is sealed and exported: read by the million, so it is no table object. `trail` reads it faster still."""

    id: int
    xid: int
    at: datetime
    event_id: UUID
    actor_type: str
    actor_id: str
    action: str
    subject_type: str
    subject_id: str
    result: str
    detail: str
    written_at: datetime
    leaf: bytes


_IN_COMMIT_ORDER = (
    f"SELECT {', '.join(SealableEvent._fields)} FROM audit_event WHERE (xid, id) > "  # noqa: S608 - names of our own
    "(CAST(CAST(:xid AS text) AS xid8), :id) AND xid < CAST(CAST(:until AS text) AS xid8) ORDER BY xid, id LIMIT :batch"
)
_OF_A_SEAL = (
    f"SELECT {', '.join(SealableEvent._fields)} FROM audit_event WHERE xid >= CAST(CAST(:since AS text) AS xid8) "  # noqa: S608
    "AND xid < CAST(CAST(:until AS text) AS xid8) ORDER BY xid, id"
)
NO_END = 2**63 - 1
"""A transaction id that none will reach."""


async def in_commit_order(
    work: UnitOfWork, *, since: int = 0, until: int = NO_END, batch: int = 5000
) -> AsyncIterator[SealableEvent]:
    """Events whose transaction id lies in [since, until), by (xid, id)."""
    xid, last = since, -1
    while True:
        found = await work.run(
            text(_IN_COMMIT_ORDER), {"xid": str(xid), "id": last, "until": str(until), "batch": batch}
        )
        rows = list(map(SealableEvent._make, found.all()))
        for row in rows:
            yield row
        if len(rows) < batch:
            return
        xid, last = rows[-1].xid, rows[-1].id


async def of_a_seal(work: UnitOfWork, xid_lo: int, xid_hi: int) -> list[SealableEvent]:
    found = await work.run(text(_OF_A_SEAL), {"since": str(xid_lo), "until": str(xid_hi)})
    return list(map(SealableEvent._make, found.all()))


async def event(work: UnitOfWork, event_id: UUID) -> AuditEvent | None:
    return (await work.session.exec(select(AuditEvent).where(col(AuditEvent.event_id) == event_id))).first()


async def count(work: UnitOfWork) -> int:
    return (await work.session.exec(select(func.count()).select_from(AuditEvent))).one()
