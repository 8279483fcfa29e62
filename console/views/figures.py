"""A model's figures in words: alone with their intervals, and beside the champion's on the same payments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from console.i18n import gettext as _
from console.i18n import marked
from console.views.words import count, digits, not_known, number, percent, span
from core.base.terms import ModelStage
from core.tables.policy import RegisteredModel


@dataclass(frozen=True)
class Figure:
    key: str
    title: str
    explanation: str
    kind: str
    """How it is written: number, percent, count, small, ratio."""
    more_is_better: bool | None
    """None = neither."""


FIGURES: Final = (
    Figure(
        "average_precision",
        marked("Average precision"),
        marked("Area under the precision-recall curve"),
        "number",
        True,
    ),
    Figure("roc_auc", marked("ROC AUC"), marked("Chance that a fraud scores above an honest payment"), "number", True),
    Figure(
        "card_precision_100",
        marked("Card precision@100"),
        marked("Share of compromised cards among the 100 riskiest of a day"),
        "percent",
        True,
    ),
    Figure(
        "recall_at_review",
        marked("Recall at review"),
        marked("Share of the frauds that reach a person or are declined"),
        "percent",
        True,
    ),
    Figure(
        "precision_at_review",
        marked("Precision at review"),
        marked("Share of the alerts that are fraud"),
        "percent",
        True,
    ),
    Figure("alerts_per_day", marked("Alerts a day"), marked("At the review threshold"), "count", None),
    Figure(
        "brier", marked("Brier score"), marked("Mean squared error of the probability; less is better"), "small", False
    ),
    Figure(
        "ece",
        marked("Calibration error"),
        marked("Mean gap between score and fraud rate; less is better"),
        "small",
        False,
    ),
    Figure(
        "calibration_ratio",
        marked("Calibration"),
        marked("Expected frauds over found ones; 1.00 is right"),
        "ratio",
        None,
    ),
    Figure("payments", marked("Payments tested"), marked("In the test window"), "count", None),
    Figure("frauds", marked("Frauds tested"), marked("In the test window"), "count", None),
)


def written(value: float | None, kind: str) -> str:
    if value is None:
        return not_known()
    match kind:
        case "percent":
            return percent(value, 1)
        case "count":
            return count(round(value))
        case "small":
            return number(value, 5)
        case "ratio":
            return number(value, 2)
        case _:
            return number(value, 3)


def spread(bounds: Sequence[float | None] | None, kind: str) -> str:
    """`0.721 to 0.763`; empty when there is no interval."""
    if not bounds or bounds[0] is None or bounds[1] is None:
        return ""
    return span(written(bounds[0], kind), written(bounds[1], kind))


def gained(bounds: Sequence[float] | None, kind: str) -> str:
    """`+0.021 to +0.044`, `−1.2 to +0.4 points`; empty when there is no interval."""
    if not bounds:
        return ""
    low, high = bounds
    if kind == "percent":
        return _("%(low)s to %(high)s points", low=_with_sign(low * 100, 1), high=_with_sign(high * 100, 1))
    decimals = {"count": 0, "small": 5, "ratio": 2}.get(kind, 3)
    return span(_with_sign(low, decimals), _with_sign(high, decimals))


def _with_sign(value: float, decimals: int) -> str:
    """Nothing before what reads as zero."""
    written = f"{value:+.{decimals}f}"
    return digits(written if float(written) else written[1:])


def standing(gain: Sequence[float] | None) -> str:
    """better or worse when the whole interval of the gain says so, else alike; empty when there is none.

    A gain is positive where the model is better than the champion, whatever the figure.
    """
    if not gain:
        return ""
    return "better" if gain[0] > 0 else "worse" if gain[1] < 0 else "alike"


@dataclass(frozen=True)
class Cell:
    value: str
    kind: str
    """better, worse, or nothing."""
    better: str
    """Words for a difference to the champion that counts."""


@dataclass(frozen=True)
class FigureRow:
    title: str
    explanation: str
    cells: list[Cell]


def _verdict(own: float | None, champions: float | None, figure: Figure) -> str:
    """Nothing when the two read alike: a difference nobody can see is no difference to decide by."""
    if own is None or champions is None or figure.more_is_better is None:
        return ""
    if written(own, figure.kind) == written(champions, figure.kind):
        return ""
    return "better" if (own > champions) == figure.more_is_better else "worse"


def _than(verdict: str, champions: float | None, figure: Figure) -> str:
    value = written(champions, figure.kind)
    match verdict:
        case "better":
            return _("better than %(value)s", value=value)
        case "worse":
            return _("worse than %(value)s", value=value)
        case _other:
            return ""


def champion_figures(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    """The champion's figures on the same test window: only those may be compared with the model's own."""
    found: Mapping[str, Any] = metrics.get("champion") or {}
    return found


def figure_rows(models: Sequence[RegisteredModel]) -> list[FigureRow]:
    """One column a model; a challenger's cell says how it stands to the champion on the challenger's own window."""
    rows = []
    for figure in FIGURES:
        cells = []
        for model in models:
            own = model.metrics.get(figure.key)
            leads = model.stage == ModelStage.CHAMPION.value
            against = None if leads else champion_figures(model.metrics).get(figure.key)
            words = _verdict(own, against, figure)
            cells.append(Cell(written(own, figure.kind), words, _than(words, against, figure)))
        rows.append(FigureRow(_(figure.title), _(figure.explanation), cells))
    return rows


@dataclass(frozen=True)
class ReportFigure:
    """A figure of one model's report."""

    title: str
    explanation: str
    value: str
    interval: str
    champion: str
    gain: str
    standing: str
    """better, worse, alike; nothing without an interval of the gain: a bare difference proves nothing."""


_GAIN_OF: Final = {"calibration_ratio": "calibration"}
"""A ratio is no better for being higher: its gain is how much nearer to 1 it is."""


def report_figures(metrics: Mapping[str, Any]) -> list[ReportFigure]:
    """Only what the report holds: a model from before a figure was made does not show it."""
    intervals, gains = metrics.get("intervals") or {}, metrics.get("gain") or {}
    champion = champion_figures(metrics)
    return [
        ReportFigure(
            title=_(figure.title),
            explanation=_(figure.explanation),
            value=written(metrics[figure.key], figure.kind),
            interval=spread(intervals.get(figure.key), figure.kind),
            champion=written(champion[figure.key], figure.kind) if champion.get(figure.key) is not None else "",
            gain=gained(gains.get(figure.key), figure.kind),
            standing=standing(gains.get(_GAIN_OF.get(figure.key, figure.key))),
        )
        for figure in FIGURES
        if metrics.get(figure.key) is not None
    ]
