"""A model's figures by week and by kind of payment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final

from console.views.curves import day
from console.views.figures import gained, standing, written
from console.views.words import count, number

SEGMENTS: Final = {
    "channel": "Channel",
    "currency": "Currency",
    "merchant_category": "Merchant category",
    "amount_band": "Amount",
    "customer_age": "Customer",
}


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
    return (
        f"Each week is judged by a model that had learned only what was known when it began. Average precision from "
        f"{number(min(known))} to {number(max(known))}, {number(sum(known) / len(known))} on average over {len(known)} weeks."
    )


def week_row(week: Mapping[str, Any]) -> WeekRow:
    return WeekRow(
        week=f"{day(week['from'])} to {day(week['until'])}",
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
        SegmentGroup(SEGMENTS.get(by, by.replace("_", " ").capitalize()), _rows(list(group)))
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
    return [*shown, replace(_segment({"name": f"{len(rest)} more", **together}), rest=True)]


def _segment(row: Mapping[str, Any]) -> SegmentRow:
    precision = row.get("average_precision")
    return SegmentRow(
        name=str(row["name"]),
        payments=count(row["payments"]),
        frauds=count(row["frauds"]),
        average_precision="too few frauds" if precision is None else number(precision),
        width="" if precision is None else f"{precision * 100:.1f}",
        calibration="" if row.get("calibration_ratio") is None else written(row["calibration_ratio"], "ratio"),
        recall="" if row.get("recall_at_review") is None else written(row["recall_at_review"], "percent"),
        gain=gained(row.get("gain"), "number"),
        standing=standing(row.get("gain")),
    )
