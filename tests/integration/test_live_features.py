"""A scorer's first moments on an empty database."""

import pytest

from core.acts.audit import system
from core.base.clock import to_ms, utc_now
from core.base.ids import new_uuid
from core.base.terms import FeaturesStatus
from core.contracts.messages import Payment
from core.infra.resources import Resources
from core.stores import flow
from models.features.online import FeaturesUnavailable
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
