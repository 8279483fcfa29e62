"""What was read of the champion's payments, measured, and as the JSON that a watch keeps. Pure: no server is asked."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from core.base.clock import from_ms, rfc3339, to_ms
from core.base.terms import Label, LabelSource, Outcome
from core.stores.watching import AlertTruth, FraudReport, LabelledPayment, ScoredPayment
from core.tables.policy import RegisteredModel
from models.features.catalogue import ATTRIBUTES, FEATURES, NAMES
from models.features.vector import FloatArray, FloatMatrix, IntArray
from models.monitoring.arrival import Arrival, arrival
from models.monitoring.decay import DAY_MS, JudgedPayments, Then, performance
from models.monitoring.drift import Drift, compare, moved_since
from models.monitoring.precision import RULES, JudgedAlert, agreement, by_reason, precision
from models.monitoring.proposal import SCORE
from models.scoring.scorer import Scorer

RECENT_DAYS: Final = 7
LEAST_PAYMENTS: Final = 1_000
KNOWN_SHARE: Final = 0.9
"""Payments are old enough to be judged when so many of their frauds are known."""
_LEVELS: Final = {one.name for one in FEATURES if one.group in {f"{attribute}_fraud" for attribute in ATTRIBUTES}}
_USUAL_DELAY_DAYS: Final = 7.0
_START_UP_MS: Final = DAY_MS // 10
"""A first day that lacks so little is a whole day."""


@dataclass(frozen=True)
class Recent:
    """Sampled payments of the last days, any order. matrix: (n, features) as scored."""

    occurred_at_ms: IntArray
    matrix: FloatMatrix
    until_ms: int

    def whole_days(self) -> "tuple[int, Recent]":
        """How many whole days back there are payments, at most a week, and the payments of those days."""
        reach = self.until_ms - int(self.occurred_at_ms.min(initial=self.until_ms))
        days = min((reach + _START_UP_MS) // DAY_MS, RECENT_DAYS)
        inside = self.occurred_at_ms >= self.until_ms - days * DAY_MS
        return days, Recent(self.occurred_at_ms[inside], self.matrix[inside], self.until_ms)


@dataclass(frozen=True)
class Compared:
    """drift: by feature. since: first day of the last ones in a row on which it had moved. window: of the payments; None = not compared."""

    payments: int
    window: tuple[datetime, datetime] | None
    score: Drift | None
    drift: Mapping[str, Drift]
    since: Mapping[str, str]
    note: str | None = None

    @classmethod
    def nothing(cls, payments: int, why: str) -> "Compared":
        return cls(payments, None, None, {}, {}, why)


def compared(scorer: Scorer | None, recent: Recent) -> Compared:
    """Features and scores of the last whole days against the payments the model was judged on. About 4 s for 20,000 payments.

    Every payment is scored anew, so that a model that was promoted today is compared over the whole window. Features of the calendar are
    compared by the whole week only: a Tuesday is no drift. Levels of fraud of a country or a currency are told and never called moved: they
    are one number a day for everybody, so a thousand payments say no more of them than one.
    """
    if scorer is None or scorer.past is None:
        why = "the champion's file holds no payments to compare with; train and promote a new model"
        return Compared.nothing(0, why)
    days, recent = recent.whole_days()
    if days == 0 or len(recent.matrix) < LEAST_PAYMENTS:
        why = f"features and scores are compared from {LEAST_PAYMENTS:,} decided payments over at least a day on"
        return Compared.nothing(len(recent.matrix), why)
    used = [place for place, one in enumerate(FEATURES) if days == RECENT_DAYS or one.group != "time"]
    names = [*(NAMES[place] for place in used), SCORE]
    reference, learned = scorer.past.judged[:, [*used, len(NAMES)]], scorer.past.learned[:, used]
    now = np.column_stack([recent.matrix[:, used], scorer.score(recent.matrix).probability])
    found = {
        name: replace(drift, moved=drift.moved and name not in _LEVELS)
        for name, drift in zip(names, compare(reference, now, learned), strict=True)
    }
    since: dict[str, str] = {}
    for column, name in enumerate(names):
        if found[name].moved:
            day = _moved_since(reference[:, column], now[:, column], recent, days, found[name].anyway)
            since |= {name: day} if day else {}
    window = (from_ms(recent.until_ms - days * DAY_MS), from_ms(recent.until_ms))
    return Compared(len(now), window, found.pop(SCORE), found, since)


def _moved_since(reference: FloatArray, now: FloatArray, recent: Recent, days: int, anyway: float) -> str | None:
    start = recent.until_ms - days * DAY_MS
    found = moved_since(reference, now, (recent.occurred_at_ms - start) // DAY_MS, anyway)
    return None if found is None else rfc3339(from_ms(start + found * DAY_MS))[:10]


def drift_json(found: Compared) -> dict[str, Any]:
    """`payments`, `drift`, `psi_max` and `score` of a watch's figures. Moved features come first, then those that are on their way."""
    news = {name for name, one in found.drift.items() if name not in _LEVELS and one.psi > one.anyway}
    order = sorted(
        found.drift.items(), key=lambda pair: (not pair[1].moved, pair[0] not in news, -pair[1].psi, pair[0])
    )
    features = [{"feature": name, **_drift_json(drift, found.since.get(name))} for name, drift in order]
    largest = max((found.drift[name].psi for name in news), default=None)
    score = {**_drift_json(found.score, found.since.get(SCORE))} if found.score else None
    psi_max = None if largest is None else short(largest)
    return {"payments": found.payments, "drift": features, "psi_max": psi_max, "score": score}


def _drift_json(drift: Drift, since: str | None) -> dict[str, Any]:
    return {
        "psi": short(drift.psi),
        "ks": short(drift.ks),
        "p": short(drift.p),
        "share_unknown_before": short(drift.unknown_before),
        "share_unknown_now": short(drift.unknown_now),
        "psi_anyway": short(drift.anyway),
        "moved": drift.moved,
        "since": since,
    }


def short(value: float) -> float:
    """Four digits: a watch is kept every hour."""
    return float(f"{value:.4g}")


def arrived(reports: Sequence[FraudReport], now: datetime) -> Arrival | None:
    day = timedelta(days=1)
    delay = np.array([(one.reported_at - one.occurred_at) / day for one in reports])
    age = np.array([(now - one.occurred_at) / day for one in reports])
    return arrival(delay, age)


def old_enough_days(found: Arrival | None, model: RegisteredModel) -> int:
    """Whole days: until most frauds are known, or the training's label delay where that is not measured."""
    if found is None:
        options = model.lineage.get("options", {}).get("split", {})
        return math.ceil(float(options.get("label_delay_days", _USUAL_DELAY_DAYS)))
    return max(1, math.ceil(found.days_until(KNOWN_SHARE)))


def labels_json(found: Arrival | None, old_enough: int) -> dict[str, Any]:
    return {
        "measured": found is not None,
        "frauds": found.frauds if found else 0,
        "curve": [[days, short(known)] for days, known in found.curve()] if found else [],
        "half_days": short(found.days_until(0.5)) if found else None,
        "old_enough_days": old_enough,
    }


def precision_json(
    alerts: Sequence[AlertTruth], since: datetime, until: datetime, *, presume: bool
) -> dict[str, Any] | None:
    """presume: as in `judged_payments`."""
    judged = [_alert(one, presume) for one in alerts]
    if not judged:
        return None
    return {
        "from": rfc3339(since),
        "until": rfc3339(until),
        "all": precision(judged),
        "by_reason": by_reason(judged),
        "agreement": agreement(judged),
    }


def _alert(row: AlertTruth, presume: bool) -> JudgedAlert:
    return JudgedAlert(
        reason=row.reason or RULES,
        label=Label(row.label) if row.label else None,
        analyst=Label(row.analyst) if row.analyst else None,
        told_later=row.source in (LabelSource.CUSTOMER.value, LabelSource.CHARGEBACK.value),
        presumed=presume and row.label is None and row.outcome != Outcome.DECLINE.value,
    )


@dataclass(frozen=True)
class Judged:
    """labelled: everything something was said of. sampled: other payments (and some of those), each with chance `share`."""

    labelled: Sequence[LabelledPayment]
    sampled: Sequence[ScoredPayment]
    share: float


def judged_payments(found: Judged, *, presume: bool) -> JudgedPayments:
    """presume: a payment old enough that nobody complained about is legitimate, as in the training, unless it was declined: nobody charges
    that back, whatever it was. Otherwise only what was looked at and labelled counts, weighted by its chance of being looked at.
    """
    if presume:
        said = {one.uid for one in found.labelled}
        silent = [one for one in found.sampled if one.uid not in said and one.outcome != Outcome.DECLINE.value]
        told = [(one, 1.0) for one in found.labelled if one.label != Label.UNSURE.value]
    else:
        silent = []
        told = [
            (one, 1.0 / (one.control_probability or 1.0))
            for one in found.labelled
            if one.alerted and one.label != Label.UNSURE.value
        ]
    rows: list[LabelledPayment | ScoredPayment] = [*(one for one, _ in told), *silent]
    customers: dict[str, int] = {}
    fraud = [one.label == Label.FRAUD.value for one, _ in told] + [False] * len(silent)
    return JudgedPayments(
        occurred_at_ms=np.array([to_ms(one.occurred_at) for one in rows], dtype=np.int64),
        customer=np.array([customers.setdefault(one.customer_id, len(customers)) for one in rows], dtype=np.int64),
        score=np.array([one.score for one in rows], dtype=np.float64),
        is_fraud=np.array(fraud, dtype=np.bool_),
        weight=np.append([weight for _, weight in told], np.full(len(silent), 1 / found.share)),
        is_alert=np.array([one.outcome != Outcome.APPROVE.value for one in rows], dtype=np.bool_),
    )


def presumes(model: RegisteredModel) -> bool:
    """Whether its training took silence for legitimate."""
    return bool(model.lineage.get("labels", {}).get("used", "presume") == "presume")


def performance_json(payments: JudgedPayments, until: datetime, model: RegisteredModel) -> dict[str, Any] | None:
    if len(payments) == 0:
        return None
    return performance(payments, to_ms(until), Then.of(model.metrics, weighted=not presumes(model)))
