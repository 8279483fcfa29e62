"""Performance decay with an interval, at the share of frauds the model was judged at; and what is made of the findings."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from models.monitoring.decay import DAY_MS, WEEK_MS, Bootstrap, JudgedPayments, Then, figures, performance
from models.monitoring.drift import Drift
from models.monitoring.proposal import CODES, SCORE, Findings, held_back, reasons

UNTIL = 100 * DAY_MS
QUICK = Bootstrap(resamples=60)


def judged(
    weeks: int = 6, a_week: int = 2_000, rate: float = 0.03, skill: float = 2.5, seed: int = 1
) -> JudgedPayments:
    """Scores of frauds lie `skill` deviations above the others'; times end just before UNTIL."""
    random = np.random.default_rng(seed)
    rows = weeks * a_week
    fraud = random.random(rows) < rate
    margin = random.normal(size=rows) + skill * fraud
    return JudgedPayments(
        occurred_at_ms=np.sort(random.integers(UNTIL - weeks * WEEK_MS, UNTIL, rows)),
        customer=random.integers(0, rows // 5, rows),
        score=1 / (1 + np.exp(-margin)),
        is_fraud=fraud,
        weight=np.ones(rows),
        is_alert=margin > 2.0,
    )


def then(payments: JudgedPayments) -> Then:
    found = figures(payments, 0, UNTIL, Then(payments.fraud_rate, 0, None, None, None), QUICK)
    return Then(
        payments.fraud_rate,
        found["average_precision"],
        found["interval"],
        found["precision"],
        found["precision_interval"],
    )


def worse(payments: JudgedPayments, weeks: int, lost: float = 0.5) -> JudgedPayments:
    """In the last weeks a share of the frauds is scored like anything else."""
    random = np.random.default_rng(9)
    late = payments.occurred_at_ms >= UNTIL - weeks * WEEK_MS
    hit = late & payments.is_fraud & (random.random(len(payments)) < lost)
    return replace(payments, score=np.where(hit, 1 / (1 + np.exp(-random.normal(size=len(payments)))), payments.score))


def test_average_precision_is_scikit_learns_when_frauds_are_as_frequent() -> None:
    payments = judged()
    found = figures(payments, 0, UNTIL, Then(payments.fraud_rate, 0, None, None, None), QUICK)
    assert found["average_precision"] == pytest.approx(
        average_precision_score(payments.is_fraud, payments.score), abs=1e-12
    )
    low, high = found["interval"]
    assert low < found["average_precision"] < high
    assert found["frauds"] == payments.is_fraud.sum()
    alerts = payments.is_alert
    assert found["precision"] == pytest.approx(payments.is_fraud[alerts].mean())


def test_rarer_frauds_are_no_decay_by_themselves() -> None:
    """The same model at 3 % and at 0.5 % frauds: plain average precision falls by half, the figure that is told hardly moves."""
    before, now = judged(rate=0.03, a_week=5_000), judged(rate=0.005, a_week=20_000, seed=2)
    plain = [average_precision_score(part.is_fraud, part.score) for part in (before, now)]
    assert plain[1] < plain[0] - 0.15
    found = performance(now, UNTIL, then(before), QUICK)
    assert found["recent"]["average_precision"] == pytest.approx(plain[0], abs=0.04)
    assert not found["decayed"]


def test_a_weight_is_as_good_as_so_many_payments() -> None:
    payments = judged(a_week=4_000)
    kept = payments.is_fraud | (np.random.default_rng(3).random(len(payments)) < 0.25)
    thinned = JudgedPayments(
        payments.occurred_at_ms[kept],
        payments.customer[kept],
        payments.score[kept],
        payments.is_fraud[kept],
        np.where(payments.is_fraud[kept], 1.0, 4.0),
        payments.is_alert[kept],
    )
    whole, part = (figures(one, 0, UNTIL, then(payments), QUICK) for one in (payments, thinned))
    assert part["payments"] == pytest.approx(whole["payments"], rel=0.05)
    assert part["average_precision"] == pytest.approx(whole["average_precision"], abs=0.03)


def test_no_decay_is_no_decay() -> None:
    reports = then(judged(seed=1))
    found = [performance(judged(seed=seed), UNTIL, reports, QUICK) for seed in range(2, 12)]
    assert not any(one["decayed"] for one in found)


def test_decay_is_seen_with_its_first_week() -> None:
    payments = judged()
    found = performance(worse(payments, weeks=3), UNTIL, then(payments), QUICK)
    assert found["decayed"]
    assert found["since"] == found["weeks"][-3]["from"]
    assert len(found["weeks"]) == 6
    assert found["recent"]["interval"][1] < found["training"]["interval"][0]


def test_a_week_with_next_to_no_fraud_says_nothing() -> None:
    payments = judged(weeks=2, a_week=300, rate=0.02)
    found = performance(payments, UNTIL, then(judged()), QUICK)
    assert [week["average_precision"] for week in found["weeks"]] == [None, None]
    assert (found["decayed"], found["since"]) == (False, None)


def test_the_first_days_of_a_model_are_a_short_week() -> None:
    payments = judged(weeks=2)
    late = payments.between(UNTIL - 10 * DAY_MS, UNTIL)
    found = performance(late, UNTIL, then(payments), QUICK)
    assert len(found["weeks"]) == 2
    assert sum(week["payments"] for week in found["weeks"]) == len(late)
    assert found["recent"]["payments"] == len(late)


STEADY = Drift(psi=0.02, ks=0.03, p=0.6, unknown_before=0.1, unknown_now=0.1)
MOVED = Drift(psi=0.31, ks=0.25, p=1e-9, unknown_before=0.1, unknown_now=0.12, moved=True)
MISSING = Drift(psi=3.0, ks=0.9, p=0.0, unknown_before=0.04, unknown_now=0.97, moved=True)
TOP = [["amount", 0.9], ["card_risk", 0.6], ["night", 0.1]]


def found(**changes: Any) -> Findings:
    steady = {"amount": STEADY, "card_risk": STEADY, "night": STEADY, "rare": STEADY}
    drift = steady | changes.pop("drift", {})
    return Findings(**{"score": STEADY, "since": {}, "top_features": TOP, "performance": None} | changes, drift=drift)


def test_nothing_moved_proposes_nothing() -> None:
    assert reasons(found()) == []
    assert reasons(found(drift={"night": MOVED, "rare": MOVED})) == []
    assert reasons(Findings(None, {}, {}, TOP, None)) == []
    steady = performance(judged(seed=2), UNTIL, then(judged()), QUICK)
    assert reasons(found(performance=steady)) == []


def test_a_moved_score_is_a_reason_with_its_figures() -> None:
    [reason] = reasons(found(score=MOVED, since={SCORE: "2026-05-03"}))
    assert (reason["code"], reason["text"]) == ("score_drift", "the scores have moved: PSI 0.31 since 2026-05-03")
    assert (reason["psi"], reason["since"]) == (0.31, "2026-05-03")


def test_moved_features_are_a_reason_when_the_model_leans_on_them() -> None:
    [reason] = reasons(found(drift={"card_risk": MOVED}))
    assert reason["code"] == "feature_drift"
    assert reason["weight"] == pytest.approx(0.375)
    assert [one["feature"] for one in reason["features"]] == ["card_risk"]
    assert "card_risk" in reason["text"]


def test_a_feature_that_went_missing_calls_for_a_person_first() -> None:
    why = reasons(found(drift={"card_risk": MISSING}, since={"card_risk": "2026-05-03"}))
    assert [reason["code"] for reason in why] == ["unknown_values"]
    assert (
        why[0]["text"] == "card_risk: no value in 97% of the payments since 2026-05-03, in 4% when the model was judged"
    )
    assert "sources first" in (held_back(why) or "")
    assert held_back(reasons(found(score=MOVED))) is None


def test_decay_is_a_reason_with_both_intervals() -> None:
    payments = judged()
    decayed = performance(worse(payments, weeks=3), UNTIL, then(payments), QUICK)
    why = {reason["code"]: reason for reason in reasons(found(performance=decayed))}
    reason = why["performance"]
    assert reason["text"].startswith("average precision fell from 0.")
    assert reason["now_interval"][1] < reason["before_interval"][0]
    assert reason["since"] == decayed["since"]


def test_alerts_that_are_less_often_right_are_a_reason() -> None:
    payments = judged()
    now = replace(payments, is_alert=payments.score > 0.6)
    [reason] = reasons(found(performance=performance(now, UNTIL, then(payments), QUICK)))
    assert reason["code"] == "alert_precision"
    assert reason["now_interval"][1] < reason["before_interval"][0]


def test_every_reason_has_a_code_of_the_list() -> None:
    decayed = performance(worse(judged(), weeks=3), UNTIL, then(judged()), QUICK)
    all_at_once = found(score=MOVED, drift={"amount": MOVED, "rare": MISSING}, performance=decayed)
    assert {reason["code"] for reason in reasons(all_at_once)} <= set(CODES)
    assert len(reasons(all_at_once)) >= 4
