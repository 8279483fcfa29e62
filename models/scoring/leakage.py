"""Does a feature know the answer? A model that learned from one looks excellent on past payments and fails on new ones."""

from typing import Any, Final

import numpy as np
from scipy.stats import rankdata

from models.features.catalogue import NAMES
from models.features.vector import FloatArray, FloatMatrix, IntArray
from models.scoring.dataset import UNLABELLED, BoolArray, Dataset
from models.scoring.ensemble import LEAF, Ensemble

_LEGITIMATE_ROWS: Final = 20_000
_FRAUD_ROWS: Final = 5_000
_SHOWN: Final = 5


def leakage(ensemble: Ensemble, rows: Dataset, strength: FloatArray, seed: int) -> dict[str, Any]:
    """What the gate judges. strength: (features,) mean absolute contribution of each feature.

    alone: [[name, ROC AUC, its share of the model's contributions]] of the features the model uses that rank fraud best on their own,
    either way round. labels_too_early: payments whose label was reported before they happened, which no honest feed holds.
    """
    used = np.unique(ensemble.feature[ensemble.left != LEAF])
    sample = _sample(rows.is_fraud, seed)
    alone = _alone(rows.matrix[np.ix_(sample, used)], rows.is_fraud[sample])
    share = strength[used] / max(float(strength.sum()), np.finfo(np.float64).tiny)
    strongest = np.argsort(-np.maximum(alone, share), kind="stable")[:_SHOWN]
    labelled = rows.label != UNLABELLED
    return {
        "features_checked": len(used),
        "alone": [[NAMES[used[place]], float(alone[place]), float(share[place])] for place in strongest],
        "labels_too_early": int((rows.reported_at_ms[labelled] < rows.occurred_at_ms[labelled]).sum()),
    }


def _sample(is_fraud: BoolArray, seed: int) -> IntArray:
    random = np.random.default_rng(seed)
    frauds, others = np.flatnonzero(is_fraud), np.flatnonzero(~is_fraud)
    return np.concatenate([random.permutation(frauds)[:_FRAUD_ROWS], random.permutation(others)[:_LEGITIMATE_ROWS]])


def _alone(matrix: FloatMatrix, is_fraud: BoolArray) -> FloatArray:
    """(features,) ROC AUC of each column, 0.5 to 1; unknown counts as lower than any value."""
    ranks = rankdata(np.where(np.isnan(matrix), -np.inf, matrix), axis=0)
    frauds = int(is_fraud.sum())
    below = ranks[is_fraud].sum(axis=0) - frauds * (frauds + 1) / 2
    auc = below / (frauds * (len(is_fraud) - frauds))
    return np.asarray(np.maximum(auc, 1 - auc))
