"""What addresses and forms ask for, read with care: an amount, a day, a place further down a list. A damaged link is told readably."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Final, TypeVar
from uuid import UUID

from babel.numbers import NumberFormatError, parse_decimal

from console.i18n import gettext as _
from console.i18n import reader
from core.base.errors import InvalidInput
from core.base.money import MAX_MINOR

_AS_PROGRAMS_WRITE: Final = re.compile(r"\d{1,18}(\.\d{1,2}|\.\d{4})?", re.ASCII)
"""Three digits behind the dot are left to the reader's language: they may be thousands."""
_AS_PEOPLE_WRITE: Final = re.compile(r"\d[\d.,'’ \u00a0\u202f]{0,30}", re.ASCII)

_MOMENT: Final = "%Y%m%dT%H%M%S.%f%z"
Value = TypeVar("Value")


def read_amount(text: str) -> Decimal:
    """In major units: `1250.50` in every language, else by the marks of the reader's. Raises ValueError, also where a mark is misplaced."""
    if _AS_PROGRAMS_WRITE.fullmatch(text):
        amount = Decimal(text)
    elif _AS_PEOPLE_WRITE.fullmatch(text):
        try:
            amount = parse_decimal(text, locale=reader().locale, strict=True)
        except NumberFormatError:
            raise ValueError(text) from None
    else:
        raise ValueError(text)
    if amount > MAX_MINOR:
        raise ValueError(text)
    return amount


def read_day(text: str) -> datetime | None:
    """Midnight at the beginning of a day `2026-01-31` of the reader's time zone. Raises InvalidInput."""
    if not text:
        return None
    try:
        return datetime.combine(datetime.strptime(text, "%Y-%m-%d").date(), time(), reader().tz).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(_("“%(text)s” is not a day. Write it like 2026-01-31.", text=text[:40])) from error


def read_days(since: str, until: str) -> tuple[datetime | None, datetime | None]:
    """[since, until), the last day included. Raises InvalidInput."""
    begins, last = read_day(since), read_day(until)
    ends = last + timedelta(days=1) if last else None
    if begins and ends and begins >= ends:
        raise InvalidInput(_("The last day lies before the first one."))
    return begins, ends


def place_text(value: datetime | float, ident: UUID) -> str:
    """Where a further page begins: behind the row of this value and id."""
    shown = value.astimezone(UTC).strftime(_MOMENT) if isinstance(value, datetime) else repr(value)
    return f"{shown}_{ident}"


def read_place(text: str) -> tuple[datetime, UUID] | None:
    """What `place_text` made of a moment. Raises InvalidInput on anything else."""
    return read_place_by(text, read_moment)


def read_place_by(text: str, read: Callable[[str], Value]) -> tuple[Value, UUID] | None:
    """What `place_text` made of a value that `read` reads, which raises ValueError. Raises InvalidInput on anything else."""
    if not text:
        return None
    value, _separator, ident = text.partition("_")
    try:
        return read(value), UUID(ident)
    except ValueError as error:
        raise InvalidInput(_("This link to a further page is damaged. Go back to the first page.")) from error


def read_moment(text: str) -> datetime:
    return datetime.strptime(text, _MOMENT)
