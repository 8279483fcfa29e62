"""Charts with axes as numbers ready for server-side SVG. Their numbers also stand in a table below each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from console.i18n import gettext as _
from console.views.words import count, percent

PLOT_WIDTH, PLOT_HEIGHT = 320.0, 226.0
PLOT_LEFT, PLOT_RIGHT, PLOT_TOP, PLOT_BOTTOM = 40.0, 308.0, 26.0, 184.0
"""The frame between the axes, in units of the viewBox."""

Pairs = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high`; what lies outside is drawn on the edge. log: low must be above zero."""

    title: str
    low: float = 0.0
    high: float = 1.0
    ticks: Sequence[tuple[float, str]] = tuple((share, f"{share:.0%}") for share in (0.0, 0.25, 0.5, 0.75, 1.0))
    log: bool = False

    def share(self, value: float) -> float:
        """Where between the two ends, 0 to 1."""
        low, high = self.low, self.high
        if self.log:
            value, low, high = (math.log(max(part, self.low)) for part in (value, low, high))
        return min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.5


@dataclass(frozen=True)
class Tick:
    at: str
    label: str
    anchor: str = "middle"


@dataclass(frozen=True)
class Line:
    name: str
    kind: str
    """Class of the line. The dash pattern tells lines apart without colour."""
    points: str


@dataclass(frozen=True)
class Dot:
    x: str
    y: str
    r: str
    title: str
    kind: str = ""
    """Class of the line it stands on."""


@dataclass(frozen=True)
class Mark:
    """An upright line with a word at its top."""

    x: str
    kind: str
    label: str
    text_x: str
    anchor: str
    text_y: str = f"{PLOT_TOP + 9:g}"


@dataclass(frozen=True)
class Plot:
    title: str
    x_title: str
    y_title: str
    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    table_head: tuple[str, ...]
    table: Sequence[tuple[str, ...]]
    """Empty when the page has the same numbers in a table of its own."""
    dots: list[Dot] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    bands: list[str] = field(default_factory=list)
    """Points of polygons: where the truth lies with 95 % confidence."""
    diagonal: bool = False
    left: str = f"{PLOT_LEFT:g}"
    right: str = f"{PLOT_RIGHT:g}"
    top: str = f"{PLOT_TOP:g}"
    bottom: str = f"{PLOT_BOTTOM:g}"
    size: str = f"0 0 {PLOT_WIDTH:g} {PLOT_HEIGHT:g}"
    dot_name: str = ""
    """What a dot is, where that needs saying."""


@dataclass(frozen=True)
class Frame:
    """Two axes, and where a pair of values lies between them."""

    x: Axis
    y: Axis

    def at(self, x: float, y: float) -> tuple[str, str]:
        return f"{self._x(x):.1f}", f"{self._y(y):.1f}"

    def points(self, pairs: Pairs) -> str:
        return " ".join(",".join(self.at(x, y)) for x, y in pairs)

    def band(self, triples: Pairs) -> str:
        """`triples`: [x, low, high]."""
        upper = [(x, high) for x, _, high in triples]
        return self.points([*upper, *reversed([(x, low) for x, low, _ in triples])])

    def dot(self, x: float, y: float, r: float, title: str, kind: str = "") -> Dot:
        return Dot(*self.at(x, y), f"{r:.1f}", title, kind)

    def mark(self, x: float, kind: str, label: str) -> Mark:
        """The word stands on the side where there is more room."""
        at = self._x(x)
        right = self.x.share(x) > 0.5
        return Mark(f"{at:.1f}", kind, label, f"{at - 3 if right else at + 3:.1f}", "end" if right else "start")

    def _x(self, value: float) -> float:
        return PLOT_LEFT + self.x.share(value) * (PLOT_RIGHT - PLOT_LEFT)

    def _y(self, value: float) -> float:
        return PLOT_BOTTOM - self.y.share(value) * (PLOT_BOTTOM - PLOT_TOP)

    @property
    def x_ticks(self) -> list[Tick]:
        """The outermost labels stay inside the picture."""
        return [Tick(f"{self._x(value):.1f}", label, _anchor(self.x.share(value))) for value, label in self.x.ticks]

    @property
    def y_ticks(self) -> list[Tick]:
        return [Tick(f"{self._y(value):.1f}", label, "end") for value, label in self.y.ticks]


def _anchor(share: float) -> str:
    return "end" if share > 0.97 else "middle"


_STEPS: Final = (1, 2, 2.5, 5, 10)


def nice_ticks(high: float, most: int = 5) -> list[float]:
    """Round numbers from zero to the first that is not below `high`, at most `most` steps apart."""
    if high <= 0:
        return [0.0, 1.0]
    size = 10 ** math.floor(math.log10(high / most))
    step = next(each * size for each in _STEPS if each * size * most >= high * (1 - 1e-9))
    return [step * place for place in range(math.ceil(high / step - 1e-9) + 1)]


def shares(title: str) -> Axis:
    """0 % to 100 %."""
    return Axis(title)


def log_shares(title: str, low: float) -> Axis:
    """Powers of ten from the one at or below `low` to 100 %."""
    first = math.floor(math.log10(low) + 1e-9)
    powers = [10.0**power for power in range(max(first, -6), 1)]
    return Axis(title, powers[0], 1.0, [(power, f"{power * 100:g}%") for power in powers], log=True)


def precision_recall(curves: Sequence[tuple[str, str, Pairs]], chosen: tuple[float, float] | None = None) -> Plot:
    """`curves`: (name, kind, [[recall, precision], ...]). chosen: recall and precision at the review threshold."""
    frame = Frame(shares(_("Recall: share of the frauds caught")), shares(_("Precision")))
    table = [(name, percent(recall), percent(precision)) for name, _, pairs in curves for recall, precision in pairs]
    words = (
        _(
            "review threshold: %(recall)s of the frauds, %(precision)s of the alerts",
            recall=percent(chosen[0]),
            precision=percent(chosen[1]),
        )
        if chosen
        else ""
    )
    return Plot(
        title=_("Precision and recall"),
        x_title=frame.x.title,
        y_title=frame.y.title,
        lines=[
            Line(name, kind, frame.points(sorted(pairs, key=lambda pair: (pair[0], -pair[1]))))
            for name, kind, pairs in curves
            if pairs
        ],
        dots=[frame.dot(*chosen, 4, words)] if chosen else [],
        dot_name=_("At the review threshold") if chosen else "",
        x_ticks=frame.x_ticks,
        y_ticks=frame.y_ticks,
        table=table,
        table_head=(_("Model"), _("Recall"), _("Precision")),
    )


def reliability(name: str, bins: Pairs) -> Plot:
    """`bins`: [[mean score, fraud rate, payments], ...]. A dot's area grows with the payments in its bin, slowly."""
    filled = [(mean, rate, int(n)) for mean, rate, n in bins if n]
    frame = Frame(shares(_("Score")), shares(_("Share that was fraud")))
    return Plot(
        title=_("Reliability"),
        x_title=frame.x.title,
        y_title=frame.y.title,
        lines=[Line(name, "champion", frame.points([(m, r) for m, r, _ in filled]))] if filled else [],
        dots=[
            frame.dot(
                m,
                r,
                min(1.5 + n**0.15, 5),
                _(
                    "score %(score)s: %(rate)s of %(payments)s were fraud",
                    score=percent(m, 1),
                    rate=percent(r, 1),
                    payments=count(n),
                ),
            )
            for m, r, n in filled
        ],
        x_ticks=frame.x_ticks,
        y_ticks=frame.y_ticks,
        diagonal=True,
        table=[(percent(m, 1), percent(r, 1), count(n)) for m, r, n in filled],
        table_head=(_("Mean score"), _("Fraud rate"), _("Payments")),
    )
