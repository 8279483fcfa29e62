"""When payments are refused because too many are undecided, for how long, and when waiting for a decision is in vain."""

import pytest

from backend.backlog import FLOW, MOST_RETRY_S, STALE_S, UNKNOWN_S, Pressure, Reading
from core.base.errors import Backlogged


def refused_for(pressure: Pressure, now: float) -> int | None:
    """`Retry-After` in seconds; None = admitted."""
    try:
        pressure.admit(now)
    except Backlogged as error:
        return int(error.facts["retry_after_s"])
    return None


def test_it_refuses_above_the_limit_until_half_are_left() -> None:
    pressure = Pressure(10_000)
    seen = []
    for at, undecided in enumerate([0, 10_000, 10_001, 10_000, 5_001, 5_000, 10_000, 10_001]):
        pressure.take(Reading(undecided, 100.0), float(at))
        seen.append(refused_for(pressure, float(at)) is not None)
    assert seen == [False, False, True, True, True, False, False, True]


@pytest.mark.parametrize(
    ("undecided", "per_s", "expected"),
    [
        (20_000, 1_000.0, 15),
        (10_050, 100.0, 51),
        (10_001, 50_000.0, 1),
        (20_000, 1.0, MOST_RETRY_S),
        (20_000, 0.0, UNKNOWN_S),
    ],
)
def test_it_says_when_half_will_be_left(undecided: int, per_s: float, expected: int) -> None:
    pressure = Pressure(10_000)
    pressure.take(Reading(undecided, per_s), 0.0)
    assert refused_for(pressure, 0.0) == expected


def test_an_old_reading_refuses_nobody() -> None:
    pressure = Pressure(10_000)
    pressure.take(Reading(20_000, 0.0), 0.0)
    assert refused_for(pressure, STALE_S - 0.1) == UNKNOWN_S
    assert refused_for(pressure, STALE_S) is None
    assert pressure.decides_within(1.0, STALE_S)


def test_without_a_limit_nobody_is_refused() -> None:
    pressure = Pressure(0)
    pressure.take(Reading(10**6, 0.0), 0.0)
    assert refused_for(pressure, 0.0) is None


def test_a_decision_is_waited_for_where_it_can_come_in_time() -> None:
    pressure = Pressure(10_000)
    assert pressure.decides_within(0.1, 0.0)  # nothing is known yet
    pressure.take(Reading(FLOW - 1), 0.0)
    assert pressure.decides_within(0.1, 0.0)
    pressure.take(Reading(4_000, 1_000.0), 0.0)
    assert pressure.decides_within(4.0, 0.0)
    assert not pressure.decides_within(3.9, 0.0)
    pressure.take(Reading(FLOW, 0.0), 0.0)
    assert not pressure.decides_within(10.0, 0.0)
