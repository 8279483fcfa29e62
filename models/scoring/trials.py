"""Trying options on a later part of the training period: neither the calibration nor the test slice has a say in any choice."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Self

import numpy as np

from models.features.vector import FloatArray
from models.scoring.dataset import BoolArray, Dataset
from models.scoring.growing import Grown, Progress, grow
from models.scoring.intervals import Ranked, Resamples
from models.scoring.options import SearchOptions, TrainingOptions, TreeOptions
from models.scoring.steps import Steps

_FIGURES: Final = ("average_precision", "recall_at_review")


@dataclass(frozen=True)
class Bench:
    """learn: the earlier part of the training period. judge: the later one, legitimate payments thinned and weighted for it.
    draws: of its customers, the same for every trial, so that two trials are compared on the same resamples.
    """

    learn: Dataset
    judge: Dataset
    draws: Resamples

    @classmethod
    def of(cls, rows: Dataset, search: SearchOptions, seed: int) -> Self | None:
        """None when a part holds too few frauds to tell options apart.

        No gap between the parts: labels of both were known before either was used, and no choice rests on how far they are apart.
        """
        time = rows.occurred_at_ms
        later = time > np.quantile(time, 1 - search.judge_share) if len(rows) else np.zeros(0, dtype=bool)
        frauds = int(rows.is_fraud[later].sum()), int(rows.is_fraud[~later].sum())
        if min(frauds) < search.least_frauds:
            return None
        judge = _thinned(rows, later, search.judge_legitimate)
        return cls(rows.rows(~later), judge, Resamples.of(judge.customer, search.resamples, seed))


def _thinned(rows: Dataset, inside: BoolArray, most: int) -> Dataset:
    """Every fraud, and every k-th legitimate payment with k times its weight."""
    legitimate = np.flatnonzero(inside & ~rows.is_fraud)
    every = max(1, -(-len(legitimate) // most))
    part = rows.rows(np.sort(np.concatenate([np.flatnonzero(inside & rows.is_fraud), legitimate[::every]])))
    return replace(part, weight=part.weight * np.where(part.is_fraud, 1, every))


@dataclass(frozen=True)
class Trial:
    """Figures on the judge rows, and the same on each resample of its customers."""

    average_precision: float
    recall_at_review: float
    resampled: dict[str, list[float]]

    @classmethod
    def read(cls, kept: dict[str, Any]) -> Self:
        return cls(**kept)

    def gain_over(self, other: "Trial", figure: str, confidence: float) -> float:
        """What the figure is better by with (one-sided) `confidence`; more than 0 = better beyond noise."""
        difference = np.array(self.resampled[figure]) - np.array(other.resampled[figure])
        return float(np.quantile(difference[np.isfinite(difference)], 1 - confidence))

    def figures(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in _FIGURES}


def in_haste(trees: TreeOptions, haste: float) -> TreeOptions:
    """Fewer trees that each correct more: nearly the same ranking for a part of the time."""
    return replace(trees, iterations=max(1, round(trees.iterations / haste)), learning_rate=trees.learning_rate * haste)


def attempt(bench: Bench, options: TrainingOptions, report: Progress) -> tuple[Grown, Trial]:
    grown = grow(bench.learn, options, report)
    return grown, judged(bench, grown.margin(bench.judge.matrix), options.review_share)


def attempt_once(bench: Bench, options: TrainingOptions, steps: Steps, name: str, report: Progress) -> Trial:
    """As a step that need not be done again when the training was cut short after it."""
    return Trial.read(steps.once(name, lambda: asdict(attempt(bench, options, report)[1])))


def judged(bench: Bench, margin: FloatArray, review_share: float) -> Trial:
    judge, draws = bench.judge, bench.draws
    ranked = Ranked.of(judge.is_fraud, margin)
    recalls = [recall(judge, ranked.order, times[draws.customer] * judge.weight, review_share) for times in draws.times]
    return Trial(
        average_precision=ranked.figures(judge.weight)[0],
        recall_at_review=recall(judge, ranked.order, judge.weight, review_share),
        resampled={
            "average_precision": ranked.resampled(draws, judge.weight)[:, 0].tolist(),
            "recall_at_review": recalls,
        },
    )


def recall(rows: Dataset, order: Any, weight: FloatArray, share: float) -> float:
    """Of the frauds' weight, what lies among the first `share` of all weight. order: rows, highest score first."""
    ordered = weight[order]
    total = np.cumsum(ordered)
    fraud = ordered * rows.is_fraud[order]
    if total[-1] == 0 or fraud.sum() == 0:
        return float("nan")
    return float(fraud[total <= share * total[-1]].sum() / fraud.sum())
