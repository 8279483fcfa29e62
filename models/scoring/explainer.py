"""Exact SHAP values on the margin, from the tree arrays."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from core.base.errors import ModelRefused
from models.features.vector import FloatMatrix, Vectors
from models.scoring.ensemble import Ensemble
from models.scoring.scorer import Scorer

ADDITIVITY_TOLERANCE: Final = 1e-6


@dataclass(frozen=True)
class Explanation:
    """contributions: (n, len(NAMES)) log-odds each feature moves the margin by. base + their sum = the margin."""

    contributions: FloatMatrix
    base: float


class Explainer:
    """Keep one for each model: building the first one imports shap, which takes seconds."""

    def __init__(self, scorer: Scorer) -> None:
        from shap import TreeExplainer

        self._scorer = scorer
        self._explainer = TreeExplainer(_shap_model(scorer.ensemble), feature_perturbation="tree_path_dependent")
        self.base = float(np.ravel(self._explainer.expected_value)[0])

    def explain(self, matrix: Vectors) -> Explanation:
        """About 0.4 ms a row. Raises ModelRefused when base and contributions do not add up to the scorer's margin to 1e-6."""
        if len(matrix) == 0:
            return Explanation(np.empty(matrix.shape), self.base)
        matrix = np.asarray(matrix, dtype=np.float64)
        # shap's own additivity check misses real errors, so ours is against the margin that was served.
        contributions = np.asarray(self._explainer.shap_values(matrix, check_additivity=False), dtype=np.float64)
        contributions = contributions.reshape(matrix.shape)
        error = np.abs(contributions.sum(axis=1) + self.base - self._scorer.score(matrix).margin).max()
        if not error <= ADDITIVITY_TOLERANCE:
            raise ModelRefused(f"the explanation misses the score by {error:.3g} log-odds", difference=float(error))
        return Explanation(contributions, self.base)


def _shap_model(ensemble: Ensemble) -> dict[str, Any]:
    return {
        "trees": [_shap_tree(ensemble, ensemble.nodes(tree)) for tree in range(ensemble.trees)],
        "base_offset": ensemble.base,
        "tree_output": "log_odds",
        "objective": "binary_crossentropy",
        "input_dtype": np.float64,
        "internal_dtype": np.float64,
    }


def _shap_tree(ensemble: Ensemble, nodes: slice) -> dict[str, Any]:
    left, right = ensemble.left[nodes], ensemble.right[nodes]
    return {
        "children_left": left,
        "children_right": right,
        "children_default": np.where(ensemble.missing_left[nodes], left, right),
        "feature": ensemble.feature[nodes],
        "threshold": ensemble.threshold[nodes],
        "value": ensemble.value[nodes].reshape(-1, 1),
        "node_sample_weight": ensemble.cover[nodes],
    }
