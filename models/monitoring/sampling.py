"""A bounded number of payments out of a window of any size, in which busy hours weigh as they did."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from models.features.vector import IntArray

PIECES: Final = 500
FIRST_SHARE: Final = 1 / 1024
_FEW: Final = 30
"""So few in the first share mean some 45,000 in all at most: then all of them are read."""


@dataclass(frozen=True)
class Stretches:
    """Short stretches of time, one in each of many equally long pieces of a window; epoch ms, each [start, end).

    Every payment inside a stretch is read, so a stretch in a busy hour brings more of them: each payment has the same chance, `share`.
    """

    start_ms: IntArray
    end_ms: IntArray
    share: float


def stretches(from_ms: int, until_ms: int, share: float, *, seed: int = 7, pieces: int = PIECES) -> Stretches:
    """share: (0, 1] of the window's time. Where in its piece each stretch lies is drawn by lot: no hour's beat is followed."""
    bounds = np.linspace(from_ms, until_ms, pieces + 1).astype(np.int64)
    room = np.diff(bounds)
    length = np.ceil(room * share).astype(np.int64)
    shift = np.floor(np.random.default_rng(seed).random(pieces) * (room - length + 1)).astype(np.int64)
    start = bounds[:-1] + np.minimum(shift, room - length)
    return Stretches(start, start + length, float(length.sum() / room.sum()))


def share_for(wanted: int, counted: int, share: float = FIRST_SHARE) -> float:
    """The share of time that holds about `wanted` payments, when `counted` were found in `share` of it."""
    return 1.0 if counted < _FEW else min(1.0, wanted * share / counted)
