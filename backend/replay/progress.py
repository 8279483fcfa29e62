"""How far a replay is: a bar with rate and time left on a terminal, a line every ten seconds elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

_EVERY_S = 10.0


class Progress(Protocol):
    def posted(self, count: int, undecided: int) -> None:
        """So many payments were sent, and so many of them wait for their decision."""

    def waiting(self, undecided: int) -> None:
        """All are sent; these decisions are missing."""

    def warn(self, words: str) -> None: ...


@contextmanager
def show_progress(console: Console, total: int) -> Iterator[Progress]:
    if not console.is_terminal:
        yield _Lines(console, total)
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[pace]}"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Bar(*columns, console=console, transient=True) as bar:
        yield _Bar(bar, total)


class _Bar:
    def __init__(self, bar: Bar, total: int) -> None:
        self._bar = bar
        self._task = bar.add_task("replaying", total=total, pace="")
        self._started = time.monotonic()

    def posted(self, count: int, undecided: int) -> None:
        rate = count / max(time.monotonic() - self._started, 1e-3)
        pace = f"{rate:,.0f}/s" + (f", {undecided:,} undecided" if undecided else "")
        self._bar.update(self._task, completed=count, pace=pace)

    def waiting(self, undecided: int) -> None:
        self._bar.update(self._task, description="waiting for decisions", pace=f"{undecided:,} undecided")

    def warn(self, words: str) -> None:
        self._bar.console.print(words, style="yellow")


class _Lines:
    def __init__(self, console: Console, total: int) -> None:
        self._console, self._total = console, total
        self._started = self._last = time.monotonic()

    def _say(self, words: str) -> None:
        if time.monotonic() - self._last >= _EVERY_S:
            self._last = time.monotonic()
            self._console.print(words, highlight=False)

    def posted(self, count: int, undecided: int) -> None:
        rate = count / max(time.monotonic() - self._started, 1e-3)
        left_s = (self._total - count) / rate if rate else 0.0
        self._say(
            f"{count:,} of {self._total:,} payments, {rate:,.0f}/s, {undecided:,} undecided, {left_s:,.0f} s left"
        )

    def waiting(self, undecided: int) -> None:
        self._say(f"waiting for {undecided:,} decisions")

    def warn(self, words: str) -> None:
        self._console.print(words, highlight=False)
