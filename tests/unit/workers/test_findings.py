"""What is read, as the measures take it: whole days, calendar and levels apart, silence as the training took it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from core.base.clock import from_ms, to_ms
from core.stores.watching import AlertTruth, FraudReport, LabelledPayment, ScoredPayment
from core.tables.policy import RegisteredModel
from models.features.catalogue import NAMES
from models.features.vector import FloatMatrix
from models.scoring.artifact import encode, pack
from models.scoring.reference import condensed
from models.scoring.scorer import Scorer
from tests.small_models import AMOUNT, SmallModel
from workers import findings
from workers.findings import Judged, Recent

DAY_MS = 86_400_000
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def vectors(rows: int, seed: int = 1) -> FloatMatrix:
    matrix = np.random.default_rng(seed).normal(size=(rows, len(NAMES)))
    matrix[:, AMOUNT] = np.abs(matrix[:, AMOUNT]) * 80_000
    return matrix


def scorer(*, with_past: bool = True) -> Scorer:
    from msgspec.structs import replace

    artifact = SmallModel().artifact()
    if with_past:
        matrix = vectors(5_000)
        score = Scorer.load(encode(artifact)).score(matrix).probability
        judged = condensed(np.column_stack([matrix, score]), 300)
        artifact = replace(artifact, reference=pack(judged), learned=pack(condensed(matrix, 100)))
    return Scorer.load(encode(artifact))


def recent(days: float, rows: int = 4_000, seed: int = 2) -> Recent:
    until = to_ms(NOW) + 1
    occurred = until - 1 - np.random.default_rng(seed).integers(0, int(days * DAY_MS), rows)
    return Recent(occurred, vectors(rows, seed), until)


def model(**changes: Any) -> RegisteredModel:
    metrics = {"average_precision": 0.7, "frauds": 100, "payments": 10_000}
    row = {"id": "m1", "artifact_sha": "0" * 64, "metrics": metrics, "lineage": {}}
    return RegisteredModel(**row | changes)


def test_payments_like_those_it_was_judged_on_have_not_moved() -> None:
    found = findings.compared(scorer(), recent(7))
    assert found.note is None
    assert found.score is not None
    assert not found.score.moved
    assert [name for name, one in found.drift.items() if one.moved] == []
    assert found.drift.keys() == set(NAMES)
    assert found.window == (from_ms(to_ms(NOW) + 1 - 7 * DAY_MS), from_ms(to_ms(NOW) + 1))


def test_larger_amounts_are_told_with_their_first_day_and_move_the_score() -> None:
    last = recent(7)
    late = last.occurred_at_ms >= last.until_ms - 5 * DAY_MS
    last.matrix[late, AMOUNT] *= 6
    found = findings.compared(scorer(), last)
    assert [name for name, one in found.drift.items() if one.moved] == ["amount"]
    assert found.score is not None
    assert found.score.moved
    assert found.since == {"amount": "2026-04-26", "score": "2026-04-26"}
    told = findings.drift_json(found)
    assert (told["drift"][0]["feature"], told["drift"][0]["since"]) == ("amount", "2026-04-26")
    assert told["score"]["psi"] == pytest.approx(found.score.psi, rel=1e-3)


def test_the_calendar_is_compared_by_the_week_only_and_levels_of_fraud_never_move() -> None:
    last = recent(7)
    for name in ("weekend", "currency_risk_30d"):
        last.matrix[:, NAMES.index(name)] += 5
    whole = findings.compared(scorer(), last)
    assert [name for name, one in whole.drift.items() if one.moved] == ["weekend"]
    assert whole.drift["currency_risk_30d"].psi > 1
    told = findings.drift_json(whole)
    places = [one["feature"] for one in told["drift"]]
    assert places[0] == "weekend"
    assert places.index("currency_risk_30d") > len(places) / 3
    assert told["psi_max"] == told["drift"][0]["psi"]
    short = findings.compared(scorer(), recent(3))
    assert set(NAMES) - short.drift.keys() == {"hour", "night", "weekend", "weekday"}
    assert short.window
    assert short.window[1] - short.window[0] == timedelta(days=3)


def test_less_than_a_day_or_few_payments_are_not_compared() -> None:
    for last in (recent(0.5), recent(7, rows=500), Recent(np.empty(0, np.int64), np.empty((0, len(NAMES))), 1)):
        found = findings.compared(scorer(), last)
        assert (found.score, found.window) == (None, None)
        assert "at least a day" in (found.note or "")
    without = findings.compared(scorer(with_past=False), recent(7))
    assert "train and promote a new model" in (without.note or "")


def test_an_unfinished_first_day_does_not_count() -> None:
    days, kept = recent(4.6).whole_days()
    assert days == 4
    assert kept.occurred_at_ms.min() >= kept.until_ms - 4 * DAY_MS
    assert recent(6.95).whole_days()[0] == 7
    assert recent(30).whole_days()[0] == 7


def reports(count: int, delay_days: float) -> list[FraudReport]:
    return [
        FraudReport(NOW - timedelta(days=30, hours=place), NOW - timedelta(days=30 - delay_days, hours=place))
        for place in range(count)
    ]


def test_payments_are_old_enough_when_most_of_their_frauds_are_known() -> None:
    measured = findings.arrived([*reports(92, 3.4), *reports(8, 20.0)], NOW)
    assert findings.old_enough_days(measured, model()) == 4
    told = findings.labels_json(measured, 4)
    assert (told["measured"], told["frauds"], told["half_days"]) == (True, 100, 3.4)
    assert [3.0, 0.0] in told["curve"]
    assert [5.0, 0.92] in told["curve"]


def test_without_enough_frauds_the_training_s_label_delay_is_taken() -> None:
    few = findings.arrived(reports(5, 3.0), NOW)
    assert few is None
    assert findings.old_enough_days(few, model()) == 7
    told = model(lineage={"options": {"split": {"label_delay_days": 11.5}}})
    assert findings.old_enough_days(few, told) == 12
    assert findings.labels_json(few, 12) == {
        "measured": False,
        "frauds": 0,
        "curve": [],
        "half_days": None,
        "old_enough_days": 12,
    }


def labelled(number: int, label: str, outcome: str = "review", control: float | None = None) -> LabelledPayment:
    alerted = outcome != "approve" or control is not None
    return LabelledPayment(UUID(int=number), NOW, f"c{number}", 0.5, outcome, label, alerted, control)


def silent(number: int, outcome: str = "approve") -> ScoredPayment:
    return ScoredPayment(UUID(int=number), NOW, f"c{number}", 0.1, outcome)


def test_silence_is_legitimate_where_the_training_took_it_so() -> None:
    """Of the sampled two were labelled and one declined; the other two stand for ten each."""
    said = [labelled(1, "fraud"), labelled(2, "legitimate", "approve"), labelled(3, "unsure")]
    sampled = [silent(1), silent(3), silent(4, "decline"), silent(5), silent(6, "review")]
    found = findings.judged_payments(Judged(said, sampled, 0.1), presume=True)
    assert found.is_fraud.tolist() == [True, False, False, False]
    assert found.weight.tolist() == pytest.approx([1.0, 1.0, 10.0, 10.0])
    assert found.is_alert.tolist() == [True, False, False, True]
    assert len(set(found.customer.tolist())) == 4


def test_silence_means_nothing_where_the_training_went_by_the_control_sample() -> None:
    said = [
        labelled(1, "fraud"),
        labelled(2, "legitimate", "approve", control=0.01),
        labelled(3, "fraud", "approve"),
    ]
    found = findings.judged_payments(Judged(said, [silent(5)], 0.1), presume=False)
    assert found.is_fraud.tolist() == [True, False]
    assert found.weight.tolist() == pytest.approx([1.0, 100.0])
    by_sample = model(lineage={"labels": {"used": "sampled"}})
    assert (findings.presumes(model()), findings.presumes(by_sample)) == (True, False)


def test_nothing_to_judge_is_nothing() -> None:
    nothing = findings.judged_payments(Judged([], [], 1.0), presume=True)
    assert findings.performance_json(nothing, NOW, model()) is None
    assert findings.precision_json([], NOW, NOW, presume=True) is None


def test_alerts_are_told_by_reason_and_by_who_said_what() -> None:
    rows = [
        AlertTruth("decline", "device_activity", "fraud", "chargeback", "fraud"),
        AlertTruth("review", "device_activity", "legitimate", "analyst", "legitimate"),
        AlertTruth("review", None, None, None, None),
        AlertTruth("decline", None, None, None, None),
    ]
    told = findings.precision_json(rows, NOW - timedelta(days=30), NOW, presume=True)
    assert told is not None
    assert [(one["reason"], one["alerts"], one["frauds"]) for one in told["by_reason"]] == [
        ("device_activity", 2, 1),
        ("rules", 2, 0),
    ]
    assert [one["presumed"] for one in told["by_reason"]] == [0, 1]
    without = findings.precision_json(rows, NOW - timedelta(days=30), NOW, presume=False)
    assert without is not None
    assert without["all"]["presumed"] == 0
    assert (told["agreement"]["payments"], told["agreement"]["agreed"]) == (1, 1)
    assert told["until"] == "2026-05-01T00:00:00.000Z"
