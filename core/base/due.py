"""Until when an alert should be closed, and how near that is."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.base.settings import Settings
from core.base.terms import DueState, Outcome

SOON: Final = timedelta(minutes=30)
"""An alert with less than this left is due soon."""


@dataclass(frozen=True)
class DueTimes:
    """How long after it opened an alert is due, by its outcome; an approved payment is one of the control sample."""

    review: timedelta
    decline: timedelta
    approve: timedelta

    @classmethod
    def of(cls, settings: Settings) -> "DueTimes":
        return cls(
            review=timedelta(minutes=settings.due_review_minutes),
            decline=timedelta(minutes=settings.due_decline_minutes),
            approve=timedelta(minutes=settings.due_control_minutes),
        )

    def at(self, outcome: Outcome, opened_at: datetime) -> datetime:
        left: timedelta = getattr(self, outcome.value)
        return opened_at + left


def due_state(due_at: datetime, now: datetime) -> DueState:
    """Of an alert that is not closed."""
    if due_at <= now:
        return DueState.OVERDUE
    return DueState.SOON if due_at <= now + SOON else DueState.OK
