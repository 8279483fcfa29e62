"""What people change about themselves: how they read and work, their password, their sessions."""

import asyncio
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import available_timezones

from core.acts.audit import Event, record
from core.acts.people import LOCK, TRIES_BEFORE_LOCK, PasswordHasher, check_new_password, user_actor
from core.base.errors import BadCredentials, InvalidInput, NotFound, RondaError, TooManyAttempts
from core.base.hashing import sha256
from core.base.ids import UserId
from core.base.terms import Action, Density, Language, Result, Theme
from core.infra.postgres import UnitOfWork
from core.stores import people
from core.tables.people import User, UserSession


@dataclass(frozen=True)
class Profile:
    """None = whatever the browser says."""

    language: Language | None = None
    time_zone: str | None = None
    theme: Theme = Theme.SYSTEM
    density: Density = Density.COMPACT
    single_keys: bool = True


def profile_of(user: User) -> Profile:
    return Profile(
        language=Language(user.language) if user.language else None,
        time_zone=user.time_zone,
        theme=Theme(user.theme),
        density=Density(user.density),
        single_keys=user.single_keys,
    )


async def change_profile(work: UnitOfWork, user_id: UserId, wanted: Profile) -> None:
    """Audited with what changed; nothing changed = nothing to tell."""
    if wanted.time_zone is not None and wanted.time_zone not in available_timezones():
        raise InvalidInput("There is no such time zone.")
    user = await people.locked_user(work, user_id)
    before, after = asdict(profile_of(user)), asdict(wanted)
    changed = {name: _plain(value) for name, value in after.items() if value != before[name]}
    if not changed:
        return
    for name, value in changed.items():
        setattr(user, name, value)
    await people.save(work, user)
    await record(work, Event(user_actor(user), Action.PROFILE_CHANGE, "user", str(user.id), changed))


def _plain(value: StrEnum | str | bool | None) -> str | bool | None:
    return value.value if isinstance(value, StrEnum) else value


async def change_password(
    work: UnitOfWork, hasher: PasswordHasher, user_id: UserId, *, old: str, new: str, keep: bytes, now: datetime
) -> RondaError | None:
    """Ends every session but the one whose token's hash is `keep`.

    A refusal is a value, so that its audit event and counter are committed: wrong tries count like those of signing in.
    """
    check_new_password(new)
    user = await people.locked_user(work, user_id)
    if user.locked_until and user.locked_until > now:
        return TooManyAttempts("Too many wrong passwords. Try again in half an hour.")
    if not await asyncio.to_thread(hasher.verify, old, user.password_hash):
        return await _refuse(work, user, now)
    user.password_hash = await asyncio.to_thread(hasher.hash, new)
    user.failed_sign_ins = 0
    await people.save(work, user)
    ended = await people.delete_other_sessions(work, user.id, keep)
    await record(work, Event(user_actor(user), Action.PASSWORD_CHANGE, "user", str(user.id), {"sessions_ended": ended}))
    return None


async def _refuse(work: UnitOfWork, user: User, now: datetime) -> RondaError:
    user.failed_sign_ins += 1
    if user.failed_sign_ins >= TRIES_BEFORE_LOCK:
        user.locked_until, user.failed_sign_ins = now + LOCK, 0
    await people.save(work, user)
    await record(work, Event(user_actor(user), Action.PASSWORD_CHANGE, "user", str(user.id), result=Result.REFUSED))
    return BadCredentials("The current password is not right.")


def session_id(session: UserSession) -> str:
    """Names a session on screen; neither its token nor the stored hash follows from it."""
    return sha256(session.token_sha).hex()[:16]


async def end_session(work: UnitOfWork, user_id: UserId, ident: str, *, seen_after: datetime) -> None:
    """One of the user's own. Raises NotFound."""
    user = await people.locked_user(work, user_id)
    sessions = await people.sessions_of(work, user_id, seen_after=seen_after)
    found = next((session for session in sessions if session_id(session) == ident), None)
    if found is None:
        raise NotFound("That session has ended already.")
    await people.delete_session(work, found.token_sha)
    await record(work, Event(user_actor(user), Action.SESSION_END, "user", str(user.id), {"sessions": 1}))


async def end_other_sessions(work: UnitOfWork, user_id: UserId, keep: bytes) -> int:
    user = await people.locked_user(work, user_id)
    ended = await people.delete_other_sessions(work, user_id, keep)
    await record(work, Event(user_actor(user), Action.SESSION_END, "user", str(user.id), {"sessions": ended}))
    return ended
