"""SQL of the order of acceptance, which is that of commits: all of it, and what came since a place in it.

ORDER BY names the table: a bare xid would be the selected text, of which 9 comes after 10.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Result, func, literal_column, text
from sqlmodel import col, select

from core.infra.postgres import UnitOfWork
from core.tables.flow import Transaction

NIL = UUID(int=0)


@dataclass(frozen=True, order=True)
class Place:
    """Strictly behind it comes what was accepted later; the start is (0, nil UUID)."""

    xid: int = 0
    uid: UUID = NIL

    def __str__(self) -> str:
        return f"{self.xid:x}-{self.uid.hex}"

    @classmethod
    def parse(cls, value: str) -> "Place":
        """Raises ValueError on anything that str() did not make."""
        xid, uid = value.split("-")
        return cls(int(xid, 16), UUID(hex=uid))


async def place_before(work: UnitOfWork, since: datetime) -> Place | None:
    """Behind it is everything that was accepted since then, and maybe some more; None = nothing was."""
    query = text(
        "WITH recent AS MATERIALIZED (SELECT xid FROM transaction WHERE accepted_at >= :since) "
        "SELECT CAST(recent.xid AS text) FROM recent ORDER BY recent.xid LIMIT 1"
    )
    xid = (await work.run(query, {"since": since})).scalar_one_or_none()
    return None if xid is None else Place(int(xid))


async def newest(work: UnitOfWork) -> Place:
    """Of all that is committed; what still runs may come to stand before it."""
    return _place(
        await work.run(
            text(
                "SELECT CAST(transaction.xid AS text), uid FROM transaction ORDER BY transaction.xid DESC, uid DESC LIMIT 1"
            )
        )
    )


async def newest_settled(work: UnitOfWork) -> Place:
    """Nothing that is committed later can come to stand at or before it."""
    query = text(
        "SELECT CAST(transaction.xid AS text), uid FROM transaction WHERE xid < pg_snapshot_xmin(pg_current_snapshot()) "
        "ORDER BY transaction.xid DESC, uid DESC LIMIT 1"
    )
    return _place(await work.run(query))


def _place(found: Result[Any]) -> Place:
    row: Any = found.one_or_none()
    return Place(int(row[0]), row[1]) if row else Place()


async def posted_behind(work: UnitOfWork, place: Place, *, upto: Place, limit: int) -> list[Place]:
    """Of transactions that were not loaded as history, in the order of acceptance, up to and with `upto`."""
    query = text(
        "SELECT CAST(transaction.xid AS text), uid FROM transaction "
        "WHERE (transaction.xid, uid) > (CAST(CAST(:after_xid AS text) AS xid8), CAST(:after_uid AS uuid)) "
        "AND (transaction.xid, uid) <= (CAST(CAST(:upto_xid AS text) AS xid8), CAST(:upto_uid AS uuid)) "
        "AND NOT imported ORDER BY transaction.xid, uid LIMIT :limit"
    )
    places = {"after_xid": str(place.xid), "after_uid": place.uid, "upto_xid": str(upto.xid), "upto_uid": upto.uid}
    return [Place(int(xid), uid) for xid, uid in await work.run(query, {**places, "limit": limit})]


async def accepted_behind(
    work: UnitOfWork, place: Place, *, settled: bool, limit: int
) -> list[tuple[Place, Transaction]]:
    """In the order of acceptance. settled: leave out what a transaction that is still running could come to stand before."""
    after = text("(transaction.xid, transaction.uid) > (CAST(CAST(:xid AS text) AS xid8), CAST(:uid AS uuid))")
    query: Any = (
        select(literal_column("CAST(transaction.xid AS text)"), Transaction)
        .where(after.bindparams(xid=str(place.xid), uid=place.uid))
        .order_by(text("transaction.xid, transaction.uid"))
        .limit(limit)
    )
    if settled:
        query = query.where(text("transaction.xid < pg_snapshot_xmin(pg_current_snapshot())"))
    return [(Place(int(xid), row.uid), row) for xid, row in (await work.session.exec(query)).all()]


async def walk(work: UnitOfWork, *, batch: int = 5000) -> AsyncIterator[Sequence[Transaction]]:
    """Every transaction, in batches."""
    place = Place()
    while behind := await accepted_behind(work, place, settled=False, limit=batch):
        yield [row for _, row in behind]
        place = behind[-1][0]
        work.session.expunge_all()


async def imported_since(work: UnitOfWork, since: datetime) -> bool:
    """Whether history was loaded: no guard tells which of its payments a feature store has taken."""
    query = (
        select(func.count())
        .where(col(Transaction.accepted_at) >= since, col(Transaction.imported))
        .select_from(Transaction)
    )
    return (await work.session.exec(query)).one() > 0


async def newest_before(work: UnitOfWork, moment: datetime, *, since: datetime, limit: int) -> Sequence[Transaction]:
    """Posted transactions accepted in [since, moment), newest first."""
    query = (
        select(Transaction)
        .where(
            col(Transaction.accepted_at) >= since,
            col(Transaction.accepted_at) < moment,
            col(Transaction.imported).is_(False),
        )
        .order_by(col(Transaction.accepted_at).desc())
        .limit(limit)
    )
    return (await work.session.exec(query)).all()
