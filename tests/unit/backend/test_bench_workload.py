"""The stream of a bench: how far its event time may go."""

from backend.bench import probe
from backend.bench.growth import CHUNK, DRIVES, SCORERS
from backend.bench.options import (
    LATENCY_RATES,
    MOST_BATCHED_PER_S,
    MOST_SECONDS,
    SINGLES_PER_S,
    WAIT_RATE,
)
from backend.bench.workload import BEGINS_BEFORE, WHOLE_FROM
from backend.first_run import PER_DAY

WARM_UP = 500


def test_the_longest_run_does_not_reach_the_present() -> None:
    """A payment that lies in the future is refused, and a measure of refused payments says nothing."""
    batches = 1 + 2 * len(probe.WITHOUT)
    whole = SINGLES_PER_S + batches * MOST_BATCHED_PER_S + sum(LATENCY_RATES) + WAIT_RATE
    measures = 2 * 2 * len(SCORERS)
    growth = measures * (1 + DRIVES) * MOST_BATCHED_PER_S
    sent = (whole + growth) * MOST_SECONDS + (1 + measures) * WARM_UP + CHUNK
    assert sent / PER_DAY < (BEGINS_BEFORE - WHOLE_FROM).days
