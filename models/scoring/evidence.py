"""Which past payments made a feature's number. Pure Python: the scorer writes it into the reason, the console looks the payments up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from models.features.catalogue import (
    DAY_S,
    LABEL_WINDOWS,
    MEMORY,
    PAIRS,
    RISK_DAYS,
    RISKED,
    WINDOWS,
    Feature,
)

PAYMENTS: Final = "payments"
"""The subject's payments, this one among them, by event time."""
AMOUNTS: Final = "amounts"
"""The customer's earlier payments that this one is compared with, by event time."""
PLACES: Final = "places"
"""The customer's payments that say where they were made, this one among them, by event time."""
PAIR: Final = "pair"
"""The subject's earlier payments with the other one, by acceptance."""
FRAUDS: Final = "frauds"
LABELS: Final = "labels"
"""Labels that had arrived at the subject's payments, by their report: the frauds, or all."""

_Known = Callable[[str], float | None]


@dataclass(frozen=True)
class Evidence:
    """feature: whose number it explains. entity, other: of `catalogue.SUBJECTS`; the payments share them with this one.

    window_s: event time (of the report, for labels) from this payment back; None = any. by_day: the window is whole UTC days, this
    payment's own the last. most: only the newest so many. distinct: subject of which the number counts the different ones.
    count: how many payments or labels there were when the payment was scored; None where no number says so.
    """

    feature: str
    entity: str
    what: str
    other: str | None = None
    window_s: int | None = None
    by_day: bool = False
    most: int | None = None
    distinct: str | None = None
    count: int | None = None

    @property
    def only_itself(self) -> bool:
        """Nothing but the payment in question made the number."""
        return self.count == (1 if self.what == PAYMENTS else 0)

    def alike(self, other: Self) -> bool:
        """Whether the rows of one are among the other's, but for how many there are."""
        labels = (FRAUDS, LABELS)
        kind = self.what == other.what or (self.what in labels and other.what in labels)
        return kind and (self.entity, self.other) == (other.entity, other.other)

    def as_json(self) -> dict[str, Any]:
        """What is not said has its default."""
        names = ("other", "window_s", "by_day", "most", "distinct", "count")
        said = {name: value for name in names if (value := getattr(self, name)) not in (None, False)}
        return {"feature": self.feature, "entity": self.entity, "what": self.what, **said}

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> Self:
        """Raises TypeError for what `as_json` did not write."""
        return cls(**stored)


def evidence_of(feature: Feature, known: _Known) -> Evidence | None:
    """known: a feature's value by name, None = not known. None for what the payment says of itself, and for a value nobody knows."""
    if known(feature.name) is None:
        return None
    if feature.group.endswith("_fraud"):
        return _of_labels(feature, known)
    told = _SPECIAL.get(feature.name)
    if told:
        return told(feature.name, known)
    if feature.entity is None:
        return None
    return _of_payments(feature, feature.entity.value, known)


def _of_payments(feature: Feature, subject: str, known: _Known) -> Evidence:
    if feature.window_s is None:
        new = known(f"{subject}_new")
        count = None if new is None else 1 if new else 2
        return Evidence(feature.name, subject, PAYMENTS, most=2, count=count)
    return Evidence(feature.name, subject, PAYMENTS, window_s=feature.window_s, count=_counted(subject, feature, known))


def _counted(subject: str, feature: Feature, known: _Known) -> int | None:
    """From the feature that counts the payments of the same subject and window."""
    span = _span(feature.window_s, WINDOWS)
    return _whole(known(f"{subject}_velocity_{span}_count")) if span else None


def _span(seconds: int | None, windows: Mapping[str, int]) -> str:
    return next((span for span, length in windows.items() if length == seconds), "")


def _own_amounts(name: str, known: _Known) -> Evidence:
    earlier = _whole(known("customer_earlier_payments"))
    return Evidence(name, "customer", AMOUNTS, most=MEMORY.own_payments, count=earlier)


def _before_silence(name: str, known: _Known) -> Evidence:
    """The payments of the last day, and the one before the silence."""
    day = _whole(known("customer_velocity_24h_count"))
    return Evidence(name, "customer", PAYMENTS, most=None if day is None else day + 1)


def _pair(owner: str, other: str) -> Callable[[str, _Known], Evidence]:
    return lambda name, known: Evidence(name, owner, PAIR, other=other, count=_whole(known(name)))


def _distinct(owner: str, other: str, window: str) -> Callable[[str, _Known], Evidence]:
    count = f"{owner}_velocity_{window}_count"
    return lambda name, known: Evidence(
        name, owner, PAYMENTS, window_s=WINDOWS[window], distinct=other, count=_whole(known(count))
    )


def _in_category(window: str, counter: str) -> Callable[[str, _Known], Evidence]:
    return lambda name, known: Evidence(
        name, "customer", PAYMENTS, other="category", window_s=WINDOWS[window], count=_whole(known(counter))
    )


def _where(most: int) -> Callable[[str, _Known], Evidence]:
    return lambda name, known: Evidence(name, "customer", PLACES, most=most)


_CATEGORY_COUNT: Final = "customer_category_velocity_{}_count"
_OWN: Final = ("mean", "median", "p90", "max")
_SPECIAL: Final[dict[str, Callable[[str, _Known], Evidence]]] = {
    **{f"amount_to_own_{what}": _own_amounts for what in _OWN},
    "amount_own_deviations": _own_amounts,
    "customer_earlier_payments": _own_amounts,
    "own_hour_share": _own_amounts,
    "gap_to_own_mean": _own_amounts,
    "customer_longest_silence_s": _before_silence,
    **{f"{owner}_{other}_payments": _pair(owner, other) for owner, other in PAIRS},
    **{
        f"{owner}_{other}_distinct_{window}": _distinct(owner, other, window)
        for owner, other in PAIRS
        for window in ("24h", "30d")
    },
    **{
        _CATEGORY_COUNT.format(window): _in_category(window, _CATEGORY_COUNT.format(window)) for window in ("7d", "30d")
    },
    "amount_to_customer_category_mean_30d": _in_category("30d", _CATEGORY_COUNT.format("30d")),
    "distance_from_previous_km": _where(2),
    "speed_from_previous_kmh": _where(2),
    "distance_from_home_km": _where(MEMORY.home_payments),
}


def _of_labels(feature: Feature, known: _Known) -> Evidence:
    subject = feature.group.removesuffix("_fraud")
    if subject in RISKED:
        return _by_day(feature, subject, known)
    if feature.window_s is not None:
        span = _span(feature.window_s, LABEL_WINDOWS)
        what = LABELS if feature.name.startswith(f"{subject}_labels") else FRAUDS
        count = _whole(known(f"{subject}_{what}_{span}"))
        return Evidence(feature.name, subject, what, window_s=feature.window_s, count=count)
    return _back_to_fraud(feature.name, subject, known)


def _by_day(feature: Feature, subject: str, known: _Known) -> Evidence:
    span = _span(feature.window_s, {span: days * DAY_S for span, days in RISK_DAYS.items()})
    labels, share = known(f"{subject}_labels_{span}"), known(f"{subject}_risk_{span}")
    if feature.name.startswith(f"{subject}_labels"):
        return Evidence(feature.name, subject, LABELS, window_s=feature.window_s, by_day=True, count=_whole(labels))
    frauds = None if labels is None or share is None else round(labels * share)
    return Evidence(feature.name, subject, FRAUDS, window_s=feature.window_s, by_day=True, count=frauds)


def _back_to_fraud(name: str, subject: str, known: _Known) -> Evidence:
    """What goes back to the last fraud, or to the start of a run of them. Frauds of an unusual amount among them are shown too."""
    if name.endswith("_unexplained_share"):
        return Evidence(name, subject, LABELS, most=MEMORY.label_share)
    if name.endswith("_legitimate_since_fraud"):
        since = _whole(known(name))
        return Evidence(name, subject, LABELS, most=None if since is None else since + 1)
    if "_run" in name:
        run = _whole(known(f"{subject}_fraud_run"))
        return Evidence(name, subject, FRAUDS, most=run, count=run)
    if name.endswith("_since_fraud_s"):
        return Evidence(name, subject, FRAUDS, most=1, count=1)
    what = LABELS if "legitimate" in name else FRAUDS
    return Evidence(name, subject, what, window_s=MEMORY.fraud_memory_s)


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
