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
from core.stores import accepting
from core.stores.accepting import Arrival
from models.features.online import OnlineFeatures
from tests.poison import payments
from workers.rebuild import rebuild_features

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
