"""`ronda features check`, as people type it: what the scorer logged and what Redis answers, against a replay from PostgreSQL."""

import asyncio
import json

import pytest
from sqlalchemy import text

from core.infra.resources import Resources
from models.features.catalogue import NAMES
from tests.damage import corrupt_merchant
from tests.integration.conftest import Api, payment
from tests.integration.test_model_commands import ronda
from tests.jobs import running
from tests.servers import run_sql

PAYMENTS = 4


@pytest.fixture
async def scored(api: Api, resources: Resources) -> str:
    """A few payments of one merchant, decided; the id of the first one. Redis and the table start empty."""
    await resources.redis.flushall()
    async with running(resources, "score", "relay"):
        bodies = [payment(f"scored-{place}", merchant_id="mer_shown") for place in range(PAYMENTS)]
        assert (await api.client.post("/v1/transactions/batch", json=bodies)).status_code == 200
        async with asyncio.timeout(60):
            while True:
                async with resources.postgres.reading() as work:
                    query = text("SELECT count(*) FROM decision WHERE features_status = 'complete'")
                    if (await work.run(query)).scalar_one() == PAYMENTS:
                        break
                await asyncio.sleep(0.1)
    async with resources.postgres.reading() as work:
        first = (await work.run(text("SELECT uid FROM transaction ORDER BY uid LIMIT 1"))).scalar_one()
    return str(first)


async def test_it_says_what_differs_and_exits_with_1(scored: str, resources: Resources, postgres_url: str) -> None:
    equal = await ronda(resources, "features", "check", "--json")
    found = json.loads(equal.out)
    assert (equal.code, found["vectors"], found["unequal"], found["transactions"]) == (0, PAYMENTS, 0, [])
    assert (found["live"]["differing"], found["live"]["entities"]["merchant"]) == (0, 1)

    await corrupt_merchant(resources.redis, "mer_shown")
    live = await ronda(resources, "features", "check", "--json")
    found = json.loads(live.out)
    assert (live.code, found["unequal"], found["live"]["differing"]) == (1, 0, 1)
    assert {(one["entity"], one["entity_id"]) for one in found["live"]["differences"]} == {("merchant", "mer_shown")}
    unasked = await ronda(resources, "features", "check", "--json", "--entities", "0")
    assert (unasked.code, json.loads(unasked.out)["live"]) == (0, None)

    await run_sql(
        postgres_url,
        f"SET session_replication_role = replica; UPDATE decision SET features[3] = 77 WHERE transaction_uid = '{scored}'",
    )
    logged = await ronda(resources, "features", "check", "--json", "--entities", "0")
    found = json.loads(logged.out)
    assert (logged.code, found["unequal"], found["transactions"]) == (1, 1, [scored])
    assert found["features"] == {NAMES[2]: 1}
    words = await ronda(resources, "features", "check")
    assert words.code == 1
    assert f"{PAYMENTS} logged vectors compared, 1 differ from the replay\n  {NAMES[2]}: 1 times\n" in words.out
    assert "merchant mer_shown: " in words.out
