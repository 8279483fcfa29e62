"""Does the champion still rank as it did when it was judged? Weeks of payments that are old enough, with intervals, against its report.

Average precision grows with the share of frauds, whatever the model does. So it is told as if frauds were as frequent as they were when
the model was judged: the frauds are weighted (prior shift; Saerens, Latinne and Decaestecker 2002). What is left is the model's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from core.base import clock
from models.features.vector import FloatArray, IntArray
from models.monitoring.precision import wilson
from models.scoring.dataset import BoolArray
from models.scoring.intervals import Ranked, Resamples, interval

DAY_MS: Final = 86_400_000
WEEK_MS: Final = 7 * DAY_MS
WEEKS: Final = 12
_POOLED: Final = 4
"""Weeks that are judged together as `recent`."""
_CONFIDENCE: Final = 0.95
LEAST_FRAUDS: Final = 20
LEAST_FALL: Final = 0.05
"""Of average precision, or of the alerts' precision: less is not worth a training, however sure."""


@dataclass(frozen=True)
class JudgedPayments:
    """Payments the model decided and whose truth is known or presumed. All (n,).

    score: calibrated, as decided. customer: numbers that tell them apart. weight: how many payments each stands for.
    is_alert: it was to be looked at, or declined.
    """

    occurred_at_ms: IntArray
    customer: IntArray
    score: FloatArray
    is_fraud: BoolArray
    weight: FloatArray
    is_alert: BoolArray

    def __len__(self) -> int:
        return len(self.score)

    def between(self, from_ms: int, until_ms: int) -> "JudgedPayments":
        inside = (self.occurred_at_ms >= from_ms) & (self.occurred_at_ms < until_ms)
        return JudgedPayments(*(getattr(self, name)[inside] for name in self.__dataclass_fields__))

    @property
    def fraud_rate(self) -> float:
        total = float(self.weight.sum())
        return float(self.weight[self.is_fraud].sum()) / total if total else 0.0


@dataclass(frozen=True)
class Then:
    """What the model's report says of it. Intervals are [low, high], or None where a report has none.

    fraud_rate: None when the report's payments were weighted: it does not say how frequent frauds were then.
    """

    fraud_rate: float | None
    average_precision: float
    interval: list[float] | None
    precision: float | None
    precision_interval: list[float] | None

    @classmethod
    def of(cls, report: Mapping[str, Any], *, weighted: bool = False) -> "Then":
        intervals = report.get("intervals") or {}
        return cls(
            fraud_rate=None if weighted else report["frauds"] / report["payments"],
            average_precision=report["average_precision"],
            interval=intervals.get("average_precision"),
            precision=report.get("precision_at_review"),
            precision_interval=intervals.get("precision_at_review"),
        )


@dataclass(frozen=True)
class Bootstrap:
    resamples: int = 200
    seed: int = 7


def performance(payments: JudgedPayments, until_ms: int, then: Then, draws: Bootstrap | None = None) -> dict[str, Any]:
    """{training, recent, weeks, decayed, since}: see `core.tables.policy.ModelWatch`. until_ms: the end of what is old enough.

    decayed: the pooled recent weeks lie below the report, their intervals apart and by enough to matter. since: the first of the last
    weeks in a row whose interval lies below the report's.
    """
    draws = draws or Bootstrap()
    first = int(payments.occurred_at_ms.min(initial=until_ms))
    starts = [until_ms - WEEK_MS * back for back in range(1, WEEKS + 1) if until_ms - WEEK_MS * back > first - WEEK_MS]
    weeks = [figures(payments, max(start, first), start + WEEK_MS, then, draws) for start in starts[::-1]]
    recent = figures(payments, max(starts[:_POOLED][-1], first), until_ms, then, draws) if starts else None
    return {
        "training": {
            "fraud_rate": then.fraud_rate,
            "average_precision": then.average_precision,
            "interval": then.interval,
            "precision": then.precision,
            "precision_interval": then.precision_interval,
        },
        "recent": recent,
        "weeks": weeks,
        "decayed": bool(recent and _below(recent, then) and _fall(recent, then) >= LEAST_FALL),
        "since": _since(weeks, then),
    }


def figures(payments: JudgedPayments, from_ms: int, until_ms: int, then: Then, draws: Bootstrap) -> dict[str, Any]:
    """Of the payments of [from, until). What too few frauds, or nothing but frauds, cannot tell is None."""
    part = payments.between(from_ms, until_ms)
    frauds = int(part.is_fraud.sum())
    average_precision, bounds = _ranking(part, then.fraud_rate, draws)
    return {
        "from": clock.rfc3339(clock.from_ms(from_ms)),
        "until": clock.rfc3339(clock.from_ms(until_ms)),
        "payments": round(float(part.weight.sum())),
        "frauds": frauds,
        "fraud_rate": part.fraud_rate,
        "average_precision": average_precision,
        "interval": bounds,
        "calibration_ratio": float((part.weight * part.score).sum() / part.weight[part.is_fraud].sum()) if frauds else None,
        **_alerts(part),
    }  # fmt: skip


def _alerts(part: JudgedPayments) -> dict[str, Any]:
    """alerts: those with a truth, known or presumed. The interval counts as many of them as their weights are worth (Kish 1965)."""
    weight, right = part.weight[part.is_alert], part.is_fraud[part.is_alert]
    total = float(weight.sum())
    if total == 0:
        return {"alerts": 0, "precision": None, "precision_interval": None}
    share, worth = float(weight[right].sum()) / total, total**2 / float((weight**2).sum())
    interval = wilson(round(share * worth), round(worth))
    return {"alerts": round(total), "precision": share, "precision_interval": interval}


def _ranking(
    part: JudgedPayments, rate_then: float | None, draws: Bootstrap
) -> tuple[float | None, list[float] | None]:
    """Average precision at the report's share of frauds, and its interval by resampled customers."""
    if int(part.is_fraud.sum()) < LEAST_FRAUDS or part.is_fraud.all():
        return None, None
    prior = 1.0 if rate_then is None else _odds(rate_then) / _odds(part.fraud_rate)
    weight = np.where(part.is_fraud, part.weight * prior, part.weight)
    ranked = Ranked.of(part.is_fraud, part.score)
    resampled = ranked.resampled(Resamples.of(part.customer, draws.resamples, draws.seed), weight)
    return ranked.figures(weight)[0], interval(resampled[:, 0], _CONFIDENCE)


def _odds(share: float) -> float:
    return share / (1 - share)


def _below(found: Mapping[str, Any], then: Then) -> bool:
    """The whole interval lies below the report's."""
    low = then.interval[0] if then.interval else then.average_precision
    return found["interval"] is not None and found["interval"][1] < low


def _fall(found: Mapping[str, Any], then: Then) -> float:
    return float(then.average_precision - found["average_precision"])


def _since(weeks: list[dict[str, Any]], then: Then) -> str | None:
    since = None
    for week in reversed(weeks):
        if week["interval"] is None:
            continue
        if not _below(week, then):
            break
        since = week["from"]
    return since
