"""What is normal for a customer, from their earlier payments, and where this payment stands beside it."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from console.i18n import gettext as _
from console.i18n import ngettext, reader
from console.views.words import EntityLink, Moment, compact, count, entity, middle, moment, money, offset, percent
from core.base.terms import EntityKind
from core.stores.surroundings import MOST_EARLIER, EarlierPayment
from core.tables.flow import Transaction

LEAST_AMOUNTS: Final = 3
"""Fewer earlier amounts have no distribution."""
NEAR_HOURS: Final = 2
_LONGEST_ID: Final = 13
_STRIP_EDGE: Final = 3.0
_EARTH_KM: Final = 6371.0


@dataclass(frozen=True)
class Strip:
    """Amounts on a line, by their logarithm; places in percent of its width."""

    ticks: list[str]
    band_x: str
    band_width: str
    middle_x: str
    mark_x: str
    mark_anchor: str
    mark_text_x: str
    mark: str
    low: str
    high: str
    sentence: str
    above: str
    """How many of the earlier amounts this one exceeds."""
    unusual: bool


@dataclass(frozen=True)
class HourBar:
    hour: int
    x: str
    width: str
    y: str
    height: str
    here: bool
    words: str


@dataclass(frozen=True)
class Hours:
    bars: list[HourBar]
    sentence: str
    unusual: bool


@dataclass(frozen=True)
class Usual:
    words: str
    full: str
    count: str


@dataclass(frozen=True)
class Habit:
    """One thing a payment names: what this one says, and what the earlier ones did."""

    title: str
    icon: str
    this: str
    link: EntityLink | None
    never: bool
    seen: str
    usual: Usual | None
    """The most frequent of the earlier ones."""
    others: str
    """How many more different ones there were; empty where there was none."""


@dataclass(frozen=True)
class Normal:
    payments: int
    based_on: str
    since: Moment | None
    strip: Strip | None
    no_strip: str
    """Why there is no strip."""
    hours: Hours | None
    habits: list[Habit]
    distance: str
    far: bool


def normal(row: Transaction, earlier: Sequence[EarlierPayment], now: datetime) -> Normal:
    """earlier: newest first."""
    amounts = sorted(past.amount_minor for past in earlier if past.currency == row.currency)
    distance, far = _distance(row, earlier)
    return Normal(
        payments=len(earlier),
        based_on=_based_on(len(earlier)),
        since=moment(earlier[-1].occurred_at, now) if earlier else None,
        strip=strip(row.amount_minor, amounts, row.currency) if len(amounts) >= LEAST_AMOUNTS else None,
        no_strip=_(
            "Fewer than %(n)s earlier payments in %(currency)s: too few for a usual amount.",
            n=LEAST_AMOUNTS,
            currency=row.currency,
        ),
        hours=hours(row.occurred_at, [past.occurred_at for past in earlier]) if earlier else None,
        habits=_habits(row, earlier),
        distance=distance,
        far=far,
    )


def _based_on(payments: int) -> str:
    if payments >= MOST_EARLIER:
        return _("the latest %(n)s payments before this one", n=count(payments))
    return ngettext("the %(num)s payment before this one", "all %(num)s payments before this one", payments)


def quantile(ordered: Sequence[int], share: float) -> int:
    """The value below which about `share` of them lie; one of them, never between two."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def strip(amount: int, ordered: Sequence[int], currency: str) -> Strip:
    """ordered: earlier amounts in minor units, ascending, at least one."""
    low, high = min(ordered[0], amount), max(ordered[-1], amount)

    def place(value: int) -> float:
        bottom, top = math.log(max(low, 1)), math.log(max(high, 1))
        share = (math.log(max(value, 1)) - bottom) / (top - bottom) if top > bottom else 0.5
        return _STRIP_EDGE + share * (100 - 2 * _STRIP_EDGE)

    first, half, last = (quantile(ordered, share) for share in (0.1, 0.5, 0.9))
    at = place(amount)
    below = sum(1 for value in ordered if value < amount)
    return Strip(
        ticks=[f"{x:.2f}%" for x in sorted({round(place(value), 2) for value in ordered})],
        band_x=f"{place(first):.2f}%",
        band_width=f"{max(place(last) - place(first), 0.5):.2f}%",
        middle_x=f"{place(half):.2f}%",
        mark_x=f"{at:.2f}%",
        mark_anchor="start" if at < 15 else "end" if at > 85 else "middle",
        mark_text_x=f"{max(at, 0.5) if at < 15 else at:.2f}%",
        mark=money(amount, currency),
        low=money(low, currency),
        high=money(high, currency),
        sentence=_(
            "Usually %(low)s to %(high)s, half of them up to %(middle)s.",
            low=money(first, currency),
            high=money(last, currency),
            middle=money(half, currency),
        ),
        above=_standing(below, len(ordered)),
        unusual=amount > ordered[-1] or amount > 3 * last,
    )


def _standing(below: int, of: int) -> str:
    if below == of:
        return _("This one is above all %(n)s of them.", n=count(of))
    if below == 0:
        return _("This one is not above any of them.")
    return _("This one is above %(share)s of them.", share=percent(below / of))


def hours(moment_of: datetime, earlier: Sequence[datetime]) -> Hours:
    """Hours of the day where the reader is."""
    here = moment_of.astimezone(reader().tz)
    counts = Counter(past.astimezone(reader().tz).hour for past in earlier)
    most = max(counts.values(), default=1)
    step = 100 / 24
    bars = [
        HourBar(
            hour=hour,
            x=f"{hour * step + 0.4:.2f}%",
            width=f"{step - 0.8:.2f}%",
            y=f"{40 - 38 * counts[hour] / most:.1f}",
            height=f"{38 * counts[hour] / most:.1f}",
            here=hour == here.hour,
            words=ngettext(
                "%(hour)s: %(num)s payment", "%(hour)s: %(num)s payments", counts[hour], hour=f"{hour:02d}:00"
            ),
        )
        for hour in range(24)
    ]
    near = sum(1 for past in earlier if _apart(past, here) <= NEAR_HOURS * 3600)
    sentence = _(
        "Made at %(time)s %(zone)s; %(near)s of %(of)s were made within %(hours)s hours of that time of day.",
        time=f"{here:%H:%M}", zone=offset(here), near=count(near), of=count(len(earlier)), hours=NEAR_HOURS,
    )  # fmt: skip
    return Hours(bars, sentence, unusual=len(earlier) >= 10 and near / len(earlier) < 0.05)


def _apart(one: datetime, other: datetime) -> float:
    """Seconds between two times of day, the shorter way round the clock."""
    gap = abs(one.timestamp() - other.timestamp()) % 86_400
    return min(gap, 86_400 - gap)


_Asked = tuple[str, str, EntityKind | None, Callable[[EarlierPayment], str | None], str | None]


def _asked(row: Transaction) -> list[_Asked]:
    """Title, icon, kind of entity, how to read it of an earlier payment, and this payment's."""
    return [
        (_("Merchant"), "store", EntityKind.MERCHANT, lambda past: past.merchant_id, row.merchant_id),
        (_("Category"), "inbox", None, lambda past: past.merchant_category, row.merchant_category),
        (_("Country"), "globe", None, lambda past: past.merchant_country, row.merchant_country),
        (_("Channel"), "arrow-left-right", None, lambda past: past.channel, row.channel),
        (_("Device"), "smartphone", EntityKind.DEVICE, lambda past: past.device_id, row.device_id),
        (_("Card"), "credit-card", EntityKind.CARD, lambda past: past.card_id, row.card_id),
        (_("IP address"), "globe", EntityKind.IP, lambda past: past.ip, row.ip),
    ]


def _habits(row: Transaction, earlier: Sequence[EarlierPayment]) -> list[Habit]:
    habits = []
    for title, icon, kind, read, this in _asked(row):
        counts = Counter(value for past in earlier if (value := read(past)))
        if not this and not counts:
            continue
        usual = counts.most_common(1)
        habits.append(
            Habit(
                title=title,
                icon=icon,
                this=middle(this, _LONGEST_ID) if this else "",
                link=entity(kind, this) if kind else None,
                never=bool(this and earlier and not counts[this]),
                seen=_seen(counts[this], counts.total()) if this and counts[this] else "",
                usual=Usual(middle(usual[0][0], _LONGEST_ID), usual[0][0], count(usual[0][1])) if usual else None,
                others=ngettext("and %(num)s other", "and %(num)s others", len(counts) - 1) if len(counts) > 1 else "",
            )
        )
    return habits


def _seen(times: int, of: int) -> str:
    return _("%(n)s of %(of)s", n=count(times), of=count(of))


def _distance(row: Transaction, earlier: Sequence[EarlierPayment]) -> tuple[str, bool]:
    """From the middle of the earlier places; ("", False) where nothing says where."""
    places = [
        (past.latitude, past.longitude) for past in earlier if past.latitude is not None and past.longitude is not None
    ]
    if row.latitude is None or row.longitude is None or not places:
        return "", False
    home = _middle(sorted(place[0] for place in places)), _middle(sorted(place[1] for place in places))
    gaps = sorted(kilometres(home, place) for place in places)
    own = kilometres(home, (row.latitude, row.longitude))
    usual = gaps[int(0.9 * (len(gaps) - 1))]
    words = _(
        "%(own)s km from the middle of the earlier places; 9 in 10 of them lie within %(usual)s km.",
        own=compact(round(own)), usual=compact(math.ceil(usual)),
    )  # fmt: skip
    return words, own > max(3 * usual, 100)


def _middle(ordered: Sequence[float]) -> float:
    return ordered[len(ordered) // 2]


def kilometres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Great-circle distance of two (latitude, longitude)."""
    (lat1, lon1), (lat2, lon2) = ((math.radians(part) for part in place) for place in (one, other))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * _EARTH_KM * math.asin(min(1.0, math.sqrt(half)))
