"""Scorers that are told their shards share the work."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from pydantic import ValidationError

from core.base.settings import Settings
from core.contracts.messages import Payment
from core.infra.resources import Resources
from core.stores import flow
from tests.poison import accept, payments
from workers.runner import JobContext
from workers.score import score


@asynccontextmanager
async def scorer_of(resources: Resources, *shards: int) -> AsyncIterator[None]:
    told = replace(resources, settings=resources.settings.model_copy(update={"score_shards": shards}))
    context = JobContext(told, asyncio.Event())
    job = asyncio.create_task(score(context))
    try:
        yield
    finally:
        context.stopping.set()
        await job


async def until_decided(resources: Resources, wanted: Payment) -> None:
    async with asyncio.timeout(30):
        while not await decided(resources, wanted):
            await asyncio.sleep(0.05)


async def decided(resources: Resources, *those: Payment) -> bool:
    async with resources.postgres.reading() as work:
        return len(await flow.decided(work, [payment.uid for payment in those])) == len(those)


async def test_each_scorer_takes_the_shards_it_was_told(on_bus: Resources) -> None:
    first, second = payments(2)
    async with scorer_of(on_bus, 1):
        await accept(on_bus, [[first], [second]])  # shards 0 and 1
        await until_decided(on_bus, second)
        assert not await decided(on_bus, first)
        async with scorer_of(on_bus, 0):
            await until_decided(on_bus, first)


@pytest.mark.parametrize("told", ["4", "-1", "one"])
def test_a_shard_that_does_not_exist_is_refused(told: str) -> None:
    with pytest.raises(ValidationError):
        Settings(shards=4, score_shards=told)  # type: ignore[arg-type]


def test_shards_are_told_with_spaces_or_commas() -> None:
    assert Settings(shards=4, score_shards="0, 3 1").score_shards == (0, 3, 1)  # type: ignore[arg-type]
