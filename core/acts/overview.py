"""Keeps the figures of the latest days, so that the overview never counts a table while somebody waits."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from core.base.ids import moment_of
from core.infra.postgres import UnitOfWork
from core.stores import overview

DAYS: Final = 90
"""How far back the overview looks."""
_AGAIN: Final = 3
"""Days measured again each time, the longest unmeasured first: whatever was missed is made good within the hour."""
_OVERLAP: Final = timedelta(minutes=2)
"""A label may be committed after the measurement that its time of receipt lies before."""


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


async def refresh(work: UnitOfWork, now: datetime) -> int:
    """Measure today, yesterday, the days that labels spoke of, those that are missing and a few that were not looked at for long;
    how many. Nothing is measured before the first decision."""
    began = await overview.began(work)
    if began is None:
        return 0
    today = now.astimezone(UTC).date()
    first = max(began.astimezone(UTC).date(), today - timedelta(days=DAYS - 1))
    window = [first + timedelta(days=place) for place in range((today - first).days + 1)]
    measured = {row.day: row.measured_at for row in await overview.days(work, first)}
    due = {day for day in window if day not in measured} | {today, today - timedelta(days=1)}
    due |= set(sorted(measured, key=lambda day: measured[day])[:_AGAIN])
    if measured:
        spoken_of = await overview.spoken_of(work, max(measured.values()) - _OVERLAP)
        due |= {moment_of(uid).date() for uid in spoken_of}
    chosen = sorted(due & set(window))
    for day in chosen:
        figures = await overview.measure(work, midnight(day), midnight(day + timedelta(days=1)))
        figures["open"] = await overview.count_open(work) if day == today else None
        await overview.keep(work, day, now, figures)
    return len(chosen)
