"""The queue's rows: the same view whether a page, a fragment or the live stream shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from console.views.words import (
    LABELS,
    OUTCOMES,
    STATUSES,
    EntityLink,
    Moment,
    Score,
    count,
    entity,
    moment,
    money,
    percent,
    score,
)
from core.base.terms import AlertStatus, EntityKind, Label, Outcome
from core.tables.casework import Alert

_CONTROL_REASON: Final = "Approved, and drawn by chance to be looked at"


@dataclass(frozen=True)
class AlertRow:
    id: str
    href: str
    score: Score
    expected_loss: str
    amount: str
    outcome: str
    reason: str
    customer: EntityLink | None
    merchant: EntityLink | None
    opened: Moment
    status: str
    """The enum's value, for the row's class."""
    status_words: str
    who: str
    """Who claimed or closed it; empty for an open one."""
    control: str
    """Why an approved payment is here: it was drawn at random. Empty for an alert on its own merit."""


def people_in(alerts: Sequence[Alert]) -> list[UUID]:
    """Users whose names the rows need."""
    return list({user for alert in alerts for user in (alert.claimed_by, alert.closed_by) if user})


def status_words(alert: Alert) -> str:
    if alert.status == AlertStatus.CLOSED.value and alert.disposition:
        return LABELS[Label(alert.disposition)]
    return STATUSES[AlertStatus(alert.status)]


def alert_row(alert: Alert, names: Mapping[UUID, str], now: datetime) -> AlertRow:
    holder = alert.closed_by or alert.claimed_by
    return AlertRow(
        id=str(alert.id),
        href=f"/alerts/{alert.id}",
        score=score(alert.score),
        expected_loss=money(alert.expected_loss_minor, alert.currency),
        amount=money(alert.amount_minor, alert.currency),
        outcome=OUTCOMES[Outcome(alert.outcome)],
        reason=alert.top_reason if alert.control_probability is None else _CONTROL_REASON,
        customer=entity(EntityKind.CUSTOMER, alert.customer_id),
        merchant=entity(EntityKind.MERCHANT, alert.merchant_id),
        opened=moment(alert.opened_at, now),
        status=alert.status,
        status_words=status_words(alert),
        who=names.get(holder, "") if holder else "",
        control=control_words(alert.control_probability),
    )


def control_words(probability: float | None) -> str:
    if probability is None:
        return ""
    return (
        f"Drawn by chance, at {percent(probability, 2)}, from the payments that were approved: "
        "so that the labels a model learns from are not only those of alerts."
    )


@dataclass(frozen=True)
class StatusCount:
    """How many alerts a choice of the status filter holds."""

    key: str
    title: str
    count: str


def count_words(counts: Mapping[AlertStatus, int]) -> list[StatusCount]:
    active = counts[AlertStatus.OPEN] + counts[AlertStatus.CLAIMED]
    return [
        StatusCount("todo", "To do", count(active)),
        *(StatusCount(status.value, STATUSES[status], count(counts[status])) for status in AlertStatus),
    ]


@dataclass(frozen=True)
class Tab:
    key: str
    title: str
    href: str
    count: str
    current: bool


def queue_href(path: str = "/queue", **query: str) -> str:
    """Empty values are left out."""
    given = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def tabs(counts: Mapping[AlertStatus, int], chosen: str, order: str) -> list[Tab]:
    """`chosen`: a status, or empty for everything that is not closed."""
    found = []
    for entry in count_words(counts):
        status = "" if entry.key == "todo" else entry.key
        href = queue_href(status=status, order=order)
        found.append(Tab(entry.key, entry.title, href, entry.count, status == chosen))
    return found
