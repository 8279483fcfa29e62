"""The compiled walk through trees against a plain one, and what a model file may not hold."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.base.errors import ModelRefused
from models.features.catalogue import NAMES
from models.scoring.artifact import Artifact, encode, pack, pack_ensemble
from models.scoring.ensemble import LEAF, Ensemble
from models.scoring.scorer import Scorer
from models.scoring.trees import CompiledTrees
from tests.small_models import SmallModel, payments, split_on_amount

FEATURES = 7


def random_trees(random: np.random.Generator, trees: int, leaves: int) -> Ensemble:
    """Grown leaf by leaf, so deep on one side and shallow on the other, as boosting grows them."""
    sizes, columns = [], {name: list[Any]() for name in ("feature", "threshold", "left", "right")}
    for _ in range(trees):
        tree: dict[str, list[Any]] = {"feature": [0], "threshold": [0.0], "left": [LEAF], "right": [LEAF]}
        open_leaves = [0]
        for _ in range(leaves - 1):
            node = open_leaves.pop(int(random.integers(len(open_leaves))))
            size = len(tree["left"])
            tree["feature"][node] = int(random.integers(FEATURES))
            tree["threshold"][node] = float(random.integers(-3, 4))
            tree["left"][node], tree["right"][node] = size, size + 1
            open_leaves += [size, size + 1]
            for name, empty in (("feature", 99), ("threshold", 0.0), ("left", LEAF), ("right", LEAF)):
                tree[name] += [empty, empty]
        sizes.append(len(tree["left"]))
        for name, values in tree.items():
            columns[name] += values
    nodes = sum(sizes)
    left = np.array(columns["left"], np.int32)
    return Ensemble(
        base=0.25,
        offset=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32),
        feature=np.array(columns["feature"], np.int32),
        threshold=np.array(columns["threshold"]),
        left=left,
        right=np.array(columns["right"], np.int32),
        missing_left=random.random(nodes) < 0.5,
        value=np.where(left == LEAF, random.normal(size=nodes), 0.0),
        cover=np.ones(nodes),
    )


def walked(ensemble: Ensemble, row: np.ndarray[Any, Any]) -> float:
    total = ensemble.base
    for tree in range(ensemble.trees):
        first = node = ensemble.offset[tree]
        while ensemble.left[node] != LEAF:
            value = row[ensemble.feature[node]]
            left = ensemble.missing_left[node] if np.isnan(value) else value <= ensemble.threshold[node]
            node = first + (ensemble.left[node] if left else ensemble.right[node])
        total += ensemble.value[node]
    return float(total)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 9), st.integers(0, 20))
def test_the_compiled_walk_is_the_plain_one_to_the_last_bit(seed: int, trees: int, leaves: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    ensemble = random_trees(random, trees, leaves)
    matrix = random.choice([-np.inf, -3.0, -1.0, 0.0, 0.5, 2.0, 3.0, np.inf, np.nan], (rows, FEATURES))
    found = CompiledTrees.of(ensemble, FEATURES).sums(matrix)
    assert found.tolist() == [walked(ensemble, row) for row in matrix]


def test_views_and_single_precision_are_read_as_what_they_say() -> None:
    ensemble = random_trees(np.random.default_rng(3), 5, 6)
    matrix = np.random.default_rng(4).normal(size=(20, FEATURES))
    trees = CompiledTrees.of(ensemble, FEATURES)
    np.testing.assert_array_equal(trees.sums(matrix[::-2]), trees.sums(matrix)[::-2])
    np.testing.assert_array_equal(trees.sums(np.asfortranarray(matrix)), trees.sums(matrix))
    single = matrix.astype(np.float32)
    np.testing.assert_array_equal(trees.sums(single), trees.sums(single.astype(np.float64)))


@pytest.mark.parametrize("shape", [(3, FEATURES - 1), (3, FEATURES + 1), (FEATURES,)])
def test_vectors_of_another_length_are_never_read(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a payment has 7 features"):
        CompiledTrees.of(random_trees(np.random.default_rng(0), 2, 3), FEATURES).sums(np.zeros(shape))


@pytest.mark.parametrize(
    "broken",
    [
        lambda whole: replace(whole, left=np.where(whole.left == LEAF, LEAF, 0).astype(np.int32)),
        lambda whole: replace(whole, right=np.where(whole.right == LEAF, LEAF, 1000).astype(np.int32)),
        lambda whole: replace(whole, feature=np.full_like(whole.feature, FEATURES)),
        lambda whole: replace(whole, feature=np.full_like(whole.feature, -1)),
        lambda whole: replace(whole, offset=whole.offset + 1),
        lambda whole: replace(whole, value=whole.value[:-1]),
    ],
)
def test_trees_that_lead_elsewhere_are_refused_before_they_are_walked(broken: Callable[[Ensemble], Ensemble]) -> None:
    with pytest.raises(ModelRefused):
        CompiledTrees.of(broken(random_trees(np.random.default_rng(1), 3, 4)), FEATURES)


def changed(**changes: Any) -> bytes:
    return encode(msgspec.structs.replace(STRANGE, **changes))


STRANGE: Artifact = SmallModel(unusual_above=30_000).artifact()


def test_anomaly_is_the_share_of_training_payments_that_were_less_unusual() -> None:
    # Half of the training payments share the lowest sum, 0; the others lie evenly above it, up to 1.
    quantiles = np.concatenate([np.zeros(500), np.linspace(0, 1, 501)])
    sums = [(10_000.0, 0.0), (30_001.0, 1.0)]
    scorer = Scorer.load(changed(anomaly_quantiles=pack(quantiles)))
    found = scorer.anomaly(payments([amount for amount, _ in sums]))
    assert found is not None
    np.testing.assert_allclose(found, [0.0, 1.0])
    between = Scorer.load(
        changed(
            anomaly=pack_ensemble(split_on_amount(30_000, 0.5, 7.0)),
            anomaly_quantiles=pack(quantiles),
            golden_anomaly=pack(np.array([7.0, 7.0, 7.0])),
        )
    ).anomaly(payments([10_000.0, 30_001.0]))
    assert between is not None
    np.testing.assert_allclose(between, [0.75, 1.0])
    assert scorer.anomaly(payments([]).reshape(0, len(NAMES))) is not None


def test_a_model_without_anomaly_trees_says_nothing_of_it() -> None:
    assert Scorer.load(SmallModel().encoded()).anomaly(payments([1.0])) is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (changed(golden_anomaly=pack(np.array([0.0, 0.0, 0.0]))), "golden anomalies differ by 1"),
        (changed(golden_anomaly=pack(np.array([1.0]))), "golden anomalies differ"),
        (changed(golden_anomaly=None), "lack their quantiles or their golden sums"),
        (changed(anomaly_quantiles=None), "lack their quantiles"),
        (changed(anomaly=None), "lack their quantiles"),
        (changed(anomaly_quantiles=pack(np.array([1.0, 0.0]))), "not in order"),
        (changed(anomaly_quantiles=pack(np.array([0.0, np.nan]))), "not in order"),
        (changed(anomaly=pack_ensemble(replace(split_on_amount(1, 0, 1), feature=np.full(3, 9999, np.int32)))), "nowhere"),
    ],
)  # fmt: skip
def test_anomaly_trees_that_do_not_hold_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(ModelRefused, match=words):
        Scorer.load(data)
