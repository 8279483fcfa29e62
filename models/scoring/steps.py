"""A training's way: how far it is, whether it shall stop, and what it need not do again after it was cut short."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import msgspec

from core.base.errors import Kind, RondaError

Report = Callable[[float, str], None]
"""Called with the fraction done, 0 to 1, and what is being done."""


class TrainingCancelled(RondaError):
    """Somebody asked for the end of this training, or its process is stopping."""

    kind, code = Kind.CONFLICT, "training_cancelled"


class Checkpoints(Protocol):
    """Answers of finished steps, JSON-ready. A step's answer depends on the dataset and the options alone."""

    def read(self, name: str) -> Any:
        """None when there is none."""

    def keep(self, name: str, answer: Any) -> None: ...

    def of(self, key: str) -> "Checkpoints":
        """Those of one dataset, one set of options and one program: others answer otherwise."""


class NoCheckpoints:
    def read(self, name: str) -> Any:
        return None

    def keep(self, name: str, answer: Any) -> None:
        pass

    def of(self, key: str) -> "NoCheckpoints":
        return self


class FolderCheckpoints:
    """One small file an answer. A file that was cut short counts as none; one that cannot be written costs only the way already gone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> Any:
        try:
            return msgspec.json.decode((self._folder / f"{name}.json").read_bytes())
        except (OSError, msgspec.DecodeError):
            return None

    def keep(self, name: str, answer: Any) -> None:
        target = self._folder / f"{name}.json"
        partial = target.with_suffix(".partial")
        with suppress(OSError):
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(msgspec.json.encode(answer))
            partial.replace(target)

    def of(self, key: str) -> "FolderCheckpoints":
        return FolderCheckpoints(self._folder / key)


def never() -> bool:
    return False


class Steps:
    def __init__(self, report: Report, cancelled: Callable[[], bool], checkpoints: Checkpoints) -> None:
        self._report, self._cancelled, self._checkpoints = report, cancelled, checkpoints
        self._telling, self._furthest = Lock(), 0.0

    def at(self, fraction: float, words: str) -> None:
        """From any thread: of steps that go side by side the furthest is told. Raises TrainingCancelled."""
        if self._cancelled():
            raise TrainingCancelled("the training was stopped")
        with self._telling:
            self._furthest = max(self._furthest, fraction)
            self._report(self._furthest, words)

    def part(self, start: float, end: float, words: str) -> Callable[[float], None]:
        """Progress of a step that goes from `start` to `end` of the whole."""
        return lambda done: self.at(start + (end - start) * done, words)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` answers, or answered before this training was cut short."""
        found = self._checkpoints.read(name)
        if found is None:
            found = make()
            self._checkpoints.keep(name, found)
        return found
