"""A transaction's way through the system: sources, transactions, decisions, outbox, dead letters."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import REAL, BigInteger, DateTime, Float, Index, LargeBinary, SmallInteger, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from core.tables.columns import json_column, xid_column


class Source(SQLModel, table=True):
    """A system that posts transactions. API keys belong to one."""

    __tablename__ = "source"
    id: str = Field(primary_key=True, max_length=32)
    name: str
    created_at: datetime = Field(sa_type=DateTime(timezone=True))


class Transaction(SQLModel, table=True):
    """One accepted payment. (source_id, transaction_id) is the source's key; uid is ours, and the month it is kept in. Never updated."""

    __tablename__ = "transaction"
    __table_args__ = (
        Index("transaction_by_time", text("occurred_at DESC"), text("uid DESC")),
        Index("transaction_by_customer", "customer_id", text("occurred_at DESC")),
        Index("transaction_by_card", "card_id", text("occurred_at DESC"), postgresql_where=text("card_id IS NOT NULL")),
        Index("transaction_by_merchant", "merchant_id", text("occurred_at DESC")),
        Index(
            "transaction_by_device",
            "device_id",
            text("occurred_at DESC"),
            postgresql_where=text("device_id IS NOT NULL"),
        ),
        Index("transaction_by_ip", "ip", text("occurred_at DESC"), postgresql_where=text("ip IS NOT NULL")),
        Index(
            "transaction_by_email",
            "email_hash",
            text("occurred_at DESC"),
            postgresql_where=text("email_hash IS NOT NULL"),
        ),
        Index("transaction_in_commit_order", "xid", "uid"),
        Index("transaction_by_acceptance", "accepted_at"),
        {"postgresql_partition_by": "RANGE (uid)"},
    )
    uid: UUID = Field(primary_key=True)
    source_id: str = Field(foreign_key="source.id")
    transaction_id: str
    occurred_at: datetime = Field(sa_type=DateTime(timezone=True))
    accepted_at: datetime = Field(sa_type=DateTime(timezone=True))
    amount_minor: int = Field(sa_type=BigInteger)
    currency: str
    customer_id: str
    card_id: str | None = None
    merchant_id: str | None = None
    merchant_category: str | None = None
    merchant_country: str | None = None
    channel: str | None = None
    device_id: str | None = None
    ip: str | None = None
    email_hash: str | None = None
    latitude: float | None = Field(default=None, sa_type=Float)
    longitude: float | None = Field(default=None, sa_type=Float)
    billing_country: str | None = None
    attributes: dict[str, Any] = json_column()
    imported: bool = False
    """Loaded as history: it feeds features and training but was never sent to be decided."""
    xid: int = xid_column()


class TransactionKey(SQLModel, table=True):
    """A source's key, taken once and for ever. A table by month cannot keep a key unique over all months; this one can."""

    __tablename__ = "transaction_key"
    __table_args__ = ({"postgresql_partition_by": "HASH (transaction_id, source_id)"},)
    transaction_id: str = Field(primary_key=True)
    source_id: str = Field(primary_key=True)
    uid: UUID
    body_sha: bytes = Field(sa_type=LargeBinary)


class Decision(SQLModel, table=True):
    """What Ronda answered. Version 1 is the worker's; a degraded one is later followed by version 2. Never updated."""

    __tablename__ = "decision"
    __table_args__ = (
        Index("decision_in_commit_order", "xid", "transaction_uid", "version"),
        Index("decision_by_time", text("decided_at DESC")),
        Index(
            "decision_to_repeat",
            "decided_at",
            postgresql_where=text("version = 1 AND (features_status = 'degraded' OR score IS NULL)"),
        ),
        {"postgresql_partition_by": "RANGE (transaction_uid)"},
    )
    transaction_uid: UUID = Field(primary_key=True, foreign_key="transaction.uid")
    version: int = Field(primary_key=True, sa_type=SmallInteger, default=1)
    outcome: str
    score: float | None = Field(default=None, sa_type=Float)
    """Calibrated probability of fraud in [0, 1]; None when no model scored."""
    margin: float | None = Field(default=None, sa_type=Float)
    """The model's raw log-odds before calibration: base_margin + the sum of contributions."""
    anomaly: float | None = Field(default=None, sa_type=REAL)
    """How unusual the payment is, whatever its score: the share of training payments that were less unusual, 0 to 1."""
    base_margin: float | None = Field(default=None, sa_type=Float)
    reasons: list[dict[str, Any]] = json_column("[]")
    """Most telling first: {code, text, contribution, features: [{name, value, usual}]}; empty where nobody will look."""
    contributions: list[float] | None = Field(default=None, sa_type=ARRAY(Float))
    """SHAP value of each feature on the margin, in catalogue order; None where nobody will look."""
    rule_hits: list[dict[str, Any]] = json_column("[]")
    """{code, text, outcome}"""
    model_id: str | None = None
    policy_version: int
    catalogue_version: int
    features: list[float | None] = Field(sa_type=ARRAY(Float))
    """The vector as scored, in catalogue order; NULL = not known."""
    features_status: str
    decided_at: datetime = Field(sa_type=DateTime(timezone=True))
    xid: int = xid_column()


class OutboxMessage(SQLModel, table=True):
    """A message that was decided together with a state change; sent_at is set after the broker's confirm."""

    __tablename__ = "outbox"
    __table_args__ = (Index("outbox_unsent", "next_at", postgresql_where=text("sent_at IS NULL")),)
    id: UUID = Field(primary_key=True)
    queue: str
    body: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    attempts: int = 0
    next_at: datetime = Field(sa_type=DateTime(timezone=True))
    """The relay leaves the row alone until then: the writer publishes it itself right after the commit."""
    sent_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class DeadLetter(SQLModel, table=True):
    """A message no consumer could handle. Stored once, however often the bus says so."""

    __tablename__ = "dead_letter"
    __table_args__ = (
        Index("dead_letter_once", "queue", "message_id", text("sha256(body)"), unique=True),
        Index("dead_letter_newest", text("died_at DESC"), text("id DESC")),
        Index("dead_letter_waiting", "reason", "died_at", postgresql_where=text("state = 'waiting'")),
        Index("dead_letter_by_payment", "transaction_uid", postgresql_where=text("transaction_uid IS NOT NULL")),
    )
    id: UUID = Field(primary_key=True)
    queue: str
    message_id: str
    reason: str
    body: bytes = Field(sa_type=LargeBinary)
    died_at: datetime = Field(sa_type=DateTime(timezone=True))
    payments: int = Field(default=0)
    """How many payments its body carries; 0 when it carries none or cannot be read."""
    transaction_uid: UUID | None = None
    """The payment, when it is one."""
    state: str = "waiting"
    settled_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    settled_by: str | None = None
    """The actor who sent it again or discarded it."""
    note: str | None = None
    """Why it was discarded."""


class ScoringTrouble(SQLModel, table=True):
    """A payment that is hard to score. Forgotten some time after it was scored like any other."""

    __tablename__ = "scoring_trouble"
    transaction_uid: UUID = Field(primary_key=True)
    attempts: int = 0
    """How often it was tried alone; counted before the attempt, so that the death of the process counts."""
    failure: str = ""
    """What the last attempt raised; empty when its process died or it hung."""
    resends: int = 0
    """How often it was sent again because its decision was missing."""
    resent_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
