"""Measures of scores against the truth. `weight`: a payment's own, for payments that stand for others that were not looked at."""

from typing import Any, Final

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from core.base.errors import Kind, RondaError
from models.features.catalogue import DAY_S
from models.features.vector import FloatArray, IntArray
from models.scoring.artifact import Thresholds
from models.scoring.dataset import BoolArray, Dataset

CARDS_A_DAY: Final = 100
KNOWN_DAYS: Final = 7
"""Frauds of so many days before the label delay make a card known when a test period begins."""
_MS_PER_DAY: Final = DAY_S * 1000


class SingleClassError(RondaError):
    """Only frauds, or only legitimate payments: nothing can be ranked."""

    kind, code = Kind.CONFLICT, "single_class"


def require_two_classes(is_fraud: BoolArray) -> None:
    if not is_fraud.any() or is_fraud.all():
        raise SingleClassError(
            "the payments are all of one kind, so a ranking cannot be judged", payments=len(is_fraud)
        )


def scalars(rows: Dataset, probability: FloatArray, thresholds: Thresholds) -> dict[str, Any]:
    """The figures a person compares two models by."""
    is_fraud, weight = rows.is_fraud, rows.weight
    require_two_classes(is_fraud)
    flagged = probability >= thresholds.review
    caught = float(weight[flagged & is_fraud].sum())
    days = max((int(rows.occurred_at_ms.max()) - int(rows.occurred_at_ms.min())) / _MS_PER_DAY, 1.0)
    return {
        "average_precision": float(average_precision_score(is_fraud, probability, sample_weight=weight)),
        "roc_auc": float(roc_auc_score(is_fraud, probability, sample_weight=weight)),
        "card_precision_100": card_precision(rows.occurred_at_ms, rows.holder, probability, is_fraud, CARDS_A_DAY),
        **calibration(is_fraud, probability, weight),
        "ece": expected_calibration_error(is_fraud, probability),
        "payments": len(rows),
        "frauds": int(is_fraud.sum()),
        "recall_at_review": caught / float(weight[is_fraud].sum()),
        "precision_at_review": caught / float(weight[flagged].sum()) if flagged.any() else 0.0,
        "alerts_per_day": float(flagged.sum() / days),
    }


def calibration(is_fraud: BoolArray, probability: FloatArray, weight: FloatArray) -> dict[str, float]:
    """brier: mean squared error. calibration_ratio: frauds expected for each fraud that came. There must be a fraud."""
    total = weight.sum()
    return {
        "brier": float((weight * (probability - is_fraud) ** 2).sum() / total),
        "calibration_ratio": float((weight * probability).sum() / weight[is_fraud].sum()),
    }


def expected_calibration_error(is_fraud: BoolArray, probability: FloatArray) -> float:
    """Mean distance between score and fraud rate over the bins of `reliability`, weighted by their payments."""
    bins = reliability(is_fraud, probability)
    return sum(abs(mean - rate) * count for mean, rate, count in bins) / len(probability)


def card_precision(time_ms: IntArray, card: IntArray, score: FloatArray, is_fraud: BoolArray, most: int) -> float:
    """Share of truly compromised cards among the `most` highest-scored cards of a day, mean over days.

    A card found on one day is not looked at again. Days (UTC) without `most` cards still divide by `most`, as the handbook does.
    """
    day = time_ms // _MS_PER_DAY
    found: set[int] = set()
    shares = []
    for today in np.unique(day):
        rows = day == today
        cards, which = np.unique(card[rows], return_inverse=True)
        highest = np.full(len(cards), -np.inf)
        np.maximum.at(highest, which, score[rows])
        compromised = np.zeros(len(cards), dtype=bool)
        np.logical_or.at(compromised, which, is_fraud[rows])
        fresh = ~np.isin(cards, list(found))
        order = np.argsort(-highest[fresh], kind="stable")[:most]
        hits = cards[fresh][order][compromised[fresh][order]]
        found.update(hits.tolist())
        shares.append(len(hits) / most)
    return float(np.mean(shares))


def unknown_cards(
    time_ms: IntArray, card: IntArray, is_fraud: BoolArray, first_day_ms: int, *, days: int = 7, delay_days: int = 7
) -> BoolArray:
    """Rows of the test period whose card was not yet known to be compromised: the handbook's prequential protocol.

    Known on test day k: cards with a fraud in the week before first_day - delay, or on the days up to first_day - delay + k - 1.
    """
    day = (time_ms - first_day_ms) // _MS_PER_DAY
    chosen = np.zeros(len(time_ms), dtype=bool)
    for today in range(days):
        past = is_fraud & (day >= -delay_days - KNOWN_DAYS) & (day < today - delay_days)
        chosen |= (day == today) & ~np.isin(card, np.unique(card[past]))
    return chosen


def recall_at_fpr(is_fraud: BoolArray, score: FloatArray, max_fpr: float) -> float:
    """Share of frauds at or above the lowest threshold that stops at most `max_fpr` (a fraction) of the legitimate payments."""
    require_two_classes(is_fraud)
    legitimate = np.sort(score[~is_fraud])[::-1]
    most = int(max_fpr * len(legitimate))
    # Every legitimate payment from place `most` on must stay below the threshold.
    return float((score[is_fraud] > legitimate[most]).mean()) if most < len(legitimate) else 1.0


def precision_recall_points(is_fraud: BoolArray, probability: FloatArray, most: int = 60) -> list[list[float]]:
    """[recall, precision] pairs, recall rising, evenly spread over recall."""
    precision, recall, _ = precision_recall_curve(is_fraud, probability)
    precision, recall = precision[::-1], recall[::-1]
    wanted = np.searchsorted(recall, np.linspace(0, 1, most), side="left").clip(0, len(recall) - 1)
    return [[float(recall[i]), float(precision[i])] for i in np.unique(wanted)]


def reliability(is_fraud: BoolArray, probability: FloatArray, bins: int = 10) -> list[list[float]]:
    """[mean score, fraud rate, payments] for bins that each expect the same number of frauds, lowest scores first.

    Equal scores stay in one bin.
    """
    order = np.argsort(probability, kind="stable")
    rising = probability[order]
    expected = np.cumsum(rising)
    edges = np.searchsorted(expected, np.linspace(0, expected[-1], bins + 1)[1:-1], side="right")
    edges = np.unique(np.searchsorted(rising, rising[edges.clip(0, len(rising) - 1)], side="left"))
    parts = [part for part in np.split(order, edges) if len(part)]
    return [[float(probability[part].mean()), float(is_fraud[part].mean()), len(part)] for part in parts]
