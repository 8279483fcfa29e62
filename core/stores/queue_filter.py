"""What the queue is narrowed to: as SQL for PostgreSQL, and the same in Python for a single alert that just changed."""

import string
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, literal_column, or_, true
from sqlmodel import col

from core.base.bands import LOWEST, band_of
from core.base.due import SOON, due_state
from core.base.money import EXPONENTS, MAX_MINOR, exponent_of
from core.base.terms import AlertStatus, DueState, EntityKind, Outcome, ScoreBand
from core.stores.flow import ENTITY_COLUMNS
from core.tables.casework import SEARCHED, Alert

UUID_PREFIX: Final = 8
"""From so many hex digits on, words are taken for the beginning of an alert's or a transaction's id."""


class Standing(StrEnum):
    """Whose turn it is."""

    UNCLOSED = "todo"
    """Whoever has it. The value stands in addresses that people keep."""
    OPEN = "open"
    """Nobody works on it."""
    CLAIMED = "claimed"
    MINE = "mine"
    CLOSED = "closed"
    ANY = "any"


class Age(StrEnum):
    """How long ago it opened."""

    HOUR = "hour"
    """Less than an hour ago."""
    DAY = "day"
    """An hour to a day ago."""
    OLDER = "older"


@dataclass(frozen=True)
class AlertFilter:
    """Empty fields do not narrow. words: an id or the beginning of one. Amounts are in major units of each alert's own currency."""

    standing: Standing = Standing.UNCLOSED
    words: str = ""
    outcomes: tuple[Outcome, ...] = ()
    bands: tuple[ScoreBand, ...] = ()
    due: tuple[DueState, ...] = ()
    age: Age | None = None
    reasons: tuple[str, ...] = ()
    currencies: tuple[str, ...] = ()
    amount_from: Decimal | None = None
    amount_to: Decimal | None = None
    entities: tuple[tuple[EntityKind, str], ...] = ()
    control: bool | None = None


@dataclass(frozen=True)
class Look:
    """Who looks, and when. found: ids of the alerts that `words` finds; None while there are none to find."""

    now: datetime
    me: UUID
    found: Sequence[UUID] | None = None


_CLOSED: Final[ColumnElement[str]] = literal_column("'closed'")
"""Written out: the planner must see that the condition is the one of the partial indexes."""


def not_closed() -> ColumnElement[bool]:
    return col(Alert.status) != _CLOSED


def standing_condition(wanted: AlertFilter, look: Look) -> ColumnElement[bool]:
    match wanted.standing:
        case Standing.UNCLOSED:
            return not_closed()
        case Standing.OPEN:
            return and_(not_closed(), col(Alert.status) == AlertStatus.OPEN.value)
        case Standing.CLAIMED:
            return col(Alert.status) == literal_column("'claimed'")
        case Standing.MINE:
            return and_(col(Alert.status) == literal_column("'claimed'"), col(Alert.claimed_by) == look.me)
        case Standing.CLOSED:
            return col(Alert.status) == _CLOSED
        case Standing.ANY:
            return true()


def base_condition(wanted: AlertFilter, look: Look) -> ColumnElement[bool]:
    """What facets are counted in: the standing, and what the words find."""
    standing = standing_condition(wanted, look)
    return standing if look.found is None else and_(standing, col(Alert.id).in_(look.found))


def conditions(wanted: AlertFilter, look: Look) -> dict[str, ColumnElement[bool]]:
    """By what they narrow. Without the base condition."""
    found: dict[str, ColumnElement[bool]] = {}
    if wanted.outcomes:
        found["outcome"] = col(Alert.outcome).in_([outcome.value for outcome in wanted.outcomes])
    if wanted.bands:
        found["band"] = or_(*(_in_band(band) for band in wanted.bands))
    if wanted.due:
        found["due"] = and_(not_closed(), or_(*(_is_due(state, look.now) for state in wanted.due)))
    if wanted.age:
        found["age"] = _of_age(wanted.age, look.now)
    if wanted.reasons:
        found["reason"] = col(Alert.reason_code).in_(wanted.reasons)
    if wanted.currencies:
        found["currency"] = col(Alert.currency).in_(wanted.currencies)
    if wanted.amount_from is not None or wanted.amount_to is not None:
        found["amount"] = _between(wanted.amount_from, wanted.amount_to)
    for kind, ident in wanted.entities:
        found[kind.value] = getattr(Alert, ENTITY_COLUMNS[kind]) == ident
    if wanted.control is not None:
        chance = col(Alert.control_probability)
        found["control"] = chance.is_not(None) if wanted.control else chance.is_(None)
    return found


def _in_band(band: ScoreBand) -> ColumnElement[bool]:
    score = col(Alert.score)
    if band is ScoreBand.NONE:
        return score.is_(None)
    above = [least for least in LOWEST.values() if least > LOWEST[band]]
    least = score >= LOWEST[band] if band is not ScoreBand.LOW else score.is_not(None)
    return and_(least, score < min(above)) if above else least


def _is_due(state: DueState, now: datetime) -> ColumnElement[bool]:
    due = col(Alert.due_at)
    match state:
        case DueState.OVERDUE:
            return due <= now
        case DueState.SOON:
            return and_(due > now, due <= now + SOON)
        case DueState.OK:
            return due > now + SOON


def _of_age(age: Age, now: datetime) -> ColumnElement[bool]:
    opened, hour, day = col(Alert.opened_at), now - timedelta(hours=1), now - timedelta(days=1)
    match age:
        case Age.HOUR:
            return opened > hour
        case Age.DAY:
            return and_(opened <= hour, opened > day)
        case Age.OLDER:
            return opened <= day


def minor_bound(amount: Decimal, exponent: int, *, least: bool) -> int:
    """The amount in minor units of a currency with so many decimals; what lies between two of them counts as outside."""
    minor = amount.scaleb(exponent).to_integral_value(ROUND_CEILING if least else ROUND_FLOOR)
    return int(min(minor, Decimal(MAX_MINOR + 1)))


def _between(least: Decimal | None, most: Decimal | None) -> ColumnElement[bool]:
    def bound(amount: Decimal, *, least: bool) -> ColumnElement[int]:
        odd = [
            (col(Alert.currency).in_(codes), minor_bound(amount, exponent, least=least))
            for exponent, codes in EXPONENTS.items()
        ]
        return case(*odd, else_=minor_bound(amount, 2, least=least))

    minor, parts = col(Alert.amount_minor), []
    if least is not None:
        parts.append(minor >= bound(least, least=True))
    if most is not None:
        parts.append(minor <= bound(most, least=False))
    return and_(*parts)


def uuid_range(words: str) -> tuple[UUID, UUID] | None:
    """First and last of the ids that begin so; None when it is no beginning of one."""
    digits = words.replace("-", "").lower()
    if not UUID_PREFIX <= len(digits) <= 32 or not set(digits) <= set(string.hexdigits):
        return None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


def _said(alert: Alert, words: str) -> bool:
    bounds = uuid_range(words)
    ids = (alert.id, alert.transaction_uid)
    return any((getattr(alert, name) or "").startswith(words) for name in SEARCHED) or (
        bounds is not None and any(bounds[0] <= ident <= bounds[1] for ident in ids)
    )


def _stands(alert: Alert, wanted: AlertFilter, me: UUID) -> bool:
    match wanted.standing:
        case Standing.UNCLOSED:
            return alert.status != AlertStatus.CLOSED.value
        case Standing.MINE:
            return alert.status == AlertStatus.CLAIMED.value and alert.claimed_by == me
        case Standing.ANY:
            return True
        case _:
            return alert.status == wanted.standing.value


def _in_amounts(alert: Alert, wanted: AlertFilter) -> bool:
    exponent = exponent_of(alert.currency)
    least, most = wanted.amount_from, wanted.amount_to
    return (least is None or alert.amount_minor >= minor_bound(least, exponent, least=True)) and (
        most is None or alert.amount_minor <= minor_bound(most, exponent, least=False)
    )


def age_of(opened_at: datetime, now: datetime) -> Age:
    if opened_at > now - timedelta(hours=1):
        return Age.HOUR
    return Age.DAY if opened_at > now - timedelta(days=1) else Age.OLDER


def holds(alert: Alert, wanted: AlertFilter, look: Look) -> bool:
    """Whether the queue, narrowed so, has this alert: what the SQL says, without asking PostgreSQL."""
    closed = alert.status == AlertStatus.CLOSED.value
    return (
        _stands(alert, wanted, look.me)
        and (not wanted.words or _said(alert, wanted.words))
        and (not wanted.outcomes or alert.outcome in wanted.outcomes)
        and (not wanted.bands or band_of(alert.score) in wanted.bands)
        and (not wanted.due or (not closed and due_state(alert.due_at, look.now) in wanted.due))
        and (not wanted.age or age_of(alert.opened_at, look.now) is wanted.age)
        and (not wanted.reasons or alert.reason_code in wanted.reasons)
        and (not wanted.currencies or alert.currency in wanted.currencies)
        and _in_amounts(alert, wanted)
        and all(getattr(alert, ENTITY_COLUMNS[kind]) == ident for kind, ident in wanted.entities)
        and wanted.control in (None, alert.control_probability is not None)
    )
