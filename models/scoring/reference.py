"""What a model was judged on, small enough to travel with it: monitoring compares recent payments with this."""

from typing import Final

import numpy as np

from models.features.catalogue import DAY_S
from models.features.vector import FloatArray, FloatMatrix, IntArray

POINTS: Final = 300
"""A share is kept to 1 / POINTS. Two hundred columns take half a megabyte."""

_MOST_PAYMENTS: Final = 50_000
_WEEK_MS: Final = 7 * DAY_S * 1000


def judged_rows(occurred_at_ms: IntArray, from_ms: int, until_ms: int) -> IntArray:
    """Rows of the payments of [from, until), labelled or not, evenly thinned when there are many.

    Only the last whole weeks where there is one: recent payments are compared by the week, and every weekday has to weigh the same.
    """
    weeks = (until_ms - from_ms) // _WEEK_MS
    start = until_ms - weeks * _WEEK_MS if weeks else from_ms
    rows = np.flatnonzero((occurred_at_ms >= start) & (occurred_at_ms < until_ms))
    most = min(len(rows), _MOST_PAYMENTS)
    return np.asarray(rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)])


def condense(column: FloatArray, points: int = POINTS) -> FloatArray:
    """(points,) evenly spaced order statistics of a (n,) column that is not empty: values that occur, NaN after the known ones.

    Taken for a sample it has the column's distribution, unknown share included, to within half a point.
    """
    place = ((np.arange(points) + 0.5) / points * len(column)).astype(np.int64)
    return np.asarray(np.sort(column)[place], dtype=np.float64)


def reference_of(matrix: FloatMatrix, score: FloatArray, points: int = POINTS) -> FloatMatrix:
    """(points, features + 1): each feature of the (n, features) payments, and their calibrated score, condensed by itself."""
    columns = [condense(matrix[:, place], points) for place in range(matrix.shape[1])]
    return np.stack([*columns, condense(score, points)], axis=1)
