"""How long a loaded model takes here and now, on one thread: what the latency gate and the report show."""

import time
from collections.abc import Callable
from typing import Final

import numpy as np

from models.features.vector import Vectors
from models.scoring.explainer import Explainer
from models.scoring.scorer import Scorer

BATCH_ROWS: Final = 256


def latency(scorer: Scorer, explainer: Explainer, matrix: Vectors) -> dict[str, float]:
    """Medians: one_row_ms, row_us_at_256 (microseconds a row in a batch of 256), explain_ms (one payment). matrix: at least one row."""
    batch = np.ascontiguousarray(np.resize(matrix[:BATCH_ROWS], (BATCH_ROWS, matrix.shape[1])))
    row = batch[:1]
    return {
        "one_row_ms": 1e3 * _median_s(lambda: scorer.score(row), 25),
        "row_us_at_256": 1e6 * _median_s(lambda: scorer.score(batch), 9) / BATCH_ROWS,
        "explain_ms": 1e3 * _median_s(lambda: explainer.explain(row), 9),
    }


def _median_s(call: Callable[[], object], times: int) -> float:
    call()  # the first call pays for memory and caches
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))
