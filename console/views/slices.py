"""A model's figures by week and by kind of payment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final

from console.i18n import Words, marked, ngettext
from console.i18n import gettext as _
from console.views.curves import day
from console.views.figures import gained, standing, written
from console.views.words import count, number, span

SEGMENTS: Final = Words(
    {
        "channel": marked("Channel"),
        "currency": marked("Currency"),
        "merchant_category": marked("Merchant category"),
        "amount_band": marked("Amount"),
        "customer_age": marked("Customer"),
    }
)


_PARTS: Final = Words(
    {
        "lowest quarter": marked("lowest quarter"),
        "below the median": marked("below the median"),
        "above the median": marked("above the median"),
        "highest quarter": marked("highest quarter"),
        "new (less than 7 days)": marked("new (less than 7 days)"),
        "young (less than 30 days)": marked("young (less than 30 days)"),
        "old (30 days and more)": marked("old (30 days and more)"),
    }
)
"""Of amounts and customers; the parts of the others are called as payments call them."""
_SILENT: Final = 3


@dataclass(frozen=True)
class WeekRow:
    week: str
    payments: str
    frauds: str
    average_precision: str
    roc_auc: str
    card_precision: str
    calibration: str
    brier: str


@dataclass(frozen=True)
class SegmentRow:
    name: str
    payments: str
    frauds: str
    average_precision: str
    width: str
    """Average precision in hundredths, for the bar; empty when it is not known."""
    calibration: str
    recall: str
    gain: str
    standing: str
    rest: bool = False
    """Several small ones in one row."""


@dataclass(frozen=True)
class SegmentGroup:
    title: str
    rows: list[SegmentRow]


def stability(weeks: Sequence[Mapping[str, Any]]) -> str:
    known = [week["average_precision"] for week in weeks if week.get("average_precision") is not None]
    if not known:
        return ""
    return ngettext(
        "The week is judged by a model that had learned only what was known when it began. Average precision %(mean)s.",
        "Each week is judged by a model that had learned only what was known when it began. "
        "Average precision from %(low)s to %(high)s, %(mean)s on average over %(num)s weeks.",
        len(known),
        low=number(min(known)),
        high=number(max(known)),
        mean=number(sum(known) / len(known)),
    )


def week_row(week: Mapping[str, Any]) -> WeekRow:
    return WeekRow(
        week=span(day(week["from"]), day(week["until"])),
        payments=count(week["payments"]),
        frauds=count(week["frauds"]),
        average_precision=written(week.get("average_precision"), "number"),
        roc_auc=written(week.get("roc_auc"), "number"),
        card_precision=written(week.get("card_precision_100"), "percent"),
        calibration=written(week.get("calibration_ratio"), "ratio"),
        brier=written(week.get("brier"), "small"),
    )


def segments(rows: Sequence[Mapping[str, Any]]) -> list[SegmentGroup]:
    """In the order of the report, which keeps the rows of a kind together and begins with the largest."""
    return [
        SegmentGroup(SEGMENTS[by] if by in SEGMENTS else by.replace("_", " ").capitalize(), _rows(list(group)))
        for by, group in groupby(rows, key=lambda row: str(row["by"]))
    ]


def _rows(group: Sequence[Mapping[str, Any]]) -> list[SegmentRow]:
    """Beyond the first few, those with too few frauds for figures are counted together."""
    silent = [row for row in group if row.get("average_precision") is None]
    rest = silent[_SILENT:] if len(silent) > _SILENT + 1 else []
    shown = [_segment(row) for row in group if row not in rest]
    if not rest:
        return shown
    together: dict[str, Any] = {key: sum(row[key] for row in rest) for key in ("payments", "frauds")}
    return [*shown, replace(_segment({"name": _("%(count)s more", count=len(rest)), **together}), rest=True)]


def segment_name(name: str) -> str:
    return _PARTS.get(name) or name


def _segment(row: Mapping[str, Any]) -> SegmentRow:
    precision = row.get("average_precision")
    return SegmentRow(
        name=segment_name(str(row["name"])),
        payments=count(row["payments"]),
        frauds=count(row["frauds"]),
        average_precision=_("too few frauds") if precision is None else number(precision),
        width="" if precision is None else f"{precision * 100:.1f}",
        calibration="" if row.get("calibration_ratio") is None else written(row["calibration_ratio"], "ratio"),
        recall="" if row.get("recall_at_review") is None else written(row["recall_at_review"], "percent"),
        gain=gained(row.get("gain"), "number"),
        standing=standing(row.get("gain")),
    )
