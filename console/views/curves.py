"""The report's charts over money and time: cost by threshold, figures by week, labels by age."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from console.i18n import gettext as _
from console.views.plots import PLOT_TOP, Axis, Frame, Line, Mark, Pairs, Plot, log_shares, nice_ticks, shares
from console.views.words import count, day_month, number, percent, short_money, worth

_LOWEST_THRESHOLD: Final = 1e-5
_WEEK_LABELS: Final = 6
"""More than these would run into each other."""


def cost_curve(
    points: Pairs, currency: str | None, nothing: float | None, chosen: Mapping[str, float | None]
) -> Plot | None:
    """`points`: [[threshold, cost, alerts, fraud value caught], ...], money in hundredths; None when there are none.

    nothing: the cost of approving everything. chosen: the thresholds in the model, by name.
    """
    drawn = sorted((point for point in points if point[0] > 0), key=lambda point: point[0])
    if not drawn:
        return None
    ticks = nice_ticks(max(nothing or 0.0, *(point[1] for point in drawn)))
    money_axis = Axis(
        _("Cost in the test window"), 0.0, ticks[-1], [(value, short_money(value, currency)) for value in ticks]
    )
    frame = Frame(
        log_shares(_("Review threshold, in powers of ten"), max(drawn[0][0], _LOWEST_THRESHOLD)),
        money_axis,
    )
    lines = [Line(_("Cost with this model"), "champion", frame.points([(point[0], point[1]) for point in drawn]))]
    if nothing is not None:
        lines.append(
            Line(_("Cost of approving everything"), "flat", frame.points([(frame.x.low, nothing), (1, nothing)]))
        )
    marks = [
        frame.mark(value, name, f"{name} {percent(value, 1)}") for name, value in chosen.items() if value and value < 1
    ]
    return Plot(
        title=_("Cost by threshold"),
        x_title=frame.x.title,
        y_title=frame.y.title,
        lines=lines,
        marks=_staggered(marks),
        x_ticks=frame.x_ticks,
        y_ticks=frame.y_ticks,
        table=[
            (percent(threshold, 2), worth(cost, currency), count(round(alerts)), worth(caught, currency))
            for threshold, cost, alerts, caught in drawn
        ],
        table_head=(_("Threshold"), _("Cost"), _("Alerts"), _("Fraud value caught")),
    )


def _staggered(marks: Sequence[Mark]) -> list[Mark]:
    """Words on different heights, so that two thresholds close together stay readable."""
    return [replace(mark, text_y=f"{PLOT_TOP + 9 + 12 * place:g}") for place, mark in enumerate(marks)]


def day(text: str) -> str:
    """`3 Jun` of an RFC 3339 time; whatever else it is, as it stands."""
    try:
        return day_month(datetime.fromisoformat(text).astimezone(UTC))
    except ValueError:
        return text


def _day_number(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() / 86_400


def _days_axis(weeks: Sequence[Mapping[str, Any]]) -> Axis:
    """By date: a week that is missing leaves a gap."""
    days = [_day_number(week["from"]) for week in weeks]
    every = -(-len(weeks) // _WEEK_LABELS)
    ticks = [
        (at, day(week["from"])) for place, (at, week) in enumerate(zip(days, weeks, strict=True)) if place % every == 0
    ]
    return Axis(_("Week from"), min(days), max(days), ticks)


def weekly(
    title: str,
    weeks: Sequence[Mapping[str, Any]],
    lines: Sequence[tuple[str, str, str]],
    interval: str = "",
    level: tuple[str, float | None] = ("", None),
) -> Plot | None:
    """Figures between 0 and 1, a point a week. `lines`: (key, name, kind); interval: key of a [low, high] around the first line;
    level: name and height of a line to compare with.

    A week without the figure has no point; None when there is nothing to draw. The page shows the weeks in a table of its own.
    """
    known = [(key, name, kind) for key, name, kind in lines if any(week.get(key) is not None for week in weeks)]
    if not known:
        return None
    frame = Frame(_days_axis(weeks), shares(""))
    points = {
        key: [(_day_number(week["from"]), week[key], week["from"]) for week in weeks if week.get(key) is not None]
        for key, _, _ in known
    }
    around = [(_day_number(week["from"]), *week[interval]) for week in weeks if interval and week.get(interval)]
    drawn = [Line(name, kind, frame.points([point[:2] for point in points[key]])) for key, name, kind in known]
    if level[1] is not None:
        drawn.append(Line(level[0], "flat", frame.points([(frame.x.low, level[1]), (frame.x.high, level[1])])))
    return Plot(
        title=title,
        x_title=frame.x.title,
        y_title="",
        lines=drawn,
        dots=[
            frame.dot(
                at,
                value,
                2.5,
                _("%(name)s, week from %(begins)s: %(value)s", name=name, begins=day(begins), value=number(value)),
                kind,
            )
            for key, name, kind in known
            for at, value, begins in points[key]
        ],
        bands=[frame.band(around)] if len(around) > 1 else [],
        x_ticks=frame.x_ticks,
        y_ticks=frame.y_ticks,
        table=[],
        table_head=(),
    )


def arrival(points: Pairs) -> Plot | None:
    """`points`: [[days after the payment, share of the labels that had arrived], ...]."""
    if not points:
        return None
    days = nice_ticks(max(point[0] for point in points))
    frame = Frame(
        Axis(_("Days after the payment"), 0.0, days[-1], [(value, f"{value:g}") for value in days]), shares("")
    )
    return Plot(
        title=_("When labels arrive"),
        x_title=frame.x.title,
        y_title=_("Labels that had arrived"),
        lines=[Line(_("Share of the labels"), "champion", frame.points(points))],
        x_ticks=frame.x_ticks,
        y_ticks=frame.y_ticks,
        table=[(f"{after:g}", percent(share, 1)) for after, share in points],
        table_head=(_("Days"), _("Arrived")),
    )
