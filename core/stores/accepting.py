"""SQL of accepting: the sources' keys, taken once, and the payments behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select

from core.base.clock import from_ms
from core.base.ids import SourceId, TransactionId, TransactionUid
from core.contracts.messages import Payment
from core.infra.postgres import UnitOfWork
from core.stores.flow import SHARED
from core.stores.recordset import insert_rows
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


async def insert_transactions(work: UnitOfWork, arrivals: Sequence[Arrival], *, imported: bool = False) -> set[UUID]:
    """Uids that were new; the others' keys are taken. No two arrivals may share a (source, id).

    Keys are taken in one order, so that two writers who bring the same ones wait for each other and never for one another.
    """
    tail = "ON CONFLICT (transaction_id, source_id) DO NOTHING RETURNING uid"
    new = set(await insert_rows(work, TransactionKey, sorted(map(_key_row, arrivals), key=_by_key), tail=tail))
    rows = [_transaction_row(arrival, imported) for arrival in arrivals if arrival.payment.uid in new]
    await insert_rows(work, Transaction, rows)
    return new


def _transaction_row(arrival: Arrival, imported: bool) -> dict[str, Any]:
    payment = arrival.payment
    return {
        **{name: getattr(payment, name) for name in SHARED},
        "occurred_at": from_ms(payment.occurred_at_ms),
        "accepted_at": from_ms(payment.accepted_at_ms),
        "imported": imported,
    }


def _key_row(arrival: Arrival) -> dict[str, Any]:
    payment = arrival.payment
    return {
        "transaction_id": payment.transaction_id,
        "source_id": payment.source_id,
        "uid": payment.uid,
        "body_sha": arrival.body_sha,
    }


def _by_key(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["transaction_id"], row["source_id"]


async def known(work: UnitOfWork, keys: Sequence[tuple[SourceId, TransactionId]]) -> dict[tuple[str, str], Known]:
    """Stored transactions by their source's key."""
    if not keys:
        return {}
    query = text(
        "SELECT k.source_id, k.transaction_id, k.uid, k.body_sha "
        "FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[])) AS wanted(source_id, transaction_id) "
        "JOIN transaction_key k USING (source_id, transaction_id)"
    )
    values = {"sources": [source for source, _ in keys], "ids": [ident for _, ident in keys]}
    rows = await work.run(query, values)
    return {(row[0], row[1]): Known(row[2], bytes(row[3])) for row in rows}


async def transaction_by_key(work: UnitOfWork, source: SourceId, ident: TransactionId) -> Transaction | None:
    taken = select(TransactionKey.uid).where(TransactionKey.source_id == source, TransactionKey.transaction_id == ident)
    query = select(Transaction).where(col(Transaction.uid) == taken.scalar_subquery())
    return (await work.session.exec(query)).one_or_none()
