"""What a model was judged on, small enough to travel with it: monitoring compares recent payments with this."""

from typing import Final

import numpy as np

from models.features.vector import FloatArray, FloatMatrix

POINTS: Final = 300
"""A share is kept to 1 / POINTS. Two hundred columns take half a megabyte."""


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
