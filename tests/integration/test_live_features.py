"""A scorer's first moments on an empty database."""

import asyncio
from typing import Any

import pytest

from core.acts.audit import system
from core.base.clock import to_ms, utc_now
from core.base.ids import new_uuid
from core.base.terms import FeaturesStatus
from core.contracts.messages import Payment
from core.infra.resources import Resources
from core.stores import flow
from models.features.online import FeaturesUnavailable
from workers import rebuild
from workers.live_features import LiveFeatures
from workers.rebuild import LOCK, rebuild_features

TEST = system("test")


async def test_the_first_payment_of_all_has_its_features(resources: Resources) -> None:
    async with resources.postgres.reading() as work:
        assert await flow.count_transactions(work) == 0
    features, now = LiveFeatures(resources, TEST), to_ms(utc_now())
    await features.open()
    first = Payment(
        uid=new_uuid(), source_id="s", transaction_id="t", occurred_at_ms=now, accepted_at_ms=now, amount_minor=1, currency="EUR",
        customer_id="c",
    )  # fmt: skip
    _, status = await features.vectors([first])
    await features.close()
    assert status is FeaturesStatus.COMPLETE


async def test_a_rebuild_of_nothing_is_not_one_of_somebody_elses(resources: Resources) -> None:
    assert await rebuild_features(resources, by=TEST) == 0
    async with resources.redis.lock(LOCK, timeout=10):
        assert await rebuild_features(resources, by=TEST) is None


async def test_a_long_rebuild_stays_the_only_one(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catching up takes several times as long as its lock lasts by itself."""
    catching_up, take_tail = asyncio.Event(), rebuild.take_tail

    async def slowly(*arguments: Any, **named: Any) -> Any:
        catching_up.set()
        await asyncio.sleep(1.5)
        return await take_tail(*arguments, **named)

    monkeypatch.setattr(rebuild, "LOCK_S", 0.5)
    monkeypatch.setattr(rebuild, "take_tail", slowly)
    first = asyncio.create_task(rebuild_features(resources, by=TEST))
    await catching_up.wait()
    while not first.done():
        assert await rebuild_features(resources, by=TEST) is None or first.done()
        await asyncio.sleep(0.1)
    assert await first == 0


async def test_a_rebuild_that_finds_no_room_is_tried_again(resources: Resources) -> None:
    """Not even for the lock; this is Redis being away, and no fault of the scorer's."""
    await resources.redis.flushall()
    await resources.redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(FeaturesUnavailable):
            await rebuild_features(resources, by=TEST)
    finally:
        await resources.redis.config_set("maxmemory", 0)
    assert await rebuild_features(resources, by=TEST) == 0
