"""A customer's payments and alerts along time, ready for server-side SVG and a list beside it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from console.i18n import gettext as _
from console.i18n import ngettext, reader
from console.views.words import (
    LABELS,
    OUTCOMES,
    STATUSES,
    EntityLink,
    Moment,
    Score,
    count,
    day_month,
    entity,
    moment,
    money,
    score,
)
from core.base.errors import InvalidInput
from core.base.terms import AlertStatus, EntityKind, Label, Outcome
from core.stores.surroundings import TimedPayment
from core.tables.casework import TransactionLabel
from core.tables.flow import Transaction

RANGES: Final = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "90d": timedelta(days=90)}
FIRST_RANGE: Final = "7d"
_AFTER: Final = 0.25
"""So much of the range lies after the payment."""
LISTED: Final = 10
_TOP, _BOTTOM = 14.0, 82.0


def span_of(chosen: str, at: datetime) -> tuple[datetime, datetime]:
    """The stretch of time a range shows. Raises InvalidInput for one there is not."""
    if chosen not in RANGES:
        raise InvalidInput(_("There is no such range of time. Choose 24 hours, 7 days or 90 days."))
    return at - RANGES[chosen], at + RANGES[chosen] * _AFTER


def range_words(chosen: str) -> str:
    return {"24h": _("24 hours"), "7d": _("7 days"), "90d": _("90 days")}[chosen]


@dataclass(frozen=True)
class Point:
    """x in percent of the width, y in pixels. kind: outcome, or none. label: what it turned out to be."""

    x: str
    y: str
    kind: str
    label: str
    alert: bool
    here: bool
    words: str


@dataclass(frozen=True)
class Tick:
    x: str
    words: str
    anchor: str
    """Classes: where its text hangs, and odd for every second one, which a narrow page leaves out."""


@dataclass(frozen=True)
class TimeRow:
    uid: str
    href: str
    occurred: Moment
    amount: str
    merchant: EntityLink | None
    score: Score | None
    outcome: str
    outcome_kind: str
    label: str
    label_kind: str
    alert_href: str
    alert_words: str
    here: bool


@dataclass(frozen=True)
class Choice:
    key: str
    title: str
    href: str
    part: str
    """The address of the timeline alone."""
    current: bool


@dataclass(frozen=True)
class Timeline:
    choices: list[Choice]
    points: list[Point]
    ticks: list[Tick]
    here_x: str
    low: str
    high: str
    summary: str
    rows: list[TimeRow]
    more: str
    """How many payments of the range are in the picture only; empty where all are listed."""


def timeline(
    address: str,
    chosen: str,
    row: Transaction,
    own: TimedPayment,
    around: Sequence[TimedPayment],
    labels: Mapping[UUID, TransactionLabel],
    now: datetime,
) -> Timeline:
    """around: the customer's other payments, oldest first. address: of the page that shows it."""
    since, until = span_of(chosen, row.occurred_at)
    everything = sorted([*around, own], key=lambda payment: payment.occurred_at)
    amounts = [payment.amount_minor for payment in everything if payment.currency == row.currency]
    low, high = min(amounts), max(amounts)
    alerts = sum(1 for payment in everything if payment.alert_id)
    listed = _nearest(everything, own)
    return Timeline(
        choices=[
            Choice(
                key,
                range_words(key),
                f"{address}?range={key}#timeline",
                f"{address}/timeline?range={key}",
                key == chosen,
            )
            for key in RANGES
        ],
        points=[
            Point(
                x=f"{_x(payment.occurred_at, since, until):.2f}%",
                y=f"{_y(payment.amount_minor, low, high):.1f}",
                kind=payment.outcome or "none",
                label=labels[payment.uid].label if payment.uid in labels else "",
                alert=payment.alert_id is not None,
                here=payment.uid == own.uid,
                words=_point_words(payment, now),
            )
            for payment in everything
            if since <= payment.occurred_at <= until
        ],
        ticks=_ticks(since, until, chosen),
        here_x=f"{_x(row.occurred_at, since, until):.2f}%",
        low=money(low, row.currency),
        high=money(high, row.currency),
        summary=_summary(len(everything), alerts, chosen),
        rows=[_row(payment, labels.get(payment.uid), payment.uid == own.uid, now) for payment in reversed(listed)],
        more=_("%(n)s more in the picture.", n=count(len(everything) - len(listed)))
        if len(everything) > len(listed)
        else "",
    )


def _summary(payments: int, alerts: int, chosen: str) -> str:
    said = ngettext("%(num)s payment", "%(num)s payments", payments)
    raised = ngettext("%(num)s alert", "%(num)s alerts", alerts)
    return _(
        "%(payments)s and %(alerts)s in the %(range)s before this one and a quarter of that after it.",
        payments=said, alerts=raised, range=range_words(chosen),
    )  # fmt: skip


def _nearest(everything: Sequence[TimedPayment], own: TimedPayment) -> list[TimedPayment]:
    """Oldest first: `own`, a few after it, and those before it. Payments with an alert are never left out for others."""
    here = everything.index(own)
    order = sorted(
        range(len(everything)), key=lambda place: (place != here, everything[place].alert_id is None, abs(place - here))
    )
    return [everything[place] for place in sorted(order[:LISTED])]


def _x(at: datetime, since: datetime, until: datetime) -> float:
    return 1.0 + 98.0 * ((at - since) / (until - since))


def _y(amount: int, low: int, high: int) -> float:
    """Larger amounts stand higher, by their logarithm."""
    bottom, top = math.log(max(low, 1)), math.log(max(high, 1))
    share = (math.log(max(amount, 1)) - bottom) / (top - bottom) if top > bottom else 0.5
    return _BOTTOM - min(max(share, 0.0), 1.0) * (_BOTTOM - _TOP)


def _ticks(since: datetime, until: datetime, chosen: str) -> list[Tick]:
    step = {"24h": timedelta(hours=6), "7d": timedelta(days=1), "90d": timedelta(days=15)}[chosen]
    first = since.astimezone(reader().tz).replace(minute=0, second=0, microsecond=0)
    first = first.replace(hour=0) if step >= timedelta(days=1) else first.replace(hour=first.hour // 6 * 6)
    ticks: list[Tick] = []
    while first <= until:
        if first > since:
            x = _x(first, since, until)
            odd = " odd" if len(ticks) % 2 else ""
            anchor = "end" if x > 96 else "start" if x < 4 else "middle"
            ticks.append(Tick(f"{x:.2f}%", f"{first:%H:%M}" if chosen == "24h" else day_month(first), anchor + odd))
        first += step
    return ticks


def _point_words(payment: TimedPayment, now: datetime) -> str:
    outcome = (
        OUTCOMES[Outcome(payment.outcome)] if payment.outcome else _("History") if payment.imported else _("Waiting")
    )
    return f"{moment(payment.occurred_at, now).full}: {money(payment.amount_minor, payment.currency)}, {outcome}"


def _row(payment: TimedPayment, label: TransactionLabel | None, here: bool, now: datetime) -> TimeRow:
    return TimeRow(
        uid=str(payment.uid),
        href=f"/transactions/{payment.uid}",
        occurred=moment(payment.occurred_at, now),
        amount=money(payment.amount_minor, payment.currency),
        merchant=entity(EntityKind.MERCHANT, payment.merchant_id),
        score=score(payment.score) if payment.outcome else None,
        outcome=OUTCOMES[Outcome(payment.outcome)]
        if payment.outcome
        else _("History")
        if payment.imported
        else _("Waiting"),
        outcome_kind=payment.outcome or "none",
        label=LABELS[Label(label.label)] if label else "",
        label_kind=label.label if label else "",
        alert_href=f"/alerts/{payment.alert_id}" if payment.alert_id else "",
        alert_words=STATUSES[AlertStatus(payment.alert_status)] if payment.alert_status else "",
        here=here,
    )
