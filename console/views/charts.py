"""Small charts without axes, as numbers ready for server-side SVG. No style attributes: the page's CSP refuses them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from console.i18n import gettext as _
from console.views.words import signed

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
        shown.append(Step(_("%(rest)s other features", rest=len(rest)), "", sum(step.contribution for step in rest)))
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
        summary=_(
            "From the average payment at %(base)s to this one at %(margin)s log-odds, in %(bars)s steps, largest first.",
            base=signed(base),
            margin=signed(margin),
            bars=len(bars),
        ),
    )
