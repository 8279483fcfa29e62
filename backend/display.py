"""What `up` and `demo` say while they work: one line per event; a live bar where there is a terminal."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from backend.accounts import SignIn

FIRST_TRAINING = "training a first model"
"""The first run's last step: its history is whole then."""


class _LastingConsole(Console):
    """Nobody reads any more (`ronda up | head`): Ronda goes on, silently. rich would end the program."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, self.file.fileno())
        os.close(silence)


class Display:
    """A terminal that goes away (SIGHUP) must not keep anything from being stopped: its errors are dropped."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or _LastingConsole(highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._started = time.monotonic()

    def say(self, line: str) -> None:
        self._write(f"[dim]{time.monotonic() - self._started:5.1f} s[/dim]  {escape(line)}")

    def _write(self, markup: str) -> None:
        with suppress(OSError):
            (self._bar.console if self._bar else self._console).print(markup)

    @contextmanager
    def progress(self) -> Iterator["Steps"]:
        """Bars on a terminal; elsewhere one line for each step's start."""
        if not self._console.is_terminal:
            yield Steps(self, None)
            return
        columns = (TextColumn("         {task.description}"), BarColumn(bar_width=30), TimeElapsedColumn())
        with Progress(*columns, console=self._console, transient=True) as bar:
            self._bar = bar
            try:
                yield Steps(self, bar)
            finally:
                self._bar = None

    def welcome(self, console_url: str, welcome: "Welcome") -> None:
        """The block people copy from."""
        lines = ["", f"  [bold]Console[/bold]   [link={console_url}]{console_url}[/link]"]
        for place, sign_in in enumerate(welcome.sign_ins):
            title = "Sign in" if place == 0 else "       "
            lines.append(
                f"  [bold]{title}[/bold]   {sign_in.email:<20} {escape(sign_in.password)}   ({sign_in.role.value})"
            )
        if welcome.key:
            lines.append(f"  [bold]API key[/bold]   {escape(welcome.key)}")
        lines += [f"  {escape(note)}" for note in welcome.notes]
        self._write("\n".join([*lines, ""]))


@dataclass
class Welcome:
    """`key`: the demo source's API key."""

    sign_ins: Sequence[SignIn] = ()
    key: str | None = None
    notes: list[str] = field(default_factory=list)


class Step(msgspec.Struct, frozen=True):
    """How far a long piece of work is: `share`, from 0 to 1, of what `words` name."""

    share: float
    words: str


class Steps:
    """A long piece of work, step by step: a step with other words means that the one before is done."""

    def __init__(self, display: Display, bar: Progress | None) -> None:
        self._display, self._bar = display, bar
        self._words, self._since = "", 0.0
        self._task: TaskID | None = None

    def at(self, step: Step) -> None:
        if step.words != self._words:
            self.done()
            self._words, self._since = step.words, time.monotonic()
            if self._bar:
                self._task = self._bar.add_task(escape(step.words), total=1.0)
            else:
                self._display.say(f"{step.words} ...")
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=step.share)

    def done(self) -> None:
        if self._words:
            if self._bar and self._task is not None:
                self._bar.remove_task(self._task)
            self._display.say(f"{self._words}: done in {time.monotonic() - self._since:.1f} s")
        self._words, self._task = "", None
