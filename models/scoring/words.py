"""Feature values in words: `7 payments`, `EUR 1,250.00`, `3 hours`, `6.2 times`."""

import math
from collections.abc import Callable
from typing import Final

from core.base.money import exponent_of, to_major
from models.features.catalogue import Feature, Unit

_DURATIONS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def money(minor: float, currency: str) -> str:
    return f"{currency} {to_major(round(minor), currency):,.{exponent_of(currency)}f}"


def number(value: float) -> str:
    """At most one decimal, more for small values: `12`, `2.5`, `0.04`."""
    if value == 0 or abs(value) >= 10:
        return f"{value:,.0f}"
    return f"{value:.1f}".removesuffix(".0") if abs(value) >= 0.1 else f"{value:.1g}"


def payments(count: float) -> str:
    text = number(count)
    return f"{text} payment" if text == "1" else f"{text} payments"


def duration(seconds: float) -> str:
    for name, size in _DURATIONS:
        if seconds >= size or name == "second":
            text = number(seconds / size) if size > 1 and seconds < 10 * size else f"{seconds / size:.0f}"
            return f"{text} {name}" if text == "1" else f"{text} {name}s"
    raise AssertionError(seconds)


def deviations(value: float) -> str:
    return f"{number(abs(value))} standard deviations {'above' if value >= 0 else 'below'}"


def clock_time(hour: float) -> str:
    minutes = math.floor(hour * 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


_WORDS: Final[dict[Unit, Callable[[float], str]]] = {
    "payments": payments,
    "s": duration,
    "times": lambda value: f"{number(value)} times",
    "deviations": deviations,
    "flag": lambda value: "yes" if value else "no",
    "hour": clock_time,
    "share": lambda value: f"{number(value * 100)}%",
}


def in_words(feature: Feature, value: float, currency: str) -> str:
    """The value alone; money in the payment's currency."""
    return money(value, currency) if feature.unit == "minor" else _WORDS[feature.unit](value)


def clause(feature: Feature, value: float, currency: str) -> str:
    """A clause about this payment, without capital and full stop."""
    if math.isnan(value):
        return feature.when_unknown
    if value == 0 and feature.when_zero is not None:
        return feature.when_zero
    return feature.sentence.format(value=in_words(feature, value, currency))
