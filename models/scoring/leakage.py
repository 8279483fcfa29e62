"""Does a feature know the answer? A model that learned from one looks excellent on past payments and fails on new ones.

Honest features are clues: many payments share a clue, and most of those are genuine. A feature that knows the answer ranks nearly all
payments right by itself, or names many frauds with hardly a false alarm. What the payment says of itself (its amount, its hour) cannot
know the answer, however telling it is; nor can a feature that tells no more than that, such as a sum with the amount in it.
"""

from typing import Any, Final

import numpy as np
from scipy.stats import rankdata

from models.features.catalogue import FEATURES, NAMES
from models.features.vector import FloatArray, IntArray, Vectors
from models.scoring.dataset import UNLABELLED, BoolArray, Dataset
from models.scoring.ensemble import LEAF, Ensemble

PURE: Final = 0.95
"""Precision at which `recall_when_pure` is taken."""
_LEGITIMATE_ROWS: Final = 30_000
_FRAUD_ROWS: Final = 5_000
_SHOWN: Final = 8
_PAYMENTS_OWN: Final = np.array([feature.entity is None and feature.window_s is None for feature in FEATURES])


def leakage(ensemble: Ensemble, rows: Dataset, strength: FloatArray, seed: int) -> dict[str, Any]:
    """What the gate judges. strength: (features,) mean absolute contribution of each feature.

    alone: the features used that tell most by themselves, low or high values alike: {name, roc_auc, share: of the model's contributions,
    recall_when_pure: share of frauds named at a precision of PURE, own: said by the payment itself}. payment_itself: the most that any
    feature of the payment itself reaches. labels_too_early: payments whose label was reported before they happened, which no honest
    feed holds.
    """
    used = np.unique(ensemble.feature[ensemble.left != LEAF])
    sample, weight = _sample(rows.is_fraud, seed)
    is_fraud, matrix = rows.is_fraud[sample], rows.matrix[sample]
    auc, pure = _alone(matrix[:, used], is_fraud), _recall_when_pure(matrix[:, used], is_fraud, weight)
    own = matrix[:, _PAYMENTS_OWN]
    share = strength[used] / max(float(strength.sum()), np.finfo(np.float64).tiny)
    telling = np.argsort(-np.maximum.reduce([auc, share, pure]), kind="stable")[:_SHOWN]
    labelled = rows.label != UNLABELLED
    return {
        "features_checked": len(used),
        "alone": [_entry(int(used[place]), auc[place], share[place], pure[place]) for place in telling],
        "payment_itself": {
            "roc_auc": float(_alone(own, is_fraud).max()),
            "recall_when_pure": float(_recall_when_pure(own, is_fraud, weight).max()),
        },
        "labels_too_early": int((rows.reported_at_ms[labelled] < rows.occurred_at_ms[labelled]).sum()),
    }


def _entry(column: int, auc: float, share: float, pure: float) -> dict[str, Any]:
    return {
        "name": NAMES[column],
        "roc_auc": float(auc),
        "share": float(share),
        "recall_when_pure": float(pure),
        "own": bool(_PAYMENTS_OWN[column]),
    }


def _sample(is_fraud: BoolArray, seed: int) -> tuple[IntArray, FloatArray]:
    """Row numbers, and how many payments each stands for."""
    random = np.random.default_rng(seed)
    parts = [(np.flatnonzero(is_fraud), _FRAUD_ROWS), (np.flatnonzero(~is_fraud), _LEGITIMATE_ROWS)]
    chosen = [random.permutation(rows)[:most] for rows, most in parts]
    weights = [np.full(len(few), len(rows) / len(few)) for few, (rows, _) in zip(chosen, parts, strict=True)]
    return np.concatenate(chosen), np.concatenate(weights)


def _alone(matrix: Vectors, is_fraud: BoolArray) -> FloatArray:
    """(features,) ROC AUC of each column, 0.5 to 1; unknown counts as lower than any value."""
    ranks = rankdata(np.where(np.isnan(matrix), -np.inf, matrix), axis=0)
    frauds = int(is_fraud.sum())
    below = ranks[is_fraud].sum(axis=0) - frauds * (frauds + 1) / 2
    auc = below / (frauds * (len(is_fraud) - frauds))
    return np.asarray(np.maximum(auc, 1 - auc))


def _recall_when_pure(matrix: Vectors, is_fraud: BoolArray, weight: FloatArray) -> FloatArray:
    """(features,) largest share of frauds above, or below, a cut with a precision of at least PURE."""
    known = np.where(np.isnan(matrix), -np.inf, matrix)
    return np.array([max(_named(column, is_fraud, weight), _named(-column, is_fraud, weight)) for column in known.T])


def _named(value: FloatArray, is_fraud: BoolArray, weight: FloatArray) -> float:
    order = np.argsort(-value, kind="stable")
    ordered, weights, frauds = value[order], weight[order], is_fraud[order]
    last_of_ties = np.append(ordered[1:] != ordered[:-1], True)
    caught = np.cumsum(weights * frauds)
    pure = last_of_ties & (caught >= PURE * np.cumsum(weights))
    return float(caught[pure].max() / caught[-1]) if pure.any() else 0.0
