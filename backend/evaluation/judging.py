"""One period: learn what was known by then, score what came, and measure."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from backend.evaluation.options import EvaluationOptions, Features, Protocol, Trees
from core.base.clock import from_ms
from core.base.errors import InvalidInput
from models.features.catalogue import NAMES
from models.features.vector import FloatArray, IntArray
from models.scoring.dataset import UNLABELLED, Dataset
from models.scoring.evaluation import SingleClassError, recall_at_fpr, unknown_cards
from models.scoring.intervals import Ranked, Resamples, interval
from models.scoring.prequential import DAY_MS, Period, week_figures
from models.scoring.training import TrainingOptions, TreeOptions
from models.scoring.weekly import learn

Report = Callable[[float], None]
CONFIDENCE = 0.95
BOOK_FEATURES = (
    "amount", "weekend", "night",
    *(f"customer_velocity_{window}_{what}" for window in ("24h", "7d", "30d") for what in ("count", "mean")),
    *(f"merchant_{what}_{window}" for window in ("24h", "7d", "30d") for what in ("labels", "risk")),
)  # fmt: skip
"""The Fraud Detection Handbook's features, chapter 3: amount, two flags, three windows of the customer and of the terminal's labels."""
BOOK_TREES = TreeOptions(iterations=200, learning_rate=0.05, leaves=8, least_in_leaf=40, l2=5.0, feature_share=1.0)


@dataclass(frozen=True)
class Scored:
    """probability: (n,) of the period's payments. learned: payments learned from."""

    probability: FloatArray
    learned: int
    seconds: float


def judge_period(rows: Dataset, one: Period, options: EvaluationOptions, report: Report) -> dict[str, Any]:
    """JSON-ready figures. Raises InvalidInput when the period, or what is learned before it, holds one class only."""
    test = rows.rows(_tested(rows, one, options))
    if not test.is_fraud.any() or test.is_fraud.all():
        raise InvalidInput(
            f"{_named(one)} cannot be judged: {int(test.is_fraud.sum())} of its {len(test)} payments are frauds"
        )
    share = 0.5 if options.gain else 1.0
    ours = score(rows, test, one, columns(options.features), options, lambda done: report(share * done))
    figures = {
        **week_figures(test, ours.probability, from_ms=one.test_from_ms, until_ms=one.test_until_ms),
        "from": _date(one.test_from_ms),
        "until": _date(one.test_until_ms),
        "learned": ours.learned,
        "tested": len(test),
        "recall_at_1pct_fpr": recall_at_fpr(test.is_fraud, ours.probability, 0.01),
        "fit_seconds": round(ours.seconds, 3),
    }
    del figures["payments"]
    if options.gain:
        book = score(rows, test, one, columns(Features.BOOK), options, lambda done: report(share + share * done))
        figures |= _gain(test, ours.probability, book.probability)
    if options.intervals:
        figures |= _intervals(test, ours.probability, book.probability if options.gain else None, options)
    return figures


def columns(features: Features) -> IntArray:
    """Places in the vector. Raises InvalidInput when this catalogue lacks one of the book's features."""
    if features is Features.DEFAULT:
        return np.arange(len(NAMES))
    missing = [name for name in BOOK_FEATURES if name not in NAMES]
    if missing:
        raise InvalidInput(f"this feature catalogue lacks the book's {', '.join(missing)}")
    return np.array([NAMES.index(name) for name in BOOK_FEATURES])


def score(
    rows: Dataset, test: Dataset, one: Period, used: IntArray, options: EvaluationOptions, report: Report
) -> Scored:
    """Features that are not used are unknown to the trees, which then leave them out."""
    time_ms = rows.occurred_at_ms
    window = (time_ms >= one.learn_from_ms) & (time_ms < one.learn_until_ms) & (rows.label != UNLABELLED)
    chosen = training_options(options)
    began = time.perf_counter()
    try:
        with threadpool_limits(limits=1):
            learned = learn(_only(rows.rows(window), used), chosen, report)
    except SingleClassError as error:
        raise InvalidInput(
            f"nothing can be learned for {_named(one)}: the {int(window.sum())} labelled payments from {_date(one.learn_from_ms)} to "
            f"{_date(one.learn_until_ms)} are all of one kind"
        ) from error
    seconds = time.perf_counter() - began
    margin = learned.margin(_only(test, used).matrix)
    return Scored(learned.probability(margin), int(window.sum()), seconds)


def training_options(options: EvaluationOptions) -> TrainingOptions:
    """The book's trees learn from every payment, as they did where their figures come from."""
    chosen = TrainingOptions(seed=options.seed, threads=options.threads)
    return replace(chosen, trees=BOOK_TREES, most_legitimate=10**9) if options.trees is Trees.BOOK else chosen


def _tested(rows: Dataset, one: Period, options: EvaluationOptions) -> Any:
    time_ms, labelled = rows.occurred_at_ms, rows.label != UNLABELLED
    if options.protocol is Protocol.HANDBOOK:
        days = (one.test_until_ms - one.test_from_ms) // DAY_MS
        start, delay = one.test_from_ms, options.delay_days
        return labelled & unknown_cards(time_ms, rows.holder, rows.is_fraud, start, days=days, delay_days=delay)
    return labelled & (time_ms >= one.test_from_ms) & (time_ms < one.test_until_ms)


def _only(rows: Dataset, used: IntArray) -> Dataset:
    if len(used) == len(NAMES):
        return rows
    matrix = np.full(rows.matrix.shape, np.nan)
    matrix[:, used] = rows.matrix[:, used]
    return replace(rows, matrix=matrix)


def _gain(test: Dataset, ours: FloatArray, book: FloatArray) -> dict[str, float]:
    theirs, _ = Ranked.of(test.is_fraud, book).figures(test.weight)
    mine, _ = Ranked.of(test.is_fraud, ours).figures(test.weight)
    return {"book_average_precision": theirs, "gain": mine - theirs}


def _intervals(
    test: Dataset, ours: FloatArray, book: FloatArray | None, options: EvaluationOptions
) -> dict[str, list[float] | None]:
    draws = Resamples.of(test.customer, options.resamples, options.seed)
    mine = Ranked.of(test.is_fraud, ours).resampled(draws)
    found = {
        "average_precision_interval": interval(mine[:, 0], CONFIDENCE),
        "roc_auc_interval": interval(mine[:, 1], CONFIDENCE),
    }
    if book is not None:
        theirs = Ranked.of(test.is_fraud, book).resampled(draws)
        found["gain_interval"] = interval(mine[:, 0] - theirs[:, 0], CONFIDENCE)
    return found


def _date(ms: int) -> str:
    return f"{from_ms(ms):%Y-%m-%d}"


def _named(one: Period) -> str:
    return f"the period from {_date(one.test_from_ms)} to {_date(one.test_until_ms)}"
