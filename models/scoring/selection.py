"""Features that are of no use are dropped before anything costly: they slow every tree, every score and every explanation."""

from dataclasses import replace
from typing import Any, Final

import numpy as np

from models.features.catalogue import NAMES
from models.features.vector import FloatArray
from models.scoring.growing import Grown
from models.scoring.options import TrainingOptions
from models.scoring.steps import Steps
from models.scoring.trials import Bench, attempt, in_haste

_LEAST_SHARE: Final = 2e-4
"""Of all that the first model's splits gain."""
_LEGITIMATE: Final = 20_000


def useless_features(bench: Bench, options: TrainingOptions, steps: Steps, start: float, end: float) -> list[str]:
    """Names that a quick model hardly splits on, unless it ranks worse without them. Never all of them."""
    middle = (start + end) / 2
    hasty = in_haste(options.trees, options.search.haste)
    quick = replace(options, trees=hasty, most_legitimate=_LEGITIMATE)
    words = "looking for features of no use"
    grown, before = attempt(bench, quick, steps.part(start, middle, words))
    given = grown.columns
    useless = given[gain_shares(grown) < _LEAST_SHARE]
    if len(useless) == 0:
        return []
    names = [NAMES[column] for column in useless]
    without = replace(quick, dropped=(*options.dropped, *names))
    _, after = attempt(bench, without, steps.part(middle, end, words))
    worse = before.gain_over(after, "average_precision", options.search.confidence) > 0
    return [] if worse else names


def gain_shares(grown: Grown) -> FloatArray:
    """(columns,) share of each in what all splits gain."""
    tables: list[Any] = [predictors[0].nodes for predictors in grown.model._predictors]
    gain = np.zeros(len(grown.columns))
    for nodes in tables:
        inner = nodes[~nodes["is_leaf"].astype(bool)]
        np.add.at(gain, inner["feature_idx"], inner["gain"])
    return np.asarray(gain / max(float(gain.sum()), np.finfo(np.float64).tiny))
