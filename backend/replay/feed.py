"""The decisions of a source, followed from the first one by the export's cursor and kept as plain arrays."""

import asyncio
import time
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from backend.replay.client import Api, DecisionRow
from core.base.terms import Outcome

PAGE = 5000
_BUSY_S, _IDLE_S = 0.1, 0.5
"""Pauses between two looks. Every page that is not empty is an event on the audit trail."""
OUTCOMES = tuple(Outcome)


def key_of(ident: str) -> int:
    """64 bits that stand for an id within this process: among a million ids two meet once in 30 million runs."""
    return hash(ident)


@dataclass(frozen=True)
class Decided:
    """The latest decision of each payment asked for. Arrays of one length, in the order of the question."""

    known: npt.NDArray[np.bool_]
    score: npt.NDArray[np.float64]
    """NaN where no model scored, or nothing is known."""
    outcome: npt.NDArray[np.int8]
    """Index into OUTCOMES; -1 where nothing is known."""


@dataclass
class DecisionFeed:
    """`waiting`: keys of posted payments whose decision has not been seen. 18 bytes are kept per decision."""

    api: Api
    source: str | None
    waiting: set[int] = field(default_factory=set)
    caught_up: bool = False
    moved_at: float = field(default_factory=time.monotonic)
    """When a decision last came, on the monotonic clock."""
    _cursor: str = ""
    _keys: "array[int]" = field(default_factory=lambda: array("q"))
    _scores: "array[float]" = field(default_factory=lambda: array("d"))
    _outcomes: "array[int]" = field(default_factory=lambda: array("b"))
    _versions: "array[int]" = field(default_factory=lambda: array("b"))

    async def follow(self) -> None:
        """Until cancelled."""
        while True:
            page = await self.api.decisions(self._cursor, PAGE)
            self._cursor = page.cursor
            self._take(page.rows)
            self.caught_up = len(page.rows) < PAGE
            if self.caught_up:
                await asyncio.sleep(_BUSY_S if self.waiting else _IDLE_S)

    def _take(self, rows: Iterable[DecisionRow]) -> None:
        for row in rows:
            if self.source and row.source and row.source != self.source:
                continue
            key = key_of(row.transaction_id)
            self._keys.append(key)
            self._scores.append(float("nan") if row.score is None else row.score)
            self._outcomes.append(OUTCOMES.index(Outcome(row.outcome)))
            self._versions.append(min(row.version, 127))
            self.waiting.discard(key)
            self.moved_at = time.monotonic()

    @property
    def count(self) -> int:
        return len(self._keys)

    def quiet_for_s(self) -> float:
        return time.monotonic() - self.moved_at

    def latest(self, keys: npt.NDArray[np.int64]) -> Decided:
        """The highest version of each key. O((n + m) log n)."""
        held = np.array(self._keys, dtype=np.int64)
        order = np.lexsort((np.array(self._versions, dtype=np.int8), held))
        held = held[order]
        place = np.searchsorted(held, keys, side="right") - 1
        known = (place >= 0) & (held[place] == keys) if held.size else np.zeros(keys.size, dtype=np.bool_)
        row = order[place[known]]
        score, outcome = np.full(keys.size, np.nan), np.full(keys.size, -1, dtype=np.int8)
        score[known] = np.array(self._scores, dtype=np.float64)[row]
        outcome[known] = np.array(self._outcomes, dtype=np.int8)[row]
        return Decided(known, score, outcome)
