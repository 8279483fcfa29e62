"""One object's timeline in sentences, how far the trail was checked, and rows of its export."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from console.i18n import gettext as _
from console.i18n import ngettext
from console.views.audit import AuditRow, actor_name, audit_row, object_word
from console.views.desk import event_words
from console.views.recorded import retold
from console.views.words import Moment, count, inside, moment, percent
from core.acts.audit_check import Checked
from core.base.clock import exact_text
from core.tables.ledger import AuditEvent, AuditSeal


@dataclass(frozen=True)
class TimelineEntry:
    """`other`: what it was done to, when that is not the page's own object."""

    row: AuditRow
    words: str
    other: str


@dataclass(frozen=True)
class TimelineDay:
    day: str
    entries: list[TimelineEntry]


def timeline(
    events: Sequence[AuditEvent],
    names: Mapping[UUID, str],
    now: datetime,
    seals: Mapping[int, int],
    subject: tuple[str, str],
) -> list[TimelineDay]:
    """By day, in the order of the events."""
    days: list[TimelineDay] = []
    for event in events:
        row = audit_row(event, names, now, seals)
        other = "" if (event.subject_type, event.subject_id) == subject else inside(object_word(event.subject_type))
        entry = TimelineEntry(row, event_words(event, names), other)
        day = row.at.full.partition(",")[0]
        if not days or days[-1].day != day:
            days.append(TimelineDay(day, []))
        days[-1].entries.append(entry)
    return days


@dataclass(frozen=True)
class CheckState:
    """How far a run of checks has come. level: good, warn, bad. percent: 0 to 100 of the seals there are."""

    words: str
    level: str
    percent: str
    share: str
    findings: tuple[str, ...]
    more: str
    at: Moment | None
    who: str
    done: bool


RECENT: Final = timedelta(days=1)


def check_state(
    checked: Checked | None, newest: AuditSeal | None, names: Mapping[UUID, str], now: datetime
) -> CheckState:
    if checked is None:
        return CheckState(_("Nobody has checked it from here yet."), "warn", "0", "", (), "", None, "", done=False)
    last = newest.n if newest else 0
    # Each check writes an event, which gets a seal of its own: that one is not missing.
    done = checked.last_seal + 2 >= last
    words = ngettext(
        "Seals %(first)s to %(last)s of %(all)s: %(num)s event.",
        "Seals %(first)s to %(last)s of %(all)s: %(events)s events.",
        checked.events,
        first=count(checked.from_seal),
        last=count(checked.last_seal),
        all=count(last),
        events=count(checked.events),
    )
    verdict = (
        ngettext("%(num)s finding.", "%(num)s findings.", checked.faults)
        if checked.faults
        else _("Everything reads as it was written.")
    )
    share = min(checked.last_seal / last, 1.0) if last else 1.0
    left_out = checked.faults - len(checked.found)
    return CheckState(
        words=f"{words} {verdict}",
        level="bad" if checked.faults else "good" if done else "warn",
        percent=f"{share * 100:.0f}",
        share=percent(share),
        findings=tuple(retold(finding) for finding in checked.found),
        more=_("and %(number)s more", number=count(left_out)) if left_out > 0 else "",
        at=moment(checked.at, now),
        who=actor_name(*checked.by, names),
        done=done,
    )


CSV_HEAD: Final = (
    "number",
    "at",
    "actor_type",
    "actor_id",
    "actor",
    "action",
    "subject_type",
    "subject_id",
    "result",
    "detail",
    "event_id",
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def safe_cell(text: str) -> str:
    """A spreadsheet takes what begins so for a formula, and would carry it out: an apostrophe makes it text."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def csv_lines(rows: Iterable[Sequence[str]]) -> bytes:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows([safe_cell(cell) for cell in row] for row in rows)
    return written.getvalue().encode()


def csv_row(event: AuditEvent, names: Mapping[UUID, str]) -> tuple[str, ...]:
    return (
        str(event.id),
        exact_text(event.at),
        event.actor_type,
        event.actor_id,
        actor_name(event.actor_type, event.actor_id, names),
        event.action,
        event.subject_type,
        event.subject_id,
        event.result,
        event.detail,
        str(event.event_id),
    )
