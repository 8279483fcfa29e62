"""Contributions to reasons: what an analyst thinks in, with the payment's values and what is usual."""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from core.base.terms import EntityKind
from core.contracts.messages import Payment
from models.features.catalogue import DAY_S, FEATURES, GROUPS, NAMES, Feature
from models.features.vector import FloatArray
from models.scoring.words import clause, in_words

MOST_REASONS: Final = 8
_LEAST_CONTRIBUTION: Final = 0.02
"""Log-odds; groups that move the score by less (2 % of the odds) are noise to a reader."""
_MOST_FEATURES: Final = 4
_SECOND_SHARE: Final = 0.5
"""A second feature is told when it weighs at least this share of the first."""
_LEAST_OWN_HISTORY: Final = 5
_COLUMN: Final = {name: column for column, name in enumerate(NAMES)}
_GROUPS: Final = {code: [column for column, feature in enumerate(FEATURES) if feature.group == code] for code in GROUPS}
_NO_USUAL: Final = ("flag", "hour", "times", "deviations")


def reasons(vector: FloatArray, contributions: FloatArray, payment: Payment, usual: FloatArray) -> list[dict[str, Any]]:
    """Most telling first: {code, text, direction, contribution, features: [{name, value, contribution, usual}]}.

    vector, contributions, usual: (len(NAMES),). usual: `Scorer.usual`, the median of legitimate payments. Contributions of a group add up,
    so correlated features (an hour, a day, a week of the same device) make one reason instead of four.
    """
    totals = {code: float(contributions[columns].sum()) for code, columns in _GROUPS.items()}
    told = [
        code for code in sorted(totals, key=lambda code: -abs(totals[code])) if abs(totals[code]) >= _LEAST_CONTRIBUTION
    ]
    return [_reason(code, totals[code], vector, contributions, payment, usual) for code in told[:MOST_REASONS]]


def _reason(
    code: str, total: float, vector: FloatArray, contributions: FloatArray, payment: Payment, usual: FloatArray
) -> dict[str, Any]:
    strongest = sorted(_GROUPS[code], key=lambda column: -math.copysign(1, total) * contributions[column])[
        :_MOST_FEATURES
    ]
    leading = [column for column in strongest if contributions[column] * total > 0]
    return {
        "code": code,
        "text": _text(leading, vector, contributions, payment, usual),
        "direction": "up" if total > 0 else "down",
        "contribution": total,
        "features": [
            {
                "name": NAMES[column],
                "value": _none_if_unknown(vector[column]),
                "contribution": float(contributions[column]),
                "usual": _none_if_unknown(_usual(column, vector, usual)[0]),
            }
            for column in leading
        ],
    }


def _text(
    leading: Sequence[int], vector: FloatArray, contributions: FloatArray, payment: Payment, usual: FloatArray
) -> str:
    first = leading[0]
    parts = [_with_usual(first, vector, payment, usual)]
    for column in leading[1:]:
        if abs(contributions[column]) < _SECOND_SHARE * abs(contributions[first]):
            break
        text = _with_usual(column, vector, payment, usual)
        if text not in parts:
            parts.append(text)
            break
    sentence = ". ".join(part[0].upper() + part[1:] for part in parts)
    return f"{sentence}."


def _with_usual(column: int, vector: FloatArray, payment: Payment, usual: FloatArray) -> str:
    feature, value = FEATURES[column], float(vector[column])
    text = clause(feature, value, payment.currency)
    usual_value, whose = _usual(column, vector, usual)
    if value == 0 and feature.when_zero is not None:
        return text
    if math.isnan(value) or math.isnan(usual_value) or feature.unit in _NO_USUAL:
        return text
    return f"{text}; {whose} is {_short(feature, usual_value, payment.currency)}"


def _short(feature: Feature, value: float, currency: str) -> str:
    """`7 payments ...; usual is 1`: the noun is not said twice."""
    return in_words(feature, value, currency).removesuffix(" payments").removesuffix(" payment")


def _usual(column: int, vector: FloatArray, usual: FloatArray) -> tuple[float, str]:
    """What the value is compared with: this customer's own where the vector knows it, else that of legitimate payments."""
    own = _own_usual(FEATURES[column], vector)
    return (float(usual[column]), "usual") if math.isnan(own) else (own, "this customer's usual")


def _own_usual(feature: Feature, vector: FloatArray) -> float:
    earlier = vector[_COLUMN["customer_earlier_payments"]]
    if not earlier >= _LEAST_OWN_HISTORY:
        return math.nan
    if feature.name == "amount":
        ratio = vector[_COLUMN["amount_to_own_median"]]
        return float(vector[_COLUMN["amount"]] / ratio) if ratio > 0 else math.nan
    window = feature.window_s or 30 * DAY_S
    if feature.entity is EntityKind.CUSTOMER and feature.group == "customer_activity" and window < 30 * DAY_S:
        month = vector[_COLUMN[f"customer_velocity_30d_{feature.name.rsplit('_', 1)[1]}"]]
        return float(month * window / (30 * DAY_S))
    return math.nan


def _none_if_unknown(value: np.float64 | float) -> float | None:
    return None if math.isnan(value) else float(value)
