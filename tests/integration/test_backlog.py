"""Payments are refused while too many of those before them are undecided: over real servers, without a scorer."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import text

import backend.backlog
from backend.backlog import count_undecided
from backend.doctor import State, examine
from core.base.clock import utc_now
from core.base.settings import Settings
from core.infra.resources import Resources
from core.stores import backlog
from tests import servers
from tests.integration.conftest import Api, payment
from tests.integration.test_hot_paths import scans, statements_run
from tests.servers import Server

MOST = 4
PROBLEM = "application/problem+json"


@pytest.fixture
async def settings(settings: Settings, postgres_server: Server) -> AsyncIterator[Settings]:
    """On a database of its own: what other tests left undecided would count."""
    async with servers.fresh_database(postgres_server.url) as url:
        yield settings.model_copy(update={"database_url": SecretStr(url), "backlog_most": MOST})


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read more often, and a few payments count as a backlog."""
    monkeypatch.setattr(backend.backlog, "EVERY_S", 0.05)
    monkeypatch.setattr(backend.backlog, "REST", 1)
    monkeypatch.setattr(backend.backlog, "FLOW", 2)


async def decide(resources: Resources, count: int, ago: timedelta = timedelta()) -> None:
    """The oldest undecided ones."""
    sql = """
        INSERT INTO decision (transaction_uid, version, outcome, policy_version, catalogue_version, features, features_status, decided_at)
        SELECT uid, 1, 'approve', 1, 1, '{}', 'complete', CAST(:now AS timestamptz) FROM transaction t
        WHERE NOT EXISTS (SELECT FROM decision WHERE transaction_uid = t.uid) ORDER BY uid LIMIT :count
    """
    async with resources.postgres.unit_of_work() as work:
        await work.run(text(sql), {"count": count, "now": utc_now() - ago})


async def post_batch(api: Api, *idents: str) -> Any:
    return await api.client.post("/v1/transactions/batch", json=[payment(ident) for ident in idents])


async def until_posting_answers(api: Api, status: int) -> Any:
    """Of a body that is refused anyhow: nothing is stored by asking."""
    async with asyncio.timeout(10):
        while True:
            answer = await api.client.post("/v1/transactions", json={})
            if answer.status_code == status:
                return answer
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("often")
async def test_payments_are_refused_while_too_many_are_undecided(api: Api, resources: Resources) -> None:
    assert (await post_batch(api, *(f"before-{n}" for n in range(MOST + 2)))).status_code == 200
    answer = await until_posting_answers(api, 429)
    assert (answer.headers["content-type"], answer.json()["code"]) == (PROBLEM, "backlogged")
    assert (answer.json()["undecided"], answer.json()["most"]) == (MOST + 2, MOST)
    assert answer.headers["retry-after"] == "60"  # nothing is decided: nobody knows

    single = await api.client.post("/v1/transactions", json=payment("refused"))
    batch = await post_batch(api, "refused", "refused-too")
    assert (single.status_code, batch.status_code, batch.headers["content-type"]) == (429, 429, PROBLEM)
    assert (await api.client.get("/v1/transactions/refused")).status_code == 404
    label = {
        "transaction_id": "before-1",
        "label": "fraud",
        "source": "chargeback",
        "reported_at": "2026-02-10T00:00:00Z",
    }
    assert (await api.client.post("/v1/labels", json=[label])).status_code == 200
    metrics = (await api.client.get("/metrics")).text
    assert f"ronda_undecided {MOST + 2}.0" in metrics
    assert float(metrics.split("\nronda_posts_refused_total ")[1].split()[0]) >= 3

    await decide(resources, 3)
    await asyncio.sleep(0.3)
    still = await api.client.post("/v1/transactions", json=payment("refused"))
    assert (still.status_code, still.json()["undecided"]) == (429, MOST - 1)  # below the limit, but not yet half of it
    assert still.headers["retry-after"] == "4"  # 3 decisions in 10 s, and 1 more is needed
    await decide(resources, 1)
    await until_posting_answers(api, 422)
    assert (await api.client.post("/v1/transactions", json=payment("refused"))).status_code == 202


@pytest.mark.usefixtures("often")
async def test_nobody_waits_for_a_decision_that_cannot_come_in_time(api: Api, resources: Resources) -> None:
    await post_batch(api, "ahead-1", "ahead-2", "ahead-3")
    async with asyncio.timeout(10):
        while "ronda_undecided 3.0" not in (await api.client.get("/metrics")).text:
            await asyncio.sleep(0.02)
    async with asyncio.timeout(5):
        answer = await api.client.post("/v1/transactions", json=payment("hurry"), headers={"prefer": "wait=9"})
    assert (answer.status_code, answer.json()["status"]) == (202, "accepted")
    assert "preference-applied" not in answer.headers


@pytest.mark.parametrize("counted", [3, 100])
async def test_it_looks_further_back_while_it_begins_within_the_backlog(
    api: Api, resources: Resources, counted: int
) -> None:
    await post_batch(api, "old-1", "old-2")
    await asyncio.sleep(0.02)
    between = utc_now()
    await post_batch(api, "old-3", "old-4")
    async with resources.postgres.reading() as work:
        found = await count_undecided(work, between, utc_now(), most=counted)
    assert found.undecided == min(4, counted)
    assert found.oldest
    assert found.oldest < between


async def test_a_few_that_stay_undecided_are_left_behind(api: Api, resources: Resources) -> None:
    """Else every reading would read all that came since."""
    await post_batch(api, "lost")
    later = utc_now() + timedelta(minutes=30)
    async with resources.postgres.reading() as work:
        found = await count_undecided(work, utc_now() - timedelta(minutes=1), later, most=100)
    assert found.undecided == 1
    assert found.since > later - timedelta(minutes=6)


async def test_a_reading_that_fails_is_made_again(api: Api, resources: Resources, often: None) -> None:
    owner = resources.settings.database_url.get_secret_value()
    await servers.run_sql(owner, "ALTER TABLE decision RENAME TO not_there")
    await post_batch(api, *(f"unread-{n}" for n in range(MOST + 1)))
    await asyncio.sleep(0.3)
    assert (await api.client.post("/v1/transactions", json={})).status_code == 422
    await servers.run_sql(owner, "ALTER TABLE not_there RENAME TO decision")
    await until_posting_answers(api, 429)


async def test_the_doctor_tells_the_backlog(api: Api, resources: Resources) -> None:
    async def told() -> tuple[State, str]:
        [finding] = [one for one in await examine(resources.settings) if one.name == "backlog"]
        return finding.state, finding.words

    assert await told() == (State.OK, f"0 payments wait for their decision; from {MOST} on new ones are refused")
    await post_batch(api, "a", "b", "c")
    assert (await told())[0] is State.NOTE
    await post_batch(api, "d", "e")
    state, words = await told()
    assert state is State.BAD
    assert words.startswith("5 payments wait for their decision")


HISTORY = 3_000
"""Payments of an hour ago, all decided."""


async def test_the_count_reads_the_backlog_and_not_what_was_decided_before(api: Api, resources: Resources) -> None:
    """Where an index can serve, PostgreSQL is told to take it: of so few rows it would rightly read all."""
    url = resources.settings.database_url.get_secret_value()
    await servers.run_sql(
        url,
        f"""INSERT INTO transaction (uid, source_id, transaction_id, occurred_at, accepted_at, amount_minor, currency,
            customer_id, attributes, imported)
            SELECT uuidv7(-interval '1 hour'), '{api.source}', 'past-' || n, now(), now(), 1, 'EUR', 'c', '{{}}', false
            FROM generate_series(1, {HISTORY}) AS n""",
    )
    await decide(resources, HISTORY, ago=timedelta(hours=1))
    await post_batch(api, "now-1", "now-2")
    await servers.run_sql(url, "ANALYZE")
    connection = await asyncpg.connect(url)
    await connection.execute("SET enable_seqscan = off; SET random_page_cost = 1.1")
    with statements_run() as statements:
        async with resources.postgres.reading() as work:
            found = await count_undecided(work, utc_now() - timedelta(minutes=1), utc_now(), most=100)
            assert await backlog.decided(work, utc_now() - timedelta(seconds=10), most=100) == 0
    assert found.undecided == 2
    assert len(statements) == 2
    for statement, values in statements.items():
        plan = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *values)
        assert max(scan.touched for scan in scans(json.loads(plan)[0]["Plan"])) < 10, plan
    await connection.close()
