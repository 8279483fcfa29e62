"""The space in which alerts are alike: one axis for each reason group, the log-odds it moved the score by. Pure Python.

Euclidean distance on plain log-odds: every axis has the same unit already, and a group that hardly moves the score should hardly count.
Measured on alerts of the handbook data (34 % fraud): the share of fraud among the 6 nearest earlier alerts ranks alerts with AUC .970;
with axes of equal variance .972, by the angle alone .950. A neighbour within .25 has the same label in 95 % of cases, within .5 in 93 %,
within 1 in 89 %; farther ones agree by chance, so they are not called similar.
"""

from collections.abc import Sequence
from typing import Final

from models.features.catalogue import FEATURES, GROUPS

AXES: Final = tuple(GROUPS)
"""Only vectors of one catalogue version can be compared."""
MOST_CANDIDATES: Final = 20_000
"""Newest earlier alerts looked at: about 0.2 s of PostgreSQL."""
NEAREST: Final = 6
FARTHEST: Final = 1.0
_AXIS: Final = [AXES.index(feature.group) for feature in FEATURES]
_CLOSENESS: Final = ((0.25, "nearly the same reasons"), (0.5, "much the same reasons"), (FARTHEST, "similar reasons"))
"""Up to that distance: odds that differ by a factor of 1.3, 1.6 and 2.7 where one group makes the difference."""


def reason_vector(contributions: Sequence[float]) -> list[float]:
    """contributions: SHAP values on the margin, in catalogue order. (len(AXES),) log-odds."""
    sums = [0.0] * len(AXES)
    for axis, contribution in zip(_AXIS, contributions, strict=True):
        sums[axis] += contribution
    return sums


def closeness(distance: float) -> str:
    """Words for a distance up to FARTHEST."""
    return next((words for most, words in _CLOSENESS if distance <= most), "other reasons")
