"""An entity's page in words: figures, activity by day, and what its payments share with others."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from console.i18n import gettext as _
from console.i18n import ngettext, reader
from console.views.words import OUTCOMES, EntityLink, Moment, count, day_month, entity, moment, money
from core.base.terms import AlertStatus, EntityKind, Label, Outcome
from core.stores.entities import MOST, MOST_SHARED, Seen
from core.tables.casework import TransactionLabel

LINKS_SHOWN: Final = 5
SHARED_KINDS: Final = (EntityKind.CARD, EntityKind.DEVICE, EntityKind.IP)
"""Kinds that several customers should not have in common."""
DAYS: Final = 30
WIDTH, BOTTOM, TOP = 620.0, 90.0, 1.0
_GAP: Final = 3.0


@dataclass(frozen=True)
class Figure:
    title: str
    value: str
    note: str = ""
    moment: Moment | None = None


@dataclass(frozen=True)
class LinkRow:
    link: EntityLink
    payments: str
    shared: str
    """`shared with 7 customers`; empty where nobody else uses it, or where that says nothing."""
    much: bool


@dataclass(frozen=True)
class LinkGroup:
    title: str
    icon: str
    rows: list[LinkRow]
    more: str


@dataclass(frozen=True)
class DayBar:
    x: str
    width: str
    y: str
    height: str
    fraud_y: str
    fraud_height: str
    """`0` where no payment of the day was fraud."""
    title: str


@dataclass(frozen=True)
class Activity:
    bars: list[DayBar]
    ticks: list[str]
    """The first day, the one in the middle, the last."""
    highest: str
    summary: str
    table: list[tuple[str, str, str]]
    size: str = f"0 0 {WIDTH:g} {BOTTOM:g}"
    bottom: str = f"{BOTTOM:g}"
    top: str = f"{TOP:g}"
    right: str = f"{WIDTH:g}"


@dataclass(frozen=True)
class Known:
    """What was read of an entity. labels: by payment. users: of linked cards, devices and addresses, their customers."""

    kind: EntityKind
    id: str
    payments: Sequence[Seen]
    first_seen: datetime | None
    labels: Mapping[UUID, TransactionLabel]
    alerts: Mapping[AlertStatus, int]
    users: Mapping[tuple[EntityKind, str], int]

    @property
    def cut(self) -> bool:
        """There are more payments than were looked at."""
        return len(self.payments) >= MOST

    def is_fraud(self, uid: UUID) -> bool:
        return uid in self.labels and self.labels[uid].label == Label.FRAUD.value


def bounded_words(known: Known) -> str:
    """Empty when everything was looked at."""
    if not known.cut:
        return ""
    return _("It has more payments than are counted here: the figures are of its latest %(most)s.", most=count(MOST))


def figures(known: Known, now: datetime) -> list[Figure]:
    payments = known.payments
    found = [Figure(_("Payments"), f"{count(len(payments))}{'+' if known.cut else ''}", _outcomes(payments))]
    totals = Counter[str]()
    for payment in payments:
        totals[payment.currency] += payment.amount_minor
    found.append(
        Figure(_("Amount"), " · ".join(money(minor, currency) for currency, minor in totals.most_common(3)) or "0")
    )
    if known.first_seen and payments:
        found.append(Figure(_("First payment"), "", moment=moment(known.first_seen, now)))
        found.append(Figure(_("Last payment"), "", moment=moment(payments[0].occurred_at, now)))
    labels = Counter(label.label for label in known.labels.values())
    found.append(
        Figure(
            _("Fraud labels"),
            count(labels[Label.FRAUD.value]),
            ngettext("of %(num)s labelled payment", "of %(num)s labelled payments", labels.total()),
        )
    )
    active = known.alerts.get(AlertStatus.OPEN, 0) + known.alerts.get(AlertStatus.CLAIMED, 0)
    note = ngettext("%(num)s not closed", "%(num)s not closed", active) if active else ""
    found.append(Figure(_("Alerts"), count(sum(known.alerts.values())), note))
    if known.kind is not EntityKind.CUSTOMER:
        customers = len({payment.ids[EntityKind.CUSTOMER] for payment in payments})
        found.append(Figure(_("Customers"), f"{count(customers)}{'+' if known.cut else ''}"))
    return found


def _outcomes(payments: Sequence[Seen]) -> str:
    """`Approve 12 · Review 3`"""
    told = Counter(payment.outcome for payment in payments)
    return " · ".join(f"{OUTCOMES[one]} {count(told[one])}" for one in Outcome if told[one])


def linked(payments: Sequence[Seen], kind: EntityKind) -> Mapping[EntityKind, Counter[str]]:
    """How many of the payments name each other entity."""
    return {
        other: Counter(ident for payment in payments if (ident := payment.ids[other]) is not None)
        for other in EntityKind
        if other is not kind
    }


def link_groups(known: Known) -> list[LinkGroup]:
    groups = []
    for kind, counted in linked(known.payments, known.kind).items():
        rows = [_link_row(known, kind, ident, number) for ident, number in counted.most_common(LINKS_SHOWN)]
        if rows:
            title = _group_title(kind, len(counted))
            left = len(counted) - len(rows)
            more = ngettext("and %(num)s more", "and %(num)s more", left) if left else ""
            groups.append(LinkGroup(title, rows[0].link.icon, rows, more))
    return groups


def _group_title(kind: EntityKind, number: int) -> str:
    match kind:
        case EntityKind.CUSTOMER:
            return ngettext("%(num)s customer", "%(num)s customers", number)
        case EntityKind.CARD:
            return ngettext("%(num)s card", "%(num)s cards", number)
        case EntityKind.MERCHANT:
            return ngettext("%(num)s merchant", "%(num)s merchants", number)
        case EntityKind.DEVICE:
            return ngettext("%(num)s device", "%(num)s devices", number)
        case EntityKind.IP:
            return ngettext("%(num)s IP address", "%(num)s IP addresses", number)


def _link_row(known: Known, kind: EntityKind, ident: str, number: int) -> LinkRow:
    link = entity(kind, ident)
    assert link is not None  # counted ids are not empty
    own = 1 if known.kind is EntityKind.CUSTOMER else 0
    others = known.users.get((kind, ident), own) - own
    many = kind in SHARED_KINDS and others > (0 if own else 1)
    shared = ""
    if many and own:
        shared = ngettext("shared with %(num)s customer", "shared with %(num)s customers", others)
    elif many:
        shared = ngettext("used by %(num)s customer", "used by %(num)s customers", others)
    payments = ngettext("%(num)s payment", "%(num)s payments", number)
    return LinkRow(link, payments, shared, others >= 3)


def links_note() -> str:
    return _(
        "Who else uses a card, device or IP address is told by its latest %(most)s payments.", most=count(MOST_SHARED)
    )


def activity(known: Known) -> Activity | None:
    """Payments by day up to the last one, in the reader's time zone; None without payments."""
    if not known.payments:
        return None
    zone = reader().tz
    dates = [(payment.occurred_at.astimezone(zone).date(), known.is_fraud(payment.uid)) for payment in known.payments]
    every, frauds = Counter(at for at, _fraud in dates), Counter(at for at, fraud in dates if fraud)
    last = max(every)
    days = [last - timedelta(days=back) for back in reversed(range(DAYS))]
    most = max(every[at] for at in days)
    busiest = max(days, key=lambda at: (every[at], at))
    return Activity(
        bars=[_bar(place, at, every[at], frauds[at], most) for place, at in enumerate(days) if every[at]],
        ticks=[_date(days[0]), _date(days[DAYS // 2]), _date(last)],
        highest=count(most),
        summary=_(
            "Payments by day from %(first)s to %(last)s: the most on %(busiest)s, %(most)s.",
            first=_date(days[0]), last=_date(last), busiest=_date(busiest), most=count(most),
        ),
        table=[(_date(at), count(every[at]), count(frauds[at])) for at in reversed(days) if every[at]],
    )  # fmt: skip


def _bar(place: int, at: date, payments: int, frauds: int, most: int) -> DayBar:
    room, full = WIDTH / DAYS, BOTTOM - TOP
    height, fraud = (max(number / most * full, 2.0) if number else 0.0 for number in (payments, frauds))
    words = ngettext("%(num)s payment", "%(num)s payments", payments)
    if frauds:
        words = _("%(payments)s, %(frauds)s of them fraud", payments=words, frauds=count(frauds))
    return DayBar(
        x=f"{place * room + _GAP / 2:.1f}",
        width=f"{room - _GAP:.1f}",
        y=f"{BOTTOM - height:.1f}",
        height=f"{height:.1f}",
        fraud_y=f"{BOTTOM - fraud:.1f}",
        fraud_height=f"{fraud:.1f}" if frauds else "0",
        title=f"{_date(at)}: {words}",
    )


def _date(at: date) -> str:
    """`24 Nov`"""
    return day_month(datetime(at.year, at.month, at.day))
