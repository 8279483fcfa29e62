"""A model's report: every part in words and drawn inside its frame, and reports from before a part was made."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from console.router import templates
from console.views.curves import cost_curve, weekly
from console.views.figures import gained, report_figures, standing
from console.views.lineage import lineage
from console.views.models import agreed
from console.views.plots import PLOT_BOTTOM, PLOT_LEFT, PLOT_RIGHT, PLOT_TOP, Axis, Plot, log_shares, nice_ticks
from console.views.report import report, verdict
from console.views.slices import segments
from core.base.terms import ModelStage
from core.tables.policy import RegisteredModel
from tests.console_reports import a_lineage, a_report

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def a_model(metrics: dict[str, Any], **changes: Any) -> RegisteredModel:
    values: dict[str, Any] = {
        "id": "0123456789ab", "artifact_sha": "0123456789ab" * 5, "artifact_size": 412_000, "stage": "candidate",
        "catalogue_version": 2, "metrics": metrics, "lineage": a_lineage(), "trained_at": NOW,
        "requested_by": "system:schedule",
    }  # fmt: skip
    return RegisteredModel(**{**values, **changes})


def page_of(model: RegisteredModel) -> str:
    """The rendered page, as a viewer sees it."""
    user = SimpleNamespace(
        name="A viewer", role="viewer", email="viewer@localhost", density="compact", single_keys=True
    )
    context = {"user": user, "csrf_token": "t", "theme": "system", "themes": [], "path": f"/models/{model.id}"}
    shown = report(model, None, {}, NOW)
    return (
        templates()
        .get_template("model.html")
        .render(**context, session=None, report=shown, places=[], shadow=None, watch=None, may_change=False)
    )


def parts_of(html: str) -> dict[str, str]:
    """Text of each section of the page by its heading."""
    found = re.findall(r'<h2 id="([a-z-]+)-title"[^>]*>(.*?)(?=<h2 id=|</main>)', html, re.DOTALL)
    return {name: " ".join(re.sub(r"<[^>]+>", " ", body).split()) for name, body in found}


def every_plot(model: RegisteredModel) -> list[Plot]:
    shown = report(model, None, {}, NOW)
    plots = [shown.precision_recall, shown.reliability, shown.cost, shown.stability]
    return [plot for plot in plots if plot]


def test_every_part_of_a_report_is_shown() -> None:
    parts = parts_of(page_of(a_model(a_report())))
    assert "0.742 0.701 to 0.779 0.715 +0.012 to +0.044 better" in parts["figures"]
    assert "−1.0 to +6.0 points no clear difference" in parts["figures"]
    assert "Brier score 0.00231, calibration error (ECE) 0.00042, 1.04 frauds expected" in parts["curves"]
    assert "At the review threshold" in parts["curves"]
    assert "The champion on the same payments" in parts["curves"]
    assert "Approving everything none €94,000 0 €0" in parts["curves"]
    assert "from 0.695 to 0.728" in parts["stability"]
    assert "atm 2,210 4 too few frauds" in parts["segments"]
    assert "−0.061 to −0.004 worse" in parts["segments"]
    assert "12 settings in 3 rounds" in parts["training"]
    assert (
        "Weight of a fraud against an honest payment: 1; tried: 1 (recall at review 71.0%), 10.2" in parts["training"]
    )
    assert "0.871 22% 12%" in parts["leakage"]
    assert "said by the payment itself 0.802" in parts["leakage"]
    assert "25 µs a payment" in parts["latency"]
    assert "0.811" in parts["anomaly"]
    assert "chargeback 1,204" in parts["lineage"].replace("Chargeback", "chargeback")
    assert "20 Nov 2026, 00:00 UTC" in parts["lineage"]


def test_a_report_from_before_these_figures_says_what_is_missing() -> None:
    html = page_of(a_model({"average_precision": 0.5, "roc_auc": 0.9}, lineage={}))
    parts = parts_of(html)
    assert "0.500" in parts["figures"]
    assert "holds no curves" in parts["curves"]
    assert "Not measured" in parts["stability"]
    assert "Not measured" in parts["segments"]
    assert "No search" in parts["training"]
    assert "Not checked" in parts["leakage"]
    assert "This model has none" in parts["anomaly"]
    assert "Nothing was recorded" in parts["lineage"]
    assert "None" not in html


def test_a_model_without_any_figure_still_has_a_page() -> None:
    assert "holds no figures" in parts_of(page_of(a_model({}, lineage={})))["figures"]


def test_null_is_no_figure() -> None:
    empty = dict.fromkeys(a_report())
    assert "holds no figures" in parts_of(page_of(a_model(empty)))["figures"]


def test_names_that_came_from_payments_are_escaped() -> None:
    row = {"by": "channel", "name": "<script>alert(1)</script>", "payments": 1, "frauds": 0, "average_precision": None}
    assert "<script>alert" not in page_of(a_model(a_report(segments=[row])))


def test_a_refused_models_reasons_stand_on_top() -> None:
    html = page_of(a_model(a_report(), stage="refused", refusals=["expects 3.10 times the frauds that came"]))
    assert html.index("Expects 3.10 times") < html.index('id="figures"')


def points_of(plot: Plot) -> list[tuple[float, float]]:
    texts = [pair for shape in [line.points for line in plot.lines] + plot.bands for pair in shape.split()]
    texts += [f"{dot.x},{dot.y}" for dot in plot.dots]
    return [(float(x), float(y)) for x, _, y in (text.partition(",") for text in texts)]


def test_everything_that_is_drawn_stays_inside_its_frame() -> None:
    plots = every_plot(a_model(a_report()))
    assert len(plots) == 4
    for plot in plots:
        points = points_of(plot)
        assert points, plot.title
        assert all(PLOT_LEFT <= x <= PLOT_RIGHT and PLOT_TOP <= y <= PLOT_BOTTOM for x, y in points), plot.title


def test_chosen_thresholds_are_marked_where_they_stand_on_the_cost_curve() -> None:
    plot = cost_curve([[0.001, 500_00, 10, 0], [0.1, 200_00, 3, 0]], "EUR", 400_00, {"review": 0.01, "decline": 1.0})
    assert plot is not None
    [mark] = plot.marks  # a threshold of 1 declines nothing: there is no line to draw
    axis = log_shares("", 0.001)
    assert float(mark.x) == pytest.approx(PLOT_LEFT + axis.share(0.01) * (PLOT_RIGHT - PLOT_LEFT), abs=0.1)
    assert mark.label == "review 1.0%"
    assert [tick.label for tick in plot.x_ticks] == ["0.1%", "1%", "10%", "100%"]
    assert plot.y_ticks[-1].label == "€500"
    assert plot.table[0] == ("0.10%", "€500", "10", "€0")


def test_costs_without_one_currency_are_plain_numbers() -> None:
    plot = cost_curve([[0.1, 1_200_000.0, 3, 0]], None, None, {})
    assert plot is not None
    assert plot.y_ticks[-1].label == "12.5K"
    assert cost_curve([], "EUR", None, {}) is None


def test_a_week_without_a_figure_leaves_no_point() -> None:
    weeks = [{"from": "2026-10-05T00:00:00Z", "ap": 0.5}, {"from": "2026-10-12T00:00:00Z", "ap": None}]
    plot = weekly("Weeks", weeks, [("ap", "AP", "champion"), ("other", "Other", "flat")])
    assert plot is not None
    assert (len(plot.lines), len(plot.dots)) == (1, 1)
    assert weekly("Weeks", weeks, [("other", "Other", "flat")]) is None


def test_weeks_stand_by_their_dates() -> None:
    starts = ("2026-10-05", "2026-10-12", "2026-11-02")
    plot = weekly("Weeks", [{"from": f"{start}T00:00:00Z", "ap": 0.5} for start in starts], [("ap", "AP", "champion")])
    assert plot is not None
    first, second, third = (float(dot.x) for dot in plot.dots)
    assert (third - second) / (second - first) == pytest.approx(3, abs=0.01)


@pytest.mark.parametrize(
    ("high", "ticks"), [(100, [0, 20, 40, 60, 80, 100]), (7, [0, 2, 4, 6, 8]), (0.9, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (0, [0, 1])]
)  # fmt: skip
def test_axes_end_on_round_numbers(high: float, ticks: list[float]) -> None:
    assert nice_ticks(high) == pytest.approx(ticks)


def test_a_point_beyond_an_axis_is_drawn_on_its_edge() -> None:
    assert Axis("", 0, 10).share(12) == 1
    assert log_shares("", 0.001).share(0) == 0


@pytest.mark.parametrize(
    ("gain", "expected"), [([0.01, 0.02], "better"), ([-0.02, -0.01], "worse"), ([-0.01, 0.02], "alike"), (None, "")]
)
def test_only_a_whole_interval_beyond_zero_is_a_difference(gain: list[float] | None, expected: str) -> None:
    assert standing(gain) == expected


def test_figures_are_compared_by_the_intervals_of_their_gains_alone() -> None:
    rows = {row.title: row for row in report_figures(a_report())}
    assert rows["Brier score"].standing == "better"  # gains are positive where the model is better, whatever the figure
    assert rows["Card precision@100"].standing == ""  # 31.5% beside 31.1%, but nobody knows how sure that is
    assert rows["Calibration"].standing == "alike"
    assert gained([-0.0125, 0.004], "percent") == "−1.2 to +0.4 points"


def test_the_verdict_says_what_the_model_does_and_how_it_stands() -> None:
    assert verdict(a_report()).startswith("It finds 78% of the frauds with 43 alerts a day, 41% of which are fraud.")
    assert "ranks better than the champion" in verdict(a_report())
    assert "No difference" in verdict(a_report(gain={"average_precision": [-0.01, 0.01]}))
    assert "champion" not in verdict(a_report(gain=None))
    assert verdict({"average_precision": 0.4}) == ""


def test_segments_keep_their_kinds_together() -> None:
    groups = segments(a_report()["segments"])
    assert [(group.title, len(group.rows)) for group in groups] == [("Channel", 3), ("Amount", 3)]


def test_small_segments_are_counted_together() -> None:
    small = [
        {"by": "merchant_category", "name": f"{place}", "payments": 10, "frauds": 1, "average_precision": None}
        for place in range(9)
    ]
    [group] = segments([{**small[0], "name": "large", "average_precision": 0.5}, *small])
    assert [row.name for row in group.rows] == ["large", "0", "1", "2", "6 more"]
    assert (group.rows[-1].payments, group.rows[-1].frauds, group.rows[-1].rest) == ("60", "6", True)
    [whole] = segments(small[:4])
    assert len(whole.rows) == 4  # one row would not become shorter


def test_lineage_of_any_depth_is_titles_and_values() -> None:
    parts = {part.title: {fact.title: fact.value for fact in part.facts} for part in lineage(a_lineage())}
    assert parts["Labels: by source"]["Chargeback"] == "1,204"
    assert parts["Slices: training"]["Payments"] == "160,000"
    assert parts["Libraries"]["scikit-learn"] == "1.9.1"
    assert list(parts) == ["In short", "Labels", "Labels: by source", "Slices: training", "Libraries"]


def test_settings_fold_away_and_long_lists_and_hashes_are_shortened() -> None:
    [part, below] = lineage(
        {
            "options": {
                "trees": {"leaves": 6},
                "sha256": "0123456789abcdef" * 4,
                "names": ["a"] * 40,
                "none": None,
                "yes": True,
            }
        }
    )
    assert part.folded
    assert (below.title, below.facts[0].title) == ("options.trees", "leaves")
    values = {fact.title: fact.value for fact in part.facts}
    assert values == {"sha256": "012345678…789abcdef", "names": "40 entries", "none": "none", "yes": "yes"}


def test_agreement_is_told_in_payments_and_alerts() -> None:
    counts = {"payments": 2_000, "same_outcome": 1_990, "more_alerts": 7, "fewer_alerts": 3}
    words = agreed({**counts, "mean_absolute_difference": 0.0123, "correlation": None})
    assert words is not None
    assert (
        words.sentence == "Same outcome for 99.5% of 2,000 live payments; 7 alerts more and 3 fewer than were opened."
    )
    assert words.correlation == "not known"
    assert agreed(dict.fromkeys(counts, 0)) is None


@pytest.mark.parametrize("stage", ModelStage)
def test_every_stage_has_a_page(stage: ModelStage) -> None:
    assert f"stage-{stage}" in page_of(a_model(a_report(), stage=stage.value))


def test_the_console_runs_without_the_libraries_of_training() -> None:
    """The web image does not hold them."""
    program = "import sys, console.router; print(sorted({'numpy', 'scipy', 'sklearn', 'shap'} & sys.modules.keys()))"
    home = Path(__file__).parents[3]
    ran = subprocess.run([sys.executable, "-c", program], cwd=home, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
