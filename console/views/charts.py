"""Small charts as numbers ready for server-side SVG. No style attributes: the page's CSP refuses them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from console.views.words import percent, signed

WATERFALL_WIDTH: Final = 1000
"""Units of a bar's viewBox; the template stretches it to the column."""
_SHOWN: Final = 9


@dataclass(frozen=True)
class Bar:
    """One step of the waterfall: `x` and `width` span from where the step begins to where it ends."""

    label: str
    value: str
    """The feature's value in words."""
    contribution: str
    direction: str
    """up (raises the risk) or down"""
    x: str
    width: str
    start: str
    end: str
    total: float
    """Where the running sum stands after this step, in log-odds: the last one equals the margin."""


@dataclass(frozen=True)
class Waterfall:
    bars: list[Bar]
    base: str
    margin: str
    base_x: str
    margin_x: str
    summary: str


@dataclass(frozen=True)
class Step:
    label: str
    value: str
    contribution: float


def _merged(steps: Sequence[Step]) -> list[Step]:
    """Largest first; what is beyond the ninth becomes one step, so the sum stays whole."""
    ordered = sorted((step for step in steps if step.contribution), key=lambda s: -abs(s.contribution))
    shown, rest = ordered[:_SHOWN], ordered[_SHOWN:]
    if rest:
        shown.append(Step(f"{len(rest)} other features", "", sum(step.contribution for step in rest)))
    return shown


def waterfall(base: float, margin: float, steps: Sequence[Step]) -> Waterfall:
    """Bars from `base` (the model's average) to `margin` (this payment), in log-odds."""
    merged = _merged(steps)
    totals = [base]
    for step in merged:
        totals.append(totals[-1] + step.contribution)
    low, high = min(*totals, margin), max(*totals, margin)
    span = (high - low) or 1.0

    def place(value: float) -> float:
        return 10 + (value - low) / span * (WATERFALL_WIDTH - 20)

    bars = []
    for step, before, after in zip(merged, totals, totals[1:], strict=False):
        left, right = sorted((place(before), place(after)))
        bars.append(
            Bar(
                label=step.label,
                value=step.value,
                contribution=signed(step.contribution),
                direction="up" if step.contribution > 0 else "down",
                x=f"{left:.1f}",
                width=f"{max(right - left, 2):.1f}",
                start=f"{place(before):.1f}",
                end=f"{place(after):.1f}",
                total=after,
            )
        )
    return Waterfall(
        bars=bars,
        base=signed(base),
        margin=signed(margin),
        base_x=f"{place(base):.1f}",
        margin_x=f"{place(margin):.1f}",
        summary=f"From the average payment at {signed(base)} to this one at {signed(margin)} log-odds, "
        f"in {len(bars)} steps, largest first.",
    )


PLOT_LEFT, PLOT_RIGHT, PLOT_TOP, PLOT_BOTTOM = 36.0, 306.0, 22.0, 182.0


def _x(share: float) -> float:
    return PLOT_LEFT + share * (PLOT_RIGHT - PLOT_LEFT)


def _y(share: float) -> float:
    return PLOT_BOTTOM - share * (PLOT_BOTTOM - PLOT_TOP)


@dataclass(frozen=True)
class Tick:
    at: str
    label: str


def _ticks(along: str) -> list[Tick]:
    place = _x if along == "x" else _y
    return [Tick(f"{place(share):.1f}", f"{share:.0%}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)]


@dataclass(frozen=True)
class Line:
    name: str
    kind: str
    """Class of the line: champion or challenger. The dash pattern tells them apart without colour."""
    points: str


@dataclass(frozen=True)
class Dot:
    x: str
    y: str
    r: str
    title: str


@dataclass(frozen=True)
class Plot:
    title: str
    x_title: str
    y_title: str
    lines: list[Line]
    dots: list[Dot]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    diagonal: bool
    table: Sequence[tuple[str, ...]]
    table_head: tuple[str, ...]


def _points(pairs: Sequence[Sequence[float]]) -> str:
    return " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in pairs)


def precision_recall(curves: Sequence[tuple[str, str, Sequence[Sequence[float]]]]) -> Plot:
    """`curves`: (name, kind, [[recall, precision], ...])."""
    table = [(name, percent(recall), percent(precision)) for name, _, pairs in curves for recall, precision in pairs]
    return Plot(
        title="Precision and recall",
        x_title="Recall: share of the frauds caught",
        y_title="Precision",
        lines=[
            Line(name, kind, _points(sorted(pairs, key=lambda pair: (pair[0], -pair[1]))))
            for name, kind, pairs in curves
            if pairs
        ],
        dots=[],
        x_ticks=_ticks("x"),
        y_ticks=_ticks("y"),
        diagonal=False,
        table=table,
        table_head=("Model", "Recall", "Precision"),
    )


def reliability(name: str, bins: Sequence[Sequence[float]]) -> Plot:
    """`bins`: [[mean score, fraud rate, payments], ...]. A dot's area grows with the payments in its bin, slowly."""
    filled = [(mean, rate, int(n)) for mean, rate, n in bins if n]
    return Plot(
        title="Reliability",
        x_title="Score",
        y_title="Frauds found",
        lines=[Line(name, "champion", _points([(m, r) for m, r, _ in filled]))] if filled else [],
        dots=[
            Dot(
                f"{_x(m):.1f}",
                f"{_y(r):.1f}",
                f"{min(1.5 + n**0.15, 5):.1f}",
                f"score {percent(m, 1)}: {percent(r, 1)} of {n:,} were fraud",
            )
            for m, r, n in filled
        ],
        x_ticks=_ticks("x"),
        y_ticks=_ticks("y"),
        diagonal=True,
        table=[(percent(m, 1), percent(r, 1), f"{n:,}") for m, r, n in filled],
        table_head=("Mean score", "Fraud rate", "Payments"),
    )
