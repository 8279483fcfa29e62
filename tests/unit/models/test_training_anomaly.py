"""The anomaly signal: served exactly as scikit-learn computes it, and worth something without a label."""

from dataclasses import replace

import numpy as np
import pytest

from models.features.catalogue import NAMES
from models.scoring.anomaly import Isolation, anomaly_figures, isolate
from models.scoring.dataset import Dataset
from models.scoring.options import AnomalyOptions
from models.scoring.scorer import Scorer
from models.scoring.training import Trained, train
from models.scoring.trees import CompiledTrees
from tests.unit.models.conftest import OPTIONS

COLUMNS = np.flatnonzero([not name.startswith("ip_") for name in NAMES])
FOREST = AnomalyOptions(trees=24, rows_in_tree=128, rows=3_000)


@pytest.fixture(scope="module")
def isolation(dataset: Dataset) -> Isolation:
    return isolate(dataset, COLUMNS, FOREST, 7)


def test_the_served_trees_add_up_to_scikit_learns_paths(dataset: Dataset, isolation: Isolation) -> None:
    rows = dataset.matrix[:4_000]
    assert np.isnan(rows[:, COLUMNS]).any()
    trees = CompiledTrees.of(isolation.ensemble(), len(NAMES))
    served = trees.sums(rows.astype(np.float32))
    np.testing.assert_allclose(served, isolation.sums(rows), rtol=0, atol=1e-9)
    forest = isolation.forest
    paths = np.zeros(len(rows))
    for place, tree in enumerate(forest.estimators_):
        leaf = tree.apply(rows[:, COLUMNS].astype(np.float32))
        paths += forest._decision_path_lengths[place][leaf] + forest._average_path_length_per_tree[place][leaf] - 1
    np.testing.assert_allclose(served, -paths / len(forest.estimators_), rtol=0, atol=1e-9)


def test_unknown_values_go_the_way_scikit_learn_sends_them(dataset: Dataset, isolation: Isolation) -> None:
    """Also where a feature was known of every payment the trees grew on."""
    rows = dataset.matrix[:500].copy()
    rows[np.random.default_rng(1).random(rows.shape) < 0.5] = np.nan
    served = CompiledTrees.of(isolation.ensemble(), len(NAMES)).sums(rows.astype(np.float32))
    np.testing.assert_allclose(served, isolation.sums(rows), rtol=0, atol=1e-9)


def test_the_scorer_answers_the_share_that_is_less_strange(dataset: Dataset, scorer: Scorer) -> None:
    found = scorer.anomaly(dataset.matrix)
    assert found is not None
    assert found.min() >= 0
    assert found.max() <= 1
    assert found[~dataset.is_fraud].mean() == pytest.approx(0.5, abs=0.03)
    order = np.argsort(found)
    assert (found[order] <= 0.9).mean() == pytest.approx(0.9, abs=0.03)


def test_strangers_are_strange(dataset: Dataset, isolation: Isolation) -> None:
    odd = dataset.matrix[:200].copy()
    odd[:, COLUMNS[::2]] *= 20
    assert (isolation.sums(odd) > isolation.quantiles[990]).mean() > 0.95


def test_frauds_are_left_out_and_their_labels_not_used(dataset: Dataset, isolation: Isolation) -> None:
    poisoned = replace(dataset, matrix=np.where(dataset.is_fraud[:, None], 1e6, dataset.matrix))
    again = isolate(poisoned, COLUMNS, FOREST, 7)
    np.testing.assert_array_equal(again.quantiles, isolation.quantiles)


def test_it_ranks_frauds_without_their_labels(trained: Trained, dataset: Dataset) -> None:
    """On the columns in which they differ and as many that are noise; among all of them they drown, here more than in real payments."""
    telling = [NAMES.index("amount_to_own_median"), NAMES.index("merchant_risk_7d")]
    found = isolate(dataset, np.sort([*telling, *COLUMNS[-4:]]), FOREST, 7)
    figures = anomaly_figures(dataset, found.sums(dataset.matrix))
    assert figures["roc_auc"] > 0.75
    assert figures["average_precision"] > 3 * dataset.is_fraud.mean()
    assert trained.metrics["anomaly"].keys() == figures.keys()
    perfect = anomaly_figures(dataset, dataset.is_fraud.astype(np.float64))
    assert perfect == {"average_precision": 1.0, "roc_auc": 1.0}


def test_a_model_without_the_signal_is_served_too(dataset: Dataset) -> None:
    found = train(dataset, replace(OPTIONS, anomaly=AnomalyOptions(trees=0)), lambda _fraction, _step: None)
    assert found.metrics["anomaly"] is None
    assert Scorer.load(found.artifact).anomaly(dataset.matrix) is None
