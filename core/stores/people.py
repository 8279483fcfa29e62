"""SQL of users, sessions, sources and API keys."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, update
from sqlmodel import col, select

from core.base.ids import SourceId, UserId
from core.base.terms import Role
from core.infra.postgres import UnitOfWork
from core.tables.flow import Source
from core.tables.people import ApiKey, User, UserSession


async def user_by_email(work: UnitOfWork, email: str) -> User | None:
    """Locked: two sign-in attempts on one account are counted one after the other."""
    return (await work.session.exec(select(User).where(User.email == email).with_for_update())).one_or_none()


async def user(work: UnitOfWork, user_id: UserId) -> User | None:
    return await work.session.get(User, user_id)


async def locked_user(work: UnitOfWork, user_id: UserId) -> User:
    """For a change. Raises NoResultFound for a user who is not there."""
    return (await work.session.exec(select(User).where(User.id == user_id).with_for_update())).one()


async def users(work: UnitOfWork, limit: int = 500) -> Sequence[User]:
    return (await work.session.exec(select(User).order_by(User.email).limit(limit))).all()


async def analysts(work: UnitOfWork, limit: int = 200) -> Sequence[User]:
    """Everybody who may work on alerts now, by name."""
    roles = [role.value for role in Role if role is not Role.VIEWER]
    query = select(User).where(col(User.role).in_(roles), col(User.disabled_at).is_(None))
    return (await work.session.exec(query.order_by(User.name, User.email).limit(limit))).all()


async def count_users(work: UnitOfWork) -> int:
    return (await work.session.exec(select(func.count()).select_from(User))).one()


async def names_of(work: UnitOfWork, ids: Sequence[UUID]) -> dict[UUID, str]:
    rows = (await work.session.exec(select(User.id, User.name).where(col(User.id).in_(ids)).limit(len(ids)))).all()
    return {row[0]: row[1] for row in rows}


async def save(work: UnitOfWork, row: User | UserSession | ApiKey | Source) -> None:
    work.session.add(row)
    await work.session.flush()


async def session_and_user(work: UnitOfWork, token_sha: bytes) -> tuple[UserSession, User] | None:
    query = (
        select(UserSession, User)
        .join(User, col(User.id) == col(UserSession.user_id))
        .where(UserSession.token_sha == token_sha)
    )
    row = (await work.session.exec(query)).one_or_none()
    return (row[0], row[1]) if row else None


async def touch_session(work: UnitOfWork, token_sha: bytes, now: datetime) -> None:
    """Updates only a session that still exists: a slow request cannot bring a signed-out one back."""
    await work.run(update(UserSession).where(col(UserSession.token_sha) == token_sha).values(last_seen_at=now))


async def delete_session(work: UnitOfWork, token_sha: bytes) -> None:
    await work.run(delete(UserSession).where(col(UserSession.token_sha) == token_sha))


async def sessions_of(
    work: UnitOfWork, user_id: UUID, *, seen_after: datetime, limit: int = 50
) -> Sequence[UserSession]:
    """Last seen first."""
    query = (
        select(UserSession)
        .where(UserSession.user_id == user_id, col(UserSession.last_seen_at) > seen_after)
        .order_by(col(UserSession.last_seen_at).desc())
        .limit(limit)
    )
    return (await work.session.exec(query)).all()


async def delete_other_sessions(work: UnitOfWork, user_id: UUID, but: bytes) -> int:
    """How many there were."""
    query = delete(UserSession).where(col(UserSession.user_id) == user_id, col(UserSession.token_sha) != but)
    return (await work.run(query)).rowcount


async def delete_sessions_before(work: UnitOfWork, created_before: datetime) -> None:
    await work.run(delete(UserSession).where(col(UserSession.created_at) < created_before))


async def source(work: UnitOfWork, source_id: SourceId) -> Source | None:
    return await work.session.get(Source, source_id)


async def live_key(work: UnitOfWork, prefix: str) -> ApiKey | None:
    query = select(ApiKey).where(ApiKey.prefix == prefix, col(ApiKey.revoked_at).is_(None))
    return (await work.session.exec(query)).one_or_none()


async def keys(work: UnitOfWork, limit: int = 500) -> Sequence[ApiKey]:
    return (
        await work.session.exec(select(ApiKey).order_by(ApiKey.source_id, col(ApiKey.created_at)).limit(limit))
    ).all()
