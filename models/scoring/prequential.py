"""Weeks after weeks: each is judged by a model that had learned only what was known when the week began.

learn from [test_from - delay - train days, test_from - delay), judge on [test_from, test_until)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.base import clock
from models.features.catalogue import DAY_S
from models.features.vector import FloatArray
from models.scoring import evaluation
from models.scoring.dataset import Dataset
from models.scoring.intervals import Ranked

DAY_MS: Final = DAY_S * 1000
WEEK_DAYS: Final = 7


@dataclass(frozen=True)
class Period:
    """Epoch ms, each [from, until). What is learned was labelled when the test begins."""

    learn_from_ms: int
    learn_until_ms: int
    test_from_ms: int
    test_until_ms: int


def period(test_from_ms: int, test_until_ms: int, *, train_days: float, delay_days: float) -> Period:
    until = test_from_ms - round(delay_days * DAY_MS)
    return Period(until - round(train_days * DAY_MS), until, test_from_ms, test_until_ms)


def weeks_back(
    first_ms: int, last_ms: int, *, train_days: float, delay_days: float, warm_up_days: float
) -> list[Period]:
    """Whole weeks of UTC days counted back from the last day, oldest first, while the training begins `warm_up_days` after the first
    payment: features with long windows are not full before.
    """
    end = (last_ms // DAY_MS + 1) * DAY_MS
    earliest = first_ms // DAY_MS * DAY_MS + warm_up_days * DAY_MS
    found: list[Period] = []
    while True:
        week = period(end - WEEK_DAYS * DAY_MS, end, train_days=train_days, delay_days=delay_days)
        if week.learn_from_ms < earliest:
            return found[::-1]
        found.append(week)
        end = week.test_from_ms


def week_figures(rows: Dataset, probability: FloatArray, *, from_ms: int, until_ms: int) -> dict[str, Any]:
    """The figures of the payments of [from, until), None where the payments are all of one kind or there are none."""
    inside = (rows.occurred_at_ms >= from_ms) & (rows.occurred_at_ms < until_ms)
    week, score = rows.rows(inside), probability[inside]
    is_fraud = week.is_fraud
    frauds = int(is_fraud.sum())
    figures: dict[str, Any] = {
        "from": clock.rfc3339(clock.from_ms(from_ms)),
        "until": clock.rfc3339(clock.from_ms(until_ms)),
        "payments": len(week),
        "frauds": frauds,
    }
    return {**figures, **_ranking(week, score), **_calibration(week, score)}


def _ranking(week: Dataset, score: FloatArray) -> Mapping[str, float | None]:
    is_fraud = week.is_fraud
    if not is_fraud.any() or is_fraud.all():
        return dict.fromkeys(("average_precision", "roc_auc", "card_precision_100"))
    average_precision, roc_auc = Ranked.of(is_fraud, score).figures(week.weight)
    return {
        "average_precision": average_precision,
        "roc_auc": roc_auc,
        "card_precision_100": evaluation.card_precision(
            week.occurred_at_ms, week.holder, score, is_fraud, evaluation.CARDS_A_DAY
        ),
    }


def _calibration(week: Dataset, score: FloatArray) -> Mapping[str, float | None]:
    if not week.is_fraud.any():
        return dict.fromkeys(("calibration_ratio", "brier"))
    return evaluation.calibration(week.is_fraud, score, week.weight)
