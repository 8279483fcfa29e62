"""The SQL of seals and checkpoints: what is to be sealed next, what was sealed, and what proofs are made from."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import col, select

from core.infra.postgres import UnitOfWork
from core.tables.ledger import AuditCheckpoint, AuditSeal

_TURN: Final = 7_236_502
"""The advisory lock that only one sealer at a time holds."""

_HORIZON: Final = text("""
    WITH finished AS (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS hi)
    SELECT hi, (SELECT e.xid FROM audit_event e WHERE e.xid >= CAST(CAST(:lo AS text) AS xid8) AND e.xid < hi
                ORDER BY e.xid, e.id LIMIT 1) AS first,
               (SELECT e.xid FROM audit_event e WHERE e.xid >= CAST(CAST(:lo AS text) AS xid8) AND e.xid < hi
                ORDER BY e.xid, e.id OFFSET :most LIMIT 1) AS beyond
    FROM finished
""")


async def take_turn(work: UnitOfWork) -> bool:
    """Whether this transaction is the one sealer now; held to its end."""
    return bool((await work.run(text("SELECT pg_try_advisory_xact_lock(:turn)"), {"turn": _TURN})).scalar_one())


@dataclass(frozen=True)
class Horizon:
    """`finished`: every transaction below it has ended, so no event can join it any more. `hi`: where the next seal may end."""

    finished: int
    hi: int


async def horizon(work: UnitOfWork, lo: int, most: int) -> Horizon:
    """`hi` leaves about `most` events from `lo` on, unless one transaction alone wrote more: it is never cut."""
    row = (await work.run(_HORIZON, {"lo": str(lo), "most": most})).one()
    if row.beyond is None:
        return Horizon(row.hi, row.hi)
    return Horizon(row.hi, row.beyond if row.beyond > row.first else row.beyond + 1)


async def finished(work: UnitOfWork) -> int:
    """Every transaction below it has ended."""
    return int((await work.run(text("SELECT pg_snapshot_xmin(pg_current_snapshot())"))).scalar_one())


async def newest(work: UnitOfWork) -> AuditSeal | None:
    return (await work.session.exec(select(AuditSeal).order_by(col(AuditSeal.n).desc()).limit(1))).first()


_INSERT_SEAL: Final = text("""
    INSERT INTO audit_seal (n, xid_lo, xid_hi, count, root, prev, hash, subtree, at)
    VALUES (:n, CAST(CAST(:xid_lo AS text) AS xid8), CAST(CAST(:xid_hi AS text) AS xid8), :count, :root, :prev, :hash, :subtree, :at)
""")


async def append(work: UnitOfWork, seal: AuditSeal, checkpoint: AuditCheckpoint) -> None:
    await work.run(_INSERT_SEAL, seal.model_dump() | {"xid_lo": str(seal.xid_lo), "xid_hi": str(seal.xid_hi)})
    work.session.add(checkpoint)
    await work.session.flush()


async def walk(
    work: UnitOfWork, *, since: int = 1, until: int, batch: int = 1000
) -> AsyncIterator[tuple[AuditSeal, AuditCheckpoint | None]]:
    """Seals since..until in order, each with the checkpoint of its size."""
    while since <= until:
        query = (
            select(AuditSeal, AuditCheckpoint)
            .join(AuditCheckpoint, col(AuditCheckpoint.size) == col(AuditSeal.n), isouter=True)
            .where(col(AuditSeal.n) >= since, col(AuditSeal.n) <= until)
            .order_by(col(AuditSeal.n))
            .limit(batch)
        )
        rows = (await work.session.exec(query)).all()
        for seal, checkpoint in rows:
            yield seal, checkpoint
        if len(rows) < batch:
            return
        work.session.expunge_all()
        since = rows[-1][0].n + 1


async def reach(work: UnitOfWork, first: int, events: int, most: int = 5000) -> int | None:
    """The last seal from `first` on that together close over at most so many events, but at least one; None = there is no such seal."""
    query = text("""
        SELECT max(n) FROM (
            SELECT n, sum(count) OVER (ORDER BY n) AS so_far FROM (
                SELECT n, count FROM audit_seal WHERE n >= :first ORDER BY n LIMIT :most) AS some_seals) AS summed
        WHERE so_far <= :events OR n = :first
    """)
    found = (await work.run(query, {"first": first, "events": events, "most": most})).scalar_one()
    return None if found is None else int(found)


async def first_since(work: UnitOfWork, since: datetime) -> int | None:
    """The first seal that was made from then on. By its number: seals are made in that order."""
    newest_one = await newest(work)
    low, high = 1, (newest_one.n if newest_one else 0) + 1
    while low < high:
        middle = (low + high) // 2
        found = await seal(work, middle)
        if found is None or found.at < since:
            low = middle + 1
        else:
            high = middle
    return low if newest_one and low <= newest_one.n else None


async def hashes(work: UnitOfWork, ends: Iterable[int]) -> Mapping[int, AuditSeal]:
    """The seals at these places."""
    query = select(AuditSeal).where(col(AuditSeal.n).in_(list(ends)))
    return {seal.n: seal for seal in (await work.session.exec(query)).all()}


async def sealing(work: UnitOfWork, xids: Sequence[int]) -> Mapping[int, int]:
    """Transaction id -> the seal that closes over it; an id that is not sealed yet is left out."""
    query = text("""
        SELECT DISTINCT asked.xid, s.n FROM unnest(CAST(CAST(:xids AS text[]) AS xid8[])) AS asked (xid)
        JOIN LATERAL (SELECT n, xid_lo FROM audit_seal WHERE xid_hi > asked.xid ORDER BY xid_hi LIMIT 1) s
        ON s.xid_lo <= asked.xid
    """)
    found = await work.run(query, {"xids": [str(xid) for xid in xids]})
    return {row.xid: row.n for row in found}


async def seal(work: UnitOfWork, n: int) -> AuditSeal | None:
    return (await work.session.exec(select(AuditSeal).where(col(AuditSeal.n) == n))).first()


async def newest_checkpoint(work: UnitOfWork) -> AuditCheckpoint | None:
    query = select(AuditCheckpoint).order_by(col(AuditCheckpoint.size).desc()).limit(1)
    return (await work.session.exec(query)).first()


async def checkpoint(work: UnitOfWork, size: int) -> AuditCheckpoint | None:
    return (await work.session.exec(select(AuditCheckpoint).where(col(AuditCheckpoint.size) == size))).first()


@dataclass(frozen=True)
class Unsealed:
    """Events no seal closes over yet. `seconds`: how long the oldest has waited; 0 = there is none."""

    seconds: float
    id: int | None


async def oldest_unsealed(work: UnitOfWork) -> Unsealed:
    query = text("""
        SELECT id, extract(epoch FROM clock_timestamp() - at)::float AS seconds FROM audit_event
        WHERE xid >= COALESCE((SELECT xid_hi FROM audit_seal ORDER BY n DESC LIMIT 1), '0'::xid8) ORDER BY at LIMIT 1
    """)
    row = (await work.run(query)).one_or_none()
    return Unsealed(max(row.seconds, 0.0), row.id) if row else Unsealed(0.0, None)


_SPAN: Final = text("""
    SELECT min(s.n) AS first, max(s.n) AS last FROM audit_seal s
    WHERE (CAST(:since AS timestamptz) IS NULL OR s.at >= :since) AND EXISTS (
        SELECT FROM audit_event e WHERE e.xid >= s.xid_lo AND e.xid < s.xid_hi
        AND (CAST(:since AS timestamptz) IS NULL OR e.at >= :since) AND (CAST(:until AS timestamptz) IS NULL OR e.at < :until))
""")


async def span(work: UnitOfWork, since: datetime | None, until: datetime | None) -> tuple[int, int] | None:
    """First and last seal that hold an event entered in [since, until); None = there is none."""
    row = (await work.run(_SPAN, {"since": since, "until": until})).one()
    return None if row.first is None else (row.first, row.last)


async def count_events(work: UnitOfWork, first: int, last: int) -> int:
    """How many these seals close over."""
    query = text("SELECT coalesce(sum(count), 0) FROM audit_seal WHERE n BETWEEN :first AND :last")
    return int((await work.run(query, {"first": first, "last": last})).scalar_one())
