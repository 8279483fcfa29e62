"""The queue's rows: the same view whether a page, a fragment or the live stream shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from console.i18n import Words, marked, reader
from console.i18n import gettext as _
from console.views.lists import hit_words
from console.views.recorded import retold
from console.views.timeline import FIRST_RANGE, range_words
from console.views.words import (
    LABELS,
    OUTCOMES,
    STATUSES,
    EntityLink,
    Moment,
    Score,
    entity,
    moment,
    money,
    percent,
    score,
)
from core.base.due import due_state
from core.base.terms import AlertStatus, DueState, EntityKind, Label, Language, Outcome
from core.tables.casework import Alert
from models.features.catalogue import LANGUAGES
from models.scoring.telling import retell

_CONTROL_REASON: Final = marked("Approved, and drawn by chance to be looked at")


DUE_WORDS: Final = Words(
    {DueState.OK: marked("In time"), DueState.SOON: marked("Due soon"), DueState.OVERDUE: marked("Overdue")}
)


_MARKS: Final = {DueState.OK: "clock", DueState.SOON: "triangle-alert", DueState.OVERDUE: "circle-alert"}


@dataclass(frozen=True)
class Due:
    """Time left, or time over. The page's script keeps it current from `iso`."""

    state: str
    words: str
    icon: str
    iso: str
    full: str
    span: str


def span(gap: timedelta) -> str:
    """`12 min`, `2 h 5 min`, `3 d 4 h`: to the minute while that matters."""
    minutes = int(abs(gap.total_seconds()) // 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 1440:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def due(due_at: datetime, now: datetime) -> Due:
    state = due_state(due_at, now)
    when = moment(due_at, now)
    return Due(state.value, DUE_WORDS[state], _MARKS[state], when.iso, when.full, span(due_at - now))


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
    outcome_kind: str
    due: Due | None
    """None for a closed one."""
    title: str
    """What a checkbox is called that selects it."""


def reason_words(alert: Alert) -> str:
    """The sentence the alert was opened with: in English word for word, so an old one may say `EUR 12.00` where figures say `€12.00`.

    Where it is not to be had in the reader's language, what it is about.
    """
    language = reader().language
    if language is Language.EN:
        return alert.top_reason
    told = retell(alert.reason_features or [], alert.currency, language)
    if told is not None:
        return told
    about = LANGUAGES[language].GROUPS.get(alert.reason_code, "")
    return f"{about[:1].upper()}{about[1:]}" if about else retold(hit_words(alert.top_reason))


def people_in(alerts: Sequence[Alert]) -> list[UUID]:
    """Users whose names the rows need."""
    return list({user for alert in alerts for user in (alert.claimed_by, alert.closed_by) if user})


def status_words(alert: Alert) -> str:
    if alert.status == AlertStatus.CLOSED.value and alert.disposition:
        return LABELS[Label(alert.disposition)]
    return STATUSES[AlertStatus(alert.status)]


def alert_row(alert: Alert, names: Mapping[UUID, str], now: datetime) -> AlertRow:
    holder, amount = alert.closed_by or alert.claimed_by, money(alert.amount_minor, alert.currency)
    return AlertRow(
        id=str(alert.id),
        href=f"/alerts/{alert.id}",
        score=score(alert.score),
        expected_loss=money(alert.expected_loss_minor, alert.currency),
        amount=amount,
        outcome=OUTCOMES[Outcome(alert.outcome)],
        reason=reason_words(alert) if alert.control_probability is None else _(_CONTROL_REASON),
        customer=entity(EntityKind.CUSTOMER, alert.customer_id),
        merchant=entity(EntityKind.MERCHANT, alert.merchant_id),
        opened=moment(alert.opened_at, now),
        status=alert.status,
        status_words=status_words(alert),
        who=names.get(holder, "") if holder else "",
        control=control_words(alert.control_probability),
        outcome_kind=alert.outcome,
        due=due(alert.due_at, now) if alert.status != AlertStatus.CLOSED.value else None,
        title=_("Select the alert of %(amount)s, %(customer)s", amount=amount, customer=alert.customer_id),
    )


def alert_title(alert: Alert, chosen: str = FIRST_RANGE) -> str:
    """Of its page. chosen: the timeline's range, which is named where its address names it."""
    parts = [money(alert.amount_minor, alert.currency), score(alert.score).word]
    return " · ".join([*parts, *([range_words(chosen)] if chosen != FIRST_RANGE else []), "Ronda"])


def control_words(probability: float | None) -> str:
    if probability is None:
        return ""
    return _(
        "Drawn by chance, at %(chance)s, from the payments that were approved: "
        "so that the labels a model learns from are not only those of alerts.",
        chance=percent(probability, 2),
    )


MOST_SAID: Final = 999


def badge(number: int | None) -> str:
    """`999+` from a thousand on; empty for what is not counted."""
    if number is None:
        return ""
    return f"{MOST_SAID}+" if number > MOST_SAID else str(number)
