"""A day's figures as they were measured, and what may still change about them. What is not known yet is never a nought."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from console.i18n import gettext as _
from console.views.words import duration, money
from core.base.terms import Label, Outcome
from core.stores.overview import STEP
from core.tables.casework import DayFigures

ANSWERED: Final = 0.9
"""A day's precision is known once so many of its alerts have a label."""


@dataclass(frozen=True)
class Day:
    """One day's figures, with what may still change about them."""

    day: date
    review: int = 0
    decline: int = 0
    control: int = 0
    fraud: int = 0
    legitimate: int = 0
    unsure: int = 0
    closed: int = 0
    backlog: int | None = None
    seconds: Mapping[int, int] | None = None
    saved: Mapping[str, Sequence[int]] | None = None
    lost: Mapping[str, Sequence[int]] | None = None
    old_enough: bool = False
    """Chargebacks have had their time."""
    measured: bool = True

    @property
    def opened(self) -> int:
        return self.review + self.decline + self.control

    @property
    def on_merit(self) -> int:
        return self.review + self.decline

    @property
    def answered(self) -> bool:
        return self.fraud + self.legitimate + self.unsure >= ANSWERED * self.on_merit

    @property
    def precision(self) -> float | None:
        """None = no label of it says fraud or legitimate."""
        said = self.fraud + self.legitimate
        return self.fraud / said if said else None


def read_days(rows: Sequence[DayFigures], today: date, length: int, began: date, old_enough_days: int) -> list[Day]:
    """`length` days up to today, oldest first. Backlogs are reckoned back from what is open now."""
    known = {row.day: row.figures for row in rows}
    days: list[Day] = []
    backlog = known.get(today, {}).get("open")
    for place in range(length):
        day = today - timedelta(days=place)
        figures = known.get(day)
        if figures is None or day < began:
            days.append(Day(day, measured=False))
            continue
        read = _read(day, figures, backlog, old_enough=(today - day).days >= old_enough_days)
        days.append(read)
        backlog = None if backlog is None else backlog + read.closed - read.opened
    return days[::-1]


def _read(day: date, figures: Mapping[str, Any], backlog: int | None, *, old_enough: bool) -> Day:
    opened, labels = figures["opened"], figures["labels"]
    return Day(
        day=day,
        review=opened[Outcome.REVIEW.value],
        decline=opened[Outcome.DECLINE.value],
        control=opened["control"],
        fraud=labels[Label.FRAUD.value],
        legitimate=labels[Label.LEGITIMATE.value],
        unsure=labels[Label.UNSURE.value],
        closed=figures["closed"],
        backlog=None if backlog is None else max(backlog, 0),
        seconds={int(step): number for step, number in figures["seconds"].items()},
        saved=figures["saved"],
        lost=figures["lost"],
        old_enough=old_enough,
    )


def merged(days: Sequence[Day]) -> dict[int, int]:
    steps: dict[int, int] = {}
    for day in days:
        for step, number in (day.seconds or {}).items():
            steps[step] = steps.get(step, 0) + number
    return steps


def quantile(steps: Mapping[int, int], share: float) -> float | None:
    """Seconds that `share` of the decisions took at most, right to 2.5 %; None when there was none."""
    total, reached = sum(steps.values()), 0
    for step in sorted(steps):
        reached += steps[step]
        if reached >= share * total:
            return float(STEP ** (step + 0.5))
    return None


def took(seconds: float | None) -> str:
    if seconds is None:
        return _("no decision")
    return duration(timedelta(seconds=round(seconds)))


def not_known_yet() -> str:
    return _("not yet known")


def currencies(days: Sequence[Day]) -> list[str]:
    """Those that frauds were in, the one with the most frauds first."""
    found: dict[str, int] = {}
    for day in days:
        for side in (day.saved or {}, day.lost or {}):
            for currency, (payments, _amount) in side.items():
                found[currency] = found.get(currency, 0) + payments
    return sorted(found, key=lambda currency: (-found[currency], currency))


def amount_of(side: Mapping[str, Sequence[int]] | None, currency: str) -> int:
    return (side or {}).get(currency, (0, 0))[1]


def money_words(amount: int, currency: str, *, known: bool) -> str:
    """Nought of a day that is not old enough is no nought."""
    if known:
        return money(amount, currency)
    return _("%(amount)s so far", amount=money(amount, currency)) if amount else not_known_yet()
