"""What is part of a feature state that was built anew."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from core.acts import people
from core.acts.audit import system
from core.base.hashing import sha256
from core.base.ids import SourceId
from core.infra.postgres import IDLE_S
from core.infra.resources import Resources
from core.stores import accepting, commit_order, flow
from core.stores.accepting import Arrival
from core.stores.commit_order import Place
from models.features.online import OnlineFeatures
from tests.poison import payments
from workers.rebuild import rebuild_features
from workers.tail import FEW

TEST = system("test")


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


async def test_a_rebuild_may_think_longer_than_a_request(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of payments are taken between two statements, and slowly where scorers are busy."""
    async with resources.postgres.unit_of_work() as work:
        await people.add_source(work, SourceId("lane"), "Lane", TEST)
        await accepting.insert_transactions(work, [Arrival(payment, b"body") for payment in payments(1)])
    backfill, pauses = OnlineFeatures.backfill, iter([IDLE_S + 0.5])

    async def slowly(*given: Any, **more: Any) -> None:
        await asyncio.sleep(next(pauses, 0))
        await backfill(*given, **more)

    monkeypatch.setattr(OnlineFeatures, "backfill", slowly)
    assert await rebuild_features(resources, by=TEST)
    assert next(pauses, None) is None


@pytest.mark.parametrize(("come", "left"), [([300, 100, FEW + 1, 5, 3, 300], 3), ([100] * 9, 100)])
async def test_who_goes_over_to_a_new_state_has_little_to_take(
    resources: Resources, monkeypatch: pytest.MonkeyPatch, come: list[int], left: int
) -> None:
    """Decisions wait for that. come: how many payments are accepted while each round is taken; as fast as that, it ends all the same."""
    async with resources.postgres.unit_of_work() as work:
        await people.add_source(work, SourceId("lane"), "Lane", TEST)
        await accepting.insert_transactions(work, [Arrival(payment, b"body") for payment in payments(1)])
        before = await flow.count_transactions(work)
    backfill, publish, coming = OnlineFeatures.backfill, OnlineFeatures.publish_generation, iter(come)
    published: list[str] = []

    async def beside_others(features: OnlineFeatures, past: Any, **more: Any) -> None:
        async with resources.postgres.unit_of_work() as work:
            arrivals = [
                Arrival(payment, payment.uid.bytes) for payment in payments(0 if published else next(coming, 0))
            ]
            await accepting.insert_transactions(work, arrivals)
        await backfill(features, past, **more)

    async def seen(features: OnlineFeatures, until: str = "") -> None:
        published.append(until)
        await publish(features, until)

    monkeypatch.setattr(OnlineFeatures, "backfill", beside_others)
    monkeypatch.setattr(OnlineFeatures, "publish_generation", seen)
    rebuilt = await rebuild_features(resources, by=TEST)
    async with resources.postgres.reading() as work:
        behind = await commit_order.accepted_behind(work, Place.parse(published[0]), settled=False, limit=1000)
    assert len(behind) == left
    assert rebuilt == before + sum(come) - sum(coming)
