"""What a decision writes: rows and audit events from values."""

import math
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import msgspec
import numpy as np
import pytest

from core.acts.audit import system
from core.base.clock import utc_now
from core.base.due import DueTimes
from core.base.settings import Settings
from core.base.terms import Action, EntityKind, EntityList, FeaturesStatus, Outcome
from core.contracts.messages import Payment
from core.rules.engine import RuleHit
from core.rules.lists import Listed, hit_of
from models.features.catalogue import CATALOGUE_VERSION, GROUPS, NAMES
from workers.control import ControlSample
from workers.verdicts import NO_FEATURES, NO_MODEL, Explained, Verdict, alert_row, decision_row, events_of

PAYMENT = Payment(
    uid=uuid4(), source_id="shop", transaction_id="p", occurred_at_ms=0, accepted_at_ms=0, amount_minor=10_001,
    currency="EUR", customer_id="c",
)  # fmt: skip
FEATURES = [{"name": "device_velocity_1h_count", "value": 7.0, "contribution": 1.0, "usual": 1.0}]
UP = {
    "code": "device_activity", "text": "7 payments on this device", "direction": "up", "contribution": 1.0, "features": FEATURES,
}  # fmt: skip
DOWN = {"code": "time", "text": "at the usual hour", "direction": "down", "contribution": -2.0, "features": []}
VERDICT = Verdict(
    payment=PAYMENT, vector=np.array([1.0, math.nan]), status=FeaturesStatus.COMPLETE, score=0.25, margin=-1.1, hits=[],
    outcome=Outcome.REVIEW, explained=Explained([0.5] * len(NAMES), -0.1, [DOWN, UP]), model_id="m", policy_version=3,
)  # fmt: skip
WATCHED, SNOOZED = (
    hit_of(Listed(uuid4(), one, EntityKind.CARD, "tok", "mules", None)) for one in (EntityList.WATCH, EntityList.SNOOZE)
)


DUE = DueTimes.of(Settings())


def test_an_alert_lies_in_the_space_of_its_reasons() -> None:
    alert = alert_row(VERDICT, utc_now(), DUE)
    assert len(alert["reason_vector"]) == len(GROUPS)
    assert sum(alert["reason_vector"]) == pytest.approx(0.5 * len(NAMES))
    assert alert["catalogue_version"] == CATALOGUE_VERSION
    unscored = alert_row(replace(VERDICT, explained=None, score=None), utc_now(), DUE)
    assert (unscored["reason_vector"], unscored["catalogue_version"]) == (None, None)


def test_an_unknown_feature_travels_as_null() -> None:
    assert msgspec.json.encode(decision_row(VERDICT, utc_now())["features"]) == b"[1.0,null]"


@pytest.mark.parametrize(("score", "loss"), [(0.25, 2500), (None, 10_001), (0.0, 0)])
def test_expected_loss_is_score_times_amount_and_everything_when_unscored(score: float | None, loss: int) -> None:
    assert alert_row(replace(VERDICT, score=score), utc_now(), DUE)["expected_loss_minor"] == loss


@pytest.mark.parametrize(
    ("verdict", "code", "words", "features"),
    [
        (VERDICT, "device_activity", "7 payments on this device", FEATURES),
        (replace(VERDICT, hits=[RuleHit("r", "a rule's words", Outcome.REVIEW)]), "r", "a rule's words", None),
        (
            replace(VERDICT, hits=[RuleHit("r", "milder", Outcome.APPROVE)]),
            "device_activity",
            "7 payments on this device",
            FEATURES,
        ),
        (replace(VERDICT, status=FeaturesStatus.DEGRADED), "no_features", NO_FEATURES, None),
        (
            replace(VERDICT, status=FeaturesStatus.DEGRADED, hits=[WATCHED]),
            "watch_list",
            "This card is on the watch list: mules",
            None,
        ),
        (replace(VERDICT, explained=None, score=None), "no_model", NO_MODEL, None),
    ],
)
def test_the_first_reason_people_read(
    verdict: Verdict, code: str, words: str, features: list[dict[str, object]] | None
) -> None:
    """With what it is told from in other languages, where the model gave it."""
    alert = alert_row(verdict, utc_now(), DUE)
    assert (alert["reason_code"], alert["top_reason"], alert["reason_features"]) == (code, words, features)


@pytest.mark.parametrize(("outcome", "minutes"), [(Outcome.REVIEW, 5), (Outcome.DECLINE, 50), (Outcome.APPROVE, 500)])
def test_an_alert_is_due_by_its_outcome(outcome: Outcome, minutes: int) -> None:
    due = DueTimes.of(Settings(due_review_minutes=5, due_decline_minutes=50, due_control_minutes=500))
    now = utc_now()
    assert alert_row(replace(VERDICT, outcome=outcome), now, due)["due_at"] == now + timedelta(minutes=minutes)


def test_a_decision_and_its_alert_are_two_events_with_an_actor() -> None:
    events = events_of(VERDICT, uuid4(), system("score"))
    assert [event.action for event in events] == [Action.DECISION_MAKE, Action.ALERT_OPEN]
    assert {str(event.actor) for event in events} == {"system:score"}
    assert events[0].detail["model"] == "m"
    assert len(events_of(VERDICT, None, system("score"))) == 1


def test_a_snoozed_payment_opens_no_alert_and_is_not_drawn_but_keeps_its_reasons() -> None:
    always = ControlSample(1.0, 1.0, 1.0)
    review, approved = (
        replace(VERDICT, outcome=outcome, hits=[SNOOZED]) for outcome in (Outcome.REVIEW, Outcome.APPROVE)
    )
    assert (review.alerts, review.telling) == (False, True)
    assert always.draw(approved).control_probability is None
    assert always.draw(replace(approved, hits=[])).alerts
