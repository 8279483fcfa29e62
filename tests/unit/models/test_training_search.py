"""What a training finds out by itself: features, options and weights, on a later part of the training slice alone."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.features.catalogue import NAMES
from models.scoring import training, trials
from models.scoring.dataset import Dataset, TrainingImpossible
from models.scoring.growing import between_singles, grow, thin, useful_columns
from models.scoring.options import SearchOptions, TrainingOptions, TreeOptions
from models.scoring.scorer import Scorer
from models.scoring.search import _planned, at_round, candidates, search
from models.scoring.selection import gain_shares, useless_features
from models.scoring.split import split
from models.scoring.steps import FolderCheckpoints, NoCheckpoints, Steps, TrainingCancelled, never
from models.scoring.training import Trained, train
from models.scoring.trials import Bench, Trial, in_haste, judged
from tests.unit.models.conftest import make_dataset

SEARCHING = TrainingOptions(
    trees=TreeOptions(iterations=40, learning_rate=0.2), search=SearchOptions(candidates=4, least_frauds=20), weeks=2
)


def quiet(_fraction: float, _step: str) -> None:
    pass


def no_steps() -> Steps:
    return Steps(quiet, never, NoCheckpoints())


@pytest.fixture(scope="module")
def bench(dataset: Dataset) -> Bench:
    found = Bench.of(split(dataset, SEARCHING.split).train, SEARCHING.search, 7)
    assert found
    return found


@pytest.fixture(scope="module")
def searched(dataset: Dataset) -> Trained:
    return train(dataset, SEARCHING, quiet)


def test_options_are_judged_on_a_later_part_of_the_training_slice(dataset: Dataset, bench: Bench) -> None:
    parts = split(dataset, SEARCHING.split)
    assert bench.learn.occurred_at_ms.max() < bench.judge.occurred_at_ms.min()
    assert bench.judge.occurred_at_ms.max() < parts.train_until_ms
    assert len(bench.learn) + len(bench.judge) == len(parts.train)


def test_thinned_judge_rows_stand_for_those_left_out(dataset: Dataset, bench: Bench) -> None:
    few = replace(SEARCHING.search, judge_legitimate=200)
    thinned = Bench.of(split(dataset, SEARCHING.split).train, few, 7)
    assert thinned
    assert len(thinned.judge) < len(bench.judge) / 2
    assert thinned.judge.is_fraud.sum() == bench.judge.is_fraud.sum()
    assert thinned.judge.weight.sum() == pytest.approx(len(bench.judge), rel=0.02)
    assert set(thinned.judge.weight[thinned.judge.is_fraud]) == {1.0}


def test_too_few_frauds_and_nothing_is_searched(dataset: Dataset) -> None:
    options = replace(SEARCHING, search=replace(SEARCHING.search, least_frauds=10_000))
    plain = train(dataset, options, quiet)
    assert plain.metrics["search"] is None
    assert plain.metrics["weighting"] is None
    assert plain.lineage["chosen"]["trees"] == asdict(SEARCHING.trees)


def test_candidates_lie_around_the_default_which_comes_first() -> None:
    found = candidates(SEARCHING)
    assert found[0] == SEARCHING.trees
    assert len(found) == 5 == len({tuple(asdict(one).items()) for one in found})
    assert found == candidates(SEARCHING)
    assert found != candidates(replace(SEARCHING, seed=8))
    assert all(one.fraud_weight == 1.0 for one in found)


def test_each_round_keeps_a_third_and_gives_more() -> None:
    assert _planned(10, 3) == [10, 4, 2]
    assert _planned(7, 2) == [7, 3]
    assert _planned(1, 3) == [1]
    options = TrainingOptions()
    rounds = [at_round(options, number, 3) for number in range(3)]
    assert [one.most_legitimate for one in rounds] == sorted({one.most_legitimate for one in rounds})
    assert [one.trees.iterations for one in rounds] == sorted({one.trees.iterations for one in rounds})
    assert rounds[-1].trees == in_haste(options.trees, options.search.haste)
    assert rounds[-1].most_legitimate == options.search.legitimate


def trial(shift: float, spread: float = 0.01) -> Trial:
    noise = np.random.default_rng(4).normal(0, spread, 100)
    return Trial(
        0.5 + shift, 0.5, {"average_precision": (0.5 + shift + noise).tolist(), "recall_at_review": [0.5] * 100}
    )


def test_the_default_wins_what_may_be_chance(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = [at_round(SEARCHING, number, 2).trees for number in range(2)]

    def found_with(better: Trial) -> TreeOptions:
        def attempt(_bench: Bench, given: TrainingOptions, *_rest: Any) -> Trial:
            return trial(0) if given.trees in defaults else better

        monkeypatch.setattr("models.scoring.search.attempt_once", attempt)
        return search(bench, SEARCHING, no_steps(), 0, 1).trees

    assert found_with(trial(0.05)) != SEARCHING.trees
    # A little better on average, but not on every resample of the customers.
    doubtful = trial(0.01)
    mixed = np.array(doubtful.resampled["average_precision"]) - 0.05 * (np.arange(100) % 4 == 0)
    assert found_with(replace(doubtful, resampled={"average_precision": mixed.tolist()})) == SEARCHING.trees
    assert found_with(trial(-0.05)) == SEARCHING.trees


def test_clearly_better_options_replace_poor_ones(dataset: Dataset) -> None:
    poor = replace(SEARCHING, trees=TreeOptions(iterations=6, learning_rate=0.01, leaves=2), weeks=0)
    found = train(dataset, replace(poor, search=replace(poor.search, candidates=8)), quiet)
    chosen = found.lineage["chosen"]["trees"]
    assert chosen != asdict(poor.trees)
    assert found.metrics["search"]["chosen"] == {**chosen, "fraud_weight": 1.0}
    left = train(dataset, replace(poor, search=replace(poor.search, candidates=0)), quiet)
    assert found.metrics["average_precision"] > left.metrics["average_precision"] + 0.02


def test_the_search_is_reported(searched: Trained) -> None:
    found = searched.metrics["search"]
    assert found["rounds"] == 2
    assert found["candidates"] == 5
    assert [row["round"] for row in found["table"]] == [1] * 5 + [2] * 3
    assert {row["candidate"] for row in found["table"] if row["round"] == 2} >= {0}
    assert all(0 < row["average_precision"] <= 1 and 0 < row["recall_at_review"] <= 1 for row in found["table"])
    assert [row["fraud_weight"] for row in searched.metrics["weighting"]["tried"]] == [
        1.0,
        pytest.approx(np.sqrt(1 / fraud_share(searched)), rel=0.35),
    ]


def fraud_share(found: Trained) -> float:
    slices = found.lineage["slices"]["train"]
    return float(slices["frauds"] / slices["payments"])


@pytest.mark.parametrize(("recall", "chosen"), [(0.9, True), (0.1, False)])
def test_frauds_weigh_more_only_when_that_catches_more(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, recall: float, chosen: bool
) -> None:
    true = trials.attempt

    def attempt(bench: Bench, given: TrainingOptions, report: Any) -> Any:
        grown, found = true(bench, given, report)
        if given.trees.fraud_weight != 1.0:
            found = replace(found, resampled={**found.resampled, "recall_at_review": [recall] * 100})
        return grown, found

    monkeypatch.setattr(trials, "attempt", attempt)
    options = replace(SEARCHING, weeks=0, search=replace(SEARCHING.search, candidates=1), drop_useless=False)
    found = train(dataset, options, quiet)
    weight = found.lineage["chosen"]["trees"]["fraud_weight"]
    assert (weight > 1) == chosen
    assert found.metrics["weighting"]["chosen"] == weight


def test_calibration_takes_back_what_weights_and_thinning_shift(dataset: Dataset) -> None:
    """Margins of frauds that weigh ten times as much are far too high; probabilities are not."""
    plain = replace(SEARCHING, search=SearchOptions(candidates=0), drop_useless=False, weeks=0)
    heavy = replace(plain, trees=replace(plain.trees, fraud_weight=10.0), most_legitimate=4_000)
    learned = split(dataset, plain.split)
    margins = [grow(learned.train, options, lambda _: None).margin(learned.test.matrix) for options in (plain, heavy)]
    assert margins[1].mean() - margins[0].mean() > 1.5
    for options in (plain, heavy):
        assert 0.8 < train(dataset, options, quiet).metrics["calibration_ratio"] < 1.25


def test_a_weight_of_two_is_as_good_as_the_payment_twice(dataset: Dataset) -> None:
    """Few distinct values, so that both are put into the same bins."""
    rows = split(dataset, SEARCHING.split).train
    coarse = replace(rows, matrix=np.round(rows.matrix * 2) / 2)
    twice = np.sort(np.concatenate([np.arange(len(rows)), np.flatnonzero(rows.is_fraud)]))
    many = [name for name, column in zip(NAMES, coarse.matrix.T, strict=True) if len(np.unique(column)) > 200]
    trees = TreeOptions(iterations=20, learning_rate=0.2, least_in_leaf=1, feature_share=1.0)
    options = replace(SEARCHING, trees=trees, dropped=tuple(many))
    heavy = replace(options, trees=replace(options.trees, fraud_weight=2.0))
    weighted = grow(coarse, heavy, lambda _: None)
    repeated = grow(coarse.rows(twice), options, lambda _: None)
    np.testing.assert_allclose(weighted.margin(coarse.matrix), repeated.margin(coarse.matrix), atol=1e-6)


def test_thresholds_stay_between_the_same_singles() -> None:
    random = np.random.default_rng(6)
    values = np.concatenate([random.normal(0, 10.0 ** random.integers(-6, 9, 5_000)), np.arange(100) / 3, [0.0]])
    singles = values.astype(np.float32)
    on_values = between_singles(singles.astype(np.float64))
    # The value itself goes left, rounded or not; its neighbour above goes right.
    assert (values <= on_values).all()
    assert (np.nextafter(singles, np.float32(np.inf)).astype(np.float64) > on_values).all()
    below = np.nextafter(singles, np.float32(-np.inf)).astype(np.float64)
    assert (singles > between_singles(below)).all()
    assert (values > between_singles(below)).all()


def test_growing_in_steps_is_growing_at_once(dataset: Dataset) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    options = replace(SEARCHING, trees=replace(SEARCHING.trees, iterations=200, feature_share=1.0))
    rows, trees = split(dataset, options.split).train, options.trees
    told: list[float] = []
    grown = grow(rows, options, told.append)
    at_once = HistGradientBoostingClassifier(
        max_iter=trees.iterations, learning_rate=trees.learning_rate, max_leaf_nodes=trees.leaves,
        min_samples_leaf=trees.least_in_leaf, l2_regularization=trees.l2, early_stopping=False, random_state=7,
    ).fit(rows.matrix[:, grown.columns], rows.is_fraud)  # fmt: skip
    assert told == [0, 1 / 2, 1]
    assert grown.ensemble().trees == trees.iterations
    np.testing.assert_array_equal(grown.margin(rows.matrix), at_once.decision_function(rows.matrix[:, grown.columns]))


def test_useless_features_are_dropped_and_said(dataset: Dataset, bench: Bench, searched: Trained) -> None:
    dropped = useless_features(bench, SEARCHING, no_steps(), 0, 1)
    assert "amount_to_own_median" not in dropped
    assert "merchant_risk_7d" not in dropped
    said = searched.metrics["dropped_features"]
    constant_or_unknown = {"customer_new", "merchant_new", "ip_velocity_1h_count"}
    assert constant_or_unknown <= set(said)
    assert set(said) & set(searched.lineage["chosen"]["features"]) == set()
    assert set(said) | set(searched.lineage["chosen"]["features"]) == set(NAMES)
    used = Scorer.load(searched.artifact).ensemble
    assert not {NAMES[column] for column in np.unique(used.feature[used.left != -1])} & set(said)


def test_a_feature_without_which_the_model_ranks_worse_stays(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if its splits gained nothing: the second look, at the ranking without it, keeps everything."""

    def nothing(grown: Any) -> Any:
        shares = gain_shares(grown)
        shares[np.isin(np.array(NAMES)[grown.columns], ["amount_to_own_median", "merchant_risk_7d"])] = 0
        return shares

    monkeypatch.setattr("models.scoring.selection.gain_shares", nothing)
    assert useless_features(bench, SEARCHING, no_steps(), 0, 1) == []


def test_columns_that_say_nothing_are_never_given_to_trees(dataset: Dataset) -> None:
    matrix = dataset.matrix[:2_000].copy()
    matrix[:, 5] = 3.0
    matrix[:, 6] = np.nan
    matrix[:, 7] = np.where(np.arange(2_000) < 1_000, np.nan, 3.0)
    matrix[:, 8] = np.where(np.arange(2_000) < 10, 1.0, np.nan)
    columns = set(useful_columns(matrix, replace(SEARCHING, dropped=(NAMES[9],))).tolist())
    assert not {5, 6, 8, 9} & columns
    assert {4, 7} <= columns


def test_thinning_keeps_every_fraud_and_goes_over_the_days(dataset: Dataset) -> None:
    rows = split(dataset, SEARCHING.split).train
    kept = thin(rows, replace(SEARCHING, most_legitimate=500))
    assert rows.is_fraud[kept].sum() == rows.is_fraud.sum()
    assert 250 <= (~rows.is_fraud[kept]).sum() <= 500
    days = np.unique(rows.occurred_at_ms[kept] // 86_400_000)
    assert len(days) == len(np.unique(rows.occurred_at_ms // 86_400_000))


def test_recall_counts_what_the_budget_lets_through(bench: Bench) -> None:
    perfect = judged(bench, bench.judge.is_fraud.astype(np.float64), review_share=1.0)
    assert perfect.recall_at_review == 1.0
    assert perfect.average_precision == 1.0
    half = judged(bench, bench.judge.is_fraud.astype(np.float64), review_share=bench.judge.is_fraud.mean() / 2)
    assert half.recall_at_review == pytest.approx(0.5, abs=0.02)
    assert len(half.resampled["recall_at_review"]) == SEARCHING.search.resamples


def test_past_weeks_are_judged_with_what_was_known_before_them(searched: Trained) -> None:
    weeks = searched.metrics["weeks"]
    assert len(weeks) == 2
    assert weeks[0]["until"] == weeks[1]["from"]
    assert weeks[1]["until"] <= searched.lineage["slices"]["test"]["until"]
    assert all(week["average_precision"] > 0.3 and 0.5 < week["calibration_ratio"] < 2 for week in weeks)
    assert searched.lineage["chosen"]["weeks_train_days"] in (7, 14, 28)


def test_a_short_history_has_no_past_weeks() -> None:
    found = train(
        make_dataset(rows=6_000, days=34), replace(SEARCHING, weeks=4, search=SearchOptions(candidates=0)), quiet
    )
    assert len(found.metrics["weeks"]) < 4


def test_everything_together_is_deterministic(dataset: Dataset, searched: Trained) -> None:
    again = train(dataset, SEARCHING, quiet)
    assert again.artifact == searched.artifact
    assert again.metrics["search"] == searched.metrics["search"]


def test_vectors_of_single_precision_are_learned_from_and_served_exactly(dataset: Dataset) -> None:
    """A million payments are held so: what the scorer reads has more digits, and lands in the same leaves."""
    options = replace(SEARCHING, weeks=0, search=SearchOptions(candidates=0))
    halved = replace(dataset, matrix=dataset.matrix.astype(np.float32))
    found = train(halved, options, quiet)
    scorer = Scorer.load(found.artifact)
    margins = scorer.score(dataset.matrix).margin
    np.testing.assert_array_equal(margins, scorer.score(halved.matrix).margin)
    grown = grow(
        split(halved, options.split).train,
        replace(options, dropped=tuple(found.metrics["dropped_features"])),
        lambda _: None,
    )
    np.testing.assert_allclose(scorer.score(halved.matrix).margin, grown.margin(halved.matrix), rtol=0, atol=1e-9)
    whole = train(dataset, options, quiet).metrics["average_precision"]
    assert found.metrics["average_precision"] == pytest.approx(whole, abs=0.01)


# Cut short, and taken up again


class Stopper:
    """Answers True from the n-th time it is asked."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_it_stops_soon_after_it_was_asked_to(dataset: Dataset) -> None:
    told: list[str] = []
    with pytest.raises(TrainingCancelled):
        train(dataset, SEARCHING, lambda _fraction, step: told.append(step), cancelled=Stopper(12))
    assert len(told) == 12


def test_what_was_done_is_not_done_again(
    dataset: Dataset, searched: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = FolderCheckpoints(tmp_path)
    told: list[str] = []
    with pytest.raises(TrainingCancelled):
        train(
            dataset, SEARCHING, lambda _fraction, step: told.append(step),
            cancelled=lambda: any("weighing" in step for step in told), checkpoints=kept,
        )  # fmt: skip
    attempts: list[TrainingOptions] = []
    true = trials.attempt

    def counted(bench: Bench, given: TrainingOptions, report: Any) -> Any:
        attempts.append(given)
        return true(bench, given, report)

    monkeypatch.setattr(trials, "attempt", counted)
    again = train(dataset, SEARCHING, quiet, checkpoints=kept)
    assert [given.trees.fraud_weight > 1 for given in attempts] == [True]
    assert again.artifact == searched.artifact


def test_answers_of_other_data_or_options_are_not_used(dataset: Dataset, tmp_path: Path) -> None:
    kept = FolderCheckpoints(tmp_path)
    train(dataset, SEARCHING, quiet, checkpoints=kept)
    keys = set(tmp_path.iterdir())
    train(dataset.rows(np.arange(11_000)), replace(SEARCHING, weeks=0), quiet, checkpoints=kept)
    train(dataset, replace(SEARCHING, seed=9, weeks=0), quiet, checkpoints=kept)
    assert len(set(tmp_path.iterdir()) - keys) == 2


def test_half_a_checkpoint_is_none(tmp_path: Path) -> None:
    kept = FolderCheckpoints(tmp_path / "new")
    assert kept.read("a") is None
    kept.keep("a", {"x": 1})
    assert kept.read("a") == {"x": 1}
    (tmp_path / "new" / "a.json").write_text('{"x": ')
    assert kept.read("a") is None
    (tmp_path / "file").write_text("")
    FolderCheckpoints(tmp_path / "file" / "below").keep("a", 1)


def test_the_lineage_says_what_the_model_was_made_of(dataset: Dataset) -> None:
    options = replace(SEARCHING, weeks=0, search=SearchOptions(candidates=0))
    found = train(dataset, options, quiet, provenance={"data": {"until": "2026-01-01"}})
    lineage = found.lineage
    assert lineage["data"] == {"until": "2026-01-01"}
    assert lineage["dataset_sha256"] == dataset.sha256()
    assert lineage["labels"]["used"] == "presume"
    assert lineage["options"]["seed"] == 7
    assert {"numpy", "scikit-learn"} <= lineage["libraries"].keys()
    assert len(lineage["code_sha256"]) == 64
    assert Scorer.load(found.artifact).lineage == lineage == json.loads(json.dumps(lineage, allow_nan=False))
    assert training.NEVER == 1.0


# Leaks


def test_a_feature_that_knew_only_old_answers_is_refused(dataset: Dataset) -> None:
    """Filled in after the fact: payments of the training slice have it, younger ones do not yet."""
    parts = split(dataset, SEARCHING.split)
    old = dataset.occurred_at_ms < parts.train_until_ms
    noise = np.random.default_rng(2).random(len(dataset))
    matrix = dataset.matrix.copy()
    matrix[:, NAMES.index("card_velocity_7d_count")] = np.where(old, dataset.label, 0) + 0.1 * noise
    found = train(replace(dataset, matrix=matrix), replace(SEARCHING, weeks=0), quiet)
    gates = {gate["name"]: gate for gate in found.metrics["gates"]}
    assert not gates["no_leaking_feature"]["passed"]
    assert "card_velocity_7d_count alone" in gates["no_leaking_feature"]["detail"]


@pytest.mark.parametrize("seed", [1, 2])
def test_shuffled_labels_are_refused_whatever_the_search_finds(dataset: Dataset, seed: int) -> None:
    shuffled = replace(dataset, label=np.random.default_rng(seed).permutation(dataset.label))
    refusals = []
    try:
        found = train(shuffled, replace(SEARCHING, weeks=0), quiet)
        refusals = [gate["detail"] for gate in found.metrics["gates"] if not gate["passed"]]
    except TrainingImpossible as error:
        refusals = [error.detail]
    assert any("chance" in said or "times the fraud rate" in said for said in refusals)
