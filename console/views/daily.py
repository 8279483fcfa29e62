"""Charts of one bar a day, as numbers ready for server-side SVG; words stand beside it, so they keep their size at any width."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from console.i18n import gettext as _
from console.views.plots import nice_ticks
from console.views.words import day_month

HEIGHT: Final = 100.0
STEP: Final = 10.0
"""Width of a day in the viewBox, which the page stretches."""
_BAR: Final = 7.0
_THIN: Final = 0.6
"""Least height of a bar that is not zero: it must be seen."""
_MARK: Final = 1.6


@dataclass(frozen=True)
class Part:
    """A piece of a day's bar. `open`: more may be added to it, so it is drawn as an outline."""

    kind: str
    value: float
    open: bool = False


@dataclass(frozen=True)
class Bar:
    """One day. `parts` from the axis outwards, those in `below` downwards. `mark`: a short line across the day. `words` says all of it."""

    day: date
    words: str
    parts: Sequence[Part] = ()
    below: Sequence[Part] = ()
    mark: float | None = None


@dataclass(frozen=True)
class Shape:
    kind: str
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True)
class Touch:
    """The whole height of a day: what the pointer finds, with its words."""

    x: str
    words: str


@dataclass(frozen=True)
class DailyChart:
    title: str
    shapes: list[Shape]
    touches: list[Touch]
    size: str
    zero: str
    """Height of the line that bars stand on."""
    rails: list[str]
    y_labels: list[str]
    """Top to bottom, evenly spaced."""
    x_labels: list[str]
    """Left to right, evenly spaced."""
    legend: list[tuple[str, str]]
    """(class, words)"""
    table_head: tuple[str, ...]
    table: list[tuple[str, ...]]
    """Newest day first."""
    note: str = ""
    summary: str = field(default="")


def day_words(day: date) -> str:
    """`3 Jun`"""
    return day_month(day)


def top_of(bars: Sequence[Bar]) -> float:
    heights = [sum(part.value for part in side) for bar in bars for side in (bar.parts, bar.below)]
    return max([*heights, *(bar.mark for bar in bars if bar.mark is not None)], default=0.0)


def daily(
    title: str,
    bars: Sequence[Bar],
    scale: Callable[[float], str],
    *,
    legend: Sequence[tuple[str, str]],
    table_head: Sequence[str],
    table: Sequence[Sequence[str]],
    top: float | None = None,
    counts: bool = False,
    note: str = "",
) -> DailyChart:
    """`scale`: words of a height at the side. top: the highest value there can be; without, that of the bars.

    counts: there are no halves.
    """
    high = nice_ticks(top_of(bars), 4)[-1] if top is None else top
    if counts:
        high = 2 * math.ceil(high / 2)
    both = any(bar.below for bar in bars)
    zero = HEIGHT / 2 if both else HEIGHT
    shapes: list[Shape] = []
    for place, bar in enumerate(bars):
        x = place * STEP + (STEP - _BAR) / 2
        shapes += _stack(bar.parts, x, zero, zero / high, up=True)
        shapes += _stack(bar.below, x, zero, zero / high, up=False)
        if bar.mark is not None:
            y = max(zero - bar.mark * zero / high - _MARK / 2, 0.0)
            shapes.append(Shape("mark", f"{x - 1:.1f}", f"{y:.1f}", f"{_BAR + 2:.1f}", f"{_MARK:.1f}"))
    return DailyChart(
        title=title,
        shapes=shapes,
        touches=[Touch(f"{place * STEP:.1f}", bar.words) for place, bar in enumerate(bars)],
        size=f"0 0 {len(bars) * STEP:g} {HEIGHT:g}",
        zero=f"{zero:g}",
        rails=["0", f"{HEIGHT / 2:g}", f"{HEIGHT:g}"],
        y_labels=[scale(high), scale(0), scale(high)] if both else [scale(high), scale(high / 2), scale(0)],
        x_labels=_along([bar.day for bar in bars]),
        legend=list(legend),
        table_head=tuple(table_head),
        table=[tuple(row) for row in table],
        note=note,
        summary=_("%(title)s, %(days)s days. The numbers are in a table below.", title=title, days=len(bars)),
    )


def _stack(parts: Sequence[Part], x: float, zero: float, unit: float, *, up: bool) -> list[Shape]:
    shapes, reached = [], 0.0
    for part in parts:
        if part.value <= 0:
            continue
        height = max(part.value * unit, _THIN)
        y = zero - reached - height if up else zero + reached
        kind = f"{part.kind} open" if part.open else part.kind
        shapes.append(Shape(kind, f"{x:.1f}", f"{max(y, 0.0):.1f}", f"{_BAR:.1f}", f"{height:.1f}"))
        reached += height
    return shapes


def _along(days: Sequence[date]) -> list[str]:
    """A few dates, the first and the last among them, evenly spaced: to the day where that can be, else to half a day."""
    last = len(days) - 1
    if last < 1:
        return [day_words(day) for day in days]
    steps = next((steps for steps in (4, 3, 2) if last % steps == 0), 4 if last > 8 else 1)
    return [day_words(days[round(place * last / steps)]) for place in range(steps + 1)]
