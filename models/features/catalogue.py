"""Every feature of a payment, once. The Lua script's constants, the vector, the replay, the reasons and docs/features.md come from here.

Pure Python: the console and the API read it without numpy.

*Readings* are what the state answers for one payment: whole numbers, -1 = not known. `models.features.vector` turns them, and the
*facts* of the payment itself (`models.features.facts`), into *features* (ratios, seconds, kilometres). A reading with a feature's name
is that feature.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Final, Literal, cast

from core.base.terms import EntityKind, Language
from models.features.phrases import Phrase, en, pt

CATALOGUE_VERSION: Final = 2
"""Raised whenever a name, an order or a meaning below changes: models and stored vectors of another version are not mixed."""

Unit = Literal[
    "payments",
    "hundredths",
    "s",
    "times",
    "deviations",
    "flag",
    "hour",
    "weekday",
    "share",
    "count",
    "km",
    "km/h",
    "code",
]
"""hundredths: of the payment's currency, whatever its own smallest unit (no conversion: a sum over currencies adds plain
numbers). s: seconds. share: 0 to 1. weekday: 0 = Monday. code: a number that only tells values apart."""

HOUR_S: Final = 3600
DAY_S: Final = 86_400
WINDOWS: Final = {"1h": HOUR_S, "6h": 6 * HOUR_S, "24h": DAY_S, "7d": 7 * DAY_S, "30d": 30 * DAY_S}
LARGEST_IN: Final = ("24h", "7d")
"""Windows whose largest payment is kept: `Memory.own_payments` newest ones are looked at."""
SPIKE_WINDOWS: Final = {"24h": DAY_S, "7d": 7 * DAY_S, "14d": 14 * DAY_S}
LIMIT_WINDOWS: Final = ("24h", "7d")
DISTINCT_WINDOWS: Final = {"24h": DAY_S, "30d": 30 * DAY_S}
LABEL_WINDOWS: Final = {"24h": DAY_S, "7d": 7 * DAY_S, "30d": 30 * DAY_S}
RISK_DAYS: Final = {"7d": 7, "30d": 30, "90d": 90}
"""Windows of attributes' risk, in whole UTC days up to the payment's own."""
CATEGORY_DAYS: Final = 30
PAIR_WINDOWS: Final = ("7d", "30d")

ATTRIBUTES: Final = ("category", "country", "currency", "place")
"""What else a payment names: merchant category and country, currency, and the square degree of its position."""
SUBJECTS: Final = (*(kind.value for kind in EntityKind), *ATTRIBUTES)
LABELLED: Final = (EntityKind.MERCHANT, EntityKind.CUSTOMER, EntityKind.DEVICE)
"""Entities whose labelled payments are remembered one by one."""
UNEXPLAINED: Final = (EntityKind.MERCHANT, EntityKind.DEVICE)
"""Entities for which frauds of an amount usual for their customer are told apart: those point at the entity itself."""
RISKED: Final = ("card", "ip", *ATTRIBUTES)
"""Subjects whose labels are counted by day."""
PAIRS: Final = (
    ("customer", "merchant"), ("customer", "device"), ("customer", "card"), ("customer", "ip"),
    ("customer", "category"), ("customer", "country"), ("card", "merchant"),
    ("device", "customer"), ("device", "card"), ("ip", "customer"), ("ip", "card"),
)  # fmt: skip
"""(owner, other): each owner remembers the others it was seen with."""

UNKNOWN: Final = float("nan")
LANGUAGES: Final[Mapping[Language, ModuleType]] = {Language.EN: en, Language.PT_BR: pt}


@dataclass(frozen=True)
class Feature:
    """window_s: length of the window that ends at the payment, None = none. default: what the vector holds when it is not known.
    version: the catalogue version that gave it its present meaning.
    """

    name: str
    entity: EntityKind | None
    window_s: int | None
    unit: Unit
    group: str
    said: Mapping[Language, Phrase]
    default: float = UNKNOWN
    version: int = CATALOGUE_VERSION

    @property
    def title(self) -> str:
        return self.said[Language.EN].title

    @property
    def sentence(self) -> str:
        return self.said[Language.EN].sentence

    @property
    def when_zero(self) -> str | None:
        return self.said[Language.EN].when_zero

    @property
    def when_unknown(self) -> str:
        return self.said[Language.EN].when_unknown or en.NOT_KNOWN


@dataclass(frozen=True)
class Memory:
    """What the state keeps: every number is part of the rule that `online` and `offline` share.

    forget_s: an entity (or a pair) silent for longer is new again.
    retention_s: payments kept behind an entity's newest one (30 days and 7 for late events); retention_labels_s the same for labels.
    most_payments, most_labels: newest records a window can count. most_late: newer records a late one may be sorted under.
    own_payments: earlier payments an amount is compared with. known: others an owner remembers of a kind.
    fraud_memory_s: a fraud longer ago is no longer "the last known fraud". retention_days: days of an attribute's risk.
    spike_times (in quarters of the median), spike_after: an amount over 2.5 times the median of at least 5 earlier ones is a spike.
    label_share: newest labels of `unexplained_share`. home_payments: about so many payments weigh in on where home is.
    """

    forget_s: int = 90 * DAY_S
    retention_s: int = 37 * DAY_S
    retention_labels_s: int = 90 * DAY_S
    most_payments: int = 32_768
    most_labels: int = 4_096
    most_late: int = 4_096
    own_payments: int = 50
    known: int = 128
    fraud_memory_s: int = 60 * DAY_S
    retention_days: int = 97
    spike_quarters: int = 10
    spike_after: int = 5
    label_share: int = 5
    home_payments: int = 64


MEMORY: Final = Memory()
NEAR_HOUR_S: Final = 2 * HOUR_S
GROUPS: Final = en.GROUPS
"""Reason groups an analyst thinks in: code -> title."""


def _said(name: str, *words: str | int) -> dict[Language, Phrase]:
    """The phrase in every language."""
    return {language: cast(Phrase, getattr(module, name)(*words)) for language, module in LANGUAGES.items()}


def _velocity(kind: EntityKind) -> list[Feature]:
    group, features = f"{kind}_activity", []
    for window, seconds in WINDOWS.items():
        features += [
            Feature(f"{kind}_velocity_{window}_count", kind, seconds, "payments", group, _said("count", kind, window)),
            Feature(
                f"{kind}_velocity_{window}_amount", kind, seconds, "hundredths", group, _said("amount", kind, window)
            ),
            Feature(f"{kind}_velocity_{window}_mean", kind, seconds, "hundredths", group, _said("mean", kind, window)),
        ]
        if window in LARGEST_IN:
            said = _said("largest", kind, window)
            features.append(Feature(f"{kind}_velocity_{window}_max", kind, seconds, "hundredths", group, said))
    return features


def _since_previous(kind: EntityKind) -> Feature:
    said = _said("since_previous", kind)
    return Feature(f"{kind}_since_previous_s", kind, None, "s", f"{kind}_activity", said)


def _pairs() -> list[Feature]:
    features = []
    for owner, other in PAIRS:
        kind = EntityKind(owner)
        if owner == EntityKind.CUSTOMER:
            about = EntityKind(other) if other in _ENTITIES else kind
            said = _said("pair", other)
            features.append(Feature(f"customer_{other}_payments", about, None, "payments", "novelty", said))
        for window, seconds in DISTINCT_WINDOWS.items():
            said = _said("distinct", owner, other, window)
            features.append(Feature(f"{owner}_{other}_distinct_{window}", kind, seconds, "count", "sharing", said))
    return features


_ENTITIES: Final = {kind.value for kind in EntityKind}


def _own_history() -> list[Feature]:
    kind, group, month = EntityKind.CUSTOMER, "amount_history", WINDOWS["30d"]
    return [
        *(
            Feature(f"amount_to_own_{what}", kind, None, "times", group, _said("own_ratio", what))
            for what in ("mean", "median", "p90", "max")
        ),
        Feature("amount_own_deviations", kind, None, "deviations", group, _said("own_deviations")),
        Feature("amount_to_mean_30d", kind, month, "times", group, _said("own_ratio", "mean_30d")),
        Feature("customer_mean_24h_to_30d", kind, month, "times", group, _said("mean_24h_to_30d")),
        Feature("customer_earlier_payments", kind, None, "payments", group, _said("earlier_payments")),
        *(
            Feature(f"customer_spikes_{window}", kind, seconds, "payments", group, _said("spikes", window))
            for window, seconds in SPIKE_WINDOWS.items()
        ),
        Feature("own_hour_share", kind, None, "share", "rhythm", _said("own_hours")),
        Feature("gap_to_own_mean", kind, None, "times", "rhythm", _said("gap_to_own_mean")),
        Feature("customer_longest_silence_s", kind, DAY_S, "s", "rhythm", _said("longest_silence")),
    ]


def _category() -> list[Feature]:
    customer, group, month = EntityKind.CUSTOMER, "category", WINDOWS["30d"]
    return [
        Feature("category_code", None, None, "code", group, _said("category_code")),
        Feature("amount_to_category_mean_30d", None, month, "times", group, _said("to_mean", "category")),
        *(
            Feature(
                f"customer_category_velocity_{window}_count", customer, WINDOWS[window], "payments", group,
                _said("customer_category_count", window),
            )
            for window in PAIR_WINDOWS
        ),
        Feature("amount_to_customer_category_mean_30d", customer, month, "times", group, _said("to_customer_category_mean")),
    ]  # fmt: skip


def _place() -> list[Feature]:
    kind = EntityKind.CUSTOMER
    return [
        Feature("distance_from_previous_km", kind, None, "km", "place", _said("distance_from_previous")),
        Feature("speed_from_previous_kmh", kind, None, "km/h", "place", _said("speed_from_previous")),
        Feature("distance_from_home_km", kind, None, "km", "place", _said("distance_from_home")),
        Feature("country_not_billing", None, None, "flag", "place", _said("abroad")),
    ]


def _amount() -> list[Feature]:
    kind = EntityKind.CUSTOMER
    return [
        Feature("amount", None, None, "hundredths", "amount", _said("payment_amount")),
        Feature("amount_round", None, None, "flag", "amount", _said("round_amount")),
        Feature("amount_just_under_limit", None, None, "flag", "limits", _said("just_under")),
        *(
            Feature(f"customer_just_under_{window}", kind, WINDOWS[window], "payments", "limits",
                    _said("just_under_count", window))
            for window in LIMIT_WINDOWS
        ),
    ]  # fmt: skip


def _time() -> list[Feature]:
    return [
        Feature("hour", None, None, "hour", "time", _said("hour")),
        Feature("night", None, None, "flag", "time", _said("night")),
        Feature("weekend", None, None, "flag", "time", _said("weekend")),
        Feature("weekday", None, None, "weekday", "time", _said("weekday")),
    ]


def _fraud_history(kind: EntityKind) -> list[Feature]:
    group, days = f"{kind}_fraud", MEMORY.fraud_memory_s // DAY_S
    features = []
    for window, seconds in LABEL_WINDOWS.items():
        features += [
            Feature(f"{kind}_labels_{window}", kind, seconds, "payments", group, _said("labels", kind, window)),
            Feature(f"{kind}_frauds_{window}", kind, seconds, "payments", group, _said("frauds", kind, window)),
            Feature(f"{kind}_risk_{window}", kind, seconds, "share", group, _said("risk", kind, window)),
        ]
    features += [
        Feature(f"{kind}_fraud_run", kind, None, "payments", group, _said("fraud_run", kind)),
        Feature(f"{kind}_fraud_run_age_s", kind, None, "s", group, _said("fraud_run_age", kind)),
        Feature(f"{kind}_since_fraud_s", kind, None, "s", group, _said("since_fraud", kind, days)),
        Feature(f"{kind}_legitimate_since_fraud", kind, None, "payments", group, _said("legitimate_since_fraud", kind, days)),
    ]  # fmt: skip
    return features + (_unexplained(kind, group, days) if kind in UNEXPLAINED else [])


def _unexplained(kind: EntityKind, group: str, days: int) -> list[Feature]:
    return [
        *(
            Feature(f"{kind}_unexplained_{window}", kind, seconds, "payments", group, _said("unexplained", kind, window))
            for window, seconds in LABEL_WINDOWS.items()
        ),
        Feature(f"{kind}_unexplained_run", kind, None, "payments", group, _said("unexplained_run", kind)),
        Feature(f"{kind}_unexplained_run_age_s", kind, None, "s", group, _said("unexplained_run_age", kind)),
        Feature(f"{kind}_since_unexplained_s", kind, None, "s", group, _said("since_unexplained", kind, days)),
        Feature(f"{kind}_legitimate_since_unexplained", kind, None, "payments", group,
                _said("legitimate_since_unexplained", kind, days)),
        Feature(f"{kind}_unexplained_share", kind, None, "share", group, _said("unexplained_share", kind)),
    ]  # fmt: skip


def _risk(subject: str) -> list[Feature]:
    kind, group = EntityKind(subject) if subject in _ENTITIES else None, f"{subject}_fraud"
    return [
        Feature(f"{subject}_labels_30d", kind, 30 * DAY_S, "payments", group, _said("labels", subject, "30d")),
        *(
            Feature(f"{subject}_risk_{window}", kind, days * DAY_S, "share", group, _said("risk", subject, window))
            for window, days in RISK_DAYS.items()
        ),
    ]


def _features() -> list[Feature]:
    merchant, month = EntityKind.MERCHANT, WINDOWS["30d"]
    return [
        *_amount(),
        *_own_history(),
        *(feature for kind in EntityKind for feature in _velocity(kind)),
        *(_since_previous(kind) for kind in EntityKind if kind is not EntityKind.MERCHANT),
        Feature("amount_to_merchant_mean_30d", merchant, month, "times", "merchant_activity", _said("to_mean", "merchant")),
        *_pairs(),
        *(Feature(f"{kind}_new", kind, None, "flag", "novelty", _said("new", kind)) for kind in EntityKind),
        *_category(),
        *_place(),
        *_time(),
        *(feature for kind in LABELLED for feature in _fraud_history(kind)),
        *(feature for subject in RISKED for feature in _risk(subject)),
    ]  # fmt: skip


def _readings() -> list[str]:
    names = []
    for kind in (*EntityKind, "customer_category"):
        names += [f"{kind}_velocity_{window}_{what}" for window in WINDOWS for what in ("count", "amount")]
        names += [f"{kind}_velocity_{window}_max" for window in LARGEST_IN]
        names.append(f"{kind}_since_previous_ms")
    names += ["customer_earlier_payments", "own_sum", "own_median_twice", "own_p90", "own_square_deviations", "own_max"]
    names += ["own_near_hour", "own_span_ms", "own_longest_silence_ms"]
    names += [f"customer_spikes_{window}" for window in SPIKE_WINDOWS]
    names += [f"customer_just_under_{window}" for window in LIMIT_WINDOWS]
    for owner, other in PAIRS:
        names.append(f"{owner}_{other}_payments")
        names += [f"{owner}_{other}_distinct_{window}" for window in DISTINCT_WINDOWS]
    names += ["previous_latitude", "previous_longitude", "previous_place_ms"]
    names += ["home_latitudes", "home_longitudes", "home_payments"]
    for kind in LABELLED:
        names += [f"{kind}_{what}_{window}" for window in LABEL_WINDOWS for what in ("labels", "frauds", "unexplained")]
        for what in ("fraud", "unexplained"):
            names += [f"{kind}_{what}_run", f"{kind}_{what}_run_age_ms", f"{kind}_since_{what}_ms"]
            names.append(f"{kind}_legitimate_since_{what}")
        names += [f"{kind}_newest_unexplained", f"{kind}_newest_labels"]
    names += ["category_days_count", "category_days_amount"]
    names += [
        f"{subject}_{what}_{window}" for subject in RISKED for window in RISK_DAYS for what in ("labels", "frauds")
    ]
    return names


FEATURES: Final[tuple[Feature, ...]] = tuple(_features())
"""In vector order."""
NAMES: Final[tuple[str, ...]] = tuple(feature.name for feature in FEATURES)
READINGS: Final[tuple[str, ...]] = tuple(_readings())
"""In the order the script answers."""
