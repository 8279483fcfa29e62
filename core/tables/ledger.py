"""The audit trail. Append-only: the application's role may only INSERT named columns, and triggers refuse the rest to everyone."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, LargeBinary, text
from sqlmodel import Field, SQLModel

from core.tables.columns import XID8, xid_column


class AuditEvent(SQLModel, table=True):
    """One act. `leaf` hashes every column a reader relies on; `id`, `xid` and `at` are the server's.

    The seal that closes over it follows from its `xid`, the month it is kept in from its `event_id`.
    """

    __tablename__ = "audit_event"
    __table_args__ = (
        Index("audit_in_commit_order", "xid", "id"),
        Index("audit_by_subject", "subject_type", "subject_id", "id"),
        Index("audit_by_actor", "actor_type", "actor_id", "id"),
        Index("audit_by_action", "action", "id"),
        Index("audit_by_id", "id"),
        Index("audit_refused", "id", postgresql_where=text("result = 'refused'")),
        {"postgresql_partition_by": "RANGE (event_id)"},
    )
    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(always=True), nullable=False))
    xid: int = xid_column()
    at: datetime = Field(
        default=None,
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    )
    event_id: UUID = Field(primary_key=True)
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


class AuditSeal(SQLModel, table=True):
    """Closes over every event whose transaction id lies in [xid_lo, xid_hi); each seal begins where the one before ended."""

    __tablename__ = "audit_seal"
    n: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    """From 1, without gaps: the seal's place in the top tree."""
    xid_lo: int = Field(sa_column=Column(XID8(), nullable=False))
    xid_hi: int = Field(sa_column=Column(XID8(), nullable=False, unique=True))
    count: int
    root: bytes = Field(sa_type=LargeBinary)
    """Merkle root over its events in the order of (xid, id)."""
    prev: bytes = Field(sa_type=LargeBinary)
    """The hash of the seal before; 32 zero bytes for the first."""
    hash: bytes = Field(sa_type=LargeBinary)
    """Over every column above, and `at`. The seal's leaf in the top tree."""
    subtree: bytes = Field(sa_type=LargeBinary)
    """Root of the largest perfect subtree of the top tree that ends with this seal: what proofs and the next checkpoint are made from."""
    at: datetime = Field(sa_type=DateTime(timezone=True))


class AuditCheckpoint(SQLModel, table=True):
    """A signed root of the top tree over the first `size` seals."""

    __tablename__ = "audit_checkpoint"
    size: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    root: bytes = Field(sa_type=LargeBinary)
    at: datetime = Field(sa_type=DateTime(timezone=True))
    key: str
    """Base64 of the signer's public key. Whether it is to be trusted, the reader's settings say."""
    signature: bytes = Field(sa_type=LargeBinary)
