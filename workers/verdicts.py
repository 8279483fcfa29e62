"""From payments, vectors and scores to the rows that a decision writes. No clients, no clock of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np

from core.acts.audit import Actor, Event
from core.base.clock import from_ms
from core.base.due import DueTimes
from core.base.ids import new_uuid
from core.base.terms import Action, AlertStatus, FeaturesStatus, Outcome
from core.contracts.messages import Payment
from core.rules.engine import RuleHit
from core.rules.lists import ListHit, snoozed
from models.features.catalogue import CATALOGUE_VERSION, NAMES
from models.features.vector import FloatArray
from models.scoring.similar import reason_vector

NO_FEATURES = "Decided without this customer's history: the feature store was not available"
NO_MODEL = "Decided by rules only: no model is in use yet"
SCORING_FAILED = "scoring_failed"
"""Reason code of a decision that is only the answer to a payment no scorer could handle."""
NOT_SCORED = "This payment could not be scored, so it is left to a person"
CONTROL = "Control sample: approved, and drawn by chance to be looked at"


@dataclass(frozen=True)
class Explained:
    """Why: SHAP values on the margin in catalogue order, the margin they start from, and the same in words."""

    contributions: list[float]
    base_margin: float
    reasons: list[dict[str, Any]]


@dataclass(frozen=True)
class Verdict:
    """One decision, ready to be stored. `score` and `margin` are None when no model scored."""

    payment: Payment
    vector: FloatArray
    status: FeaturesStatus
    score: float | None
    margin: float | None
    hits: Sequence[RuleHit]
    outcome: Outcome
    explained: Explained | None
    model_id: str | None
    policy_version: int
    anomaly: float | None = None
    """Share of training payments that were less unusual, 0 to 1; None when no model with anomaly trees scored."""
    failure: str | None = None
    """Why no scorer could handle it; None = it was scored, or at least judged by the rules."""
    control_probability: float | None = None
    """Chance with which this approved payment was drawn to be looked at; None = it was not."""

    @property
    def telling(self) -> bool:
        """Whether somebody may ask why: its reasons are worked out."""
        return self.outcome is not Outcome.APPROVE or self.control_probability is not None

    @property
    def snoozed(self) -> bool:
        return snoozed(self.hits)

    @property
    def alerts(self) -> bool:
        return self.telling and not self.snoozed


def decision_row(verdict: Verdict, now: datetime, version: int = 1) -> dict[str, Any]:
    """NaN, a feature that is not known, is stored as NULL."""
    explained = verdict.explained
    return {
        "transaction_uid": verdict.payment.uid,
        "version": version,
        "outcome": verdict.outcome.value,
        "score": verdict.score,
        "margin": verdict.margin,
        "base_margin": explained.base_margin if explained else None,
        "anomaly": verdict.anomaly,
        "reasons": explained.reasons if explained else _failed_reasons(verdict),
        "contributions": explained.contributions if explained else None,
        "rule_hits": [hit.as_json() for hit in verdict.hits],
        "model_id": verdict.model_id,
        "policy_version": verdict.policy_version,
        "catalogue_version": CATALOGUE_VERSION,
        "features": verdict.vector.tolist(),
        "features_status": verdict.status.value,
        "decided_at": now,
    }


def _failed_reasons(verdict: Verdict) -> list[dict[str, Any]]:
    if verdict.failure is None:
        return []
    return [{"code": SCORING_FAILED, "text": NOT_SCORED, "contribution": 0.0, "direction": "up", "features": []}]


def unscored(payment: Payment, failure: str, policy_version: int) -> Verdict:
    """The answer to a payment that no scorer could handle."""
    return Verdict(
        payment=payment,
        vector=np.full(len(NAMES), np.nan),
        status=FeaturesStatus.ABSENT,
        score=None,
        margin=None,
        hits=(),
        outcome=Outcome.REVIEW,
        explained=None,
        model_id=None,
        policy_version=policy_version,
        failure=failure,
    )


def alert_row(verdict: Verdict, now: datetime, due: DueTimes) -> dict[str, Any]:
    payment, reason = verdict.payment, top_reason(verdict)
    return {
        "id": new_uuid(),
        "transaction_uid": payment.uid,
        "status": AlertStatus.OPEN.value,
        "outcome": verdict.outcome.value,
        "control_probability": verdict.control_probability,
        "score": verdict.score,
        "expected_loss_minor": round((verdict.score if verdict.score is not None else 1.0) * payment.amount_minor),
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
        "transaction_id": payment.transaction_id,
        "customer_id": payment.customer_id,
        "card_id": payment.card_id,
        "merchant_id": payment.merchant_id,
        "device_id": payment.device_id,
        "ip": payment.ip,
        "top_reason": reason.text,
        "reason_code": reason.code,
        "reason_features": reason.features,
        "reason_vector": reason_vector(verdict.explained.contributions) if verdict.explained else None,
        "catalogue_version": CATALOGUE_VERSION if verdict.explained else None,
        "occurred_at": from_ms(payment.occurred_at_ms),
        "opened_at": now,
        "due_at": due.at(verdict.outcome, now),
        "version": 1,
    }


@dataclass(frozen=True)
class TopReason:
    """features: what the model's own sentence is told from."""

    code: str
    text: str
    features: Sequence[Mapping[str, Any]] | None = None


_CONTROL = TopReason("control", CONTROL)
_NOT_SCORED = TopReason(SCORING_FAILED, NOT_SCORED)
_NO_FEATURES = TopReason("no_features", NO_FEATURES)
_NO_MODEL = TopReason("no_model", NO_MODEL)
_MANY = TopReason("many_small", "Many small signs together")


def top_reason(verdict: Verdict) -> TopReason:
    """A list's or a rule's words when it asked for this outcome, else the strongest reason towards fraud."""
    if verdict.control_probability is not None:
        return _CONTROL
    if verdict.failure is not None:
        return _NOT_SCORED
    asking = [hit for hit in verdict.hits if hit.outcome is verdict.outcome]
    decisive = [TopReason(hit.code, hit.text) for hit in asking]
    if verdict.status is FeaturesStatus.DEGRADED:
        return decisive[0] if asking and isinstance(asking[0], ListHit) else _NO_FEATURES
    upward = [
        TopReason(reason["code"], reason["text"], reason["features"])
        for reason in (verdict.explained.reasons if verdict.explained else [])
        if reason["direction"] == "up"
    ]
    return next(iter([*decisive, *upward]), _NO_MODEL if verdict.score is None else _MANY)


def events_of(verdict: Verdict, alert_id: UUID | None, actor: Actor) -> list[Event]:
    detail: dict[str, Any] = {
        "outcome": verdict.outcome.value,
        "score": verdict.score,
        "model": verdict.model_id,
        "policy": verdict.policy_version,
        "features": verdict.status.value,
        "rules": [hit.code for hit in verdict.hits],
    }
    if verdict.failure is not None:
        detail["failure"] = verdict.failure
    events = [Event(actor, Action.DECISION_MAKE, "transaction", str(verdict.payment.uid), detail)]
    if alert_id:
        opened: dict[str, Any] = {"transaction": str(verdict.payment.uid)}
        if verdict.control_probability is not None:
            opened["control_probability"] = verdict.control_probability
        events.append(Event(actor, Action.ALERT_OPEN, "alert", str(alert_id), opened))
    return events
