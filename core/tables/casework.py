"""What people work on: alerts, notes, labels."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import REAL, BigInteger, DateTime, Float, Index, SmallInteger, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from core.tables.columns import json_column, optional_json_column

_OPEN = text("status <> 'closed'")
SEARCHED = ("transaction_id", "customer_id", "card_id", "merchant_id", "device_id", "ip")
"""Ids an alert is found by, also by their first characters."""


class Alert(SQLModel, table=True):
    """One payment that wants a person's look. `version` grows with every change: a stale act is refused."""

    __tablename__ = "alert"
    __table_args__ = (
        UniqueConstraint("transaction_uid"),
        # One index for each order of the queue: over what is not closed, and over everything.
        Index("alert_queue", text("expected_loss_minor DESC"), "id", postgresql_where=_OPEN),
        Index("alert_queue_by_time", text("opened_at DESC"), text("id DESC"), postgresql_where=_OPEN),
        Index("alert_queue_by_due", "due_at", "id", postgresql_where=_OPEN),
        Index("alert_queue_by_amount", text("amount_minor DESC"), "id", postgresql_where=_OPEN),
        Index("alert_queue_by_score", text("COALESCE(score, '-1'::integer) DESC"), "id", postgresql_where=_OPEN),
        Index("alert_by_loss", text("expected_loss_minor DESC"), "id"),
        Index("alert_by_due", "due_at", "id"),
        Index("alert_by_amount", text("amount_minor DESC"), "id"),
        Index("alert_by_score", text("COALESCE(score, '-1'::integer) DESC"), "id"),
        Index("alert_claimed", "claimed_by", "id", postgresql_where=text("status = 'claimed'")),
        Index("alert_queue_by_reason", "reason_code", "id", postgresql_where=_OPEN),
        # In byte order, so that a prefix is a range whatever the database's own order of words is.
        *(Index(f"alert_search_{name}", name, "id", postgresql_ops={name: "text_pattern_ops"}) for name in SEARCHED),
        Index("alert_by_time", text("opened_at DESC"), text("id DESC")),
        Index("alert_by_customer", "customer_id", text("opened_at DESC")),
        Index("alert_by_closing", "closed_at", postgresql_where=text("closed_at IS NOT NULL")),
        Index(
            "alert_turn",
            text("alert_turn(opened_at, expected_loss_minor)"),
            "id",
            postgresql_where=text("status = 'open'"),
        ),
    )
    id: UUID = Field(primary_key=True)
    transaction_uid: UUID = Field(foreign_key="transaction.uid")
    status: str = "open"
    outcome: str
    """Of the decision that opened it: review or decline, or approve for a control sample."""
    control_probability: float | None = Field(default=None, sa_type=Float)
    """Chance with which this approved payment came into the control sample; None = an alert on its own merit."""
    score: float | None = Field(default=None, sa_type=Float)
    expected_loss_minor: int = Field(sa_type=BigInteger)
    """score x amount, in the transaction's minor units."""
    amount_minor: int = Field(sa_type=BigInteger)
    currency: str
    transaction_id: str = Field(default="", sa_column_kwargs={"server_default": ""})
    """The source's own id of the payment; this and the entities are repeated here for the queue's search."""
    customer_id: str
    card_id: str | None = None
    merchant_id: str | None = None
    device_id: str | None = None
    ip: str | None = None
    top_reason: str
    """The first reason in words."""
    reason_code: str = Field(default="", sa_column_kwargs={"server_default": ""})
    """Of the first reason: a rule's code, a reason code of the model, or why there is neither."""
    reason_features: list[dict[str, Any]] | None = optional_json_column()
    """What the first reason is told from in any language, where the model gave it: its `features` as the decision has them."""
    reason_vector: list[float] | None = Field(default=None, sa_type=ARRAY(REAL))
    """Log-odds that each reason group moved the score by, in the catalogue's order of groups: near alerts have near vectors."""
    catalogue_version: int | None = Field(default=None, sa_type=SmallInteger)
    """Whose groups `reason_vector` has; both None when no model scored."""
    occurred_at: datetime = Field(sa_type=DateTime(timezone=True))
    opened_at: datetime = Field(sa_type=DateTime(timezone=True))
    due_at: datetime = Field(
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": text("now() + interval '2 hours'")},
    )
    """By when it should be closed."""
    claimed_by: UUID | None = Field(default=None, foreign_key="app_user.id")
    claim_expires_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    closed_by: UUID | None = Field(default=None, foreign_key="app_user.id")
    closed_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    disposition: str | None = None
    """The analyst's label when it was closed."""
    disposition_reason: str | None = None
    """And why: a DispositionReason."""
    version: int = 1


class Note(SQLModel, table=True):
    """An analyst's remark. Append-only."""

    __tablename__ = "note"
    __table_args__ = (Index("note_by_alert", "alert_id", "written_at"),)
    id: UUID = Field(primary_key=True)
    alert_id: UUID = Field(foreign_key="alert.id")
    author_id: UUID = Field(foreign_key="app_user.id")
    body: str
    written_at: datetime = Field(sa_type=DateTime(timezone=True))


class TransactionLabel(SQLModel, table=True):
    """One statement about a transaction. Append-only: a later or weightier one outweighs, nothing is overwritten. An analyst's that was
    undone before it left is withdrawn, and counts for nobody.
    """

    __tablename__ = "label"
    __table_args__ = (
        UniqueConstraint("transaction_uid", "label_source", "label", "reported_at"),
        Index("label_by_arrival", "received_at"),
        Index("label_by_source", "label_source", text("received_at DESC"), text("id DESC")),
    )
    id: UUID = Field(primary_key=True)
    transaction_uid: UUID = Field(foreign_key="transaction.uid")
    label: str
    label_source: str
    reported_at: datetime = Field(sa_type=DateTime(timezone=True))
    """When the truth became known, in event time: label-delayed features and training cut here."""
    received_at: datetime = Field(sa_type=DateTime(timezone=True))
    """From when it counts. An analyst's is received when it can no longer be undone, which is a few seconds ahead at first."""
    actor_type: str
    actor_id: str
    note: str | None = None
    withdrawn_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class SavedView(SQLModel, table=True):
    """A view of the queue that somebody kept: the query of its address, in the console's own spelling."""

    __tablename__ = "saved_view"
    __table_args__ = (
        UniqueConstraint("owner_id", "name"),
        Index("saved_view_shared", "name", "id", postgresql_where=text("shared")),
    )
    id: UUID = Field(primary_key=True)
    owner_id: UUID = Field(foreign_key="app_user.id")
    name: str
    query: str
    shared: bool = False
    """Shown to the whole team."""
    created_at: datetime = Field(sa_type=DateTime(timezone=True))


class DayFigures(SQLModel, table=True):
    """What one day (UTC) looks like by now: measured again twice a minute while it goes on, and whenever a label says more about it.

    Money is in minor units by currency: {currency: [payments, amount]}; sums of several currencies would be no amount of anything.

    figures:
      opened   {review, decline, control}: alerts opened that day; control = drawn for the control sample, in neither of the others
      labels   {fraud, legitimate, unsure}: what counts now for those of review and decline; the rest of them has no label yet
      closed   alerts closed that day, by whomever
      seconds  {step: alerts}: how long analysts took from opening to closing those; step n = from STEP**n seconds on
      saved    frauds among the payments accepted that day that were declined, or held for an analyst who called them fraud
      lost     the other frauds: approved, or let go by an analyst
      open     alerts open when this was measured; null unless the day was going on
    """

    __tablename__ = "day_figures"
    day: date = Field(primary_key=True)
    measured_at: datetime = Field(sa_type=DateTime(timezone=True))
    figures: dict[str, Any] = json_column()


class Verdict(SQLModel, table=True):
    """One closing of an alert by an analyst, with what an undo takes back."""

    __tablename__ = "verdict"
    __table_args__ = (
        Index("verdict_by_alert", "alert_id", text("decided_at DESC")),
        Index("verdict_by_analyst", "decided_by", text("decided_at DESC")),
        Index("verdict_by_batch", "batch_id", postgresql_where=text("batch_id IS NOT NULL")),
    )
    id: UUID = Field(primary_key=True)
    alert_id: UUID = Field(foreign_key="alert.id")
    batch_id: UUID | None = None
    """Shared by alerts that were closed together."""
    label: str
    reason: str
    label_id: UUID = Field(foreign_key="label.id")
    message_id: UUID
    """The outbox row that carries the label: while it is there and untouched, the verdict can be undone."""
    list_entry_id: UUID | None = None
    """The entry that was put on a list in the same step."""
    decided_by: UUID = Field(foreign_key="app_user.id")
    decided_at: datetime = Field(sa_type=DateTime(timezone=True))
    undo_until: datetime = Field(sa_type=DateTime(timezone=True))
    undone_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
