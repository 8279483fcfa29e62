"""Costs, segments, weeks and the model card: small examples worked out by hand."""

import re
from dataclasses import replace

import numpy as np
import pytest

from models.scoring import evaluation, weekly
from models.scoring.artifact import Thresholds
from models.scoring.card import model_card
from models.scoring.costs import CostModel, cost_report
from models.scoring.dataset import Dataset, Segment
from models.scoring.intervals import Resamples
from models.scoring.leakage import leakage
from models.scoring.prequential import DAY_MS, week_figures, weeks_back
from models.scoring.scorer import Scorer
from models.scoring.segments import segment_figures
from models.scoring.training import Trained
from models.scoring.weekly import learn
from tests.unit.models.conftest import OPTIONS, START_MS


def payments(dataset: Dataset, label: list[int], amount: list[int], day: list[int] | None = None) -> Dataset:
    rows = dataset.rows(np.arange(len(label)))
    times = np.array(day or [0] * len(label)) * DAY_MS
    return replace(
        rows, label=np.array(label), amount=np.array(amount), occurred_at_ms=times, customer=np.arange(len(label))
    )


def test_a_threshold_costs_alerts_missed_frauds_and_declined_customers(dataset: Dataset) -> None:
    rows = payments(dataset, [1, 0, 1, 0], [10_000, 5_000, 2_000, 700])
    found = cost_report(
        rows, np.array([0.9, 0.8, 0.3, 0.1]), Thresholds(0.5, 0.8), CostModel(review_cost=100, friction_share=0.1)
    )
    by_threshold = {point[0]: point[1:] for point in found["cost_curve"]}
    # All four flagged: 4 alerts, nothing missed, one genuine payment of 5,000 declined.
    assert by_threshold[0.1] == [4 * 100 + 500, 4, 12_000]
    assert by_threshold[0.9] == [100 + 2_000, 1, 10_000]
    chosen = found["costs"]["chosen"]
    assert (chosen["threshold"], chosen["cost"], chosen["alerts"]) == (0.5, 200 + 2_000 + 500, 2)
    assert found["costs"]["cheapest"]["threshold"] == 0.3
    assert found["costs"]["cheapest"]["cost"] == 300 + 500
    assert found["costs"]["nothing"] == 12_000
    assert found["costs"]["currency"] is None


def test_a_payment_that_stands_for_others_costs_as_much_as_they(dataset: Dataset) -> None:
    rows = replace(payments(dataset, [1, 0], [1_000, 1_000]), weight=np.array([3.0, 1.0]))
    found = cost_report(rows, np.array([0.2, 0.1]), Thresholds(0.5, 1.0), CostModel())
    assert found["costs"]["nothing"] == 3_000


def test_the_curve_names_the_one_currency_there_is(dataset: Dataset) -> None:
    rows = payments(dataset, [1, 0], [1_000, 1_000])
    for code, expected in (([1, 1], "EUR"), ([0, 1], None), ([-1, -1], None)):
        currency = {"currency": Segment(("BRL", "EUR"), np.array(code))}
        found = cost_report(replace(rows, segments=currency), np.array([0.2, 0.1]), Thresholds(0.5, 1.0), CostModel())
        assert found["costs"]["currency"] == expected


def test_the_curve_stays_small(dataset: Dataset) -> None:
    probability = np.random.default_rng(1).random(len(dataset))
    curve = cost_report(dataset, probability, Thresholds(0.5, 0.9), CostModel())["cost_curve"]
    assert len(curve) <= 60
    assert [point[0] for point in curve] == sorted((point[0] for point in curve), reverse=True)
    assert min(point[2] for point in curve) == 1
    assert max(point[2] for point in curve) == len(dataset)


def test_weights_count_in_every_figure(dataset: Dataset) -> None:
    """A payment of weight 2 is as good as two payments."""
    rows = payments(dataset, [1, 0, 1, 0], [1, 1, 1, 1])
    score = np.array([0.9, 0.8, 0.7, 0.1])
    weighted = evaluation.scalars(replace(rows, weight=np.array([1.0, 2, 1, 1])), score, Thresholds(0.75, 1.0))
    copied = evaluation.scalars(rows.rows(np.array([0, 1, 1, 2, 3])), score[[0, 1, 1, 2, 3]], Thresholds(0.75, 1.0))
    for name in (
        "average_precision",
        "roc_auc",
        "brier",
        "calibration_ratio",
        "recall_at_review",
        "precision_at_review",
    ):
        assert weighted[name] == pytest.approx(copied[name]), name


def test_the_calibration_error_is_the_mean_distance_of_the_bins() -> None:
    probability = np.repeat([0.1, 0.5], [100, 20])
    fraud = np.concatenate([np.arange(100) < 20, np.arange(20) < 10])
    bins = evaluation.reliability(fraud, probability, bins=2)
    assert bins == [[pytest.approx(0.1), 0.2, 100], [0.5, 0.5, 20]]
    expected = sum(abs(m - r) * n for m, r, n in evaluation.reliability(fraud, probability)) / 120
    assert evaluation.expected_calibration_error(fraud, probability) == pytest.approx(expected)
    assert evaluation.expected_calibration_error(fraud, np.repeat([0.2, 0.5], [100, 20])) < expected


def test_recall_at_a_false_alarm_rate_by_hand() -> None:
    fraud = np.array([True, False, True, False, False, False, True])
    score = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.1])
    assert evaluation.recall_at_fpr(fraud, score, 0.0) == pytest.approx(1 / 3)
    assert evaluation.recall_at_fpr(fraud, score, 0.25) == pytest.approx(2 / 3)
    assert evaluation.recall_at_fpr(fraud, score, 1.0) == 1.0


def test_segments_with_too_few_frauds_have_no_figures_of_their_own(dataset: Dataset) -> None:
    label, channel = [1] * 3 + [0] * 9 + [1] + [0] * 3, [0] * 12 + [1] * 4
    rows = payments(dataset, label, [100] * 16)
    rows = replace(rows, segments={"channel": Segment(("web", "pos", "unused"), np.array(channel))})
    score = np.linspace(0.9, 0.1, 16)
    draws = Resamples.of(rows.customer, 20, 1)
    found = segment_figures(rows, score, None, 0.5, draws, least_frauds=2, confidence=0.95)
    assert [(one["name"], one["payments"], one["frauds"]) for one in found] == [("web", 12, 3), ("pos", 4, 1)]
    assert (found[0]["average_precision"], found[0]["recall_at_review"]) == (1.0, 1.0)
    assert (found[1]["average_precision"], found[1]["calibration_ratio"], found[1]["recall_at_review"]) == (
        None,
        None,
        0.0,
    )
    assert found[0]["gain"] is None


def test_more_segments_make_wider_intervals(dataset: Dataset, scorer: Scorer) -> None:
    """With many of them one would look worse by chance."""
    random = np.random.default_rng(1)
    ours = scorer.score(dataset.matrix).probability
    theirs = ours * random.uniform(0.8, 1.2, len(ours))
    draws = Resamples.of(dataset.customer, 60, 1)
    widths = []
    for parts in (1, 12):
        code = np.where(np.arange(len(ours)) % 2 == 0, 0, np.arange(len(ours)) // 2 % parts)
        code = (
            np.where(np.arange(len(ours)) % 2 == 0, 0, 1 + code)
            if parts > 1
            else np.where(np.arange(len(ours)) % 2 == 0, 0, -1)
        )
        names = tuple(f"part {number}" for number in range(parts + 1))
        rows = replace(dataset, segments={"channel": Segment(names, code)})
        low, high = segment_figures(rows, ours, theirs, 0.5, draws, least_frauds=5, confidence=0.95)[0]["gain"]
        widths.append(high - low)
    assert widths[1] > 1.3 * widths[0]


def test_weeks_are_counted_back_from_the_last_day() -> None:
    """80 days: with 7 learned and 7 of delay a week may begin on day 44 at the earliest, 30 days of warm-up before its training."""
    weeks = weeks_back(START_MS, START_MS + 80 * DAY_MS - 1, train_days=7, delay_days=7, warm_up_days=30)
    end = (START_MS + 80 * DAY_MS - 1) // DAY_MS * DAY_MS + DAY_MS
    assert [(end - week.test_from_ms) // DAY_MS for week in weeks] == [35, 28, 21, 14, 7]
    assert all(week.test_until_ms - week.test_from_ms == 7 * DAY_MS for week in weeks)
    assert all(week.test_from_ms - week.learn_until_ms == 7 * DAY_MS for week in weeks)
    assert all(week.learn_until_ms - week.learn_from_ms == 7 * DAY_MS for week in weeks)


def test_a_week_of_one_kind_has_no_ranking(dataset: Dataset) -> None:
    rows = payments(dataset, [1, 0, 0], [1, 1, 1], day=[0, 0, 7])
    score = np.array([0.8, 0.1, 0.2])
    first, second = (week_figures(rows, score, from_ms=d * DAY_MS, until_ms=(d + 7) * DAY_MS) for d in (0, 7))
    assert (first["average_precision"], first["calibration_ratio"]) == (1.0, pytest.approx(0.9))
    assert (second["payments"], second["frauds"], second["average_precision"], second["brier"]) == (1, 0, None, None)


def test_what_the_payment_says_of_itself_is_no_leak(dataset: Dataset, scorer: Scorer) -> None:
    strength = np.ones(dataset.matrix.shape[1])
    found = leakage(scorer.ensemble, dataset, strength, seed=1)
    own = {one["name"]: one["own"] for one in found["alone"]}
    assert own["amount_to_own_median"] is False
    assert found["labels_too_early"] == 0
    rows = replace(dataset, reported_at_ms=dataset.occurred_at_ms - 1, label=np.full(len(dataset), -1))
    assert (
        leakage(scorer.ensemble, replace(rows, label=np.r_[1, 0, rows.label[2:]]), strength, 1)["labels_too_early"] == 2
    )


@pytest.mark.parametrize(("days", "least_frauds", "growths"), [(40, 50, 2), (40, 1_000, 4), (3, 50, 4)])
def test_a_window_is_calibrated_without_the_payments_after_it(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, days: int, least_frauds: int, growths: int
) -> None:
    """Both ways: a held-back end, and thirds where that is short of frauds."""
    monkeypatch.setattr(weekly, "_LEAST_FRAUDS", least_frauds)
    inside = dataset.occurred_at_ms < START_MS + days * DAY_MS
    rows, later = dataset.rows(inside), dataset.rows(~inside)
    steps: list[float] = []
    learned = learn(rows, OPTIONS, steps.append)
    assert steps == sorted(steps)
    assert steps[-1] == 1.0
    assert {round(step * growths, 6) for step in steps} == set(range(growths + 1))
    probability = learned.probability(learned.margin(later.matrix))
    assert 0.6 < probability.mean() / later.is_fraud.mean() < 1.6
    assert evaluation.recall_at_fpr(later.is_fraud, probability, 0.05) > 0.3


def test_the_card_tells_what_a_reader_needs_and_nothing_in_it_is_html(trained: Trained, dataset: Dataset) -> None:
    segment = {"by": "merchant_category", "name": "a|b <script>", "payments": 5, "frauds": 1, "gain": None}
    metrics = {**trained.metrics, "segments": [segment]}
    card = model_card("model-1", metrics, trained.lineage, stage="candidate", trained_at="2026-01-31")
    for title in ("Intended use", "Data and lineage", "Figures", "Segments", "Calibration", "Thresholds and costs", "Checks",
                  "Limits", "How to reproduce"):  # fmt: skip
        assert f"\n## {title}\n" in card
    assert "\n## Stability over weeks\n" not in card
    assert dataset.sha256() in card
    assert f"{trained.metrics['average_precision']:.3f}" in card
    low, high = trained.metrics["intervals"]["average_precision"]
    assert f"{low:.3f} to {high:.3f}" in card
    assert r"a\|b \<script>" in card
    assert re.search(r"(?<!\\)<", card) is None


def test_every_line_of_a_table_has_as_many_cells(trained: Trained) -> None:
    card = model_card(
        "m", {**trained.metrics, "champion": trained.metrics, "gain": {}}, trained.lineage, stage="shadow"
    )
    for table in re.findall(r"(?:^\|.*\n)+", card, flags=re.M):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_an_older_models_card_leaves_out_what_its_report_lacks() -> None:
    card = model_card("m", {"average_precision": 0.5, "payments": 10, "frauds": 2}, {}, stage="retired")
    assert "| Average precision | 0.500 |" in card
    assert "\n## Segments\n" not in card
