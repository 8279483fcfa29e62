"""Every feature of a payment, once. The Lua script's constants, the vector, the replay and the reasons all come from here.

Pure Python: the console and the API read it without numpy.

*Readings* are what the state answers for one payment: whole numbers, -1 = not known. `models.features.vector` turns them into
*features* (ratios, seconds, hours). A reading with a feature's name is that feature.
"""

from dataclasses import dataclass
from typing import Final, Literal

from core.base.terms import EntityKind

CATALOGUE_VERSION: Final = 1
"""Raised whenever a name, an order or a meaning below changes: models and stored vectors of another version are not mixed."""

Unit = Literal["payments", "minor", "s", "times", "deviations", "flag", "hour", "share"]
"""minor: minor units of the payment's currency (no conversion: a sum over currencies adds plain numbers). s: seconds. share: 0 to 1."""

HOUR_S: Final = 3600
DAY_S: Final = 86_400
WINDOWS: Final = {"1h": HOUR_S, "24h": DAY_S, "7d": 7 * DAY_S, "30d": 30 * DAY_S}
LABEL_WINDOWS: Final = {"7d": 7 * DAY_S, "30d": 30 * DAY_S}
LABELLED: Final = (EntityKind.MERCHANT, EntityKind.CUSTOMER, EntityKind.DEVICE)
"""Entities whose confirmed frauds are remembered."""
PAIRED: Final = (EntityKind.MERCHANT, EntityKind.DEVICE, EntityKind.CARD, EntityKind.IP)
"""Entities each customer remembers having paid with."""

UNKNOWN: Final = float("nan")


@dataclass(frozen=True)
class Feature:
    """`sentence` reads as a clause with {value} in words; `when_zero` and `when_unknown` replace it where a number would read badly.

    default: what the vector holds when the feature is not known.
    """

    name: str
    entity: EntityKind | None
    window_s: int | None
    unit: Unit
    title: str
    sentence: str
    group: str
    when_zero: str | None = None
    when_unknown: str = "not known for this payment"
    default: float = UNKNOWN


@dataclass(frozen=True)
class Memory:
    """What the state keeps: every number is part of the rule that `online` and `offline` share.

    forget_s: an entity silent for longer is new again.
    retention_s: payments kept behind an entity's newest one (30 days and 7 for late events); retention_labels_s the same for labels.
    most_payments, most_labels: newest records a window can count. most_late: newer records a late one may be sorted under.
    own_payments: earlier payments a customer's amount is compared with. known: merchants, devices ... a customer remembers.
    fraud_memory_s: a fraud longer ago is no longer "the last known fraud".
    """

    forget_s: int = 90 * DAY_S
    retention_s: int = 37 * DAY_S
    retention_labels_s: int = 90 * DAY_S
    most_payments: int = 32_768
    most_labels: int = 4_096
    most_late: int = 4_096
    own_payments: int = 50
    known: int = 256
    fraud_memory_s: int = 60 * DAY_S


MEMORY: Final = Memory()

GROUPS: Final = {
    "amount": "amount",
    "amount_history": "amount against the customer's own history",
    "customer_activity": "customer activity",
    "card_activity": "card activity",
    "merchant_activity": "merchant activity",
    "device_activity": "device activity",
    "ip_activity": "IP address activity",
    "novelty": "first-time use",
    "time": "time of the payment",
    "merchant_fraud": "fraud history of the merchant",
    "customer_fraud": "fraud history of the customer",
    "device_fraud": "fraud history of the device",
}
"""Reason groups an analyst thinks in: code -> title."""

_NOUN: Final = {
    EntityKind.CUSTOMER: "customer",
    EntityKind.CARD: "card",
    EntityKind.MERCHANT: "merchant",
    EntityKind.DEVICE: "device",
    EntityKind.IP: "IP address",
}
_WHERE: Final = {
    EntityKind.CUSTOMER: "by this customer",
    EntityKind.CARD: "with this card",
    EntityKind.MERCHANT: "at this merchant",
    EntityKind.DEVICE: "on this device",
    EntityKind.IP: "from this IP address",
}
_SPAN: Final = {"1h": "hour", "24h": "24 hours", "7d": "7 days", "30d": "30 days"}


def names_no(kind: EntityKind) -> str:
    return f"the payment names no {_NOUN[kind]}"


def _velocity(kind: EntityKind) -> list[Feature]:
    features = []
    for window, seconds in WINDOWS.items():
        where, span = _WHERE[kind], _SPAN[window]
        group, unknown = f"{kind}_activity", names_no(kind)
        features += [
            Feature(f"{kind}_velocity_{window}_count", kind, seconds, "payments", f"Payments {where}, {span}",
                    f"{{value}} {where} in the last {span}", group, when_unknown=unknown),
            Feature(f"{kind}_velocity_{window}_amount", kind, seconds, "minor", f"Amount {where}, {span}",
                    f"{{value}} in all {where} in the last {span}", group, when_unknown=unknown),
        ]  # fmt: skip
    return features


def _since_previous(kind: EntityKind) -> Feature:
    where = _WHERE[kind]
    return Feature(f"{kind}_since_previous_s", kind, None, "s", f"Time since the previous payment {where}",
                   f"{{value}} after the previous payment {where}", f"{kind}_activity",
                   when_zero=f"the same moment as another payment {where}",
                   when_unknown=f"no earlier payment {where} is known")  # fmt: skip


def _new(kind: EntityKind) -> Feature:
    noun = _NOUN[kind]
    return Feature(f"{kind}_new", kind, None, "flag", f"{noun.capitalize() if noun != 'IP address' else noun} never seen before",
                   f"this {noun} was never seen before", "novelty", f"this {noun} has been seen before", names_no(kind))  # fmt: skip


def _pair(kind: EntityKind) -> Feature:
    where = _WHERE[kind]
    return Feature(f"customer_{kind}_payments", kind, None, "payments", f"This customer's earlier payments {where}",
                   f"{{value}} by this customer {where} before", "novelty",
                   f"this customer's first payment {where}", names_no(kind))  # fmt: skip


def _own_history() -> list[Feature]:
    kind, group = EntityKind.CUSTOMER, "amount_history"
    nothing = "no earlier payment by this customer to compare with"
    return [
        Feature("amount_to_own_mean", kind, None, "times", "Amount against the customer's mean",
                "the amount is {value} the mean of this customer's earlier payments", group, when_unknown=nothing),
        Feature("amount_to_own_median", kind, None, "times", "Amount against the customer's median",
                "the amount is {value} the median of this customer's earlier payments", group, when_unknown=nothing),
        Feature("amount_to_own_max", kind, None, "times", "Amount against the customer's largest",
                "the amount is {value} the largest of this customer's earlier payments", group, when_unknown=nothing),
        Feature("amount_own_deviations", kind, None, "deviations", "Standard deviations from the customer's mean",
                "the amount is {value} the mean of this customer's earlier payments", group,
                when_unknown="too few different earlier payments by this customer to compare with"),
        Feature("customer_mean_amount_30d", kind, 30 * DAY_S, "minor", "Customer's mean amount, 30 days",
                "this customer's payments of the last 30 days are {value} on average", group),
        Feature("amount_to_mean_30d", kind, 30 * DAY_S, "times", "Amount against the customer's mean, 30 days",
                "the amount is {value} this customer's mean of the last 30 days", group),
        Feature("customer_mean_24h_to_30d", kind, 30 * DAY_S, "times", "Customer's mean of 24 hours against 30 days",
                "this customer's payments of the last 24 hours are {value} the mean of 30 days", group),
        Feature("customer_earlier_payments", kind, None, "payments", "Customer's earlier payments compared with",
                "{value} by this customer to compare with", group, "no earlier payment by this customer to compare with"),
    ]  # fmt: skip


def _fraud_history(kind: EntityKind) -> list[Feature]:
    where, group = _WHERE[kind], f"{kind}_fraud"
    missing = names_no(kind)
    features = []
    for window, seconds in LABEL_WINDOWS.items():
        span = _SPAN[window]
        features += [
            Feature(f"{kind}_labels_{window}", kind, seconds, "payments", f"Checked payments {where}, {span}",
                    f"{{value}} {where} checked in the last {span}", group,
                    f"none checked {where} in the last {span}", when_unknown=missing),
            Feature(f"{kind}_frauds_{window}", kind, seconds, "payments", f"Confirmed frauds {where}, {span}",
                    f"{{value}} {where} confirmed as fraud in the last {span}", group,
                    f"no fraud {where} confirmed in the last {span}", when_unknown=missing),
            Feature(f"{kind}_risk_{window}", kind, seconds, "share", f"Share of fraud {where}, {span}",
                    f"{{value}} of the payments {where} checked in the last {span} were fraud", group,
                    f"no fraud {where} confirmed in the last {span}", when_unknown=missing),
        ]  # fmt: skip
    none = f"no fraud {where} known in the last {MEMORY.fraud_memory_s // DAY_S} days"
    return [
        *features,
        Feature(f"{kind}_fraud_run", kind, None, "payments", f"Frauds in a row {where}",
                f"{{value}} {where} found to be fraud with none genuine since", group,
                f"no unbroken run of fraud {where}", when_unknown=missing),
        Feature(f"{kind}_fraud_run_age_s", kind, None, "s", f"Age of the run of frauds {where}",
                f"frauds in a row {where} began {{value}} earlier", group, when_unknown=f"no unbroken run of fraud {where}"),
        Feature(f"{kind}_since_fraud_s", kind, None, "s", f"Time since the last known fraud {where}",
                f"{{value}} after the last known fraud {where}", group, when_unknown=none),
        Feature(f"{kind}_legitimate_since_fraud", kind, None, "payments", f"Genuine payments {where} since the last fraud",
                f"{{value}} {where} found genuine since the last known fraud", group,
                f"nothing {where} found genuine since the last known fraud", none),
    ]  # fmt: skip


def _time() -> list[Feature]:
    return [
        Feature("hour", None, None, "hour", "Hour of the day, UTC", "made at {value} UTC", "time"),
        Feature("night", None, None, "flag", "Between 00:00 and 06:00 UTC", "made at night (00:00 to 06:00 UTC)", "time",
                "not made at night (00:00 to 06:00 UTC)"),
        Feature("weekend", None, None, "flag", "Saturday or Sunday, UTC", "made at the weekend", "time", "made on a working day"),
    ]  # fmt: skip


def _features() -> list[Feature]:
    return [
        Feature("amount", None, None, "minor", "Amount", "the amount is {value}", "amount"),
        *_own_history(),
        *(feature for kind in EntityKind for feature in _velocity(kind)),
        *(_since_previous(kind) for kind in EntityKind if kind is not EntityKind.MERCHANT),
        Feature("amount_to_merchant_mean_30d", EntityKind.MERCHANT, 30 * DAY_S, "times", "Amount against the merchant's mean",
                "the amount is {value} the mean at this merchant over 30 days", "merchant_activity",
                when_unknown=names_no(EntityKind.MERCHANT)),
        *(_pair(kind) for kind in PAIRED),
        *(_new(kind) for kind in EntityKind),
        *_time(),
        *(feature for kind in LABELLED for feature in _fraud_history(kind)),
    ]  # fmt: skip


def _readings() -> list[str]:
    names = []
    for kind in EntityKind:
        names += [f"{kind}_velocity_{window}_{what}" for window in WINDOWS for what in ("count", "amount")]
        names.append(f"{kind}_since_previous_ms")
    names += ["customer_earlier_payments", "own_sum", "own_median_twice", "own_square_deviations", "own_max"]
    names += [f"customer_{kind}_payments" for kind in PAIRED]
    for kind in LABELLED:
        names += [f"{kind}_{what}_{window}" for window in LABEL_WINDOWS for what in ("labels", "frauds")]
        names += [
            f"{kind}_{what}" for what in ("fraud_run", "fraud_run_age_ms", "since_fraud_ms", "legitimate_since_fraud")
        ]
    return names


FEATURES: Final[tuple[Feature, ...]] = tuple(_features())
"""In vector order."""
NAMES: Final[tuple[str, ...]] = tuple(feature.name for feature in FEATURES)
READINGS: Final[tuple[str, ...]] = tuple(_readings())
"""In the order the script answers."""
