"""Training, the artifact, the compiled scorer and its explanations hold together."""

import json
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from core.base.errors import ModelRefused
from models.features.catalogue import NAMES
from models.scoring import artifact
from models.scoring.dataset import Dataset
from models.scoring.explainer import Explainer
from models.scoring.scorer import Scorer
from models.scoring.split import split
from models.scoring.training import NEVER, Trained, TrainingOptions, TreeOptions, choose_thresholds, grow, train
from tests.unit.models.conftest import OPTIONS


def test_the_scorer_repeats_scikit_learn(dataset: Dataset, scorer: Scorer) -> None:
    grown = grow(split(dataset, OPTIONS.split).train, OPTIONS, lambda _: None)
    rows = dataset.matrix[:3_000]
    assert np.isnan(rows).any()
    np.testing.assert_allclose(scorer.score(rows).margin, grown.margin(rows), rtol=0, atol=1e-9)


def test_batch_size_does_not_change_a_score(dataset: Dataset, scorer: Scorer) -> None:
    together = scorer.score(dataset.matrix[:50]).probability
    alone = [scorer.score(dataset.matrix[row : row + 1]).probability[0] for row in range(50)]
    np.testing.assert_array_equal(together, alone)
    assert scorer.score(dataset.matrix[:0]).probability.shape == (0,)


def test_training_is_deterministic(dataset: Dataset, trained: Trained) -> None:
    again = train(dataset, OPTIONS, lambda _fraction, _step: None)
    assert again.artifact == trained.artifact
    timed = {"latency", "gates"}
    assert {k: v for k, v in again.metrics.items() if k not in timed} == {
        k: v for k, v in trained.metrics.items() if k not in timed
    }
    other = train(dataset, replace(OPTIONS, seed=8), lambda _fraction, _step: None)
    assert other.artifact != trained.artifact


def test_progress_rises_to_one(dataset: Dataset) -> None:
    told: list[float] = []
    options = replace(OPTIONS, trees=replace(OPTIONS.trees, iterations=400))
    train(dataset, options, lambda fraction, _step: told.append(fraction))
    assert told == sorted(told)
    assert told[0] == 0
    assert told[-1] == 1
    assert len(told) > 8


def test_the_model_found_the_signal(trained: Trained) -> None:
    metrics = trained.metrics
    assert metrics["average_precision"] > 0.4
    assert {metrics["top_features"][0][0], metrics["top_features"][1][0]} == {
        "amount_to_own_median",
        "merchant_risk_7d",
    }
    assert all(gate["passed"] for gate in metrics["gates"])
    assert 0 < metrics["thresholds"]["review"] <= metrics["thresholds"]["decline"] <= NEVER
    json.dumps([metrics, trained.lineage], allow_nan=False)


def test_calibration_is_increasing_and_never_certain(dataset: Dataset, scorer: Scorer) -> None:
    scores = scorer.score(dataset.matrix)
    order = np.argsort(scores.margin)
    assert (np.diff(scores.probability[order]) >= 0).all()
    assert len(np.unique(scores.probability)) == len(np.unique(scores.margin))
    assert scores.probability.min() > 0
    assert scores.probability.max() < 1


def test_explanations_add_up(dataset: Dataset, scorer: Scorer) -> None:
    explanation = Explainer(scorer).explain(dataset.matrix[:1_000])
    total = explanation.contributions.sum(axis=1) + explanation.base
    np.testing.assert_allclose(total, scorer.score(dataset.matrix[:1_000]).margin, rtol=0, atol=1e-6)
    unused = NAMES.index("ip_velocity_1h_count")
    assert (explanation.contributions[:, unused] == 0).all()
    assert np.abs(explanation.contributions).max() > 0.5


def test_an_explanation_that_does_not_add_up_is_refused(dataset: Dataset, scorer: Scorer, trained: Trained) -> None:
    explainer = Explainer(scorer)
    explainer._scorer = Scorer.load(tampered(trained, calibration=artifact.Calibration(1.0, 0.0)))
    explainer.explain(dataset.matrix[:5])
    packed = artifact.decode(trained.artifact)
    moved = replace(artifact.unpack_ensemble(packed.ensemble), base=scorer.ensemble.base + 1e-5)
    explainer._scorer = Scorer(packed, moved)
    with pytest.raises(ModelRefused, match="misses the score"):
        explainer.explain(dataset.matrix[:5])


def tampered(trained: Trained, **changes: object) -> bytes:
    return artifact.encode(msgspec.structs.replace(artifact.decode(trained.artifact), **changes))


def with_ensemble(trained: Trained, **changes: object) -> bytes:
    ensemble = artifact.unpack_ensemble(artifact.decode(trained.artifact).ensemble)
    return tampered(trained, ensemble=artifact.pack_ensemble(replace(ensemble, **changes)))


def test_changed_artifacts_are_refused(trained: Trained) -> None:
    whole = artifact.unpack_ensemble(artifact.decode(trained.artifact).ensemble)
    value, left, feature, right = whole.value.copy(), whole.left.copy(), whole.feature.copy(), whole.right.copy()
    value[np.flatnonzero(whole.left == -1)] += 1e-6
    left[0], right[0] = 0, 0
    feature[0] = len(NAMES)
    changed = {
        "golden payments differ": with_ensemble(trained, value=value),
        "golden payments": tampered(trained, golden_margins=artifact.pack(np.empty(0))),
        "lead nowhere": with_ensemble(trained, left=left, right=right),
        "nodes that": with_ensemble(trained, feature=feature),
        "cut": with_ensemble(trained, offset=whole.offset[:-1]),
        "format": tampered(trained, format="ronda-model/0"),
        "train again": tampered(trained, catalogue_version=999),
        "feature catalogue": tampered(trained, features=list(NAMES)[::-1]),
        "not increasing": tampered(trained, calibration=artifact.Calibration(-1.0, 0.0)),
        "not in order": tampered(trained, thresholds=artifact.Thresholds(0.9, 0.1)),
        "another size": tampered(trained, usual=artifact.PackedArray("<f8", [10**12], b"")),
        "unknown kind": tampered(trained, usual=artifact.PackedArray("|O", [1], bytes(8))),
        "cannot be read": trained.artifact[:-100],
        "be read": b"\x80\x04\x95pickle",
    }
    for message, data in changed.items():
        with pytest.raises(ModelRefused, match=message):
            Scorer.load(data)


def test_a_probable_fraud_is_reviewed_beyond_the_budget(dataset: Dataset) -> None:
    rows, probability = dataset.rows(slice(0, 1_000)), np.linspace(0.001, 0.999, 1_000)
    assert choose_thresholds(rows, probability, TrainingOptions(review_share=0.02)).review == 0.25
    assert choose_thresholds(rows, probability / 10, TrainingOptions(review_share=0.02)).review < 0.1


def test_thresholds_keep_to_the_budget_and_the_precision(dataset: Dataset) -> None:
    rows = dataset.rows(slice(0, 1_000))
    probability = np.linspace(0.001, 0.999, 1_000)
    label = np.zeros(1_000, dtype=np.int64)
    label[990:] = 1
    label[985] = 1
    rows = replace(rows, label=label)
    thresholds = choose_thresholds(
        rows, probability, TrainingOptions(review_share=0.02, always_review=1.0, decline_precision=0.9)
    )
    assert (probability >= thresholds.review).sum() == 20
    # 10 of the top 10 are frauds, 10 of 11 still are more than 90 %, 10 of 12 are not.
    assert (probability >= thresholds.decline).sum() == 11
    hopeless = choose_thresholds(replace(rows, label=label[::-1]), probability, TrainingOptions())
    assert hopeless.decline == NEVER


def test_a_worse_challenger_fails_its_gate(dataset: Dataset, trained: Trained, scorer: Scorer) -> None:
    weak = replace(OPTIONS, trees=TreeOptions(iterations=2, leaves=2), champion=scorer)
    worse = train(dataset, weak, lambda _fraction, _step: None)
    gates = {gate["name"]: gate["passed"] for gate in worse.metrics["gates"]}
    assert not gates["not_worse_than_champion"]
    same = train(dataset, replace(OPTIONS, champion=scorer), lambda _fraction, _step: None)
    gates = {gate["name"]: gate["passed"] for gate in same.metrics["gates"]}
    assert gates["not_worse_than_champion"]
    assert same.metrics["champion"]["average_precision"] == trained.metrics["average_precision"]
