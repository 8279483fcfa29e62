"""Users, sessions, sources and keys. Passwords are hashed by the caller's hasher; tokens are stored as SHA-256 only."""

import asyncio
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from core.acts.audit import Actor, Event, record
from core.base.clock import utc_now
from core.base.errors import BadCredentials, InvalidInput, NotFound, TooManyAttempts
from core.base.hashing import sha256
from core.base.ids import SourceId, new_uuid
from core.base.terms import Action, ActorType, Result, Role
from core.infra.postgres import UnitOfWork
from core.stores import people
from core.tables.flow import Source
from core.tables.people import ApiKey, User, UserSession

MIN_PASSWORD = 12
MAX_PASSWORD = 256
MAX_AGENT = 200
TRIES_BEFORE_LOCK = 10
LOCK = timedelta(minutes=30)
KEY_PREFIX = "rk_"
_TOUCH_EVERY = timedelta(seconds=30)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|[^@\s]+@localhost")
_SOURCE = re.compile(r"[a-z][a-z0-9-]{0,31}")


class PasswordHasher(Protocol):
    """argon2id in the web process; costs tens of milliseconds by design."""

    def hash(self, password: str) -> str: ...

    def verify(self, password: str, hashed: str) -> bool: ...


@dataclass(frozen=True)
class SignedIn:
    """`token` goes into the cookie and is nowhere stored."""

    user: User
    token: str
    csrf_token: str


@dataclass(frozen=True)
class SessionUser:
    user: User
    csrf_token: str
    signed_in_at: datetime

    @property
    def actor(self) -> Actor:
        return user_actor(self.user)


def user_actor(user: User) -> Actor:
    return Actor(ActorType.USER, str(user.id))


def check_new_password(password: str) -> None:
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InvalidInput(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")


async def add_user(
    work: UnitOfWork, hasher: PasswordHasher, *, email: str, name: str, role: Role, password: str, by: Actor
) -> User:
    email = email.strip().lower()
    if not _EMAIL.fullmatch(email):
        raise InvalidInput(f"{email!r} is not an e-mail address")
    check_new_password(password)
    if await people.user_by_email(work, email):
        raise InvalidInput(f"there is already a user {email}")
    user = User(
        id=new_uuid(),
        email=email,
        name=name.strip() or email,
        role=role.value,
        password_hash=hasher.hash(password),
        created_at=utc_now(),
    )
    await people.save(work, user)
    await record(work, Event(by, Action.USER_ADD, "user", str(user.id), {"email": email, "role": role.value}))
    return user


@dataclass(frozen=True)
class Attempt:
    """What a sign-in attempt came to. Refusals are values, so that their audit events and counters are committed."""

    signed_in: SignedIn | None
    refusal: BadCredentials | TooManyAttempts | None


_BAD = "The e-mail address or the password is not right."


async def sign_in(
    work: UnitOfWork, hasher: PasswordHasher, email: str, password: str, now: datetime, *, agent: str = ""
) -> Attempt:
    """Check a password and open a session under a new token.

    Unknown user, wrong password and locked account answer alike. Ten bad tries lock an account for half an hour.
    """
    email = email.strip().lower()
    user = await people.user_by_email(work, email)
    # In a thread: hashing takes long on purpose, and the web process has other requests to answer meanwhile.
    stored = user.password_hash if user else await asyncio.to_thread(_decoy, hasher)
    right = await asyncio.to_thread(hasher.verify, password, stored)
    if user is None or user.disabled_at or not right:
        return await _refuse(work, user, email, now)
    if user.locked_until and user.locked_until > now:
        return await _refuse(work, user, email, now)
    user.failed_sign_ins, user.locked_until = 0, None
    await people.save(work, user)
    await people.delete_sessions_before(work, now - timedelta(days=2))
    return Attempt(await _open_session(work, user, now, agent), None)


async def _open_session(work: UnitOfWork, user: User, now: datetime, agent: str) -> SignedIn:
    token, csrf_token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    session = UserSession(
        token_sha=sha256(token.encode()),
        user_id=user.id,
        csrf_token=csrf_token,
        created_at=now,
        last_seen_at=now,
        agent=agent[:MAX_AGENT],
    )
    await people.save(work, session)
    await record(work, Event(user_actor(user), Action.SIGN_IN, "user", str(user.id)))
    return SignedIn(user, token, csrf_token)


async def _refuse(work: UnitOfWork, user: User | None, email: str, now: datetime) -> Attempt:
    if user:
        locked = user.locked_until is not None and user.locked_until > now
        if not locked:
            user.failed_sign_ins += 1
            if user.failed_sign_ins >= TRIES_BEFORE_LOCK:
                user.locked_until, user.failed_sign_ins = now + LOCK, 0
        await people.save(work, user)
    subject = str(user.id) if user else "unknown"
    actor = user_actor(user) if user else Actor(ActorType.SYSTEM, "sign-in")
    detail = {"email_sha": sha256(email.encode()).hex()[:16]}
    await record(work, Event(actor, Action.SIGN_IN, "user", subject, detail, Result.REFUSED))
    return Attempt(None, BadCredentials(_BAD))


_decoys: dict[int, str] = {}


def _decoy(hasher: PasswordHasher) -> str:
    """A hash of nobody's password: an unknown user costs as much time as a known one."""
    if id(hasher) not in _decoys:
        _decoys[id(hasher)] = hasher.hash(secrets.token_urlsafe(16))
    return _decoys[id(hasher)]


async def session_of(
    work: UnitOfWork, token: str, now: datetime, *, idle: timedelta, absolute: timedelta, touch: bool = True
) -> SessionUser | None:
    """Who holds this token, if the session is live. An id we did not hand out is never adopted.

    `touch` False only looks: an open stream must not keep an idle session alive.
    """
    token_sha = sha256(token.encode())
    found = await people.session_and_user(work, token_sha)
    if not found:
        return None
    session, user = found
    if user.disabled_at or now - session.last_seen_at > idle or now - session.created_at > absolute:
        return None
    if touch and now - session.last_seen_at > _TOUCH_EVERY:
        await people.touch_session(work, token_sha, now)
    return SessionUser(user, session.csrf_token, session.created_at)


async def sign_out(work: UnitOfWork, token: str, actor: Actor) -> None:
    await people.delete_session(work, sha256(token.encode()))
    await record(work, Event(actor, Action.SIGN_OUT, "user", actor.id))


async def add_source(work: UnitOfWork, source_id: str, name: str, by: Actor) -> Source:
    """Idempotent: an existing source is returned."""
    if not _SOURCE.fullmatch(source_id):
        raise InvalidInput("a source's id is 1 to 32 of a-z, 0-9 and -, and starts with a letter")
    found = await people.source(work, SourceId(source_id))
    if found:
        return found
    source = Source(id=source_id, name=name or source_id, created_at=utc_now())
    await people.save(work, source)
    await record(work, Event(by, Action.SOURCE_ADD, "source", source_id))
    return source


async def add_key(work: UnitOfWork, source_id: str, by: Actor) -> str:
    """A new key for a source, as the caller must keep it: it is not stored and cannot be shown again."""
    if not await people.source(work, SourceId(source_id)):
        raise NotFound(f"there is no source {source_id!r}; add it first")
    prefix, secret = KEY_PREFIX + secrets.token_hex(6), secrets.token_urlsafe(32)
    key = ApiKey(
        id=new_uuid(),
        source_id=source_id,
        prefix=prefix,
        secret_sha=sha256(secret.encode()),
        created_at=utc_now(),
        created_by=str(by),
    )
    await people.save(work, key)
    await record(work, Event(by, Action.KEY_ADD, "api_key", prefix, {"source": source_id}))
    return f"{prefix}.{secret}"


async def revoke_key(work: UnitOfWork, prefix: str, by: Actor) -> None:
    key = await people.live_key(work, prefix)
    if not key:
        raise NotFound(f"there is no live key {prefix}")
    key.revoked_at = utc_now()
    await people.save(work, key)
    await record(work, Event(by, Action.KEY_REVOKE, "api_key", prefix, {"source": key.source_id}))


async def key_holder(work: UnitOfWork, presented: str) -> ApiKey | None:
    """The live key row that `presented` proves, else None. Compared in constant time."""
    prefix, _, secret = presented.partition(".")
    key = await people.live_key(work, prefix)
    if key and secrets.compare_digest(key.secret_sha, sha256(secret.encode())):
        return key
    return None
