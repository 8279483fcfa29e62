"""Aware UTC times and epoch milliseconds; the wall clock is asked for here only."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def utc_now() -> datetime:
    return datetime.now(UTC)


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970 of an aware time, rounded down; exact where a float timestamp is not."""
    return (moment - EPOCH) // _MILLISECOND


def from_ms(milliseconds: int) -> datetime:
    return EPOCH + timedelta(milliseconds=milliseconds)


def rfc3339(moment: datetime) -> str:
    """`2026-01-31T09:30:00.000Z`"""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def exact_text(moment: datetime) -> str:
    """To the microsecond, as PostgreSQL keeps it: `2026-01-31T09:30:00.000000+00:00`"""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat(timespec="microseconds")
