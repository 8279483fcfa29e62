"""The same figures for parts of the payments: a model may be good on the whole and bad for some."""

from statistics import NormalDist
from typing import Any

import numpy as np

from models.features.vector import FloatArray
from models.scoring import evaluation
from models.scoring.dataset import BoolArray, Dataset
from models.scoring.intervals import Ranked, Resamples


def segment_figures(
    rows: Dataset,
    ours: FloatArray,
    champion: FloatArray | None,
    review: float,
    draws: Resamples,
    *,
    least_frauds: int,
    confidence: float,
) -> list[dict[str, Any]]:
    """One entry for each part of each segmentation, largest first; figures that need frauds are None where too few are.

    gain: interval of the difference in average precision to the champion's, as wide as it must be for all parts together to hold
    with `confidence` (Bonferroni): otherwise one of many parts would look worse by chance.
    """
    parts = [
        (by, segment.names[code], segment.code == code)
        for by, segment in rows.segments.items()
        for code in np.unique(segment.code[segment.code >= 0]).tolist()
    ]
    comparable = [
        int(rows.is_fraud[part].sum()) >= least_frauds and not rows.is_fraud[part].all() for *_, part in parts
    ]
    z = NormalDist().inv_cdf(1 - (1 - confidence) / 2 / max(sum(comparable), 1))
    found = []
    for (by, name, part), judged in zip(parts, comparable, strict=True):
        figures = _figures(rows.is_fraud[part], ours[part], rows.weight[part], review, judged)
        gain = _gain(rows.is_fraud[part], ours[part], champion[part], rows.weight[part], draws.rows(part), z) \
            if judged and champion is not None else None  # fmt: skip
        found.append({"by": by, "name": name, **figures, "gain": gain})
    order = {by: place for place, by in enumerate(rows.segments)}
    return sorted(found, key=lambda one: (order[one["by"]], -one["payments"]))


def _figures(is_fraud: BoolArray, score: FloatArray, weight: FloatArray, review: float, judged: bool) -> dict[str, Any]:
    frauds = int(is_fraud.sum())
    return {
        "payments": len(is_fraud),
        "frauds": frauds,
        "average_precision": Ranked.of(is_fraud, score).figures(weight)[0] if judged else None,
        "calibration_ratio": evaluation.calibration(is_fraud, score, weight)["calibration_ratio"] if judged else None,
        "recall_at_review": float(weight[is_fraud & (score >= review)].sum() / weight[is_fraud].sum())
        if frauds
        else None,
    }


def _gain(
    is_fraud: BoolArray, ours: FloatArray, champion: FloatArray, weight: FloatArray, draws: Resamples, z: float
) -> list[float] | None:
    """Normal interval around the difference: quantiles as far out as many parts need would take thousands of resamples."""
    mine, theirs = Ranked.of(is_fraud, ours), Ranked.of(is_fraud, champion)
    differences = mine.resampled(draws, weight)[:, 0] - theirs.resampled(draws, weight)[:, 0]
    known = differences[np.isfinite(differences)]
    if len(known) < max(len(differences) // 2, 2):
        return None
    difference = mine.figures(weight)[0] - theirs.figures(weight)[0]
    reach = z * float(known.std(ddof=1))
    return [difference - reach, difference + reach]
