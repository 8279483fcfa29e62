"""Who may do what: users, their sessions, sources' API keys. No secret is stored, only hashes."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, Index, LargeBinary, text
from sqlmodel import Field, SQLModel


class User(SQLModel, table=True):
    __tablename__ = "app_user"
    id: UUID = Field(primary_key=True)
    email: str = Field(unique=True)
    name: str
    role: str
    password_hash: str
    """argon2id, with its parameters"""
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    disabled_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    failed_sign_ins: int = 0
    locked_until: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    language: str | None = None
    """None = what the browser asks for."""
    time_zone: str | None = None
    """IANA name; None = the browser's."""
    theme: str = Field(default="system", sa_column_kwargs={"server_default": "system"})
    density: str = Field(default="compact", sa_column_kwargs={"server_default": "compact"})
    single_keys: bool = Field(default=True, sa_column_kwargs={"server_default": "true"})
    """Whether keys without Ctrl or Alt do something (WCAG 2.1.4)."""


class UserSession(SQLModel, table=True):
    """A signed-in browser. The cookie holds a random token; here is its SHA-256."""

    __tablename__ = "user_session"
    token_sha: bytes = Field(primary_key=True, sa_type=LargeBinary)
    user_id: UUID = Field(foreign_key="app_user.id")
    csrf_token: str
    """Bound to this session: another session's token is refused."""
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    last_seen_at: datetime = Field(sa_type=DateTime(timezone=True))
    agent: str = Field(default="", sa_column_kwargs={"server_default": ""})
    """What the browser called itself when it signed in."""


class ApiKey(SQLModel, table=True):
    """A source's key. Shown once; `secret_sha` is the SHA-256 of 256 random bits."""

    __tablename__ = "api_key"
    __table_args__ = (Index("api_key_live", "prefix", unique=True, postgresql_where=text("revoked_at IS NULL")),)
    id: UUID = Field(primary_key=True)
    source_id: str = Field(foreign_key="source.id")
    prefix: str
    """First characters of the key, to find the row and to tell keys apart on screen."""
    secret_sha: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    created_by: str
    last_used_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    revoked_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
