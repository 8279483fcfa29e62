"""How decisions are made: policies (thresholds and rules), registered models, training runs."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Float, Index, PrimaryKeyConstraint, text
from sqlmodel import Field, SQLModel

from core.tables.columns import json_column, optional_json_column


class Policy(SQLModel, table=True):
    """Thresholds and rules. The newest version is in force; never updated."""

    __tablename__ = "policy"
    version: int = Field(primary_key=True)
    review_at: float | None = Field(default=None, sa_type=Float)
    """Calibrated score from which a payment is reviewed; None = the champion's own threshold."""
    decline_at: float | None = Field(default=None, sa_type=Float)
    rules: list[dict[str, Any]] = json_column("[]")
    """{code, text, when (CEL), outcome}"""
    published_at: datetime = Field(sa_type=DateTime(timezone=True))
    published_by: str


class RegisteredModel(SQLModel, table=True):
    """A trained model. Its artifact is content-addressed: the id is the start of the SHA-256."""

    __tablename__ = "model"
    __table_args__ = (Index("model_one_champion", "stage", unique=True, postgresql_where=text("stage = 'champion'")),)
    id: str = Field(primary_key=True)
    artifact_sha: str
    artifact_size: int
    stage: str
    catalogue_version: int
    metrics: dict[str, Any] = json_column()
    """average_precision, roc_auc, card_precision_100, brier, thresholds, curves, and `champion` = the champion's on the same window"""
    lineage: dict[str, Any] = json_column()
    """rows, frauds, train/test windows, label cut, label delay, seed, seconds, code version"""
    trained_at: datetime = Field(sa_type=DateTime(timezone=True))
    requested_by: str
    """Actor (`user:<id>` or `system:<process>`) that asked for the training: four eyes compares with it."""
    promoted_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    promoted_by: str | None = None
    replaced: str | None = Field(default=None, foreign_key="model.id")
    """The champion before this one, to which a rollback returns; emptied by that rollback."""
    shadow_since: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    refusals: list[str] = json_column("[]")
    """Why it is refused, in words: failed gates, or a person's reason."""
    signed_by: str | None = None
    """Fingerprint of the key its artifact was signed with; None = registered before artifacts were signed."""


class TrainingRun(SQLModel, table=True):
    """One training, from request to registered model or failure."""

    __tablename__ = "training_run"
    __table_args__ = (Index("training_run_by_time", text("requested_at DESC")),)
    id: UUID = Field(primary_key=True)
    status: str
    requested_by: str
    requested_at: datetime = Field(sa_type=DateTime(timezone=True))
    started_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    ended_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    progress: float = Field(default=0.0, sa_type=Float)
    """0 to 1"""
    step: str = ""
    """What it does now, in words; on failure, why."""
    model_id: str | None = Field(default=None, foreign_key="model.id")
    attempts: int = Field(default=0)
    """How often a worker took it up; the number tells a worker that was thought dead that another one is at it."""
    lease_until: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    """The worker that trains renews it; a run whose lease ran out may be taken up by another worker."""
    cancel_asked_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    cancel_asked_by: str | None = None
    """Actor who wants the training stopped; the worker looks between two steps."""


class ShadowScore(SQLModel, table=True):
    """What a shadow model would have answered for a payment. Nobody acts on it. Append-only."""

    __tablename__ = "shadow_score"
    # Transaction uids grow with time, so the key also serves "the newest of this model".
    __table_args__ = (PrimaryKeyConstraint("model_id", "transaction_uid"),)
    model_id: str = Field(foreign_key="model.id")
    transaction_uid: UUID = Field(foreign_key="transaction.uid")
    score: float = Field(sa_type=Float)
    """Calibrated probability of fraud, as Decision.score."""
    outcome: str
    """With this model's thresholds, or the policy's, and the rules that hit."""
    scored_at: datetime = Field(sa_type=DateTime(timezone=True))


class ModelWatch(SQLModel, table=True):
    """One look at how the champion does. Never changed, forgotten after some months; the newest one counts. Shares and scores are 0 to 1,
    intervals [low, high].

    What could not be measured is null or empty, and `notes` says why. Moments are RFC 3339 strings of event time.

    figures:
      payments          sampled recent payments that were compared
      drift             [{feature, psi, psi_anyway, ks, p, share_unknown_before, share_unknown_now, moved, since}], moved ones first;
                        psi_anyway: from what the model learned from to what it was judged on, and no further is no news
      psi_max           of the features that lie further off than anyway; null = none does, or not measured
      score             the same of the calibrated score, without `feature`; null = not measured
      labels            {curve: [[days, share of frauds known by that age]], frauds, half_days, old_enough_days, measured}
      precision         {from, until, all: P, by_reason: [P with `reason`], agreement: A}; null = no alert old enough
        P = {alerts, labelled, presumed, frauds, precision, interval}; precision is of those labelled, or presumed legitimate after so long
        A = {payments, agreed, share, interval, said: [{label, payments, confirmed, share, interval}]}: the analysts' labels against what
            customers and chargebacks said later
      performance       {training: F, recent: F, weeks: [F], decayed, since}; F = {from, until, payments, frauds, fraud_rate,
                        average_precision, interval, calibration_ratio, alerts, precision, precision_interval}; the average
                        precision of `recent` and `weeks` is as if frauds were as frequent as at training; `training` lacks some keys
      notes             [sentence]
    proposal: {reasons: [{code, text, ...facts}], training: id of the training run it asked for or null, held_back: why none was, or null};
      null = nothing speaks for a training. Codes: score_drift, feature_drift, unknown_values, performance, alert_precision.
    """

    __tablename__ = "model_watch"
    __table_args__ = (Index("model_watch_newest", "model_id", text("measured_at DESC")),)
    id: UUID = Field(primary_key=True)
    model_id: str = Field(foreign_key="model.id")
    measured_at: datetime = Field(sa_type=DateTime(timezone=True))
    window_from: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    """Payments whose features and scores were compared occurred in [window_from, window_until); None = too few yet."""
    window_until: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    figures: dict[str, Any] = json_column()
    proposal: dict[str, Any] | None = optional_json_column()


class ListEntry(SQLModel, table=True):
    """An entity on a list. Only its expiry and its end ever change; at most one entry of a list and entity has not ended."""

    __tablename__ = "list_entry"
    __table_args__ = (
        Index("list_entry_once", "list", "kind", "entity_id", unique=True, postgresql_where=text("ended_at IS NULL")),
        Index("list_entry_by_entity", "kind", "entity_id", text("created_at DESC")),
        Index("list_entry_by_time", "list", text("created_at DESC"), text("id DESC")),
        Index("list_entry_by_change", "change", unique=True),
    )
    id: UUID = Field(primary_key=True)
    list: str
    kind: str
    entity_id: str
    reason: str
    """In the words of whoever added it; every decision it takes part in repeats them."""
    created_by: str
    """Actor, as `user:<id>`."""
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    expires_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    """By the clock of the scorer, not by event time; None = until somebody ends it."""
    ended_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    """An entry that ran out is ended when the entity is listed again; until then its expiry tells."""
    ended_by: str | None = None
    """Actor; None = it ran out."""
    alert_id: UUID | None = Field(default=None, foreign_key="alert.id")
    """The alert it was added from."""
    change: int = Field(sa_type=BigInteger)
    """Place of its last change in the order of all changes, which is the order of their commits: scorers read what is new to them."""
