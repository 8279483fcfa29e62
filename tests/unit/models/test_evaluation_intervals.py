"""Resampled figures equal the plain ones on payments that were really copied; intervals know that a customer's payments are alike."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from models.scoring.evaluation import card_precision
from models.scoring.intervals import Ranked, Resamples, card_precisions, interval
from tests.unit.models.conftest import DAY_MS


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("levels", [3, 40, 10**6])
def test_weighted_figures_are_scikit_learns(seed: int, levels: int) -> None:
    """Few levels: nearly every score is tied with others."""
    random = np.random.default_rng(seed)
    fraud = random.random(800) < 0.1
    score = np.round(random.random(800) + 0.4 * fraud, 6) * levels // 1 / levels
    for weight in (np.ones(800), random.poisson(1.0, 800).astype(np.uint8), random.random(800) * 3):
        found = Ranked.of(fraud, score).figures(weight)
        expected = (
            average_precision_score(fraud, score, sample_weight=weight),
            roc_auc_score(fraud, score, sample_weight=weight),
        )
        assert found == pytest.approx(expected, abs=1e-12)


def test_a_class_that_was_not_drawn_cannot_be_ranked() -> None:
    fraud = np.array([True, False])
    assert np.isnan(Ranked.of(fraud, np.array([0.9, 0.1])).figures(np.array([0, 2]))).all()


def test_drawn_customers_weigh_like_copied_payments() -> None:
    random = np.random.default_rng(1)
    customer = random.integers(0, 50, 600)
    fraud, score = random.random(600) < 0.15, random.random(600)
    draws = Resamples.of(customer, 20, seed=4)
    found = Ranked.of(fraud, score).resampled(draws)
    for place in range(20):
        copies = np.repeat(np.arange(600), draws.times[place][draws.customer])
        expected = average_precision_score(fraud[copies], score[copies]), roc_auc_score(fraud[copies], score[copies])
        assert found[place] == pytest.approx(expected)
        assert draws.sums(score)[place] == pytest.approx(score[copies].sum())


def test_card_precision_of_resamples_is_that_of_copied_cards() -> None:
    random = np.random.default_rng(2)
    rows = 900
    card = random.integers(0, 60, rows)
    time = np.sort(random.integers(0, 6 * DAY_MS, rows))
    fraud, score = random.random(rows) < 0.1, random.random(rows)
    draws = Resamples.of(card, 30, seed=5)
    found = card_precisions(time, card, score, fraud, 10, draws)
    for place in range(30):
        times = draws.times[place][draws.customer]
        copies = np.repeat(np.arange(rows), times)
        copy_number = np.concatenate([np.arange(count) for count in times])
        expected = card_precision(time[copies], card[copies] * 1000 + copy_number, score[copies], fraud[copies], 10)
        assert found[place] == pytest.approx(expected)


def test_card_precision_of_everybody_once_is_the_plain_one() -> None:
    random = np.random.default_rng(3)
    card = random.integers(0, 300, 3_000)
    time = random.integers(0, 5 * DAY_MS, 3_000)
    fraud, score = random.random(3_000) < 0.05, random.random(3_000)
    draws = Resamples.of(card, 1, seed=0)
    once = Resamples(np.ones_like(draws.times), draws.customer)
    assert card_precisions(time, card, score, fraud, 20, once)[0] == pytest.approx(
        card_precision(time, card, score, fraud, 20)
    )


def test_resampling_customers_gives_wider_intervals_than_resampling_payments_of_customers_that_are_alike() -> None:
    random = np.random.default_rng(4)
    customer = np.repeat(np.arange(60), 40)
    fraud = np.repeat(random.random(60) < 0.2, 40)
    score = fraud + np.repeat(random.normal(0, 0.7, 60), 40)
    ranked = Ranked.of(fraud, score)
    by_customer = interval(ranked.resampled(Resamples.of(customer, 200, 1))[:, 0], 0.95)
    by_payment = interval(ranked.resampled(Resamples.of(np.arange(2_400), 200, 1))[:, 0], 0.95)
    assert by_customer is not None
    assert by_payment is not None
    assert by_customer[1] - by_customer[0] > 3 * (by_payment[1] - by_payment[0])


def test_an_interval_needs_resamples_that_could_be_judged() -> None:
    assert interval(np.array([np.nan, np.nan, np.nan, 0.5]), 0.95) is None
    low, high = interval(np.linspace(0, 1, 1001), 0.9) or (None, None)
    assert (low, high) == pytest.approx((0.05, 0.95))
