"""Growing the boosted trees."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from models.features.catalogue import NAMES
from models.features.vector import FloatArray, IntArray, Vectors
from models.scoring.dataset import Dataset
from models.scoring.ensemble import Ensemble, from_histogram_boosting
from models.scoring.evaluation import require_two_classes
from models.scoring.options import TrainingOptions, TreeOptions

Progress = Callable[[float], None]
_STEP_TREES: Final = 100
"""Grown between two reports. Each step walks the trees before it once more."""
_CHUNK: Final = 50_000
MOST_WEIGHT: Final = 25.0
"""A payment that stands for more than so many others weighs no more when trees are grown, or single ones would make leaves. Which
payments stand for others depends on what the model sees, so this leaves the odds at each place as they are; the level comes from
calibration, which uses the whole weights."""


@dataclass(frozen=True)
class Grown:
    """scikit-learn's model, and the features it was given: `columns` of the vector. single: as values of single precision."""

    model: HistGradientBoostingClassifier
    columns: IntArray
    single: bool = False

    def margin(self, matrix: Vectors) -> FloatArray:
        """(n,) log-odds before calibration."""
        margin = np.empty(len(matrix))
        for start in range(0, len(matrix), _CHUNK):
            part = matrix[start : start + _CHUNK, self.columns]
            margin[start : start + _CHUNK] = self.model.decision_function(part)
        return margin

    def ensemble(self) -> Ensemble:
        """The trees over the whole vector, of double precision whatever they were grown on."""
        trees = from_histogram_boosting(self.model)
        threshold = between_singles(trees.threshold) if self.single else trees.threshold
        return replace(trees, feature=self.columns[trees.feature].astype(np.int32), threshold=threshold)


def between_singles(threshold: FloatArray) -> FloatArray:
    """Thresholds that a value is on the same side of before and after it was rounded to single precision.

    scikit-learn's often are values that occur. Many payments share such a value (a share of 1/3, say), and its unrounded form may lie
    above the rounded one: all of them would go the other way. In the middle between two neighbouring singles nothing changes sides.
    """
    below = threshold.astype(np.float32)
    below = np.where(below > threshold, np.nextafter(below, np.float32(-np.inf)), below)
    above = np.nextafter(below, np.float32(np.inf))
    middle = (below.astype(np.float64) + above.astype(np.float64)) / 2
    return np.asarray(np.where(np.isfinite(middle), middle, threshold))


class _SteppedBoosting(HistGradientBoostingClassifier):  # type: ignore[misc]
    """Sorts the features into bins once, however many steps it grows in, and without weights: weighted quantiles take minutes."""

    def _bin_data(self, X: Any, sample_weight: Any, is_training_data: bool) -> Any:  # noqa: N803
        if hasattr(self, "binned_"):
            self._bin_mapper = self.mapper_
        else:
            self.binned_ = super()._bin_data(X, None, is_training_data)
            self.mapper_: Any = self._bin_mapper
        return self.binned_


def grow(rows: Dataset, options: TrainingOptions, report: Progress) -> Grown:
    """The boosted trees, grown in steps so that progress can be told and the training be stopped (what `report` raises comes out)."""
    require_two_classes(rows.is_fraud)
    chosen = rows.rows(thin(rows, options))
    columns = useful_columns(chosen.matrix, options)
    matrix, weight = chosen.matrix[:, columns], fit_weights(chosen, options.trees)
    model = _new_model(options.trees, options.seed)
    steps = max(1, round(options.trees.iterations / _STEP_TREES))
    report(0.0)
    for step in range(1, steps + 1):
        model.set_params(max_iter=-(-options.trees.iterations * step // steps))
        model.fit(matrix, chosen.is_fraud, sample_weight=weight)
        report(step / steps)
    del model.binned_
    return Grown(model, columns, single=matrix.dtype == np.float32)


def _new_model(trees: TreeOptions, seed: int) -> HistGradientBoostingClassifier:
    return _SteppedBoosting(
        learning_rate=trees.learning_rate,
        max_leaf_nodes=trees.leaves,
        min_samples_leaf=trees.least_in_leaf,
        l2_regularization=trees.l2,
        max_features=trees.feature_share,
        early_stopping=False,
        warm_start=True,
        random_state=seed,
    )


def useful_columns(matrix: Vectors, options: TrainingOptions) -> IntArray:
    """Columns that trees can be given. No leaf can come from a feature so few payments know, or that is always the same; scikit-learn
    fails on one that none knows.
    """
    unknown = np.isnan(matrix)
    known = np.count_nonzero(~unknown, axis=0) >= 2 * options.trees.least_in_leaf
    differs = (np.fmin.reduce(matrix) < np.fmax.reduce(matrix)) | unknown.any(axis=0)
    return np.flatnonzero(known & differs & ~np.isin(NAMES, options.dropped))


def fit_weights(rows: Dataset, trees: TreeOptions) -> FloatArray | None:
    """What each payment weighs when trees are grown; None = all the same."""
    weights = np.minimum(rows.weight, MOST_WEIGHT) * np.where(rows.is_fraud, trees.fraud_weight, 1.0)
    return None if (weights == weights[0]).all() else weights


def thin(rows: Dataset, options: TrainingOptions) -> IntArray:
    """Row numbers to fit on: every fraud, and every k-th legitimate payment in time order.

    Unweighted: it shifts all margins alike, which calibration (on payments that are not thinned) takes back.
    """
    legitimate = np.flatnonzero(~rows.is_fraud)
    every = max(1, -(-len(legitimate) // options.most_legitimate))
    in_time = legitimate[np.argsort(rows.occurred_at_ms[legitimate], kind="stable")]
    return np.sort(np.concatenate([np.flatnonzero(rows.is_fraud), in_time[options.seed % every :: every]]))
