"""The audit trail. Append-only: the application's role may only INSERT named columns, and triggers refuse the rest to everyone."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, LargeBinary, text
from sqlmodel import Field, SQLModel

from core.tables.columns import xid_column


class AuditEvent(SQLModel, table=True):
    """One act. `leaf` hashes every column a reader relies on; `id`, `xid` and `at` are the server's."""

    __tablename__ = "audit_event"
    __table_args__ = (
        Index("audit_in_commit_order", "xid", "id"),
        Index("audit_by_subject", "subject_type", "subject_id", "id"),
        Index("audit_by_actor", "actor_type", "actor_id", "id"),
        Index("audit_by_action", "action", "id"),
    )
    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    xid: int = xid_column()
    at: datetime = Field(
        default=None,
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    )
    event_id: UUID = Field(unique=True)
    actor_type: str
    actor_id: str
    action: str
    subject_type: str
    subject_id: str
    result: str
    detail: str = "{}"
    """Canonical JSON text: before and after, reasons, counts. Never a secret or a card number."""
    written_at: datetime = Field(sa_type=DateTime(timezone=True))
    """The writer's clock; it is in the leaf, and must lie close to `at`."""
    leaf: bytes = Field(sa_type=LargeBinary)
    seal: int | None = Field(default=None, sa_type=BigInteger)
    """The Merkle seal that closed over this event; empty until sealing exists."""
