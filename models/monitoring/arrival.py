"""How long it takes until a fraud is known, so that nobody judges payments whose frauds are still to be told.

A fraud is seen only once it was reported, and the younger a payment, the quicker its report must have been to be there at all. The plain
distribution of the delays seen so far is therefore too quick. Turned round in time this is ordinary late entry: a delay s competes only
among those that could have been seen at s. The estimator is Kaplan and Meier's with time reversed (Lagakos, Barraj and De Gruttola 1988;
Kalbfleisch and Lawless 1989):

    F(t) / F(horizon) = product over delays s in (t, horizon] of 1 - d(s) / n(s)
    d(s): frauds reported after exactly s.   n(s): frauds reported after s or less, of payments at least s old.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from models.features.vector import FloatArray

LEAST_FRAUDS: Final = 50
"""Below that the curve is not measured, and the label delay of the training is used."""
_LEAST_AT_RISK: Final = 20
_SHOWN_DAYS: Final = (0.25, 0.5, 1, 2, 3, 5, 7, 10, 14, 21, 28, 45, 60, 90)


@dataclass(frozen=True)
class Arrival:
    """delay_days: (k,) ascending, different. known: (k,) share of frauds that are known by that age, of those known by horizon_days.

    A report that comes later than any payment is old is in nobody's data: the last known is 1 by construction.
    """

    delay_days: FloatArray
    known: FloatArray
    horizon_days: float
    frauds: int

    def known_by(self, days: float) -> float:
        place = int(np.searchsorted(self.delay_days, days, side="right"))
        return float(self.known[place - 1]) if place else 0.0

    def days_until(self, share: float) -> float:
        """The age at which that share of the frauds is known. share: (0, 1]."""
        return float(self.delay_days[int(np.searchsorted(self.known, share - 1e-12, side="left"))])

    def curve(self) -> list[list[float]]:
        """[days, share known] at ages that read well, up to the horizon."""
        return [[float(days), self.known_by(days)] for days in _SHOWN_DAYS if days <= self.horizon_days]


def arrival(delay_days: FloatArray, age_days: FloatArray) -> Arrival | None:
    """Both (n,), one for each fraud: from payment to first report, and from payment to now. None with too few frauds.

    The horizon is the longest delay that enough frauds were old enough to show. Frauds whose delay is negative (clocks differ) count as
    known at once; those with a delay beyond their age (not reported by now) are left out.
    """
    delay = np.maximum(delay_days, 0.0)
    seen = delay <= age_days
    delay, age = np.sort(delay[seen]), np.sort(age_days[seen])
    if len(delay) < LEAST_FRAUDS:
        return None
    distinct, reported = np.unique(delay, return_counts=True)
    at_risk = np.searchsorted(delay, distinct, side="right") - np.searchsorted(age, distinct, side="left")
    enough = np.flatnonzero(at_risk >= _LEAST_AT_RISK)
    if len(enough) == 0:
        return None
    last = int(enough[-1])
    missed = 1 - reported[1 : last + 1] / at_risk[1 : last + 1]
    known = np.append(np.cumprod(missed[::-1])[::-1], 1.0)
    return Arrival(distinct[: last + 1], known, float(distinct[last]), len(delay))
