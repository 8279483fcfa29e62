"""What a threshold costs in money, so that a person can choose between more looking and more losing.

    cost = alerts * review cost + lost share * amounts of missed frauds + friction share * amounts of genuine payments that were declined

A payment at or above the threshold is an alert and a person's time; one below it that was a fraud is lost; a declined genuine payment
is lost business. Amounts are hundredths of whatever currency the payment had: sums over several currencies add plain numbers.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from models.features.vector import FloatArray
from models.scoring.artifact import Thresholds
from models.scoring.dataset import Dataset

POINTS: Final = 60


@dataclass(frozen=True)
class CostModel:
    """review_cost: hundredths an alert costs (five minutes of a person at 36 an hour). friction_share: of a declined genuine payment's
    amount (margin and goodwill). lost_share: of a missed fraud's amount. currency: the name to show; None = the payments' own.
    """

    review_cost: float = 300.0
    friction_share: float = 0.1
    lost_share: float = 1.0
    currency: str | None = None


@dataclass(frozen=True)
class _Falling:
    """Payments by falling score with running sums; place k = the first k payments are at or above the threshold."""

    score: FloatArray
    fraud_value: FloatArray
    genuine_value: FloatArray

    @classmethod
    def of(cls, rows: Dataset, probability: FloatArray) -> "_Falling":
        order = np.argsort(-probability, kind="stable")
        amount = rows.amount[order] * rows.weight[order]
        fraud = rows.is_fraud[order]
        return cls(
            probability[order],
            np.append(0.0, np.cumsum(np.where(fraud, amount, 0))),
            np.append(0.0, np.cumsum(np.where(fraud, 0, amount))),
        )

    def at(self, threshold: float) -> int:
        return int(np.searchsorted(-self.score, -threshold, side="right"))

    def point(self, threshold: float, decline: float, costs: CostModel) -> list[float]:
        """[threshold, cost, alerts, fraud value caught]."""
        alerts, declined = self.at(threshold), self.at(max(decline, threshold))
        caught, friction = self.fraud_value[alerts], costs.friction_share * self.genuine_value[declined]
        lost = costs.lost_share * (self.fraud_value[-1] - caught)
        return [threshold, float(alerts * costs.review_cost + lost + friction), float(alerts), float(caught)]


def cost_report(rows: Dataset, probability: FloatArray, thresholds: Thresholds, costs: CostModel) -> dict[str, Any]:
    """`cost_curve`: [threshold, cost, alerts, fraud value caught], thresholds falling. `costs`: the chosen threshold on it, the cheapest
    one, the cost of approving everything, and the prices.
    """
    falling = _Falling.of(rows, probability)
    curve = [falling.point(one, thresholds.decline, costs) for one in _thresholds(falling.score, thresholds.review)]
    cheapest = min(curve, key=lambda point: point[1])
    return {
        "cost_curve": curve,
        "costs": {
            "currency": costs.currency or _currency(rows),
            "review_cost": costs.review_cost,
            "friction_share": costs.friction_share,
            "lost_share": costs.lost_share,
            "chosen": {**_named(falling.point(thresholds.review, thresholds.decline, costs)), "decline": thresholds.decline},
            "cheapest": _named(cheapest),
            "nothing": costs.lost_share * float(falling.fraud_value[-1]),
        },
    }  # fmt: skip


def _thresholds(descending: FloatArray, review: float) -> list[float]:
    """Scores at alert counts spread evenly over their logarithm, and the review threshold itself."""
    places = np.unique(np.geomspace(1, len(descending), POINTS - 1).astype(np.int64)) - 1
    return sorted({*descending[places].tolist(), review}, reverse=True)


def _named(point: list[float]) -> dict[str, float]:
    return dict(zip(("threshold", "cost", "alerts", "fraud_value_caught"), point, strict=True))


def _currency(rows: Dataset) -> str | None:
    """The one currency of all payments, if it is one."""
    segment = rows.segments.get("currency")
    if segment is None or len(segment.code) == 0 or (segment.code != segment.code[0]).any() or segment.code[0] < 0:
        return None
    return segment.names[int(segment.code[0])]
