"""Labels only of what an earlier model let people see: weighted by one over the chance of being seen, they speak for all payments."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from models.features.catalogue import NAMES
from models.features.vector import FloatArray
from models.scoring.calibrating import choose_thresholds
from models.scoring.dataset import UNLABELLED, BoolArray, Dataset, TrainingImpossible
from models.scoring.growing import MOST_WEIGHT, fit_weights
from models.scoring.labelling import LEAST_CONTROL, LEAST_CONTROL_FRAUDS, drawn, sampled, settle
from models.scoring.options import SearchOptions, TrainingOptions, TreeOptions
from models.scoring.scorer import Scorer
from models.scoring.training import Trained, train
from tests.unit.models.conftest import DAY_MS, START_MS

SHARE = 0.08
"""Of the payments that were not alerts; far more than in production, so that a small simulation has enough of them."""
SEEN, UNSEEN = NAMES.index("amount_to_own_median"), NAMES.index("merchant_risk_7d")
OPTIONS = TrainingOptions(
    trees=TreeOptions(iterations=60, learning_rate=0.15),
    search=SearchOptions(candidates=0), drop_useless=False, weeks=0, review_share=0.02,
)  # fmt: skip


@dataclass(frozen=True)
class World:
    """Half of the frauds show in a feature that the earlier model knew, half in one it did not: those it lets through."""

    rows: Dataset
    fraud: BoolArray

    @property
    def probability(self) -> float:
        return float(self.fraud.mean())


def make_world(seed: int = 5, rows: int = 60_000) -> World:
    random = np.random.default_rng(seed)
    matrix = random.gamma(2.0, 1.0, (rows, len(NAMES)))
    odds = np.logaddexp(2.0 * matrix[:, SEEN] - 15.0, 2.0 * matrix[:, UNSEEN] - 15.0)
    fraud = random.random(rows) < 1 / (1 + np.exp(-odds))
    alert = matrix[:, SEEN] > np.quantile(matrix[:, SEEN], 0.96)
    control = ~alert & (random.random(rows) < SHARE)
    inclusion = np.where(alert, 1.0, np.where(control, SHARE, np.nan))
    occurred = START_MS + np.sort(random.integers(0, 60 * DAY_MS, rows))
    card = random.integers(0, 3_000, rows)
    label = np.where(np.isnan(inclusion), UNLABELLED, fraud)
    return World(
        Dataset(
            matrix, label.astype(np.int64), occurred, occurred + DAY_MS, random.integers(100, 50_000, rows), card, card,
            inclusion=inclusion,
        ),
        fraud,
    )  # fmt: skip


@pytest.fixture(scope="module")
def world() -> World:
    return make_world()


def quiet(_fraction: float, _step: str) -> None:
    pass


def weighted_rate(rows: Dataset) -> float:
    known = rows.label != UNLABELLED
    return float(rows.weight[known & rows.is_fraud].sum() / rows.weight[known].sum())


def test_only_weighted_labels_recover_the_true_fraud_rate(world: World) -> None:
    true = world.probability
    known = world.rows.label != UNLABELLED
    looked_at = float(world.fraud[known].mean())
    presumed = float((world.rows.label == 1).mean())
    assert looked_at > 3 * true
    assert presumed < 0.7 * true
    rates = [weighted_rate(sampled(one.rows)) / one.probability for one in (world, *map(make_world, range(6, 12)))]
    assert np.mean(rates) == pytest.approx(1, abs=0.1)
    assert max(rates) < 1.4
    assert min(rates) > 0.6


def test_the_rate_of_missed_frauds_is_told_with_its_error(world: World) -> None:
    facts = settle(world.rows, "auto").facts
    approved = world.rows.inclusion != 1
    missed = float(world.fraud[approved].mean())
    assert abs(facts["missed_fraud_rate"] - missed) < 3 * facts["missed_fraud_rate_error"]
    assert 0 < facts["missed_fraud_rate_error"] < missed


def scores_of_everything(found: Trained, world: World) -> FloatArray:
    return Scorer.load(found.artifact).score(world.rows.matrix).probability


def test_a_model_of_weighted_labels_expects_the_true_frauds_and_finds_the_missed_ones(world: World) -> None:
    frauds = world.fraud.sum()
    weighted = train(world.rows, replace(OPTIONS, label_scheme="sampled"), quiet)
    presumed = train(world.rows, replace(OPTIONS, label_scheme="presume"), quiet)
    expected = {
        name: scores_of_everything(one, world).sum() / frauds for name, one in (("w", weighted), ("p", presumed))
    }
    assert expected["w"] == pytest.approx(1, abs=0.25)
    assert expected["p"] < 0.7
    missed = world.fraud & (world.rows.inclusion != 1)
    mean = {name: scores_of_everything(one, world)[missed].mean() for name, one in (("w", weighted), ("p", presumed))}
    assert mean["w"] > 2 * mean["p"]
    assert weighted.lineage["labels"]["used"] == "sampled"


def test_auto_goes_by_the_sample_only_where_it_is_enough_and_there_is_no_feed(world: World) -> None:
    assert settle(world.rows, "auto").facts["used"] == "sampled"
    # A feed tells of frauds among payments nobody looked at.
    fed = replace(world.rows, label=np.where(world.fraud, 1, world.rows.label))
    told = settle(fed, "auto")
    assert (told.presume, told.facts["used"]) == (True, "presume")
    assert "feed" in told.facts["why"]
    few = np.flatnonzero(drawn(world.rows) & (world.rows.label != UNLABELLED))[LEAST_CONTROL - 1 :]
    label = world.rows.label.copy()
    label[few] = UNLABELLED
    assert settle(replace(world.rows, label=label), "auto").presume
    label = np.where(drawn(world.rows) & (world.rows.label == 1), 0, world.rows.label)
    label[np.flatnonzero(drawn(world.rows) & world.fraud)[: LEAST_CONTROL_FRAUDS - 1]] = 1
    assert settle(replace(world.rows, label=label), "auto").presume
    assert settle(replace(world.rows, inclusion=np.full(len(label), np.nan)), "auto").presume


def test_presuming_counts_every_payment_once(world: World) -> None:
    found = settle(world.rows, "presume")
    assert (found.rows.weight == 1).all()
    assert found.rows is world.rows


def test_labels_of_payments_that_did_not_come_up_do_not_count_twice(world: World) -> None:
    told = replace(world.rows, label=np.where(world.fraud, 1, world.rows.label))
    rows = sampled(told)
    assert (rows.label[np.isnan(rows.inclusion)] == UNLABELLED).all()
    assert set(np.unique(rows.weight).round(6)) == {1.0, round(1 / SHARE, 6)}


def test_without_a_labelled_sample_nothing_can_be_weighted(world: World) -> None:
    blind = replace(world.rows, inclusion=np.where(world.rows.inclusion == 1, 1.0, np.nan))
    with pytest.raises(TrainingImpossible, match="control sample"):
        settle(blind, "sampled")


def test_a_sampled_payment_uses_its_whole_share_of_the_review_budget() -> None:
    rows = make_world(rows=1_000).rows
    weighted = replace(rows, label=np.zeros(1_000, dtype=np.int64), weight=np.where(np.arange(1_000) < 500, 1.0, 9.0))
    probability = np.linspace(0.0001, 0.2, 1_000)
    review = choose_thresholds(weighted, probability, replace(OPTIONS, review_share=0.1)).review
    flagged = weighted.weight[probability >= review].sum()
    assert flagged <= 0.1 * weighted.weight.sum() < flagged + 9


def test_heavy_payments_are_bounded_when_trees_grow(world: World) -> None:
    rows = replace(world.rows, weight=np.where(np.arange(len(world.rows)) == 3, 5_000.0, 1.0))
    weights = fit_weights(rows, TreeOptions())
    assert weights is not None
    assert weights.max() == MOST_WEIGHT
    assert fit_weights(world.rows, TreeOptions()) is None
