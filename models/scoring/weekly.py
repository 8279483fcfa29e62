"""What a training of that day would have made of a window of labelled payments: trees, and probabilities out of their margins.

    learn from [from, until): grow the trees on all of it; calibrate on margins of days that their trees never saw

The trees that judge have seen every day of the window. Those that calibrate were grown without the days they calibrate on: the last
quarter of the window, or, when that holds too few frauds to tell the level by, each third of it with trees of the others. Nothing has
seen what comes after the window.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any, Final

import numpy as np

from models.features.vector import FloatArray, Vectors
from models.scoring.artifact import Calibration
from models.scoring.dataset import BoolArray, Dataset
from models.scoring.evaluation import require_two_classes
from models.scoring.scorer import calibrated
from models.scoring.side_by_side import side_by_side
from models.scoring.training import Grown, TrainingOptions, calibrate, grow, thin

Report = Callable[[float], None]
_HELD_BACK: Final = 0.25
_LEAST_FRAUDS: Final = 200
"""In a held-back part: their number alone makes the level uncertain by 1 / sqrt(200) = 7 % (one standard deviation)."""
_BLOCKS: Final = 3


@dataclass(frozen=True)
class Learned:
    """shift: log-odds that thinning the legitimate payments added to the margins."""

    grown: Grown
    calibration: Calibration
    shift: float

    def margin(self, matrix: Vectors) -> FloatArray:
        return self.grown.margin(matrix) - self.shift

    def probability(self, margin: FloatArray) -> FloatArray:
        return calibrated(self.calibration, margin)


def learn(rows: Dataset, options: TrainingOptions, report: Report) -> Learned:
    """rows: the window, any order. Raises SingleClassError when it holds one class only, TrainingImpossible when nothing can be ranked."""
    require_two_classes(rows.is_fraud)
    held_back = _last(rows, _HELD_BACK)
    blocks = [held_back] if _enough(rows, held_back) else _blocks(rows)
    tells = _shares(len(blocks) + 1, report)
    parts: list[Callable[[], Any]] = [partial(grow, rows, options, next(tells))]
    parts += [partial(_unseen, rows, block, options, tell) for block, tell in zip(blocks, tells, strict=True)]
    grown, *margins = side_by_side(parts, options.threads)
    seen = rows.rows(np.concatenate([np.flatnonzero(block) for block in blocks]))
    calibration = calibrate(np.concatenate(margins), seen.is_fraud, seen.weight)
    return Learned(grown, calibration, _shift(rows, options))


def _shares(parts: int, report: Report) -> Iterator[Report]:
    """One report for each of the parts that go side by side, together one."""
    done, telling = [0.0] * parts, Lock()

    def tell(place: int, share: float) -> None:
        with telling:
            done[place] = share
            report(sum(done) / parts)

    for place in range(parts):
        yield partial(tell, place)


def _last(rows: Dataset, share: float) -> BoolArray:
    """The last days, whole time at least as long as that share of the window."""
    time = rows.occurred_at_ms
    return np.asarray(time > time.max() - share * (time.max() - time.min()))


def _enough(rows: Dataset, held_back: BoolArray) -> bool:
    """Enough frauds to calibrate on, and to learn from before."""
    inside = int(rows.is_fraud[held_back].sum())
    return inside >= _LEAST_FRAUDS and int(rows.is_fraud.sum()) - inside >= _LEAST_FRAUDS


def _blocks(rows: Dataset) -> list[BoolArray]:
    """Stretches of time with equal numbers of frauds: each is calibrated on with trees of the others."""
    order = np.argsort(rows.occurred_at_ms, kind="stable")
    frauds = np.cumsum(rows.is_fraud[order])
    number = np.minimum((frauds - rows.is_fraud[order]) * _BLOCKS // frauds[-1], _BLOCKS - 1)
    block = np.empty(len(rows), dtype=np.int64)
    block[order] = number
    return [block == one for one in range(_BLOCKS)]


def _unseen(rows: Dataset, block: BoolArray, options: TrainingOptions, report: Report) -> FloatArray:
    """Margins of the block's payments by trees grown on the others."""
    others = rows.rows(~block)
    return grow(others, options, report).margin(rows.matrix[block]) - _shift(others, options)


def _shift(rows: Dataset, options: TrainingOptions) -> float:
    legitimate = ~rows.is_fraud
    kept = int(legitimate[thin(rows, options)].sum())
    return float(np.log(int(legitimate.sum()) / kept))
