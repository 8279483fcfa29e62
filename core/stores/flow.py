"""SQL of a transaction's way: accept, decide, look up, export; outbox and dead letters."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, text, true, update
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from core.base.clock import to_ms
from core.base.ids import SourceId, first_uuid_at
from core.base.terms import EntityKind, FeaturesStatus
from core.contracts.messages import Payment
from core.infra.postgres import UnitOfWork, Work
from core.stores.recordset import insert_rows
from core.tables.flow import Decision, OutboxMessage, Transaction

ENTITY_COLUMNS = {
    EntityKind.CUSTOMER: "customer_id",
    EntityKind.CARD: "card_id",
    EntityKind.MERCHANT: "merchant_id",
    EntityKind.DEVICE: "device_id",
    EntityKind.IP: "ip",
}
NIL = UUID(int=0)
SHARED = (
    "uid", "source_id", "transaction_id", "amount_minor", "currency", "customer_id", "card_id", "merchant_id",
    "merchant_category", "merchant_country", "channel", "device_id", "ip", "email_hash", "latitude", "longitude",
    "billing_country", "attributes",
)  # fmt: skip
"""What a payment and its row have in common."""


def payment_of(row: Transaction) -> Payment:
    """The pipeline's form of a stored transaction."""
    return Payment(
        **{name: getattr(row, name) for name in SHARED},
        occurred_at_ms=to_ms(row.occurred_at),
        accepted_at_ms=to_ms(row.accepted_at),
    )


async def transaction(work: UnitOfWork, uid: UUID) -> Transaction | None:
    return await work.session.get(Transaction, uid)


async def transactions(work: UnitOfWork, uids: Sequence[UUID]) -> Sequence[Transaction]:
    query = select(Transaction).where(col(Transaction.uid).in_(uids)).limit(len(uids))
    return (await work.session.exec(query)).all()


async def latest_decision(work: UnitOfWork, uid: UUID) -> Decision | None:
    query = select(Decision).where(Decision.transaction_uid == uid).order_by(col(Decision.version).desc()).limit(1)
    return (await work.session.exec(query)).one_or_none()


async def latest_decisions(work: UnitOfWork, uids: Sequence[UUID]) -> dict[UUID, Decision]:
    """The newest version of each transaction's decision; the undecided are left out."""
    query = (
        select(Decision)
        .where(col(Decision.transaction_uid).in_(uids))
        .order_by(col(Decision.transaction_uid), col(Decision.version))
        .limit(len(uids) * 4)
    )
    return {row.transaction_uid: row for row in (await work.session.exec(query)).all()}


async def decided(work: UnitOfWork, uids: Sequence[UUID]) -> dict[UUID, FeaturesStatus]:
    """With which features the newest version was made; the undecided are left out."""
    query = (
        select(Decision.transaction_uid, Decision.features_status)
        .where(col(Decision.transaction_uid).in_(uids))
        .order_by(col(Decision.transaction_uid), col(Decision.version))
        .limit(len(uids) * 4)
    )
    return {uid: FeaturesStatus(status) for uid, status in (await work.session.exec(query)).all()}


async def insert_decisions(work: Work, rows: Sequence[Mapping[str, Any]]) -> set[UUID]:
    """Transaction uids whose decision was new. `rows` name the columns of Decision but `xid`."""
    tail = "ON CONFLICT (transaction_uid, version) DO NOTHING RETURNING transaction_uid"
    return set(await insert_rows(work, Decision, rows, tail=tail))


@dataclass(frozen=True)
class DecisionCursor:
    """A place in commit order; the start is (0, nil UUID, 0)."""

    xid: int = 0
    uid: UUID = NIL
    version: int = 0

    def __str__(self) -> str:
        return f"{self.xid:x}-{self.uid.hex}-{self.version}"

    @classmethod
    def parse(cls, value: str) -> "DecisionCursor":
        """Raises ValueError on anything that str() did not make."""
        xid, uid, version = value.split("-")
        cursor = cls(int(xid, 16), UUID(hex=uid), int(version))
        if str(cursor) != value:
            raise ValueError("not a cursor")
        return cursor


async def decisions_after(
    work: UnitOfWork, source: SourceId, cursor: DecisionCursor, limit: int
) -> list[tuple[DecisionCursor, Decision, str]]:
    """(cursor, decision, the source's transaction id) in commit order.

    Only transactions older than every running one are shown, so no later commit can slip in before the cursor.
    """
    picked = text(
        "SELECT CAST(d.xid AS text), d.transaction_uid, d.version, t.transaction_id FROM decision d "
        "JOIN transaction t ON t.uid = d.transaction_uid AND t.source_id = :source "
        "WHERE (d.xid, d.transaction_uid, d.version) > (CAST(CAST(:xid AS text) AS xid8), CAST(:uid AS uuid), :version) "
        "AND d.xid < pg_snapshot_xmin(pg_current_snapshot()) "
        "ORDER BY d.xid, d.transaction_uid, d.version LIMIT :limit"
    )
    values = {"source": source, "xid": str(cursor.xid), "uid": cursor.uid, "version": cursor.version, "limit": limit}
    places = [(DecisionCursor(int(r[0]), r[1], r[2]), r[3]) for r in await work.run(picked, values)]
    query = select(Decision).where(col(Decision.transaction_uid).in_([place.uid for place, _ in places]))
    rows = {(d.transaction_uid, d.version): d for d in (await work.session.exec(query)).all()} if places else {}
    return [(place, rows[place.uid, place.version], ident) for place, ident in places]


def its_decision() -> type[Decision]:
    """The latest decision on each row of Transaction, to be joined ON true. Looked up row by row: a few rows cost a few reads."""
    latest = (
        select(Decision)
        .where(Decision.transaction_uid == Transaction.uid)
        .order_by(col(Decision.version).desc())
        .limit(1)
        .correlate(Transaction)
    )
    return aliased(Decision, latest.lateral())


async def recent_payments(
    work: UnitOfWork, kind: EntityKind, entity_id: str, *, before: datetime, limit: int
) -> Sequence[tuple[Transaction, Decision | None]]:
    """An entity's payments up to `before`, newest first, each with its latest decision."""
    decision = its_decision()
    query = (
        select(Transaction, decision)
        .join(decision, true(), isouter=True)
        .where(getattr(Transaction, ENTITY_COLUMNS[kind]) == entity_id, col(Transaction.occurred_at) <= before)
        .order_by(col(Transaction.occurred_at).desc())
        .limit(limit)
    )
    return [(row[0], row[1]) for row in (await work.session.exec(query)).all()]


async def transactions_decided(work: UnitOfWork, uids: Sequence[UUID]) -> list[tuple[Transaction, Decision | None]]:
    """These transactions, in any order, each with its latest decision."""
    decision = its_decision()
    query = (
        select(Transaction, decision)
        .join(decision, true(), isouter=True)
        .where(col(Transaction.uid).in_(uids))
        .limit(len(uids))
    )
    return [(row[0], row[1]) for row in (await work.session.exec(query)).all()] if uids else []


async def walk_logged_vectors(
    work: UnitOfWork, catalogue_version: int, *, batch: int = 5000
) -> AsyncIterator[Sequence[tuple[UUID, list[float | None]]]]:
    """(transaction uid, vector as scored) of complete decisions under this catalogue."""
    last = UUID(int=0)
    while True:
        query = (
            select(Decision.transaction_uid, Decision.features)
            .where(
                col(Decision.transaction_uid) > last,
                Decision.catalogue_version == catalogue_version,
                Decision.features_status == "complete",
            )
            .order_by(col(Decision.transaction_uid))
            .limit(batch)
        )
        rows = (await work.session.exec(query)).all()
        if not rows:
            return
        yield [(row[0], list(row[1])) for row in rows]
        last = rows[-1][0]


async def count_transactions(work: UnitOfWork) -> int:
    return (await work.session.exec(select(func.count()).select_from(Transaction))).one()


async def undecided(
    work: UnitOfWork, *, since: datetime, accepted_before: datetime, limit: int
) -> Sequence[Transaction]:
    """Transactions posted between these moments without a decision, oldest first."""
    query = (
        select(Transaction)
        .join(Decision, col(Decision.transaction_uid) == col(Transaction.uid), isouter=True)
        .where(
            col(Decision.transaction_uid).is_(None),
            col(Transaction.imported).is_(False),
            col(Transaction.uid) >= first_uuid_at(since),
            col(Transaction.accepted_at) < accepted_before,
        )
        .order_by(col(Transaction.accepted_at))
        .limit(limit)
    )
    return (await work.session.exec(query)).all()


async def add_outbox(work: Work, rows: Sequence[Mapping[str, Any]]) -> None:
    """`rows` name the columns of OutboxMessage but `attempts` and `sent_at`."""
    await insert_rows(work, OutboxMessage, [{**row, "attempts": 0} for row in rows])


async def outbox_back(work: UnitOfWork, ident: UUID, *, limit: int) -> Sequence[OutboxMessage]:
    """This row and those of its queue before it, newest first; none when it is gone."""
    queue = select(OutboxMessage.queue).where(OutboxMessage.id == ident).scalar_subquery()
    query = (
        select(OutboxMessage)
        .where(col(OutboxMessage.id) <= ident, OutboxMessage.queue == queue)
        .order_by(col(OutboxMessage.id).desc())
        .limit(limit)
    )
    return (await work.session.exec(query)).all()


async def newest_outbox(work: Work, queue: str) -> UUID | None:
    """The id of the queue's last row, sent or not."""
    rows = await work.fetch("SELECT id FROM outbox WHERE queue = $1 ORDER BY id DESC LIMIT 1", queue)
    return UUID(bytes=rows[0][0].bytes) if rows else None


async def unsend(work: UnitOfWork, ids: Sequence[UUID]) -> set[UUID]:
    """Remove rows that nobody has begun to send; which. A row that is just being taken is waited for, and stays."""
    statement = (
        "DELETE FROM outbox WHERE id = ANY(CAST($1 AS uuid[])) AND sent_at IS NULL AND attempts = 0 RETURNING id"
    )
    return {UUID(bytes=row[0].bytes) for row in await work.fetch(statement, ids)}


async def mark_sent(work: Work, ids: Sequence[UUID], now: datetime) -> None:
    await work.fetch("UPDATE outbox SET sent_at = $2 WHERE id = ANY(CAST($1 AS uuid[]))", ids, now)


async def due_outbox(work: UnitOfWork, now: datetime, *, lease: timedelta, limit: int) -> Sequence[OutboxMessage]:
    """Unsent rows whose time has come, leased: nobody else gets them until `now + lease`.

    A row waits for older ones of its queue that were leased or failed and are to be tried again.
    """
    unsent = col(OutboxMessage.sent_at).is_(None)
    tried = (
        select(OutboxMessage.queue, func.min(OutboxMessage.created_at).label("since"))
        .where(unsent, col(OutboxMessage.next_at) > now, OutboxMessage.attempts > 0)
        .group_by(OutboxMessage.queue)
        .subquery()
    )
    due = (
        select(OutboxMessage)
        .join(tried, tried.c.queue == OutboxMessage.queue, isouter=True)
        .where(unsent, col(OutboxMessage.next_at) <= now)
        .where(or_(tried.c.since.is_(None), col(OutboxMessage.created_at) < tried.c.since))
        .order_by(col(OutboxMessage.created_at), col(OutboxMessage.id))
        .limit(limit)
        .with_for_update(of=OutboxMessage, skip_locked=True)
    )
    rows = (await work.session.exec(due)).all()
    for row in rows:
        row.next_at, row.attempts = now + lease, row.attempts + 1
        work.session.add(row)
    await work.session.flush()
    return rows


async def retry_outbox_at(work: UnitOfWork, ids: Sequence[UUID], next_at: datetime) -> None:
    await work.run(update(OutboxMessage).where(col(OutboxMessage.id).in_(ids)).values(next_at=next_at))


async def purge_outbox(work: UnitOfWork, *, sent_before: datetime, limit: int) -> int:
    """Delete sent rows; how many went."""
    statement = text(
        "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE sent_at < :before ORDER BY sent_at LIMIT :limit)"
    )
    result = await work.run(statement, {"before": sent_before, "limit": limit})
    return result.rowcount


@dataclass(frozen=True)
class OutboxState:
    unsent: int
    oldest: datetime | None


async def outbox_state(work: UnitOfWork) -> OutboxState:
    query = select(func.count(), func.min(OutboxMessage.created_at)).where(col(OutboxMessage.sent_at).is_(None))
    count, oldest = (await work.session.exec(query)).one()
    return OutboxState(count, oldest)
