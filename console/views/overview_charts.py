"""The overview's charts: one bar a day, outlined where it may still grow."""

from collections.abc import Sequence
from typing import Final

from console.i18n import gettext as _
from console.views.daily import Bar, DailyChart, Part, daily, day_words
from console.views.days import Day, amount_of, currencies, money_words, not_known_yet, quantile, took
from console.views.words import compact, count, percent, short_money
from core.base.money import exponent_of

CURRENCIES: Final = 2
"""Those with the most frauds stand beside the other charts; the rest can be opened."""
_LONG_S: Final = [
    *(minutes * 60 for minutes in (1, 2, 4, 10, 20, 30)),
    *(hours * 3600 for hours in (1, 2, 4, 6, 8, 12)),
    *(days * 86_400 for days in (1, 2, 4, 6, 10, 20, 30, 60, 100)),
]
"""Heights that halve to round times."""


def _none_before() -> str:
    return _("before the first payment")


def volume(days: Sequence[Day]) -> DailyChart:
    kinds = [("review", _("Review")), ("decline", _("Decline")), ("control", _("Control sample"))]

    def words(day: Day) -> str:
        parts = ", ".join(f"{getattr(day, kind)} {title.lower()}" for kind, title in kinds)
        return f"{day_words(day.day)}: {count(day.opened)} ({parts})" if day.measured else _unmeasured(day)

    return daily(
        _("Alerts opened"),
        [Bar(day.day, words(day), [Part(kind, getattr(day, kind)) for kind, _title in kinds]) for day in days],
        lambda value: compact(value),
        counts=True,
        legend=kinds,
        table_head=[_("Day"), *(title for _kind, title in kinds), _("All"), _("Closed")],
        table=[
            (
                day_words(day.day),
                *(count(getattr(day, kind)) for kind, _title in kinds),
                count(day.opened),
                count(day.closed),
            )
            if day.measured
            else (day_words(day.day), _none_before(), "", "", "", "")
            for day in reversed(days)
        ],
    )


def _unmeasured(day: Day) -> str:
    return f"{day_words(day.day)}: {_none_before()}"


def precision(days: Sequence[Day]) -> DailyChart:
    def words(day: Day) -> str:
        if not day.measured:
            return _none_before()
        if not day.on_merit:
            return _("no alert")
        if day.precision is None:
            return not_known_yet()
        so_far = percent(day.precision)
        return so_far if day.answered else _("%(share)s so far, not yet known", share=so_far)

    return daily(
        _("Precision: share of the alerts that were fraud"),
        [
            Bar(
                day.day,
                f"{day_words(day.day)}: {words(day)}",
                [Part("precision", day.precision or 0.0, not day.answered)] if day.precision is not None else [],
            )
            for day in days
        ],
        percent,
        top=1.0,
        legend=[("precision", _("Known")), ("precision open", _("Not yet known: alerts without a label remain"))],
        table_head=[_("Day"), _("Precision"), _("Fraud"), _("Legitimate"), _("Unsure"), _("No label yet")],
        table=[
            (
                day_words(day.day),
                words(day),
                *((count(day.fraud), count(day.legitimate), count(day.unsure)) if day.measured else ("", "", "")),
                count(day.on_merit - day.fraud - day.legitimate - day.unsure) if day.measured else "",
            )
            for day in reversed(days)
        ],
    )


def backlog(days: Sequence[Day]) -> DailyChart:
    def words(day: Day) -> str:
        if not day.measured:
            return _none_before()
        return _("not known") if day.backlog is None else count(day.backlog)

    return daily(
        _("Backlog: open at the day’s end"),
        [
            Bar(
                day.day,
                f"{day_words(day.day)}: {words(day)}",
                [Part("backlog", day.backlog or 0)] if day.backlog else [],
            )
            for day in days
        ],
        lambda value: compact(value),
        counts=True,
        legend=[("backlog", _("Open alerts; today’s are those open now"))],
        table_head=[_("Day"), _("Open at its end")],
        table=[(day_words(day.day), words(day)) for day in reversed(days)],
    )


def span(seconds: float) -> str:
    """`30 min`, `6 h`, `2 d`: round times for a scale."""
    if not seconds:
        return "0"
    if seconds >= 86_400:
        return f"{compact(seconds / 86_400)} d"
    return f"{compact(seconds / 3600)} h" if seconds >= 3600 else f"{compact(seconds / 60)} min"


def deciding(days: Sequence[Day]) -> DailyChart:
    times = [(day, quantile(day.seconds or {}, 0.5), quantile(day.seconds or {}, 0.9)) for day in days]

    longest = max((ninth for _, _, ninth in times if ninth), default=60.0)

    def words(day: Day, median: float | None, ninth: float | None) -> str:
        if not day.measured:
            return _none_before()
        if median is None:
            return _("no decision")
        return _("median %(median)s, nine in ten within %(ninth)s", median=took(median), ninth=took(ninth))

    return daily(
        _("Time to decision"),
        [
            Bar(
                day.day,
                f"{day_words(day.day)}: {words(day, median, ninth)}",
                [Part("median", median)] if median else [],
                mark=ninth,
            )
            for day, median, ninth in times
        ],
        span,
        top=next((long for long in _LONG_S if long >= longest), longest),
        legend=[("median", _("Median")), ("mark", _("Nine in ten within"))],
        table_head=[_("Day"), _("Median"), _("Nine in ten within"), _("Decisions")],
        table=[
            (day_words(day.day), took(median), took(ninth), count(sum((day.seconds or {}).values())))
            if day.measured
            else (day_words(day.day), _none_before(), "", "")
            for day, median, ninth in reversed(times)
        ],
    )


def worth_of(days: Sequence[Day], currency: str) -> DailyChart:
    def words(day: Day) -> str:
        if not day.measured:
            return _none_before()
        saved = money_words(amount_of(day.saved, currency), currency, known=day.old_enough)
        lost = money_words(amount_of(day.lost, currency), currency, known=day.old_enough)
        return _("saved %(saved)s, lost %(lost)s", saved=saved, lost=lost)

    hundredths = 10 ** (2 - exponent_of(currency))
    return daily(
        _("Money saved and lost, %(currency)s", currency=currency),
        [
            Bar(
                day.day,
                f"{day_words(day.day)}: {words(day)}",
                [Part("saved", amount_of(day.saved, currency), not day.old_enough)],
                below=[Part("lost", amount_of(day.lost, currency), not day.old_enough)],
            )
            for day in days
        ],
        lambda value: short_money(value * hundredths, currency) if value else "0",
        legend=[
            ("saved", _("Saved")),
            ("lost", _("Lost")),
            ("saved open", _("Not yet known: chargebacks may still come")),
        ],
        table_head=[_("Day"), _("Saved"), _("Lost")],
        table=[
            (
                day_words(day.day),
                money_words(amount_of(day.saved, currency), currency, known=day.old_enough),
                money_words(amount_of(day.lost, currency), currency, known=day.old_enough),
            )
            if day.measured
            else (day_words(day.day), _none_before(), "")
            for day in reversed(days)
        ],
    )


def charts(days: Sequence[Day]) -> list[tuple[str, DailyChart]]:
    """(id, chart)"""
    return [
        ("volume", volume(days)),
        ("precision", precision(days)),
        ("backlog", backlog(days)),
        ("deciding", deciding(days)),
        *_of_money(days, currencies(days)[:CURRENCIES]),
    ]


def more_charts(days: Sequence[Day]) -> list[tuple[str, DailyChart]]:
    return _of_money(days, currencies(days)[CURRENCIES:])


def _of_money(days: Sequence[Day], of: Sequence[str]) -> list[tuple[str, DailyChart]]:
    return [(f"money-{currency.lower()}", worth_of(days, currency)) for currency in of]
