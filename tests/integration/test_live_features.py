"""A scorer's first moments on an empty database."""

import pytest
from sqlalchemy import text

from core.acts import people
from core.acts.audit import system
from core.base.clock import to_ms, utc_now
from core.base.hashing import sha256
from core.base.ids import SourceId, new_uuid
from core.base.terms import FeaturesStatus
from core.contracts.messages import Payment
from core.infra.resources import Resources
from core.stores import accepting, flow
from core.stores.accepting import Arrival
from models.features.online import FeaturesUnavailable, OnlineFeatures
from tests.poison import payments
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


async def test_a_rebuild_has_what_was_imported_while_a_transaction_ran(resources: Resources) -> None:
    """Nothing behind the oldest transaction is settled, and no guard knows history."""
    async with resources.postgres.unit_of_work() as work:
        await people.add_source(work, SourceId("lane"), "Lane", TEST)
    async with resources.postgres.unit_of_work() as late:
        await late.run(text("SELECT pg_current_xact_id()"))
        async with resources.postgres.unit_of_work() as work:
            arrivals = [Arrival(payment, sha256(payment.uid.bytes)) for payment in payments(2)]
            await accepting.insert_transactions(work, arrivals, imported=True)
        assert await rebuild_features(resources, by=TEST) == 2
    features = OnlineFeatures(resources.redis)
    await features.prepare()
    assert await features.taken([arrival.payment.uid for arrival in arrivals]) == [True, True]
