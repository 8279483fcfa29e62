"""Processes that die: at the worst moments, and again and again. Few customers, so that every score depends on the order."""

import asyncio
import itertools
import random
from pathlib import Path

import pytest

from tests.faults.client import payments
from tests.faults.conftest import Profile, Run
from tests.faults.crashing import POINTS

PASSED_S = 40.0
CUSTOMERS, PER_SECOND = 7, 40
DRAINED_S = 60.0
"""A promise of a machine that does nothing else."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """On both buses in the long profile."""
    if metafunc.config.getoption("--faults") == "long":
        metafunc.parametrize("fault_bus", ("rabbit", "streams"), indirect=True, scope="module")


async def passed(run: Run, points: Path, point: str, seed: int, events: int) -> None:
    """Posts `events` payments while one process dies at `point`; more of them when none came by there."""
    posting = asyncio.create_task(run.client.post_all(payments(point, events, CUSTOMERS, seed), PER_SECOND))
    await asyncio.sleep(random.Random(f"{point} {seed}").uniform(0, 0.5))
    (points / point).touch()
    assert set(await posting) == {202}
    async with asyncio.timeout(PASSED_S):
        for number in itertools.count():
            await asyncio.sleep(0.2)
            if not (points / point).exists():
                break
            more = payments(f"{point}-{number}", 2, CUSTOMERS, seed)
            assert set(await run.client.post_all(more, PER_SECOND)) == {202}
    run.system.faults[f"death {point}"] += 1


@pytest.mark.timeout(600)
async def test_a_process_dies_at_a_fault_point(crashing_run: Run, points: Path, profile: Profile, seed: int) -> None:
    run, events = crashing_run, profile.of(40, 200)
    deaths = run.system.deaths
    for point in random.Random(seed).sample(POINTS, len(POINTS)):
        await passed(run, points, point, seed, events)
    found = await run.settle(seed)
    assert run.system.deaths - deaths == len(POINTS)
    assert found.acknowledged == found.accepted == found.sent >= len(POINTS) * events


@pytest.mark.timeout(900)
async def test_scorers_are_killed_again_and_again(crashing_run: Run, profile: Profile, seed: int) -> None:
    """Every 2 to 5 seconds one of them, while payments come."""
    run, draw = crashing_run, random.Random(seed)
    seconds, per_second = profile.of(20, 300), profile.of(50, 200)
    bodies = payments("kill", seconds * per_second, 40, seed)
    posting = asyncio.create_task(run.client.post_all(bodies, per_second))
    over = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < over:
        await asyncio.sleep(draw.uniform(2, 5))
        run.system.kill(draw.choice(run.system.scorers))
    assert set(await posting) == {202}
    found = await run.settle(seed)
    assert found.accepted == len(bodies)
    assert found.settled_s < DRAINED_S or not profile.long
