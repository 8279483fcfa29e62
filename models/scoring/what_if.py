"""What a payment's features would have been, had one thing about it been different. Pure Python.

Only what follows from the stored vector, from the customer's earlier payments, or from what another payment was scored with is changed;
everything else stays as it was. An amount, a time of day, a country of the billing address and a device never seen before are exact: a
test compares them with a replay. What is taken over from another payment (`Donor`) is as it stood then, and its user says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from models.features.catalogue import (
    DAY_S,
    DISTINCT_WINDOWS,
    LARGEST_IN,
    LIMIT_WINDOWS,
    MEMORY,
    NAMES,
    NEAR_HOUR_S,
    PAIR_WINDOWS,
    WINDOWS,
)
from models.features.facts import ROUND, category_code, is_abroad, is_just_under

Values = dict[str, float | None]
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = DAY_S * 1000
_NIGHT_ENDS: Final = 7
_COUNTED: Final = ("customer", "card", "merchant", "device", "ip")
_OF_A_NEW_DEVICE: Final = {"device_new": 1.0, "device_customer_distinct_24h": 1.0, "device_customer_distinct_30d": 1.0}
_NEVER_KNOWN: Final = ("_s", "_since_fraud", "_since_unexplained", "_unexplained_share")
"""How the names end of what nobody can know of a device without a past."""


@dataclass(frozen=True)
class Past:
    """An earlier payment of the customer. hundredths: its amount, as features have it."""

    at_ms: int
    hundredths: int
    category: str | None = None
    country: str | None = None
    device: str | None = None


@dataclass(frozen=True)
class Known:
    """What was known of the payment in question. past: newest first, all before it.

    largest: for features that are the largest of a window, the largest of the window's other payments, in hundredths; left out where
    there was none.
    """

    at_ms: int
    hundredths: int
    billing_country: str | None
    has_card: bool
    past: Sequence[Past]
    largest: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Donor:
    """What another payment was scored with. hundredths: its amount."""

    values: Mapping[str, float | None]
    hundredths: int


@dataclass(frozen=True)
class Device:
    """ident None: one that nobody has seen before. Else one of the customer's own, with the payment it was scored at."""

    ident: str | None
    donor: Donor | None = None


@dataclass(frozen=True)
class Change:
    """What is different; None stays. hour: of the day, whole, UTC. category, country: with a payment that was scored there."""

    hundredths: int | None = None
    hour: int | None = None
    device: Device | None = None
    category: tuple[str, Donor] | None = None
    country: tuple[str, Donor] | None = None


def changed(vector: Sequence[float | None], known: Known, change: Change) -> list[float | None]:
    """In catalogue order. vector: as it was scored."""
    values: Values = dict(zip(NAMES, vector, strict=True))
    amount = known.hundredths
    if change.hundredths is not None and change.hundredths != amount:
        _change_amount(values, known, change.hundredths)
        amount = change.hundredths
    if change.hour is not None:
        _change_hour(values, known, change.hour)
    if change.device:
        _change_device(values, known, change.device, amount)
    if change.category:
        _change_category(values, known, *change.category, amount)
    if change.country:
        _change_country(values, known, *change.country)
    return [values[name] for name in NAMES]


def _scaled(value: float | None, times: float) -> float | None:
    return None if value is None else value * times


def _change_amount(values: Values, known: Known, new: int) -> None:
    old = known.hundredths
    _set_own_amounts(values, old, new)
    under = int(is_just_under(new)) - int(is_just_under(old))
    for window in LIMIT_WINDOWS:
        name = f"customer_just_under_{window}"
        values[name] = None if values[name] is None else values[name] + under  # type: ignore[operator]
    for kind in _COUNTED:
        for window in WINDOWS:
            _set_sum(values, f"{kind}_velocity_{window}", new - old)
        for window in LARGEST_IN:
            name = f"{kind}_velocity_{window}_max"
            if values[name] is not None:
                values[name] = float(max(new, known.largest.get(name, 0)))
    _set_means(values, old, new)
    values |= {
        "amount": float(new),
        "amount_round": float(new > 0 and new % ROUND == 0),
        "amount_just_under_limit": float(is_just_under(new)),
    }


def _set_own_amounts(values: Values, old: int, new: int) -> None:
    ratio = values["amount_to_own_mean"]
    deviations = values["amount_own_deviations"]
    for what in ("mean", "median", "p90", "max"):
        name = f"amount_to_own_{what}"
        values[name] = _scaled(values[name], new / old) if old else None
    values["amount_to_category_mean_30d"] = _scaled(values["amount_to_category_mean_30d"], new / old) if old else None
    if ratio and deviations and old:
        mean = old / ratio
        values["amount_own_deviations"] = (new - mean) * deviations / (old - mean)
    else:
        values["amount_own_deviations"] = None  # a payment of just the mean tells nothing of the spread


def _set_sum(values: Values, prefix: str, more: int) -> None:
    count, total = values[f"{prefix}_count"], values[f"{prefix}_amount"]
    if count is None or total is None:
        return
    values[f"{prefix}_amount"] = total + more
    values[f"{prefix}_mean"] = (total + more) / count if count else None


def _set_means(values: Values, old: int, new: int) -> None:
    """Ratios to means that hold the payment itself."""
    for name, kind in (("amount_to_mean_30d", "customer"), ("amount_to_merchant_mean_30d", "merchant")):
        mean = values[f"{kind}_velocity_30d_mean"]
        if values[name] is not None:
            values[name] = new / mean if mean else None
    day, month = values["customer_velocity_24h_mean"], values["customer_velocity_30d_mean"]
    if values["customer_mean_24h_to_30d"] is not None and day is not None:
        values["customer_mean_24h_to_30d"] = day / month if month else None
    ratio, count = values["amount_to_customer_category_mean_30d"], values["customer_category_velocity_30d_count"]
    if ratio and count:
        total = old * count / ratio - old + new
        values["amount_to_customer_category_mean_30d"] = new * count / total if total else None


def _change_hour(values: Values, known: Known, hour: int) -> None:
    at_ms = hour * _HOUR_MS + known.at_ms % _HOUR_MS
    values["hour"], values["night"] = at_ms / _HOUR_MS, float(hour < _NIGHT_ENDS)
    own = known.past[: MEMORY.own_payments]
    if values["own_hour_share"] is not None and own:
        near = sum(1 for past in own if _apart(past.at_ms, at_ms) <= NEAR_HOUR_S * 1000)
        values["own_hour_share"] = near / len(own)


def _apart(one_ms: int, other_ms: int) -> int:
    gap = abs(one_ms - other_ms) % _DAY_MS
    return min(gap, _DAY_MS - gap)


def _change_device(values: Values, known: Known, device: Device, amount: int) -> None:
    for name in [name for name in NAMES if name.startswith("device_")]:
        values[name] = device.donor.values[name] if device.donor else _of_a_new_device(name, known, amount)
    values["device_new"] = float(device.donor is None)
    _set_pair(values, known, "device", device.ident)


def _of_a_new_device(name: str, known: Known, amount: int) -> float | None:
    if "_velocity_" in name:
        return 1.0 if name.endswith("_count") else float(amount)
    if name.startswith("device_card_distinct"):
        return 1.0 if known.has_card else None
    if name.endswith(_NEVER_KNOWN):
        return None
    return _OF_A_NEW_DEVICE.get(name, 0.0)


def _set_pair(values: Values, known: Known, what: str, ident: str | None) -> None:
    """How often the customer was seen with it before, and with how many different ones of lately, this one among them."""
    met = [(past.at_ms, other) for past in known.past if (other := getattr(past, what)) is not None]
    mine = [at for at, other in met if other == ident]
    forgotten = bool(mine) and known.at_ms - mine[0] > MEMORY.forget_s * 1000
    values[f"customer_{what}_payments"] = 0.0 if forgotten else float(len(mine))
    for window, seconds in DISTINCT_WINDOWS.items():
        lately = {other for at, other in met if at > known.at_ms - seconds * 1000}
        values[f"customer_{what}_distinct_{window}"] = float(len(lately | {ident or ""}))


def _change_category(values: Values, known: Known, category: str, donor: Donor, amount: int) -> None:
    for name in [name for name in NAMES if name.startswith("category_")]:
        values[name] = donor.values[name]
    values["category_code"] = float(category_code(category))
    ratio = donor.values["amount_to_category_mean_30d"]
    values["amount_to_category_mean_30d"] = amount * ratio / donor.hundredths if ratio and donor.hundredths else None
    _set_pair(values, known, "category", category)
    for window in PAIR_WINDOWS:
        after = known.at_ms - WINDOWS[window] * 1000
        inside = [past.hundredths for past in known.past if past.category == category and past.at_ms > after]
        values[f"customer_category_velocity_{window}_count"] = float(len(inside) + 1)
        if window == "30d":
            total = sum(inside) + amount
            values["amount_to_customer_category_mean_30d"] = amount * (len(inside) + 1) / total if total else None


def _change_country(values: Values, known: Known, country: str, donor: Donor) -> None:
    for name in [name for name in NAMES if name.startswith(("country_labels", "country_risk"))]:
        values[name] = donor.values[name]
    abroad = is_abroad(country, known.billing_country)
    values["country_not_billing"] = None if abroad < 0 else float(abroad)
    _set_pair(values, known, "country", country)
