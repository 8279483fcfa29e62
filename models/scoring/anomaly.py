"""How unlike everything learned a payment is: an isolation forest, which needs no label (Liu, Ting and Zhou 2008).

Frauds are left out of what it grows on where they are known. It says nothing about fraud by itself, but it points at payments that no
label has spoken of yet: the control sample takes more of them.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score

from models.features.vector import FloatArray, IntArray, Vectors
from models.scoring.dataset import Dataset
from models.scoring.ensemble import LEAF, Ensemble
from models.scoring.options import AnomalyOptions

_QUANTILES: Final = 1001
_CHUNK: Final = 20_000
_EULER: Final = float(np.euler_gamma)


@dataclass(frozen=True)
class Isolation:
    """columns: of the vector, those the forest was given. quantiles: (q,) sums at evenly spaced quantiles of ordinary payments."""

    forest: IsolationForest
    columns: IntArray
    quantiles: FloatArray

    def sums(self, matrix: Vectors) -> FloatArray:
        """(n,) minus the mean path length, as scikit-learn answers it: the more, the stranger. Memory is bounded."""
        scores = np.empty(len(matrix))
        for start in range(0, len(matrix), _CHUNK):
            part = matrix[start : start + _CHUNK, self.columns].astype(np.float32)
            scores[start : start + _CHUNK] = self.forest.score_samples(part)
        # score = 2 ** (-mean path / c): the sum is the path itself, so that trees can add it up.
        return np.asarray(np.log2(-scores) * _usual_path(self.forest.max_samples_))

    def ensemble(self) -> Ensemble:
        """The same sums as trees over the whole vector."""
        return _ensemble(self.forest, self.columns)


def isolate(rows: Dataset, columns: IntArray, options: AnomalyOptions, seed: int) -> Isolation:
    """rows: the training slice. columns: what the boosted trees were given as well. A few seconds."""
    ordinary = np.flatnonzero(~rows.is_fraud)
    random = np.random.default_rng(seed)
    chosen = np.sort(random.choice(ordinary, min(options.rows, len(ordinary)), replace=False))
    matrix = rows.matrix[np.ix_(chosen, columns)].astype(np.float32)
    grown, measured = matrix[::2], rows.matrix[chosen[1::2]]
    forest = IsolationForest(
        n_estimators=options.trees, max_samples=min(options.rows_in_tree, len(grown)), random_state=seed
    ).fit(grown)
    unmeasured = Isolation(forest, columns, np.empty(0))
    # Quantiles come from payments the forest did not grow on: those it did look more ordinary than new ones.
    quantiles = np.quantile(unmeasured.sums(measured), np.linspace(0, 1, _QUANTILES))
    return Isolation(forest, columns, quantiles)


def anomaly_figures(rows: Dataset, strangeness: FloatArray) -> dict[str, Any]:
    """How far strangeness alone tells frauds; no label was used for it."""
    return {
        "average_precision": float(average_precision_score(rows.is_fraud, strangeness, sample_weight=rows.weight)),
        "roc_auc": float(roc_auc_score(rows.is_fraud, strangeness, sample_weight=rows.weight)),
    }


def _ensemble(forest: IsolationForest, columns: IntArray) -> Ensemble:
    trees = [estimator.tree_ for estimator in forest.estimators_]
    left = np.concatenate([tree.children_left for tree in trees])
    leaf = left == LEAF
    sizes = [tree.node_count for tree in trees]
    feature = np.concatenate([tree.feature for tree in trees])
    path = np.concatenate([_depths(tree) - 1 + _path_lengths(tree.n_node_samples) for tree in trees])
    return Ensemble(
        base=0.0,
        offset=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32),
        feature=np.where(leaf, 0, columns[np.where(leaf, 0, feature)]).astype(np.int32),
        threshold=np.where(leaf, 0.0, np.concatenate([tree.threshold for tree in trees])),
        left=left.astype(np.int32),
        right=np.concatenate([tree.children_right for tree in trees]).astype(np.int32),
        missing_left=np.concatenate([tree.missing_go_to_left for tree in trees]).astype(bool),
        value=np.where(leaf, -path / len(trees), 0.0),
        cover=np.concatenate([tree.n_node_samples for tree in trees]).astype(np.float64),
    )


def _depths(tree: Any) -> FloatArray:
    """(nodes,) nodes on the way from the root, both ends counted."""
    return np.asarray(tree.compute_node_depths(), dtype=np.float64)


def _path_lengths(count: IntArray) -> FloatArray:
    """Mean path length of an isolation tree over so many payments: what a leaf that holds several would still have been split into."""
    lengths = np.zeros(len(count))
    lengths[count == 2] = 1.0
    many = count > 2
    lengths[many] = 2 * (np.log(count[many] - 1.0) + _EULER) - 2 * (count[many] - 1.0) / count[many]
    return lengths


def _usual_path(rows: int) -> float:
    return float(_path_lengths(np.array([rows]))[0])
