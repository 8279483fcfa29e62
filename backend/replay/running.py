"""`ronda replay`: read, map, send in time order, wait, judge."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from rich.console import Console

from backend.replay.client import Api, open_api
from backend.replay.driving import Driver
from backend.replay.feed import OUTCOMES, Decided
from backend.replay.judging import judge
from backend.replay.mapping import ColumnMap, resolve
from backend.replay.options import ReplayOptions
from backend.replay.order import Span, Survey, Window, in_time_order, survey, windows
from backend.replay.payments import Canonical
from backend.replay.progress import show_progress
from backend.replay.reading import BadRows, Rows, open_rows
from backend.replay.report import Decisions, ReplayReport
from backend.replay.tally import Tally
from core.base.clock import to_ms
from core.base.errors import InvalidInput
from core.base.terms import Outcome

FIRST_CONTACT_S = 5.0
"""An API that is away at the start is an error soon; one that goes away on the way is waited for."""
_PACED_WINDOWS_PER_S = 4
"""With --rate, windows are small enough for payments to flow instead of coming in bursts."""


@dataclass
class _Run:
    """One file on its way to one API."""

    options: ReplayOptions
    rows: Rows
    canonical: Canonical
    found: Survey
    bad: BadRows = field(default_factory=BadRows)
    tally: Tally = field(default_factory=Tally)
    started: float = field(default_factory=time.monotonic)

    @property
    def map(self) -> ColumnMap:
        return self.canonical.map


async def replay(options: ReplayOptions, console: Console) -> ReplayReport:
    """Sends the file's payments and labels; progress goes to `console`.

    Raises InvalidInput (file, columns), BadApiKey, Forbidden or Unavailable, each with one sentence for the user.
    """
    run = await _prepare(options)
    connections = options.concurrency + 2  # the labels and the decisions have one each
    async with open_api(options.url, options.key, connections=connections, patience_s=options.patience_s) as api:
        with show_progress(console, run.found.total) as progress:
            driver = Driver(options, api, run.tally, progress)
            async with driver.following():
                await driver.send(_windows(run))
                await driver.settle()
    return await asyncio.to_thread(_report, run, driver, api)


async def _prepare(options: ReplayOptions) -> _Run:
    """Opens the file, asks the API once, and looks through the file's times."""
    rows = open_rows(options.file)
    canonical = Canonical(resolve(rows.columns, options.columns), options.currency, options.timezone)
    async with open_api(options.url, options.key, connections=1, patience_s=FIRST_CONTACT_S) as api:
        await api.decisions("", 1)
    found = await asyncio.to_thread(survey, rows, canonical, _span(options))
    if not found.total:
        raise InvalidInput(f"{options.file.name} holds no payment with a readable time in the span asked for")
    return _Run(options, rows, canonical, found)


def _span(options: ReplayOptions) -> Span:
    return Span.of(options.since, options.until, options.limit)


def _windows(run: _Run) -> Iterator[Window]:
    options = run.options
    size = options.batch * options.concurrency
    if options.rate:
        size = max(1, min(size, int(options.rate / _PACED_WINDOWS_PER_S)))
    batches = in_time_order(run.rows, run.canonical, _span(options), sorted_already=run.found.in_order, bad=run.bad)
    return windows(batches, size, options.label_delay)


def _report(run: _Run, driver: Driver, api: Api) -> ReplayReport:
    options, tally, counts = run.options, run.tally, run.tally.payments
    taken = counts["accepted"] + counts["replayed"]
    decided = driver.feed.latest(np.array(tally.truths.keys, dtype=np.int64)) if options.wait_decisions else None
    since_ms = to_ms(options.judge_since) if options.judge_since else None
    return ReplayReport(
        file=str(options.file),
        url=options.url,
        columns={**run.map.fields, **{f"attributes.{name}": column for name, column in run.map.attributes.items()}},
        unused_columns=run.map.unused(run.rows.columns),
        in_order=run.found.in_order,
        payments=tally.posted,
        accepted=counts["accepted"],
        replayed=counts["replayed"],
        conflicts=counts["conflict"],
        invalid=counts["invalid"],
        unreadable=run.bad.count,
        errors=[*run.bad.first, *tally.errors],
        posting_s=round(tally.posting_s, 3),
        payments_per_s=round(taken / tally.posting_s, 1) if tally.posting_s else 0.0,
        total_s=round(time.monotonic() - run.started, 3),
        repeated_requests=api.repeats,
        labels=dict(tally.labels),
        decisions=_decisions(decided) if decided else None,
        quality=judge(tally.truths, decided, since_ms) if decided and run.map.has_labels else None,
        notes=_notes(options, run.found, decided),
    )


def _decisions(decided: Decided) -> Decisions:
    counts = np.bincount(decided.outcome[decided.known], minlength=len(OUTCOMES))
    outcomes = {outcome.value: int(count) for outcome, count in zip(OUTCOMES, counts, strict=True)}
    known = int(decided.known.sum())
    return Decisions(
        decided=known,
        undecided=decided.known.size - known,
        outcomes=outcomes,
        alerts=known - outcomes[Outcome.APPROVE.value],
    )


def _notes(options: ReplayOptions, found: Survey, decided: Decided | None) -> list[str]:
    notes = [] if found.in_order else ["the file is not in time order; it was sorted first"]
    missing = int((~decided.known).sum()) if decided else 0
    if decided and missing:
        notes.append(
            f"{missing:,} of {decided.known.size:,} payments have no decision: none came for {options.wait_s:g} s. "
            "Is `ronda work score` running?"
        )
    return notes
