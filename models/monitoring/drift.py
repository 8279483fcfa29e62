"""How far recent payments have moved away from those a model was judged on: each feature by itself, and the score.

Three things have to come together, because each misleads alone. The population stability index says how much has moved, whatever the
number of payments. The Kolmogorov-Smirnov test says whether chance could have moved it; with 100,000 payments it finds trifles. And some
features move by their nature, as what is known of a customer grows. The model was judged on payments that had moved from those it
learned from; what moves no further than that is no news.
"""

from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from scipy.stats import false_discovery_control, ks_2samp

from models.features.vector import FloatArray, FloatMatrix, IntArray

BINS: Final = 10
MOVED_PSI: Final = 0.25
"""From here on a population counts as moved by the usual reading: below 0.1 stable, to 0.25 worth a look (Siddiqi 2006, Credit Risk
Scorecards, ch. 9)."""
FALSE_DISCOVERIES: Final = 0.01
"""Most, as a share of the features called moved."""


@dataclass(frozen=True)
class Bins:
    """Deciles of the known reference values, and a bin for unknown ones.

    edges: (k,) ascending; bin i holds values in (edges[i - 1], edges[i]]. A value that fills more than one decile has a bin of its own,
    so that a flag or a small count is not merged with its neighbours.
    """

    edges: FloatArray

    @classmethod
    def of(cls, reference: FloatArray, bins: int = BINS) -> Self:
        known = reference[~np.isnan(reference)]
        if len(known) == 0:
            return cls(np.empty(0))
        deciles = np.quantile(known, np.linspace(0, 1, bins + 1), method="inverted_cdf")
        values, times = np.unique(deciles, return_counts=True)
        heavy = values[times > 1]
        inner = np.unique(np.concatenate([deciles[1:-1], heavy, np.nextafter(heavy, -np.inf)]))
        return cls(inner)

    def counts(self, values: FloatArray) -> IntArray:
        """(k + 2,): the bins from low to high, then the unknown."""
        known = ~np.isnan(values)
        place = np.where(known, np.searchsorted(self.edges, values, side="left"), len(self.edges) + 1)
        return np.bincount(place, minlength=len(self.edges) + 2)


def psi(reference: FloatArray, recent: FloatArray, bins: Bins | None = None) -> float:
    """Population stability index: sum over bins of (b - a) * ln(b / a), a and b the bin's share of the reference and of the recent values.

    0 = alike; twice the symmetric Kullback-Leibler divergence (Kullback and Leibler 1951; as PSI: Siddiqi 2006). Without drift it is about
    (bins - 1) * (1 / n + 1 / m) by chance (Yurdakul and Naranjo 2020). Half a value of the smaller sample is added to every bin of both,
    so that an empty bin is no infinity and a bin that is empty in both adds nothing.
    """
    bins = bins or Bins.of(reference)
    before, now = bins.counts(reference), bins.counts(recent)
    smooth = 0.5 / min(len(reference), len(recent))
    a, b = (counts / counts.sum() + smooth for counts in (before, now))
    return float(((b - a) * np.log(b / a)).sum() / (1 + smooth * len(a)))


def kolmogorov_smirnov(reference: FloatArray, recent: FloatArray) -> tuple[float, float]:
    """(greatest distance of the two distribution functions, chance of at least that without drift). Unknown counts as the lowest value.

    With many equal values the chance is overstated, never understated.
    """
    lowest = np.nanmin([np.nanmin(part, initial=0.0) for part in (reference, recent)]) - 1.0
    found = ks_2samp(
        np.where(np.isnan(reference), lowest, reference), np.where(np.isnan(recent), lowest, recent), method="asymp"
    )
    return float(found.statistic), float(found.pvalue)


@dataclass(frozen=True)
class Drift:
    """p: after the correction for testing many features. unknown_*: shares. anyway: PSI between what the model learned from and what it
    was judged on. moved: by more than chance, by enough to matter, and further than anyway.
    """

    psi: float
    ks: float
    p: float
    unknown_before: float
    unknown_now: float
    anyway: float = 0.0
    moved: bool = False


def compare(reference: FloatMatrix, recent: FloatMatrix, learned: FloatMatrix | None = None) -> list[Drift]:
    """One for each column. reference: (n, columns), rows need not belong together. recent: (m, columns), m > 0.
    learned: (k, the first of these columns); for the others, the score, there is no `anyway`.

    p-values are corrected for their number as Benjamini and Hochberg (1995) do.
    """
    anyway = [] if learned is None else [psi(one, other) for one, other in zip(reference.T, learned.T, strict=False)]
    anyway += [0.0] * (recent.shape[1] - len(anyway))
    found = [_compare(reference[:, column], recent[:, column]) for column in range(recent.shape[1])]
    corrected = false_discovery_control([one.p for one in found])
    return [_judge(one, float(p), usual) for one, p, usual in zip(found, corrected, anyway, strict=True)]


def _compare(reference: FloatArray, recent: FloatArray) -> Drift:
    distance, chance = kolmogorov_smirnov(reference, recent)
    before, now = (float(np.isnan(part).mean()) for part in (reference, recent))
    return Drift(psi(reference, recent), distance, chance, before, now)


def _judge(found: Drift, p: float, anyway: float) -> Drift:
    moved = p <= FALSE_DISCOVERIES and found.psi >= max(MOVED_PSI, anyway)
    return replace(found, p=p, anyway=anyway, moved=bool(moved))


def moved_since(
    reference: FloatArray, recent: FloatArray, day: IntArray, anyway: float = 0.0, least: int = 50
) -> int | None:
    """The first of the last days in a row whose payments had all moved; None when those of the newest day have not.

    day: (m,) a number that grows by one a day. Days with fewer than `least` payments say nothing.
    """
    bins, since = Bins.of(reference), None
    for one in np.unique(day)[::-1]:
        values = recent[day == one]
        if len(values) < least:
            continue
        if psi(reference, values, bins) < max(MOVED_PSI, anyway):
            break
        since = int(one)
    return since
