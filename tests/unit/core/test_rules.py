"""Rules and outcomes are pure: values in, values out."""

from uuid import uuid4

import pytest

from core.base.errors import InvalidInput
from core.base.terms import FeaturesStatus, Outcome
from core.contracts.messages import Payment
from core.rules.engine import Rule, RuleHit, RuleSet
from core.rules.outcome import Thresholds, outcome_of

PAYMENT = Payment(
    uid=uuid4(),
    source_id="checkout",
    transaction_id="p1",
    occurred_at_ms=0,
    accepted_at_ms=0,
    amount_minor=150_000,
    currency="EUR",
    customer_id="c1",
    attributes={"basket": 3},
)
FEATURES = {"device_payments_1h": 4.0, "other": 9.0}
THRESHOLDS = Thresholds(review=0.2, decline=0.8)
COMPLETE, DEGRADED = FeaturesStatus.COMPLETE, FeaturesStatus.DEGRADED


def hits(when: str) -> bool:
    return bool(RuleSet([Rule("r", "words", when, Outcome.REVIEW)]).hits(PAYMENT, FEATURES))


@pytest.mark.parametrize(
    ("when", "hit"),
    [
        ("payment.amount >= 1500.0", True),
        ("payment.amount > 1500.0", False),
        ("payment.currency in ['USD', 'EUR']", True),
        ("features.device_payments_1h > 3.0", True),
        ("features.not_known > 3.0", False),
        ("features . device_payments_1h > 3.0 && features.device_payments_1h < 5.0", True),
        ("features['device_payments_1h'] > 3.0", True),
        ("'device_payments_1h' in features", True),
        ("size(features) == 2", True),
        ("features.exists(name, features[name] == 9.0)", True),
        ("features.device_payments_1h > 3.0 && features.exists(name, name == 'other')", True),
        ("!has(payment.card_id)", True),
        ("payment.attributes.basket == 3", True),
        ("payment['currency'] == 'EUR'", True),
        ("payment.exists(field, field == 'amount')", True),
        ("payment.transaction_id == 'p1' && payment . customer_id == 'c1'", True),
        ("payment.amount > 'x'", False),
        ("payment.amount", False),
    ],
)
def test_a_rule_hits_or_does_not(when: str, hit: bool) -> None:
    assert hits(when) is hit


@pytest.mark.parametrize("when", ["payment.amount >", "a" * 1001])
def test_a_broken_rule_is_refused_by_name(when: str) -> None:
    with pytest.raises(InvalidInput, match="rule r"):
        hits(when)


@pytest.mark.parametrize(
    ("score", "rule_outcomes", "status", "outcome"),
    [
        (0.1, [], COMPLETE, Outcome.APPROVE),
        (0.2, [], COMPLETE, Outcome.REVIEW),
        (0.8, [], COMPLETE, Outcome.DECLINE),
        (0.1, [Outcome.DECLINE], COMPLETE, Outcome.DECLINE),
        (0.9, [Outcome.REVIEW], COMPLETE, Outcome.DECLINE),
        (0.1, [Outcome.APPROVE], COMPLETE, Outcome.APPROVE),
        (None, [], COMPLETE, Outcome.REVIEW),
        (None, [], DEGRADED, Outcome.REVIEW),
        (None, [Outcome.DECLINE], DEGRADED, Outcome.DECLINE),
    ],
)
def test_the_most_severe_wins_and_nothing_unknown_is_approved(
    score: float | None, rule_outcomes: list[Outcome], status: FeaturesStatus, outcome: Outcome
) -> None:
    asked = [RuleHit("r", "words", wanted) for wanted in rule_outcomes]
    assert outcome_of(score, THRESHOLDS, asked, status) is outcome


def test_rules_see_the_features_of_each_other() -> None:
    """What is handed over is the union of what all of them name."""
    rules = [
        Rule(name, "words", f"features.{name} > 3.0", Outcome.REVIEW)
        for name in ("other", "device_payments_1h", "absent")
    ]
    assert [hit.code for hit in RuleSet(rules).hits(PAYMENT, FEATURES)] == ["other", "device_payments_1h"]


def test_features_no_rule_names_are_not_handed_over() -> None:
    """They would make each decision several times dearer."""
    read: list[str] = []

    class Watched(dict[str, float]):
        def __getitem__(self, name: str) -> float:
            read.append(name)
            return super().__getitem__(name)

    rules = [Rule("r", "words", "has(features.other) && features.other > 3.0", Outcome.REVIEW)]
    assert RuleSet(rules).hits(PAYMENT, Watched(FEATURES))
    assert read == ["other"]
