"""Who may take the champion's place: a worse, leaky, slow or miscalibrated model is refused and says why."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.features.catalogue import NAMES
from models.scoring.dataset import Dataset, Segment, TrainingImpossible
from models.scoring.gates import GateLimits, gates
from models.scoring.report import ReportOptions, build_report
from models.scoring.scorer import Scorer
from models.scoring.split import split
from models.scoring.training import Trained, train
from tests.unit.models.conftest import OPTIONS

CHAMPION = {"average_precision": 0.5, "calibration_ratio": 1.0}
CLUE = {"name": "f", "roc_auc": 0.9, "share": 0.3, "recall_when_pure": 0.1, "own": False}
OWN = {"name": "amount", "roc_auc": 0.99, "share": 0.9, "recall_when_pure": 0.7, "own": True}
PAYMENT = {"roc_auc": 0.8, "recall_when_pure": 0.0}
REPORT: dict[str, Any] = {
    "payments": 10_000, "frauds": 100, "average_precision": 0.6, "calibration_ratio": 1.1,
    "intervals": {"calibration_ratio": [0.9, 1.3]},
    "leakage": {"features_checked": 3, "alone": [CLUE, OWN], "payment_itself": PAYMENT, "labels_too_early": 0},
    "latency": {"one_row_ms": 0.1, "row_us_at_256": 10.0, "explain_ms": 0.5},
    "champion": CHAMPION, "gain": {"average_precision": [-0.01, 0.2], "calibration": [-0.1, 0.1]},
    "segments": [{"by": "channel", "name": "web", "gain": [-0.1, 0.1]}, {"by": "channel", "name": "pos", "gain": None}],
}  # fmt: skip


def _leaking(**changes: float) -> dict[str, Any]:
    return {"leakage": {**REPORT["leakage"], "alone": [{**CLUE, **changes}]}}


def failed(changes: dict[str, object]) -> dict[str, str]:
    return {gate["name"]: gate["detail"] for gate in gates({**REPORT, **changes}, GateLimits()) if not gate["passed"]}


def test_a_sound_model_passes_every_gate() -> None:
    assert failed({}) == {}
    assert len(gates(REPORT, GateLimits())) == 8
    assert len(gates({**REPORT, "champion": None, "gain": None}, GateLimits())) == 5


@pytest.mark.parametrize(
    ("changes", "name", "said"),
    [
        ({"frauds": 19}, "enough_evidence", "19 frauds"),
        ({"average_precision": 0.02}, "ranks_fraud_first", "2.0 times"),
        ({"calibration_ratio": 2.0, "intervals": {"calibration_ratio": [1.6, 2.5]}}, "calibrated", "2.00 (1.60 to 2.50) times"),
        ({"calibration_ratio": 0.5, "intervals": {"calibration_ratio": [0.4, 0.6]}}, "calibrated", "0.50 (0.40 to 0.60) times"),
        ({"gain": {"average_precision": [-0.2, -0.01], "calibration": [0, 0]}}, "not_worse_than_champion", "-0.010"),
        ({"segments": [{"by": "channel", "name": "web", "gain": [-0.4, -0.1]}]}, "not_worse_in_any_segment", "web (channel)"),
        ({"latency": {"one_row_ms": 6.0, "row_us_at_256": 1.0, "explain_ms": 1.0}}, "fast_enough", "6.00 ms"),
        ({"latency": {"one_row_ms": 0.1, "row_us_at_256": 601.0, "explain_ms": 1.0}}, "fast_enough", "601"),
        ({"latency": {"one_row_ms": 0.1, "row_us_at_256": 1.0, "explain_ms": 31.0}}, "fast_enough", "31.0 ms"),
        (_leaking(roc_auc=0.99), "no_leaking_feature", "f alone has ROC AUC 0.990"),
        (_leaking(recall_when_pure=0.6), "no_leaking_feature", "names 60% of the frauds"),
        (_leaking(roc_auc=0.96, share=0.8), "no_leaking_feature", "makes 80% of the score"),
        ({"leakage": {**REPORT["leakage"], "labels_too_early": 4}}, "no_leaking_feature", "4 labels"),
    ],
)  # fmt: skip
def test_a_gate_that_fails_says_why(changes: dict[str, object], name: str, said: str) -> None:
    found = failed(changes)
    assert list(found) == [name]
    assert said in found[name]


def test_a_feature_that_tells_no_more_than_the_payment_itself_is_no_leak() -> None:
    """Where large amounts are always frauds, a sum over the last hour is nearly as telling as the amount."""
    leakage = {**_leaking(roc_auc=0.99, recall_when_pure=0.7, share=0.9)["leakage"]}
    assert list(failed({"leakage": leakage})) == ["no_leaking_feature"]
    assert failed({"leakage": {**leakage, "payment_itself": {"roc_auc": 0.99, "recall_when_pure": 0.7}}}) == {}


def test_worse_calibration_than_the_champions_is_refused_unless_it_is_good() -> None:
    worse = {"gain": {"average_precision": [0, 0.1], "calibration": [-0.5, -0.2]}}
    assert list(failed({**worse, "calibration_ratio": 1.4})) == ["not_worse_calibrated"]
    assert failed({**worse, "calibration_ratio": 1.2}) == {}


def test_calibration_that_is_worse_by_next_to_nothing_is_not_refused() -> None:
    """Two models that are off alike differ by a hundredth at most, and surely so."""
    alike = {"average_precision": [0, 0.1], "calibration": [-0.02, -0.01]}
    assert failed({"gain": alike, "calibration_ratio": 0.66}) == {}


def test_few_frauds_are_no_proof_of_bad_calibration() -> None:
    assert failed({"calibration_ratio": 0.66, "intervals": {"calibration_ratio": [0.45, 0.98]}}) == {}


def test_a_report_is_json_and_tells_the_champion_on_the_same_payments(dataset: Dataset, scorer: Scorer) -> None:
    test = split(dataset, OPTIONS.split).test
    found = build_report(scorer, test, champion=scorer, weeks=[], options=ReportOptions(resamples=50))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    low, high = found["intervals"]["average_precision"]
    assert low < found["average_precision"] < high
    assert found["champion"]["average_precision"] == found["average_precision"]
    assert all(gain == [0.0, 0.0] for gain in found["gain"].values())
    assert [gate["name"] for gate in found["gates"] if not gate["passed"]] == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_learning_from_shuffled_labels_is_refused(dataset: Dataset, scorer: Scorer, seed: int) -> None:
    """It may already fail to calibrate; else it fails the gates, on its own shuffled payments and on true ones."""
    learned = replace(dataset, label=np.random.default_rng(seed).permutation(dataset.label))
    try:
        trees = train(learned, OPTIONS, lambda _fraction, _step: None)
    except TrainingImpossible:
        return
    assert "ranks_fraud_first" in _failures(trees)
    found = build_report(
        Scorer.load(trees.artifact), split(dataset, OPTIONS.split).test,
        champion=scorer, weeks=[], options=ReportOptions(resamples=50),
    )  # fmt: skip
    refused = {gate["name"] for gate in found["gates"] if not gate["passed"]}
    assert {"ranks_fraud_first", "not_worse_than_champion"} <= refused


@pytest.mark.parametrize("told", ["every label", "most labels, roughly", "two frauds of three"])
def test_a_feature_that_knows_the_answer_is_refused(dataset: Dataset, told: str) -> None:
    random = np.random.default_rng(2)
    known, noise = random.random(len(dataset)), random.random(len(dataset))
    leak = {
        "every label": dataset.label + 0.1 * noise,
        "most labels, roughly": dataset.label + random.normal(0, 0.3, len(dataset)),
        "two frauds of three": dataset.label * (known < 0.67) + 0.1 * noise,
    }[told]
    matrix = dataset.matrix.copy()
    matrix[:, NAMES.index("card_velocity_7d_count")] = leak
    found = _failures(train(replace(dataset, matrix=matrix), OPTIONS, lambda _fraction, _step: None))
    assert "card_velocity_7d_count alone" in found["no_leaking_feature"]


def test_labels_from_before_their_payment_are_refused(dataset: Dataset) -> None:
    early = replace(
        dataset, reported_at_ms=np.where(dataset.label == 1, dataset.occurred_at_ms - 1, dataset.reported_at_ms)
    )
    found = _failures(train(early, OPTIONS, lambda _fraction, _step: None))
    assert "reported before their payment" in found["no_leaking_feature"]


def test_a_model_that_fails_one_kind_of_payment_is_refused(dataset: Dataset, scorer: Scorer) -> None:
    """On payments of the channel `pos` the challenger's scores are noise; the whole still looks fine beside a weak champion."""
    channel = np.arange(len(dataset)) % 4 // 3
    blind = dataset.matrix.copy()
    blind[channel == 1] = np.random.default_rng(3).permutation(blind[channel == 1])
    segments = {"channel": Segment(("web", "pos"), channel.astype(np.int64))}
    test = split(replace(dataset, segments=segments), OPTIONS.split).test
    seen = split(replace(dataset, matrix=blind, segments=segments), OPTIONS.split).test
    options = ReportOptions(resamples=100, segment_frauds=15)
    found = build_report(_Sees(scorer, seen), test, champion=scorer, weeks=[], options=options)  # type: ignore[arg-type]
    refused = {gate["name"]: gate["detail"] for gate in found["gates"] if not gate["passed"]}
    assert "pos (channel)" in refused["not_worse_in_any_segment"]
    assert "web (channel)" not in refused["not_worse_in_any_segment"]
    assert [(one["name"], one["gain"] is not None) for one in found["segments"]] == [("web", True), ("pos", True)]


class _Sees:
    """A scorer that is shown other vectors than the payments have."""

    def __init__(self, scorer: Scorer, seen: Dataset) -> None:
        self._scorer, self._seen = scorer, seen

    def __getattr__(self, name: str) -> object:
        return getattr(self._scorer, name)

    def score(self, matrix: np.ndarray) -> object:
        return self._scorer.score(self._seen.matrix if len(matrix) == len(self._seen) else matrix)


def _failures(trained: Trained) -> dict[str, str]:
    return {gate["name"]: gate["detail"] for gate in trained.metrics["gates"] if not gate["passed"]}
