"""A small labelled set with known signals, and a model trained on it once."""

import numpy as np
import pytest

from models.features.catalogue import NAMES
from models.scoring.dataset import Dataset
from models.scoring.scorer import Scorer
from models.scoring.training import SearchOptions, Trained, TrainingOptions, TreeOptions, train

DAY_MS = 86_400_000
START_MS = 1_600_000_000_000
OPTIONS = TrainingOptions(
    trees=TreeOptions(iterations=60, learning_rate=0.15),
    search=SearchOptions(candidates=0),
    drop_useless=False,
    weeks=0,
)
"""Given options, taken as they are: what a training finds out by itself has tests of its own."""


def make_dataset(rows: int = 12_000, days: int = 60, seed: int = 3) -> Dataset:
    """Frauds have large amounts for their customer or sit at a merchant with known frauds; one payment in five names no device."""
    random = np.random.default_rng(seed)
    matrix = random.gamma(2.0, 1.0, (rows, len(NAMES)))
    matrix[:, [NAMES.index(f"{kind}_new") for kind in ("customer", "card", "merchant", "device", "ip")]] = 0
    for column, name in enumerate(NAMES):
        if name.startswith("device") or name == "customer_device_payments":
            matrix[: rows // 5, column] = np.nan
        if name.startswith("ip_"):
            matrix[:, column] = np.nan
    matrix = matrix[random.permutation(rows)]
    odds = (
        1.6 * matrix[:, NAMES.index("amount_to_own_median")] + 1.2 * matrix[:, NAMES.index("merchant_risk_7d")] - 11.5
    )
    occurred = START_MS + np.sort(random.integers(0, days * DAY_MS, rows))
    amount = random.integers(100, 50_000, rows)
    matrix[:, NAMES.index("amount")] = amount
    matrix[:, NAMES.index("hour")] = occurred % DAY_MS / 3_600_000
    fraud = random.random(rows) < 1 / (1 + np.exp(-odds))
    reported = occurred + random.integers(0, 7 * DAY_MS, rows)
    card = random.integers(0, 800, rows)
    return Dataset(matrix, fraud.astype(np.int64), occurred, reported, amount, card, card)


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return make_dataset()


@pytest.fixture(scope="session")
def trained(dataset: Dataset) -> Trained:
    return train(dataset, OPTIONS, lambda _fraction, _step: None)


@pytest.fixture(scope="session")
def scorer(trained: Trained) -> Scorer:
    return Scorer.load(trained.artifact)
