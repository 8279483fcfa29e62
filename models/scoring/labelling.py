"""What silence about a payment means.

Labels are not told of all payments alike. People look at alerts, so what they say is mostly about payments that an earlier model found
suspicious; chargebacks and customers tell of frauds wherever they were; of most payments nothing is ever said. Two ways to learn from
that honestly:

presume   A payment old enough that nobody complained about is legitimate. Right when a feed of late truths (chargebacks, customers,
          an import) tells of nearly every fraud within the label delay. Every payment counts once. Without such a feed it teaches the
          model that whatever the earlier model let through was fine: the frauds it missed are learned as legitimate, their share is
          underestimated, and each retraining repeats the mistake.

sampled   Silence means nothing. Only payments that came to be looked at count: alerts on their own merit once, and a control sample of
          the others, drawn by lot with chance p and looked at all the same, 1 / p times each (inverse probability weighting; Horvitz
          and Thompson 1952). So sums over the labelled payments estimate sums over all of them without bias, whatever the earlier
          model let through. A label of a payment that was neither an alert nor drawn is left out: the drawn ones stand for it already.
          Assumes that whether a payment that came up was labelled does not depend on what it was, within alerts and within the sample.
          Its price is variance: with p = 0.001 a single fraud in the sample stands for a thousand.

auto      sampled, when the control sample holds enough labels and frauds to carry those weights and (almost) no fraud was told of
          a payment that nobody had come to look at, which is how one sees that there is no feed; otherwise presume.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from models.scoring.dataset import FRAUD, UNLABELLED, BoolArray, Dataset, TrainingImpossible
from models.scoring.options import LabelScheme

LEAST_CONTROL: Final = 300
LEAST_CONTROL_FRAUDS: Final = 20
FEED_SHARE: Final = 0.05
"""Of the known frauds; so many of payments nobody had looked at mean that there is a feed of late truths."""


@dataclass(frozen=True)
class Labelled:
    """rows: weights and labels as the scheme wants them. presume: whether silence means legitimate. facts: for the lineage."""

    rows: Dataset
    presume: bool
    facts: Mapping[str, Any]


def settle(dataset: Dataset, scheme: LabelScheme) -> Labelled:
    """Raises TrainingImpossible when `sampled` is asked for and there is no labelled control sample."""
    facts = _facts(dataset)
    used, why = (scheme, "asked for") if scheme != "auto" else _choose(facts)
    facts = {"asked": scheme, "used": used, "why": why, **facts}
    if used == "presume":
        return Labelled(dataset, True, facts)
    if not facts["control_labelled"]:
        raise TrainingImpossible(
            "no payment of the control sample is labelled, and silence is to mean nothing", **facts
        )
    return Labelled(sampled(dataset), False, facts)


def sampled(dataset: Dataset) -> Dataset:
    """Weights of one over the inclusion probability; labels of payments nobody came to look at are forgotten."""
    looked_at = ~np.isnan(dataset.inclusion)
    weight = np.where(looked_at, 1 / np.where(looked_at, dataset.inclusion, 1.0), 1.0)
    return replace(dataset, weight=weight, label=np.where(looked_at, dataset.label, UNLABELLED))


def drawn(dataset: Dataset) -> BoolArray:
    """(n,) payments of the control sample."""
    return np.asarray(dataset.inclusion < 1)


def _choose(facts: Mapping[str, Any]) -> tuple[LabelScheme, str]:
    if facts["control_labelled"] < LEAST_CONTROL or facts["control_frauds"] < LEAST_CONTROL_FRAUDS:
        return "presume", (
            f"the control sample holds {facts['control_labelled']} labels and {facts['control_frauds']} frauds; "
            f"{LEAST_CONTROL} and {LEAST_CONTROL_FRAUDS} are needed to go by it alone"
        )
    if facts["frauds_told"] >= FEED_SHARE * facts["frauds"]:
        return "presume", "frauds are told of payments that nobody had looked at: there is a feed of late truths"
    return "sampled", "only what was looked at is labelled, and the control sample stands for the rest"


def _facts(dataset: Dataset) -> dict[str, Any]:
    """frauds_told: known frauds among payments nobody had come to look at. missed_fraud_rate: share of frauds among approved payments,
    as the control sample estimates it, with its standard error; None without a sample.
    """
    control, labelled = drawn(dataset), dataset.label != UNLABELLED
    fraud = dataset.label == FRAUD
    told = fraud & np.isnan(dataset.inclusion)
    known = control & labelled
    rate, error = _rate(fraud[known], 1 / dataset.inclusion[known]) if known.any() else (None, None)
    return {
        "labelled": int(labelled.sum()),
        "frauds": int(fraud.sum()),
        "frauds_told": int(told.sum()),
        "alerts": int((dataset.inclusion == 1).sum()),
        "control_drawn": int(control.sum()),
        "control_labelled": int(known.sum()),
        "control_frauds": int((known & fraud).sum()),
        "missed_fraud_rate": rate,
        "missed_fraud_rate_error": error,
    }


def _rate(fraud: BoolArray, weight: Any) -> tuple[float, float]:
    """Weighted share and its standard error (ratio estimator, with replacement: Särndal et al. 1992, 5.6)."""
    share = float((weight * fraud).sum() / weight.sum())
    error = float(np.sqrt((weight**2 * (fraud - share) ** 2).sum()) / weight.sum())
    return share, error
