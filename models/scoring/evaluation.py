"""How good a model is on payments it has not seen, and whether it may take the champion's place."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.metrics import average_precision_score, brier_score_loss, precision_recall_curve, roc_auc_score

from core.base.errors import Kind, RondaError
from models.features.catalogue import DAY_S
from models.features.vector import FloatArray, IntArray
from models.scoring.artifact import Thresholds
from models.scoring.dataset import BoolArray, Dataset

CARDS_A_DAY: Final = 100
_MS_PER_DAY: Final = DAY_S * 1000


class SingleClassError(RondaError):
    """Only frauds, or only legitimate payments: nothing can be ranked."""

    kind, code = Kind.CONFLICT, "single_class"


@dataclass(frozen=True)
class GateLimits:
    """least_frauds: in the test slice. calibration: least and most mean score / fraud rate. least_lift: average precision / fraud rate."""

    least_frauds: int = 20
    calibration: tuple[float, float] = (0.67, 1.5)
    least_lift: float = 3.0
    resamples: int = 100
    confidence: float = 0.95


def require_two_classes(is_fraud: BoolArray) -> None:
    if not is_fraud.any() or is_fraud.all():
        raise SingleClassError(
            "the payments are all of one kind, so a ranking cannot be judged", payments=len(is_fraud)
        )


def scalars(rows: Dataset, probability: FloatArray, thresholds: Thresholds) -> dict[str, Any]:
    """The figures a person compares two models by."""
    is_fraud = rows.is_fraud
    require_two_classes(is_fraud)
    review = probability >= thresholds.review
    days = max((int(rows.occurred_at_ms.max()) - int(rows.occurred_at_ms.min())) / _MS_PER_DAY, 1.0)
    return {
        "average_precision": float(average_precision_score(is_fraud, probability)),
        "roc_auc": float(roc_auc_score(is_fraud, probability)),
        "card_precision_100": card_precision(rows.occurred_at_ms, rows.holder, probability, is_fraud, CARDS_A_DAY),
        "brier": float(brier_score_loss(is_fraud, probability)),
        "calibration_ratio": float(probability.mean() / is_fraud.mean()),
        "payments": len(rows),
        "frauds": int(is_fraud.sum()),
        "recall_at_review": float(is_fraud[review].sum() / is_fraud.sum()),
        "precision_at_review": float(is_fraud[review].mean()) if review.any() else 0.0,
        "alerts_per_day": float(review.sum() / days),
    }


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
        past = is_fraud & (day >= -delay_days - 7) & (day < today - delay_days)
        chosen |= (day == today) & ~np.isin(card, np.unique(card[past]))
    return chosen


def precision_recall_points(is_fraud: BoolArray, probability: FloatArray, most: int = 60) -> list[list[float]]:
    """[recall, precision] pairs, recall rising, evenly spread over recall."""
    precision, recall, _ = precision_recall_curve(is_fraud, probability)
    precision, recall = precision[::-1], recall[::-1]
    wanted = np.searchsorted(recall, np.linspace(0, 1, most), side="left").clip(0, len(recall) - 1)
    return [[float(recall[i]), float(precision[i])] for i in np.unique(wanted)]


def reliability(is_fraud: BoolArray, probability: FloatArray, bins: int = 10) -> list[list[float]]:
    """[mean score, fraud rate, payments] for bins that each expect the same number of frauds, lowest scores first."""
    order = np.argsort(probability, kind="stable")
    expected = np.cumsum(probability[order])
    edges = np.searchsorted(expected, np.linspace(0, expected[-1], bins + 1)[1:-1], side="right")
    parts = [part for part in np.split(order, edges) if len(part)]
    return [[float(probability[part].mean()), float(is_fraud[part].mean()), len(part)] for part in parts]


def gain_interval(
    is_fraud: BoolArray, challenger: FloatArray, champion: FloatArray, limits: GateLimits, seed: int
) -> tuple[float, float]:
    """Interval of (challenger's - champion's) average precision: both judged on the same resampled payments."""
    random = np.random.default_rng(seed)
    gains = []
    for _ in range(limits.resamples):
        weight = random.poisson(1.0, len(is_fraud)).astype(np.float64)
        if not weight[is_fraud].any() or not weight[~is_fraud].any():
            continue
        ours, theirs = (
            average_precision_score(is_fraud, score, sample_weight=weight) for score in (challenger, champion)
        )
        gains.append(ours - theirs)
    tail = (1 - limits.confidence) / 2
    low, high = np.quantile(gains, [tail, 1 - tail])
    return float(low), float(high)


def gates(
    ours: dict[str, Any], champion: dict[str, Any] | None, gain: tuple[float, float] | None, limits: GateLimits
) -> list[dict[str, Any]]:
    """What has to hold before a person may promote: {name, passed, detail}."""
    rate = ours["frauds"] / ours["payments"]
    lift = ours["average_precision"] / rate
    low, high = limits.calibration
    answers = [
        ("enough_evidence", ours["frauds"] >= limits.least_frauds,
         f"{ours['frauds']} frauds in the test slice, at least {limits.least_frauds} needed"),
        ("ranks_fraud_first", lift >= limits.least_lift,
         f"average precision {ours['average_precision']:.3f} is {lift:.1f} times the fraud rate, at least {limits.least_lift:g} needed"),
        ("calibrated", low <= ours["calibration_ratio"] <= high,
         f"expects {ours['calibration_ratio']:.2f} times the frauds that came, allowed {low:g} to {high:g}"),
    ]  # fmt: skip
    if champion is not None and gain is not None:
        answers.append(
            ("not_worse_than_champion", gain[1] >= 0,
             f"average precision {ours['average_precision']:.3f} against the champion's {champion['average_precision']:.3f} on the same "
             f"payments; difference between {gain[0]:+.3f} and {gain[1]:+.3f}")
        )  # fmt: skip
    return [{"name": name, "passed": bool(passed), "detail": detail} for name, passed, detail in answers]
