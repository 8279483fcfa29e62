"""Which past payments made a feature's number. Pure Python: the scorer writes it into the reason, the console looks the payments up."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

from core.base.terms import EntityKind
from models.features.catalogue import FEATURES, MEMORY, PAIRS, Feature

PAYMENTS: Final = "payments"
"""The entity's payments, this one among them, by event time."""
AMOUNTS: Final = "amounts"
"""The customer's earlier payments that this one is compared with, by event time."""
PAIR: Final = "pair"
"""This customer's earlier payments with the entity, by acceptance."""
FRAUDS: Final = "frauds"
LABELS: Final = "labels"
"""Labels that had arrived at the entity's payments, by their report: the frauds, or all."""

_Known = Callable[[str], float | None]


@dataclass(frozen=True)
class Evidence:
    """feature: whose number it explains. window_s: event time (of the report, for labels) from this payment back; None = any.
    most: only the newest so many. count: how many there were when the payment was scored; None where the number is no count of them.
    """

    feature: str
    entity: EntityKind
    what: str
    window_s: int | None = None
    most: int | None = None
    count: int | None = None

    @property
    def only_itself(self) -> bool:
        """Nothing but the payment in question made the number."""
        return self.count == (1 if self.what == PAYMENTS else 0)

    def as_json(self) -> dict[str, Any]:
        return {
            "feature": self.feature,
            "entity": self.entity.value,
            "what": self.what,
            "window_s": self.window_s,
            "most": self.most,
            "count": self.count,
        }

    @classmethod
    def of_json(cls, stored: dict[str, Any]) -> Self:
        """Raises ValueError or KeyError for what `as_json` did not write."""
        return cls(**{**stored, "entity": EntityKind(stored["entity"])})


def evidence_of(feature: Feature, known: _Known) -> Evidence | None:
    """known: a feature's value by name, None = not known. None for what the payment says of itself, and for a value nobody knows."""
    kind, value = feature.entity, known(feature.name)
    if not isinstance(kind, EntityKind) or value is None:
        return None
    if feature.name in _PAIRS:
        return Evidence(feature.name, kind, PAIR, count=round(value))
    if feature.group.endswith("_fraud"):
        return _of_labels(feature, kind, known)
    return _of_payments(feature, kind, known)


_PAIRS: Final = frozenset(f"customer_{other}_payments" for owner, other in PAIRS if owner == EntityKind.CUSTOMER)
_NAMES: Final = frozenset(feature.name for feature in FEATURES)


def _of_payments(feature: Feature, kind: EntityKind, known: _Known) -> Evidence:
    if feature.group == "amount_history" and feature.window_s is None:
        earlier = known("customer_earlier_payments")
        return Evidence(feature.name, kind, AMOUNTS, most=MEMORY.own_payments, count=_whole(earlier))
    if feature.window_s is None:
        new = known(f"{kind}_new")
        return Evidence(feature.name, kind, PAYMENTS, most=2, count=None if new is None else 1 if new else 2)
    return Evidence(feature.name, kind, PAYMENTS, feature.window_s, count=_whole(known(_counter(feature, kind))))


def _counter(feature: Feature, kind: EntityKind) -> str:
    """The feature that counts the payments of the same entity and window."""
    names = (f"{kind}_velocity_{span}_count" for span, seconds in _SPANS.items() if seconds == feature.window_s)
    return next((name for name in names if name in _NAMES), "")


def _of_labels(feature: Feature, kind: EntityKind, known: _Known) -> Evidence:
    """Shares and counts of a window, then what goes back to the last fraud or to the start of a run of them."""
    if feature.window_s is not None:
        span = next((span for span, seconds in _SPANS.items() if seconds == feature.window_s), "")
        what = LABELS if feature.name.startswith(f"{kind}_labels") else FRAUDS
        return Evidence(feature.name, kind, what, feature.window_s, count=_whole(known(f"{kind}_{what}_{span}")))
    if "legitimate_since" in feature.name:
        since = _whole(known(feature.name))
        return Evidence(feature.name, kind, LABELS, most=None if since is None else since + 1)
    run = _whole(known(f"{kind}_fraud_run")) if "fraud_run" in feature.name else 1
    return Evidence(feature.name, kind, FRAUDS, most=run, count=run)


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


_SPANS: Final = {"1h": 3_600, "6h": 21_600, "24h": 86_400, "7d": 7 * 86_400, "30d": 30 * 86_400}
