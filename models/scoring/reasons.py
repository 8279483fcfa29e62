"""Contributions to reasons: what an analyst thinks in, with the payment's values, what is usual, and the payments behind the number."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from core.contracts.messages import Payment
from models.features.catalogue import DAY_S, FEATURES, GROUPS, NAMES, Feature
from models.features.vector import FloatArray, FloatMatrix
from models.scoring.evidence import Evidence, evidence_of
from models.scoring.telling import SECOND_SHARE, tell
from models.scoring.words import NO_RANGE

MOST_REASONS: Final = 8
_LEAST_CONTRIBUTION: Final = 0.05
"""Log-odds; groups that move the score by less (5 % of the odds) are noise to a reader."""
_MOST_FEATURES: Final = 4
_LEAST_OWN_HISTORY: Final = 5
_COLUMN: Final = {name: column for column, name in enumerate(NAMES)}
_GROUPS: Final = {code: [column for column, feature in enumerate(FEATURES) if feature.group == code] for code in GROUPS}


@dataclass(frozen=True)
class _Case:
    """One payment and its explanation. All arrays: (len(NAMES),); usual_range: (2, len(NAMES)) or None."""

    vector: FloatArray
    contributions: FloatArray
    payment: Payment
    usual: FloatArray
    usual_range: FloatMatrix | None

    def value(self, name: str) -> float:
        column = _COLUMN.get(name)
        return math.nan if column is None else float(self.vector[column])

    def known(self, name: str) -> float | None:
        return _none_if_unknown(self.value(name))


def reasons(
    vector: FloatArray,
    contributions: FloatArray,
    payment: Payment,
    usual: FloatArray,
    usual_range: FloatMatrix | None = None,
) -> list[dict[str, Any]]:
    """Most telling first: {code, text, direction, contribution, features: [{name, value, contribution, usual, ...}], evidence?}.

    vector, contributions, usual: (len(NAMES),). usual, usual_range: `Scorer`'s, of legitimate payments. Contributions of a group add up,
    so correlated features (an hour, a day, a week of the same device) make one reason instead of four. A feature's optional keys:
    usual_range [low, high]; whose "customer" when `usual` is this customer's own, and `largest` the largest such value; base: the amount
    (hundredths) that a ratio is of; made_by: "alone" when this payment is the only one, "itself" when the largest is this payment;
    named: what a code stands for.
    """
    case = _Case(vector, contributions, payment, usual, usual_range)
    totals = {code: float(contributions[columns].sum()) for code, columns in _GROUPS.items()}
    told = [code for code in totals if abs(totals[code]) >= _LEAST_CONTRIBUTION]
    told.sort(key=lambda code: -abs(totals[code]))
    return [_reason(code, totals[code], case) for code in told[:MOST_REASONS]]


def _reason(code: str, total: float, case: _Case) -> dict[str, Any]:
    features = [_feature(column, case) for column in _leading(_GROUPS[code], total, case.contributions)]
    evidence = _evidence(features, case)
    return {
        "code": code,
        "text": tell(features, case.payment.currency),
        "direction": "up" if total > 0 else "down",
        "contribution": total,
        "features": features,
        **({"evidence": evidence.as_json()} if evidence else {}),
    }


def _leading(columns: Sequence[int], total: float, contributions: FloatArray) -> list[int]:
    """Those that pull the group's way, strongest first."""
    pulling = [column for column in columns if contributions[column] * total > 0]
    return sorted(pulling, key=lambda column: -abs(contributions[column]))[:_MOST_FEATURES]


def _feature(column: int, case: _Case) -> dict[str, Any]:
    feature = FEATURES[column]
    part: dict[str, Any] = {
        "name": feature.name,
        "value": _none_if_unknown(case.vector[column]),
        "contribution": float(case.contributions[column]),
        "usual": _none_if_unknown(case.usual[column]),
    }
    part |= _aside(feature, case)
    own = _own_usual(feature, case)
    if own:
        return part | own
    if case.usual_range is not None and feature.unit not in NO_RANGE:
        low, high = (float(bound) for bound in case.usual_range[:, column])
        if not (math.isnan(low) or math.isnan(high)):
            part["usual_range"] = [low, high]
    return part


def _aside(feature: Feature, case: _Case) -> dict[str, Any]:
    """What the sentence leaves open: how much a multiple is of, and whether a sum is of other payments at all."""
    value, amount = case.value(feature.name), case.value("amount")
    if feature.name.startswith("amount_to_") and value > 0 and amount > 0:
        return {"base": amount / value}
    if feature.unit == "code" and case.payment.merchant_category:
        return {"named": case.payment.merchant_category}
    if feature.unit != "hundredths" or feature.name == "amount":
        return {}
    evidence = evidence_of(feature, case.known)
    if evidence and evidence.only_itself:
        return {"made_by": "alone"}
    return {"made_by": "itself"} if feature.name.endswith("_max") and value == amount else {}


def _own_usual(feature: Feature, case: _Case) -> dict[str, Any]:
    """What this customer's own payments say, where enough of them are known."""
    if not case.value("customer_earlier_payments") >= _LEAST_OWN_HISTORY:
        return {}
    if feature.name == "amount":
        own = {"usual": case.value("amount_to_own_median"), "largest": case.value("amount_to_own_max")}
        found = {name: case.value("amount") / ratio for name, ratio in own.items() if ratio > 0}
        return {"whose": "customer", **found} if "usual" in found else {}
    if feature.name.startswith("customer_velocity_") and feature.window_s and feature.window_s < 30 * DAY_S:
        usual = _own_pace(feature.name.removeprefix("customer_velocity_"), feature.window_s / (30 * DAY_S), case)
        return {} if math.isnan(usual) else {"whose": "customer", "usual": usual}
    return {}


def _own_pace(name: str, share: float, case: _Case) -> float:
    """What such a window of this customer's mostly held when it held a payment, by the rest of the last 30 days; NaN = cannot be told.

    name: `24h_count`. share: of the 30 days that the window is.
    """
    span, what = name.split("_")
    count, amount = (
        case.value(f"customer_velocity_30d_{of}") - case.value(f"customer_velocity_{span}_{of}")
        for of in ("count", "amount")
    )
    if not count >= _LEAST_OWN_HISTORY or what == "max":
        return math.nan
    pace = share / (1 - share)
    if what == "mean":
        return amount / count
    return max(1.0, count * pace) if what == "count" else max(amount / count, amount * pace)


def _evidence(features: Sequence[dict[str, Any]], case: _Case) -> Evidence | None:
    """Of the strongest feature that has any; when one about as strong has more rows of the same kind, of that one."""
    found = [evidence_of(FEATURES[_COLUMN[part["name"]]], case.known) for part in features]
    first = next((evidence for evidence in found if evidence), None)
    if first is None or first.only_itself:
        return first
    least = SECOND_SHARE * abs(features[0]["contribution"])
    strong = [evidence for evidence, part in zip(found, features, strict=True) if abs(part["contribution"]) >= least]
    alike = [evidence for evidence in strong if evidence and evidence.alike(first)]
    return max([first, *alike], key=lambda evidence: evidence.count or evidence.most or 0)


def _none_if_unknown(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
