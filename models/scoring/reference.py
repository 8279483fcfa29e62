"""The payments a model learned from and was judged on, small enough to travel with it: monitoring compares recent payments with them.

Taken from all payments of those times, labelled or not: recent ones are not chosen by their labels either.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from models.features.catalogue import DAY_S
from models.features.vector import FloatArray, FloatMatrix, IntArray
from models.scoring.dataset import Dataset
from models.scoring.scorer import Past
from models.scoring.split import Split

JUDGED_POINTS: Final = 300
LEARNED_POINTS: Final = 100
"""A share is kept to 1 / points. Two hundred columns of both take two thirds of a megabyte."""
_MOST_PAYMENTS: Final = 50_000
_WEEK_MS: Final = 7 * DAY_S * 1000


def past_of(rows: Dataset, slices: Split, probability: Callable[[FloatMatrix], FloatArray]) -> Past:
    """rows: every payment, labelled or not. probability: the model's calibrated scores of (n, features) payments."""
    judged, learned = (
        rows.matrix[which].astype(np.float64)
        for which in (
            judged_rows(rows.occurred_at_ms, slices.test_from_ms, slices.test_until_ms),
            _thinned(np.flatnonzero(rows.occurred_at_ms < slices.train_until_ms)),
        )
    )
    score = condense(probability(judged), JUDGED_POINTS)
    return Past(np.column_stack([condensed(judged, JUDGED_POINTS), score]), condensed(learned, LEARNED_POINTS))


def judged_rows(occurred_at_ms: IntArray, from_ms: int, until_ms: int) -> IntArray:
    """Rows of the payments of [from, until), evenly thinned when there are many.

    Only the last whole weeks where there is one: recent payments are compared by the week, and every weekday has to weigh the same.
    """
    weeks = (until_ms - from_ms) // _WEEK_MS
    start = until_ms - weeks * _WEEK_MS if weeks else from_ms
    return _thinned(np.flatnonzero((occurred_at_ms >= start) & (occurred_at_ms < until_ms)))


def _thinned(rows: IntArray) -> IntArray:
    return np.asarray(rows[np.linspace(0, len(rows) - 1, min(len(rows), _MOST_PAYMENTS)).astype(np.int64)])


def condensed(matrix: FloatMatrix, points: int) -> FloatMatrix:
    """(points, columns): each column of the (n, columns) payments by itself."""
    return np.stack([condense(matrix[:, column], points) for column in range(matrix.shape[1])], axis=1)


def condense(column: FloatArray, points: int) -> FloatArray:
    """(points,) evenly spaced order statistics of a (n,) column that is not empty: values that occur, NaN after the known ones.

    Taken for a sample it has the column's distribution, unknown share included, to within half a point.
    """
    place = ((np.arange(points) + 0.5) / points * len(column)).astype(np.int64)
    return np.asarray(np.sort(column)[place], dtype=np.float64)
