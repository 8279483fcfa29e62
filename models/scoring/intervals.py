"""Bootstrap intervals that resample customers: a customer's payments are alike, so single payments would make the intervals too narrow.

Each resample gives every customer a Poisson(1) weight (the bootstrap for streams: Oza and Russell 2001; Chamandy et al. 2012). Rankings
are sorted once and only re-weighted, so 200 resamples of a million payments take seconds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from models.features.vector import FloatArray, FloatMatrix, IntArray
from models.scoring.dataset import BoolArray

CountMatrix = npt.NDArray[np.uint8]
_DAY_MS: Final = 86_400_000
_CHUNK: Final = 4_000_000
"""Numbers of a kind held at once, so that memory stays bounded."""


@dataclass(frozen=True)
class Resamples:
    """times: (resamples, customers) how often a customer is drawn. customer: (n,) column of `times` a payment belongs to."""

    times: CountMatrix
    customer: IntArray

    @classmethod
    def of(cls, customer: IntArray, resamples: int, seed: int) -> Self:
        distinct, codes = np.unique(customer, return_inverse=True)
        times = np.random.default_rng(seed).poisson(1.0, (resamples, len(distinct))).astype(np.uint8)
        return cls(times, codes.astype(np.int64))

    def rows(self, which: IntArray | BoolArray) -> "Resamples":
        """The same draws for some of the payments, so that figures of parts and of the whole go together."""
        return Resamples(self.times, self.customer[which])

    def sums(self, values: FloatArray) -> FloatArray:
        """(resamples,) weighted sum of a number of each payment."""
        by_customer = np.bincount(self.customer, weights=values, minlength=self.times.shape[1])
        return np.array([times @ by_customer for times in self.times], dtype=np.float64)


@dataclass(frozen=True)
class Ranked:
    """Payments by falling score, equal scores together.

    order: (n,). fraud: (f,) places of the frauds in it. first, last: (f,) places where the fraud's group of equal scores begins and ends.
    upto: (f,) how many frauds there are up to that group's end.
    """

    order: IntArray
    fraud: IntArray
    first: IntArray
    last: IntArray
    upto: IntArray

    @classmethod
    def of(cls, is_fraud: BoolArray, score: FloatArray) -> Self:
        order = np.argsort(-score, kind="stable")
        descending = score[order]
        starts = np.flatnonzero(np.append(True, descending[1:] != descending[:-1]))
        ends = np.append(starts[1:], len(order)) - 1
        fraud = np.flatnonzero(is_fraud[order])
        group = np.searchsorted(starts, fraud, side="right") - 1
        return cls(order, fraud, starts[group], ends[group], np.searchsorted(fraud, ends[group], side="right"))

    def figures(self, weight: npt.NDArray[np.generic]) -> tuple[float, float]:
        """Average precision and ROC AUC with (n,) weights; scikit-learn's definitions. NaN when a class weighs nothing."""
        ordered = weight[self.order]
        exact = np.int64 if np.issubdtype(ordered.dtype, np.integer) else np.float64
        total = np.cumsum(ordered, dtype=exact)
        own = ordered[self.fraud].astype(np.float64)
        caught = np.append(0.0, np.cumsum(own))
        fraud_weight = caught[-1]
        legitimate_weight = float(total[-1]) - fraud_weight
        if fraud_weight <= 0 or legitimate_weight <= 0:
            return float("nan"), float("nan")
        flagged = np.maximum(total[self.last], np.finfo(np.float64).tiny)
        precision = caught[self.upto] / flagged
        before = np.where(self.first > 0, total[self.first - 1], 0)
        false_before = before - caught[np.searchsorted(self.fraud, self.first, side="left")]
        false_upto = total[self.last] - caught[self.upto]
        above = (false_before + false_upto) / 2
        auc = float((own * (legitimate_weight - above)).sum() / (fraud_weight * legitimate_weight))
        return float((own * precision).sum() / fraud_weight), auc

    def resampled(self, draws: Resamples, weight: FloatArray | None = None) -> FloatMatrix:
        """(resamples, 2) average precision and ROC AUC; `weight`: the payments' own.

        Payments between two frauds only count together, so one sparse product sums them up for every resample at once.
        """
        bounds = np.unique(np.concatenate([self.first, self.last + 1]))
        stretch = np.searchsorted(bounds, np.arange(len(self.order)), side="right")
        customer = draws.customer[self.order]
        own = np.ones(len(self.order)) if weight is None else weight[self.order]
        shape = (len(bounds) + 1, draws.times.shape[1])
        stretches = csr_array((own, (stretch, customer)), shape=shape)
        step = max(_CHUNK // max(*shape, 1), 1)
        parts = [draws.times[start : start + step].T.astype(np.float64) for start in range(0, len(draws.times), step)]
        fraud = own[self.fraud, None], customer[self.fraud]
        return np.concatenate([self._judged(stretches @ part, fraud[0] * part[fraud[1]], bounds) for part in parts])

    def _judged(self, sums: FloatMatrix, own: FloatMatrix, bounds: IntArray) -> FloatMatrix:
        """(resamples, 2). sums: (bounds + 1, resamples) weights up to each bound from the one before. own: (f, resamples) of the frauds."""
        total = np.cumsum(sums, axis=0)
        caught = np.concatenate([np.zeros((1, own.shape[1])), np.cumsum(own, axis=0)])
        before, upto = np.searchsorted(bounds, self.first), np.searchsorted(bounds, self.last + 1)
        caught_upto, fraud_weight = caught[self.upto], caught[-1]
        legitimate = total[-1] - fraud_weight
        false_upto = total[upto] - caught_upto
        false_before = total[before] - caught[np.searchsorted(self.fraud, self.first, side="left")]
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = np.where(total[upto] > 0, caught_upto / total[upto], 0.0)
            found = np.stack(
                [
                    (own * precision).sum(axis=0) / fraud_weight,
                    (own * (legitimate - (false_before + false_upto) / 2)).sum(axis=0) / (fraud_weight * legitimate),
                ],
                axis=1,
            )
        found[(fraud_weight <= 0) | (legitimate <= 0)] = np.nan
        return found


def card_precisions(
    time_ms: IntArray, card: IntArray, score: FloatArray, is_fraud: BoolArray, most: int, draws: Resamples
) -> FloatArray:
    """(resamples,) card precision at `most`, as `evaluation.card_precision`; a card drawn twice fills two of a day's places.

    A card belongs to the customer of its first payment.
    """
    cards, codes, first = _dense(card)
    owner = draws.customer[first]
    found = np.zeros((len(draws.times), len(cards)), dtype=np.uint8)
    day = time_ms // _DAY_MS
    shares = []
    for today in np.unique(day):
        on_day, compromised = _by_score(codes[day == today], score[day == today], is_fraud[day == today])
        shares.append(_hits(draws.times, owner[on_day], on_day, compromised, found, most))
    return np.asarray(np.mean(shares, axis=0) / most)


def _dense(card: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    cards, first, codes = np.unique(card, return_index=True, return_inverse=True)
    return cards, codes.astype(np.int64), first.astype(np.int64)


def _by_score(card: IntArray, score: FloatArray, is_fraud: BoolArray) -> tuple[IntArray, BoolArray]:
    """A day's cards by falling highest score, and which are compromised."""
    order = np.argsort(-score, kind="stable")
    _, place = np.unique(card[order], return_index=True)
    ranked = card[order][np.sort(place)]
    return ranked, np.isin(ranked, card[is_fraud])


def _hits(
    times: CountMatrix, owner: IntArray, card: IntArray, compromised: BoolArray, found: CountMatrix, most: int
) -> FloatArray:
    """(resamples,) compromised cards among the first `most`. found: (resamples, cards) how many of a card's draws are found already."""
    hits = np.empty(len(times))
    step = max(_CHUNK // max(len(card), 1), 1)
    for start in range(0, len(times), step):
        part = slice(start, start + step)
        weight = (times[part][:, owner] - found[part][:, card]).astype(np.int32)
        before = np.cumsum(weight, axis=1) - weight
        taken = np.clip(most - before, 0, weight) * compromised
        hits[part] = taken.sum(axis=1)
        resample, place = np.nonzero(taken)
        found[resample + start, card[place]] += taken[resample, place].astype(np.uint8)
    return hits


def interval(values: FloatArray, confidence: float) -> list[float] | None:
    """[low, high] of the resampled figure; None when too few resamples could be judged."""
    known = values[np.isfinite(values)]
    if len(known) < max(len(values) // 2, 2):
        return None
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return [float(low), float(high)]


def intervals(figures: Mapping[str, FloatArray], confidence: float) -> dict[str, list[float]]:
    return dict(_known(figures, confidence))


def _known(figures: Mapping[str, FloatArray], confidence: float) -> Iterator[tuple[str, list[float]]]:
    for name, values in figures.items():
        found = interval(values, confidence)
        if found is not None:
            yield name, found
