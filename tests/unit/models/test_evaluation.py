"""Measures against small examples worked out by hand."""

import numpy as np
import pytest

from models.scoring import evaluation
from models.scoring.artifact import Thresholds
from models.scoring.dataset import Dataset
from models.scoring.evaluation import SingleClassError
from models.scoring.ranking import ranking
from tests.unit.models.conftest import DAY_MS


def test_card_precision_by_hand() -> None:
    """Day 0: of the top 2 cards (1, 2) one is compromised: 1/2. Card 1 is found, so day 1's top 2 are (3, 2): 3 is compromised: 1/2."""
    time = np.array([0, 1, 2, 3, DAY_MS, DAY_MS + 1, DAY_MS + 2])
    card = np.array([1, 1, 2, 3, 1, 2, 3])
    score = np.array([0.1, 0.9, 0.8, 0.2, 0.99, 0.5, 0.7])
    fraud = np.array([False, True, False, True, True, False, True])
    assert evaluation.card_precision(time, card, score, fraud, 2) == 0.5
    # Three places: day 0 finds cards 1 and 3 (2/3); day 1 has only card 2 left (0/3).
    assert evaluation.card_precision(time, card, score, fraud, 3) == pytest.approx(1 / 3)


def test_a_card_counts_by_any_of_its_payments_of_the_day() -> None:
    time, card = np.array([0, 1]), np.array([5, 5])
    assert evaluation.card_precision(time, card, np.array([0.9, 0.1]), np.array([False, True]), 1) == 1.0


def test_unknown_cards_follow_the_protocol() -> None:
    """Test days 20 to 26, delay 7: card 1 was caught on day 12, card 2 on day 14 (known from day 22), card 3 on day 5 (too old)."""
    days = np.array([12, 14, 5, 20, 20, 20, 21, 22, 27])
    card = np.array([1, 2, 3, 1, 2, 3, 2, 2, 3])
    fraud = np.array([True, True, True] + [False] * 6)
    chosen = evaluation.unknown_cards(days * DAY_MS, card, fraud, 20 * DAY_MS)
    assert chosen.tolist() == [False, False, False, False, True, True, True, False, False]


def test_ranking_by_hand() -> None:
    """Frauds at ranks 1 and 3 of 4: average precision (1 + 2/3) / 2; 3 of 4 pairs in order."""
    found = ranking(np.arange(4), np.arange(4), np.array([0.9, 0.8, 0.7, 0.1]), np.array([True, False, True, False]))
    assert found.average_precision == pytest.approx(5 / 6)
    assert found.roc_auc == 0.75
    assert found.card_precision_100 == 0.02


def test_scalars_by_hand(dataset: Dataset) -> None:
    rows = dataset.rows(slice(0, 4))
    label = np.array([1, 0, 1, 0])
    time = np.array([0, DAY_MS, DAY_MS, 2 * DAY_MS])
    rows = Dataset(rows.matrix, label, time, time, rows.amount, rows.card, rows.customer)
    found = evaluation.scalars(rows, np.array([0.9, 0.8, 0.7, 0.0]), Thresholds(0.75, 1.0))
    assert found["brier"] == pytest.approx((0.01 + 0.64 + 0.09) / 4)
    assert found["calibration_ratio"] == pytest.approx(0.6 / 0.5)
    assert (found["recall_at_review"], found["precision_at_review"], found["alerts_per_day"]) == (0.5, 0.5, 1.0)


def test_one_class_cannot_be_judged() -> None:
    for only in (True, False):
        with pytest.raises(SingleClassError):
            ranking(np.arange(3), np.arange(3), np.ones(3), np.full(3, only))


def test_reliability_bins_expect_the_same_frauds() -> None:
    random = np.random.default_rng(1)
    probability = random.beta(0.5, 20, 20_000)
    fraud = random.random(20_000) < probability
    bins = evaluation.reliability(fraud, probability)
    assert len(bins) == 10
    assert sum(count for _, _, count in bins) == 20_000
    expected = [mean * count for mean, _, count in bins]
    assert max(expected) < 1.1 * min(expected)
    assert all(abs(rate - mean) < 0.35 * mean for mean, rate, _ in bins)


def test_precision_recall_points_rise_in_recall() -> None:
    random = np.random.default_rng(2)
    fraud = random.random(5_000) < 0.05
    points = evaluation.precision_recall_points(fraud, random.random(5_000) + fraud)
    recalls = [recall for recall, _ in points]
    assert recalls == sorted(recalls)
    assert recalls[-1] == 1.0
    assert len(points) <= 60
