"""The time split looks neither ahead nor twice."""

from dataclasses import replace

import numpy as np
import pytest

from models.scoring.dataset import UNLABELLED, Dataset, TrainingImpossible
from models.scoring.evaluation import SingleClassError
from models.scoring.split import SplitOptions, split
from models.scoring.training import calibrate, grow
from tests.unit.models.conftest import DAY_MS, OPTIONS, make_dataset


def test_slices_follow_each_other_with_a_gap(dataset: Dataset) -> None:
    parts = split(dataset, SplitOptions())
    delay = 7 * DAY_MS
    assert parts.train.occurred_at_ms.max() < parts.train_until_ms
    assert parts.train_until_ms + delay == parts.calibration_from_ms
    assert parts.calibration.occurred_at_ms.min() >= parts.calibration_from_ms
    assert parts.calibration.occurred_at_ms.max() < parts.test_from_ms <= parts.test.occurred_at_ms.min()
    now = max(dataset.occurred_at_ms.max(), dataset.reported_at_ms.max())
    assert parts.test.occurred_at_ms.max() <= now - delay


def test_training_knows_only_what_was_reported_by_then(dataset: Dataset) -> None:
    late = replace(dataset, reported_at_ms=dataset.occurred_at_ms + 30 * DAY_MS)
    parts = split(late, SplitOptions(label_delay_days=5))
    assert (parts.train.reported_at_ms <= parts.calibration_from_ms).all()
    assert len(parts.train) > 0


def test_a_silent_payment_is_legitimate_once_old_enough(dataset: Dataset) -> None:
    reported = np.where(dataset.is_fraud, dataset.reported_at_ms, 0)  # nobody reported the others
    quiet = replace(dataset, label=np.where(dataset.is_fraud, 1, UNLABELLED), reported_at_ms=reported)
    presumed = split(quiet, SplitOptions())
    assert set(np.unique(presumed.train.label)) == {0, 1}
    assert (presumed.test.reported_at_ms >= presumed.test.occurred_at_ms).all()  # presumed, not told before it happened
    with pytest.raises(TrainingImpossible) as raised:
        split(quiet, SplitOptions(presume_legitimate=False))
    assert raised.value.facts["needed"] == 30


def test_too_little_says_how_much_is_needed(dataset: Dataset) -> None:
    no_fraud = replace(dataset, label=np.zeros(len(dataset), dtype=np.int64))
    with pytest.raises(TrainingImpossible, match=r"0 known frauds .* at least 30 of each") as raised:
        split(no_fraud, SplitOptions())
    assert raised.value.facts["slice"] == "training"
    short = make_dataset(rows=500, days=3)
    with pytest.raises(TrainingImpossible, match="younger than the label delay"):
        split(replace(short, reported_at_ms=short.occurred_at_ms), SplitOptions())
    with pytest.raises(TrainingImpossible, match="Import older payments or wait"):
        split(make_dataset(rows=500, days=9), SplitOptions())
    with pytest.raises(TrainingImpossible, match="no payment"):
        split(dataset.rows(slice(0, 0)), SplitOptions())


def test_one_class_is_told_apart_from_a_bad_model(dataset: Dataset) -> None:
    with pytest.raises(SingleClassError):
        grow(dataset.rows(dataset.is_fraud), OPTIONS, lambda _: None)
    fraud = np.arange(1_000) % 10 == 0
    with pytest.raises(SingleClassError):
        calibrate(np.zeros(1_000), np.zeros(1_000, dtype=bool))
    with pytest.raises(TrainingImpossible, match="no better than chance"):
        calibrate(-fraud.astype(float), fraud)


def test_a_dataset_with_columns_of_another_length_is_refused(dataset: Dataset) -> None:
    with pytest.raises(ValueError, match="label must hold"):
        replace(dataset, label=dataset.label[:-1])
    with pytest.raises(ValueError, match="features"):
        replace(dataset, matrix=dataset.matrix[:, 1:])
