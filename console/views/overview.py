"""The overview's tiles: today beside the range."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from console.i18n import gettext as _
from console.i18n import ngettext, reader
from console.views.daily import day_words
from console.views.days import Day, amount_of, currencies, merged, not_known_yet, quantile, took
from console.views.words import compact, count, money, percent

RANGES: Final = (7, 30, 90)


def _wordy(*values: str) -> bool:
    """No figure among them: `no decision` is not to stand out like one."""
    return not any(letter.isdigit() for value in values for letter in value)


def day_begins(today: date) -> str:
    """When a UTC day begins in the reader's time zone; empty where it begins at midnight there."""
    begins = datetime(today.year, today.month, today.day, tzinfo=UTC).astimezone(reader().tz)
    return f"{begins:%H:%M}" if begins.utcoffset() else ""


@dataclass(frozen=True)
class Tile:
    """Today's figure beside the range's."""

    key: str
    title: str
    value: str
    against: str
    href: str = ""

    @property
    def wordy(self) -> bool:
        return _wordy(self.value)


def tiles(days: Sequence[Day]) -> list[Tile]:
    """Today is the last of `days`."""
    today, measured = days[-1], [day for day in days if day.measured]
    return [
        _volume_tile(today, measured),
        _backlog_tile(today, measured),
        _precision_tile(today, measured),
        _time_tile(today, measured),
    ]


def _volume_tile(today: Day, measured: Sequence[Day]) -> Tile:
    before = [day for day in measured if day is not today]
    usual = sum(day.opened for day in before) / len(before) if before else None
    against = (
        _("no day before to compare with")
        if usual is None
        else _("%(number)s a day on average before", number=compact(round(usual, 1)))
    )
    return Tile("opened", _("Alerts opened today"), count(today.opened) if today.measured else not_known_yet(), against)


def _backlog_tile(today: Day, measured: Sequence[Day]) -> Tile:
    first = measured[0] if measured else None
    value = _("not known") if today.backlog is None else count(today.backlog)
    if first is None or first is today or first.backlog is None:
        against = _("no day before to compare with")
    else:
        against = _("%(number)s at the end of %(day)s", number=count(first.backlog), day=day_words(first.day))
    return Tile("open", _("Open now"), value, against, href="/queue")


def _precision_tile(today: Day, measured: Sequence[Day]) -> Tile:
    known = [day for day in measured if day.answered and day.on_merit]
    fraud, said = sum(day.fraud for day in known), sum(day.fraud + day.legitimate for day in known)
    if said:
        against = ngettext(
            "%(share)s over the one day that is known",
            "%(share)s over the %(num)s days that are known",
            len(known),
            share=percent(fraud / said),
        )
    else:
        against = _("no day is known yet")
    if today.precision is None:
        value = _("no alert") if today.measured and not today.on_merit else not_known_yet()
    else:
        value = percent(today.precision)
        if not today.answered:
            value = _("%(share)s so far", share=value)
    return Tile("precision", _("Precision today"), value, against)


def _time_tile(today: Day, measured: Sequence[Day]) -> Tile:
    steps = merged(measured)
    median, ninth = quantile(steps, 0.5), quantile(steps, 0.9)
    against = (
        _("no decision in this range")
        if median is None
        else _("range: median %(median)s, nine in ten within %(ninth)s", median=took(median), ninth=took(ninth))
    )
    return Tile("deciding", _("Time to decision today"), took(quantile(today.seconds or {}, 0.5)), against)


@dataclass(frozen=True)
class MoneyTile:
    """Of the whole range, a line for each currency."""

    key: str
    title: str
    lines: tuple[str, ...]
    today: str
    explained: str

    @property
    def wordy(self) -> bool:
        return _wordy(*self.lines)


def money_tiles(days: Sequence[Day]) -> list[MoneyTile]:
    measured, today = [day for day in days if day.measured], days[-1]
    open_days = sum(not day.old_enough for day in measured)
    tail = (
        ngettext("%(num)s day may still change", "%(num)s days may still change", open_days)
        if open_days
        else _("all days are known")
    )
    found = currencies(measured)
    made = []
    for key, title, explained in (
        ("saved", _("Money saved"), _("Frauds that were declined, or that an analyst stopped")),
        ("lost", _("Money lost"), _("Frauds that were approved, or let go by an analyst")),
    ):
        sums = [(currency, sum(amount_of(getattr(day, key), currency) for day in measured)) for currency in found]
        lines = tuple(money(amount, currency) for currency, amount in sums if amount)
        if not lines:
            lines = (not_known_yet() if open_days or not measured else _("nothing"),)
        now = ", ".join(
            money(amount_of(getattr(today, key), currency), currency)
            for currency in found
            if amount_of(getattr(today, key), currency)
        )
        said = _("%(amount)s of today’s payments; %(tail)s", amount=now, tail=tail) if now else tail
        made.append(MoneyTile(key, title, lines, said, explained))
    return made
