"""The time split: what a model learns from, is calibrated on, and is judged by never overlap, and never look ahead.

    ... train | gap = label delay | calibration and thresholds | test | too young to know

"Now" is the newest moment in the data. A payment younger than the label delay is too young to be called anything. Of the training
payments only what was known at the start of the calibration slice is used, as if the training had happened then.
"""

from dataclasses import dataclass, replace

import numpy as np

from models.features.catalogue import DAY_S
from models.features.vector import IntArray
from models.scoring.dataset import FRAUD, LEGITIMATE, UNLABELLED, Dataset, TrainingImpossible


@dataclass(frozen=True)
class SplitOptions:
    """label_delay_days: after so long, a payment nobody complained about is taken for legitimate (if presume_legitimate).

    test_share, calibration_share: of the payments old enough to be known. least_*: fewest frauds, and legitimate payments, to go on.
    """

    label_delay_days: float = 7.0
    test_share: float = 0.2
    calibration_share: float = 0.2
    presume_legitimate: bool = True
    least_train: int = 30
    least_calibration: int = 10
    least_test: int = 10


@dataclass(frozen=True)
class Split:
    """Slices in time order, labels settled; boundaries in epoch ms, each slice [from, to). now_ms: the newest moment in the data."""

    train: Dataset
    calibration: Dataset
    test: Dataset
    train_until_ms: int
    calibration_from_ms: int
    test_from_ms: int
    test_until_ms: int
    now_ms: int


def split(dataset: Dataset, options: SplitOptions) -> Split:
    """Raises TrainingImpossible when a slice holds too few frauds or legitimate payments."""
    if len(dataset) == 0:
        raise TrainingImpossible("there is no payment to learn from", payments=0)
    delay = int(options.label_delay_days * DAY_S * 1000)
    reported = dataset.reported_at_ms[dataset.label != UNLABELLED]
    now = int(max(dataset.occurred_at_ms.max(), reported.max(initial=0)))
    time = dataset.occurred_at_ms
    until = now - delay + 1
    old_enough = np.sort(time[time < until])
    if len(old_enough) == 0:
        raise TrainingImpossible(
            f"every payment is younger than the label delay of {options.label_delay_days:g} days", payments=len(dataset)
        )
    test_from = int(_at_share(old_enough, 1 - options.test_share))
    calibration_from = int(_at_share(old_enough, 1 - options.test_share - options.calibration_share))
    train_until = calibration_from - delay
    if train_until <= old_enough[0]:
        reach = (calibration_from - int(old_enough[0])) / (DAY_S * 1000)
        raise TrainingImpossible(
            f"the payments reach back {reach:.1f} days before the calibration slice, and the last {options.label_delay_days:g} of those "
            "cannot be learned from: their labels came too late. Import older payments or wait.",
            days=reach,
            label_delay_days=options.label_delay_days,
        )
    parts = Split(
        train=settled(dataset, 0, train_until, calibration_from, options.presume_legitimate),
        calibration=settled(dataset, calibration_from, test_from, now, options.presume_legitimate),
        test=settled(dataset, test_from, until, now, options.presume_legitimate),
        train_until_ms=train_until,
        calibration_from_ms=calibration_from,
        test_from_ms=test_from,
        test_until_ms=until,
        now_ms=now,
    )
    _require(parts.train, "training", options.least_train)
    _require(parts.calibration, "calibration", options.least_calibration)
    _require(parts.test, "test", options.least_test)
    return parts


def _at_share(times: IntArray, share: float) -> int:
    return int(times[min(int(len(times) * max(share, 0.0)), len(times) - 1)])


def settled(dataset: Dataset, start: int, end: int, known_at: int, presume_legitimate: bool) -> Dataset:
    """Payments of [start, end) with what was known of them at `known_at`; a label that came later leaves its payment out."""
    inside = (dataset.occurred_at_ms >= start) & (dataset.occurred_at_ms < end)
    labelled = dataset.label != UNLABELLED
    known = labelled & (dataset.reported_at_ms <= known_at)
    rows = dataset.rows(inside & (known | ~labelled if presume_legitimate else known))
    # Nobody reported what is only presumed: it is known from when it is presumed.
    reported = np.where(rows.label == UNLABELLED, known_at, rows.reported_at_ms)
    return replace(rows, label=np.where(rows.label == FRAUD, FRAUD, LEGITIMATE), reported_at_ms=reported)


def _require(rows: Dataset, name: str, least: int) -> None:
    frauds = int(rows.is_fraud.sum())
    legitimate = len(rows) - frauds
    if frauds < least or legitimate < least:
        raise TrainingImpossible(
            f"the {name} slice holds {frauds} known frauds and {legitimate} legitimate payments; at least {least} of each are needed. "
            "Label more payments, or wait until more are older than the label delay.",
            slice=name,
            frauds=frauds,
            legitimate=legitimate,
            needed=least,
        )
