"""What a decision writes: rows and audit events from values."""

import math
from dataclasses import replace
from uuid import uuid4

import msgspec
import numpy as np
import pytest

from core.acts.audit import system
from core.base.clock import utc_now
from core.base.terms import Action, FeaturesStatus, Outcome
from core.contracts.messages import Payment
from core.rules.engine import RuleHit
from models.features.catalogue import CATALOGUE_VERSION, GROUPS, NAMES
from workers.verdicts import NO_FEATURES, NO_MODEL, Explained, Verdict, alert_row, decision_row, events_of, top_reason

PAYMENT = Payment(
    uid=uuid4(), source_id="shop", transaction_id="p", occurred_at_ms=0, accepted_at_ms=0, amount_minor=10_001,
    currency="EUR", customer_id="c",
)  # fmt: skip
UP = {"code": "device_activity", "text": "7 payments on this device", "direction": "up", "contribution": 1.0}
DOWN = {"code": "time", "text": "at the usual hour", "direction": "down", "contribution": -2.0}
VERDICT = Verdict(
    payment=PAYMENT, vector=np.array([1.0, math.nan]), status=FeaturesStatus.COMPLETE, score=0.25, margin=-1.1, hits=[],
    outcome=Outcome.REVIEW, explained=Explained([0.5] * len(NAMES), -0.1, [DOWN, UP]), model_id="m", policy_version=3,
)  # fmt: skip


def test_an_alert_lies_in_the_space_of_its_reasons() -> None:
    alert = alert_row(VERDICT, utc_now())
    assert len(alert["reason_vector"]) == len(GROUPS)
    assert sum(alert["reason_vector"]) == pytest.approx(0.5 * len(NAMES))
    assert alert["catalogue_version"] == CATALOGUE_VERSION
    unscored = alert_row(replace(VERDICT, explained=None, score=None), utc_now())
    assert (unscored["reason_vector"], unscored["catalogue_version"]) == (None, None)


def test_an_unknown_feature_travels_as_null() -> None:
    assert msgspec.json.encode(decision_row(VERDICT, utc_now())["features"]) == b"[1.0,null]"


@pytest.mark.parametrize(("score", "loss"), [(0.25, 2500), (None, 10_001), (0.0, 0)])
def test_expected_loss_is_score_times_amount_and_everything_when_unscored(score: float | None, loss: int) -> None:
    assert alert_row(replace(VERDICT, score=score), utc_now())["expected_loss_minor"] == loss


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (VERDICT, "7 payments on this device"),
        (replace(VERDICT, hits=[RuleHit("r", "a rule's words", Outcome.REVIEW)]), "a rule's words"),
        (replace(VERDICT, hits=[RuleHit("r", "milder", Outcome.APPROVE)]), "7 payments on this device"),
        (replace(VERDICT, status=FeaturesStatus.DEGRADED), NO_FEATURES),
        (replace(VERDICT, explained=None, score=None), NO_MODEL),
    ],
)
def test_the_first_reason_people_read(verdict: Verdict, words: str) -> None:
    assert top_reason(verdict) == words


def test_a_decision_and_its_alert_are_two_events_with_an_actor() -> None:
    events = events_of(VERDICT, uuid4(), system("score"))
    assert [event.action for event in events] == [Action.DECISION_MAKE, Action.ALERT_OPEN]
    assert {str(event.actor) for event in events} == {"system:score"}
    assert events[0].detail["model"] == "m"
    assert len(events_of(VERDICT, None, system("score"))) == 1
