"""SQL of what could not be handled: dead letters, and payments that are hard to score."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, text
from sqlmodel import col, delete, select

from core.base.ids import first_uuid_at
from core.base.terms import DeadLetterState
from core.infra.postgres import UnitOfWork
from core.stores.recordset import insert_rows
from core.tables.flow import DeadLetter, Decision, ScoringTrouble, Transaction

WAITING = DeadLetter.state == DeadLetterState.WAITING.value


async def add(work: UnitOfWork, row: DeadLetter) -> bool:
    """Whether it was new."""
    tail = "ON CONFLICT (queue, message_id, sha256(body)) DO NOTHING RETURNING id"
    return bool(await insert_rows(work, DeadLetter, [row.model_dump()], tail=tail))


async def count_waiting(work: UnitOfWork) -> int:
    return (await work.session.exec(select(func.count()).select_from(DeadLetter).where(WAITING))).one()


async def count_waiting_up_to(work: UnitOfWork, most: int) -> int:
    """How many wait, counted no further than `most`: what a badge costs must not grow with the trouble."""
    some = select(DeadLetter.id).where(WAITING).limit(most).subquery()
    return (await work.session.exec(select(func.count()).select_from(some))).one()


@dataclass(frozen=True)
class DeadLetterPlace:
    """Keyset: strictly older than this."""

    died_at: datetime
    id: UUID


async def page(
    work: UnitOfWork, *, state: DeadLetterState | None, reason: str, after: DeadLetterPlace | None, limit: int
) -> Sequence[DeadLetter]:
    """Newest first; an empty `reason` does not filter."""
    query = select(DeadLetter).order_by(col(DeadLetter.died_at).desc(), col(DeadLetter.id).desc()).limit(limit)
    if state:
        query = query.where(DeadLetter.state == state.value)
    if reason:
        query = query.where(DeadLetter.reason == reason)
    if after:
        query = query.where(func.row(col(DeadLetter.died_at), col(DeadLetter.id)) < func.row(after.died_at, after.id))
    return (await work.session.exec(query)).all()


async def waiting_reasons(work: UnitOfWork, *, limit: int) -> Sequence[tuple[str, int]]:
    """(reason, how many wait for that reason), most first."""
    number = func.count()
    query = (
        select(DeadLetter.reason, number)
        .where(WAITING)
        .group_by(col(DeadLetter.reason))
        .order_by(number.desc(), col(DeadLetter.reason))
        .limit(limit)
    )
    return (await work.session.exec(query)).all()


async def one(work: UnitOfWork, letter_id: UUID) -> DeadLetter | None:
    return await work.session.get(DeadLetter, letter_id)


async def one_for_update(work: UnitOfWork, letter_id: UUID) -> DeadLetter | None:
    query = select(DeadLetter).where(DeadLetter.id == letter_id).with_for_update()
    return (await work.session.exec(query)).one_or_none()


async def waiting_for_update(work: UnitOfWork, reason: str, *, until: datetime, limit: int) -> Sequence[DeadLetter]:
    """Those that died up to `until` for this reason, oldest first; what another person is settling is left out."""
    query = (
        select(DeadLetter)
        .where(WAITING, DeadLetter.reason == reason, col(DeadLetter.died_at) <= until)
        .order_by(col(DeadLetter.died_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return (await work.session.exec(query)).all()


async def save(work: UnitOfWork, row: DeadLetter) -> None:
    work.session.add(row)
    await work.session.flush()


async def begin_attempt(work: UnitOfWork, uid: UUID) -> ScoringTrouble:
    """Counts one more attempt; the row's `failure` is still that of the attempt before."""
    statement = text(
        "INSERT INTO scoring_trouble (transaction_uid, attempts, failure, resends) VALUES (:uid, 1, '', 0) "
        "ON CONFLICT (transaction_uid) DO UPDATE SET attempts = scoring_trouble.attempts + 1, failure = '' "
        "RETURNING attempts, "
        "(SELECT o.failure FROM scoring_trouble o WHERE o.transaction_uid = :uid)"
    )
    attempts, failure = (await work.run(statement, {"uid": uid})).one()
    return ScoringTrouble(transaction_uid=uid, attempts=attempts, failure=failure or "")


async def take_back_attempt(work: UnitOfWork, uid: UUID) -> None:
    statement = text("UPDATE scoring_trouble SET attempts = attempts - 1 WHERE transaction_uid = :uid")
    await work.run(statement, {"uid": uid})


async def note_failure(work: UnitOfWork, uid: UUID, failure: str) -> None:
    statement = text("UPDATE scoring_trouble SET failure = :failure WHERE transaction_uid = :uid")
    await work.run(statement, {"uid": uid, "failure": failure})


async def overdue(
    work: UnitOfWork, *, since: datetime, accepted_before: datetime, resent_before: datetime, limit: int
) -> Sequence[tuple[Transaction, int]]:
    """Transactions posted since then without a decision, in the order of acceptance, with how often each was sent again.

    Left out: what was sent again after `resent_before`, and what has a waiting dead letter.
    """
    resends = func.coalesce(ScoringTrouble.resends, 0)
    buried = select(DeadLetter.id).where(WAITING, col(DeadLetter.transaction_uid) == col(Transaction.uid))
    query = (
        select(Transaction, resends)
        .join(Decision, col(Decision.transaction_uid) == col(Transaction.uid), isouter=True)
        .join(ScoringTrouble, col(ScoringTrouble.transaction_uid) == col(Transaction.uid), isouter=True)
        .where(
            col(Decision.transaction_uid).is_(None),
            col(Transaction.imported).is_(False),
            col(Transaction.uid) >= first_uuid_at(since),
            col(Transaction.accepted_at) < accepted_before,
            or_(col(ScoringTrouble.resent_at).is_(None), col(ScoringTrouble.resent_at) < resent_before),
            ~buried.exists(),
        )
        .order_by(text("transaction.xid, transaction.uid"))
        .limit(limit)
    )
    return [(row[0], row[1]) for row in (await work.session.exec(query)).all()]


async def count_resend(work: UnitOfWork, uids: Sequence[UUID], now: datetime) -> None:
    statement = text(
        "INSERT INTO scoring_trouble (transaction_uid, attempts, failure, resends, resent_at) "
        "SELECT uid, 0, '', 1, :now FROM unnest(CAST(:uids AS uuid[])) AS uid ON CONFLICT (transaction_uid) "
        "DO UPDATE SET resends = scoring_trouble.resends + 1, resent_at = :now"
    )
    await work.run(statement, {"uids": list(uids), "now": now})


async def purge_trouble(work: UnitOfWork) -> None:
    """Forgets what was scored in the end. What could not be stays: a late copy must not have all its attempts again."""
    statement = text(
        "DELETE FROM scoring_trouble s WHERE EXISTS "
        "(SELECT FROM decision WHERE transaction_uid = s.transaction_uid AND features_status <> 'absent')"
    )
    await work.run(statement)


async def forget_trouble(work: UnitOfWork, uids: Sequence[UUID]) -> None:
    await work.run(delete(ScoringTrouble).where(col(ScoringTrouble.transaction_uid).in_(uids)))
