"""SQL of accepting: the sources' keys, taken once, and the payments behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from sqlalchemy import Table
from sqlmodel import col, select

from core.base.ids import SourceId, TransactionId, TransactionUid
from core.contracts.messages import Payment
from core.infra.postgres import UnitOfWork, Work
from core.stores.flow import SHARED
from core.stores.recordset import as_json, typed
from core.tables.flow import Transaction, TransactionKey


@dataclass(frozen=True)
class Arrival:
    """A payment on its way in, with the hash of the body it came in."""

    payment: Payment
    body_sha: bytes


@dataclass(frozen=True)
class Known:
    """What is stored under a source's key."""

    uid: TransactionUid
    body_sha: bytes


_TAKE_KEYS = """
    INSERT INTO transaction_key (transaction_id, source_id, uid, body_sha)
    SELECT * FROM unnest(CAST($1 AS text[]), CAST($2 AS text[]), CAST($3 AS uuid[]), CAST($4 AS bytea[]))
        AS arrived(transaction_id, source_id, uid, body_sha)
    ORDER BY transaction_id, source_id
    ON CONFLICT (transaction_id, source_id) DO NOTHING RETURNING uid
"""


@cache
def _insert() -> str:
    """$1: payments as JSON, which leaves out what is not stated. $2: imported."""
    table: Table = Transaction.__table__  # type: ignore[attr-defined]
    travels = [*typed(table, SHARED), "occurred_at_ms bigint", "accepted_at_ms bigint"]
    names = ", ".join(SHARED)
    return f"""
        INSERT INTO transaction ({names}, occurred_at, accepted_at, imported)
        SELECT {names.replace("attributes", "coalesce(attributes, '{}')")},
            timestamptz 'epoch' + occurred_at_ms * interval '1 ms',
            timestamptz 'epoch' + accepted_at_ms * interval '1 ms', CAST($2 AS boolean)
        FROM json_to_recordset(CAST($1 AS json)) AS arrived({", ".join(travels)})
    """  # noqa: S608 - names of our own


async def take_keys(work: Work, arrivals: Sequence[Arrival]) -> set[UUID]:
    """Uids whose keys were free and are theirs now. No two arrivals may share a (source, id).

    Keys are taken in one order, so that two writers who bring the same ones wait for each other and never for one another.
    """
    payments = [arrival.payment for arrival in arrivals]
    rows = await work.fetch(
        _TAKE_KEYS,
        [payment.transaction_id for payment in payments],
        [payment.source_id for payment in payments],
        [payment.uid for payment in payments],
        [arrival.body_sha for arrival in arrivals],
    )
    return {row[0] for row in rows}


async def store(work: Work, payments: Sequence[Payment], *, imported: bool = False) -> None:
    """Payments whose keys were taken in the same unit of work."""
    if payments:
        await work.fetch(_insert(), as_json(payments), imported)


async def insert_transactions(work: Work, arrivals: Sequence[Arrival], *, imported: bool = False) -> set[UUID]:
    """Uids that were new, which are stored; the others' keys are taken. No two arrivals may share a (source, id)."""
    new = await take_keys(work, arrivals)
    await store(work, [arrival.payment for arrival in arrivals if arrival.payment.uid in new], imported=imported)
    return new


async def known(work: Work, keys: Sequence[tuple[SourceId, TransactionId]]) -> dict[tuple[str, str], Known]:
    """Stored transactions by their source's key."""
    if not keys:
        return {}
    rows = await work.fetch(
        "SELECT k.source_id, k.transaction_id, k.uid, k.body_sha "
        "FROM unnest(CAST($1 AS text[]), CAST($2 AS text[])) AS wanted(source_id, transaction_id) "
        "JOIN transaction_key k USING (source_id, transaction_id)",
        [source for source, _ in keys],
        [ident for _, ident in keys],
    )
    return {(row[0], row[1]): Known(row[2], row[3]) for row in rows}


async def unknown(work: UnitOfWork, uids: Sequence[UUID]) -> set[UUID]:
    """Those that were never stored here."""
    rows = await work.fetch(
        "SELECT asked.uid FROM unnest(CAST($1 AS uuid[])) AS asked(uid) "
        "WHERE NOT EXISTS (SELECT FROM transaction t WHERE t.uid = asked.uid)",
        uids,
    )
    return {UUID(bytes=row[0].bytes) for row in rows}


async def transaction_by_key(work: UnitOfWork, source: SourceId, ident: TransactionId) -> Transaction | None:
    taken = select(TransactionKey.uid).where(TransactionKey.source_id == source, TransactionKey.transaction_id == ident)
    query = select(Transaction).where(col(Transaction.uid) == taken.scalar_subquery())
    return (await work.session.exec(query)).one_or_none()
