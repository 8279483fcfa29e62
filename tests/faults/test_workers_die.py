"""Processes that die: at the worst moments, and again and again."""

import asyncio
import random
from pathlib import Path

import pytest

from tests.faults.client import payments
from tests.faults.conftest import Profile, Run
from tests.faults.crashing import POINTS

PASSED_S = 40.0


async def armed_and_passed(run: Run, points: Path, point: str, seed: int, events: int) -> None:
    """Posts `events` payments while one process dies at `point`."""
    own = 7
    posting = asyncio.create_task(run.client.post_all(payments(point, events, own, seed), 40))
    await asyncio.sleep(random.Random(f"{point} {seed}").uniform(0, 0.5))
    (points / point).touch()
    async with asyncio.timeout(PASSED_S):
        while (points / point).exists():
            await asyncio.sleep(0.05)
    run.system.faults[f"death {point}"] += 1
    assert set(await posting) == {202}


@pytest.mark.timeout(600)
async def test_a_process_dies_at_a_fault_point(crashing_run: Run, points: Path, profile: Profile, seed: int) -> None:
    run = crashing_run
    deaths = sum(process.deaths for process in run.system.processes)
    order = random.Random(seed).sample(POINTS, len(POINTS))
    for point in order:
        await armed_and_passed(run, points, point, seed, profile.of(40, 200))
    found = await run.settle(seed)
    assert sum(process.deaths for process in run.system.processes) - deaths == len(POINTS)
    assert found.acknowledged == found.accepted == found.sent == len(POINTS) * profile.of(40, 200)


@pytest.mark.timeout(600)
async def test_scorers_are_killed_again_and_again(run: Run, profile: Profile, seed: int) -> None:
    draw = random.Random(seed)
    if not profile.long:
        pytest.skip("a part of --faults long")
    seconds = 180
    posting = asyncio.create_task(run.client.post_all(payments("kill", 100 * seconds, 400, seed), 100))
    while not posting.done():
        await asyncio.sleep(draw.uniform(2, 5))
        run.system.kill(draw.choice(run.system.scorers))
    assert set(await posting) == {202}
    found = await run.settle(seed)
    assert found.accepted == 100 * seconds
    assert found.settled_s < 60
