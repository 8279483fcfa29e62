"""The whole walk with the real parts: posted, scored by a worker, alerted, labelled, trained on, promoted, taken up."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from backend import synthetic
from backend.demo import load_history
from backend.first_run import FIRST, PER_DAY
from core.acts import people, registry
from core.acts.audit import Actor, system
from core.base.ids import ModelId, new_uuid
from core.base.terms import ActorType
from core.contracts.topology import DEAD, score_queue
from core.infra.bus import Outgoing
from core.infra.resources import Resources
from core.stores import flow, policy
from core.tables.flow import Transaction
from core.tables.policy import RegisteredModel
from models.features.catalogue import NAMES
from models.features.online import OnlineFeatures
from tests.integration.conftest import Api, payment
from tests.jobs import running
from workers.reconcile import reconcile_once
from workers.retrain import train_and_register

SECOND = Actor(ActorType.USER, "second")


async def decision_of(api: Api, ident: str, within_s: float = 60) -> dict[str, Any]:
    async with asyncio.timeout(within_s):
        while True:
            found = (await api.client.get(f"/v1/transactions/{ident}")).json()
            if found.get("decision"):
                return dict(found)
            await asyncio.sleep(0.05)


@pytest.fixture
async def history(resources: Resources) -> None:
    """The demo's synthetic history, once for the module."""
    async with resources.postgres.unit_of_work() as work:
        if await flow.count_transactions(work) > 1000:
            return
        await people.add_source(work, "demo", "Synthetic", system("test"))
    past = synthetic.history(days=90, per_day=PER_DAY, until=datetime.now(UTC) - timedelta(hours=1))
    await load_history(resources, past, lambda _fraction, _words: None)


async def trained(resources: Resources) -> RegisteredModel:
    async with resources.postgres.unit_of_work() as work:
        run = await registry.request_training(work, by=system("test"))
    model = await train_and_register(resources, run.id, options=FIRST)
    async with resources.postgres.reading() as work:
        ended = await policy.run(work, run.id)
    assert model is not None, ended
    return model


async def promoted(resources: Resources, model: RegisteredModel) -> None:
    async with resources.postgres.unit_of_work() as work:
        await registry.promote(work, resources.redis, ModelId(model.id), by=SECOND, four_eyes=True)


async def test_without_a_model_nothing_is_approved(api: Api, resources: Resources) -> None:
    async with running(resources, "score", "relay"):
        await api.client.post("/v1/transactions", json=payment("early"))
        found = await decision_of(api, "early")
    assert (found["decision"]["outcome"], found["decision"]["score"], found["decision"]["model"]) == (
        "review",
        None,
        None,
    )
    assert set(found["decision"]["features"]) == set(NAMES)


@pytest.mark.timeout(900)  # two whole trainings: a minute where nothing else runs
async def test_the_loop_closes(api: Api, resources: Resources, history: None) -> None:
    first = await trained(resources)
    await promoted(resources, first)
    now = datetime.now(UTC).isoformat()
    async with running(resources, "score", "relay", "feedback"):
        async with asyncio.timeout(60):
            while (await asked(api, now))["decision"]["model"] != first.id:
                await asyncio.sleep(0.2)
        waited = await api.client.post(
            "/v1/transactions",
            json=payment("huge", amount="9500.00", occurred_at=now, device_id="dev_new", card_id="tok_new"),
            headers={"Prefer": "wait=10"},
        )
        assert waited.status_code == 200
        decision = waited.json()["decision"]
        assert decision["model"] == first.id
        assert 0 < decision["score"] < 1
        second = await trained(resources)
        assert second.metrics["champion"] is not None
        if not registry.failed_gates(second):
            await promoted(resources, second)
            async with asyncio.timeout(60):
                while (await asked(api, now))["decision"]["model"] != second.id:
                    await asyncio.sleep(0.2)


async def asked(api: Api, occurred_at: str) -> dict[str, Any]:
    body = payment(str(new_uuid()), occurred_at=occurred_at, customer_id="cus_asker")
    return dict((await api.client.post("/v1/transactions", json=body, headers={"Prefer": "wait=10"})).json())


async def test_a_redelivery_changes_nothing(api: Api, resources: Resources) -> None:
    async with running(resources, "score", "relay"):
        await api.client.post("/v1/transactions", json=payment("twice", customer_id="cus_twice"))
        first = await decision_of(api, "twice")
        async with resources.postgres.reading() as work:
            query = text("SELECT queue, body FROM outbox ORDER BY created_at DESC LIMIT 1")
            queue, body = (await work.run(query)).one()
        await resources.bus.publish([Outgoing(queue, str(new_uuid()), bytes(body))])
        await api.client.post("/v1/transactions", json=payment("after", customer_id="cus_twice"))
        after = await decision_of(api, "after")
    async with resources.postgres.reading() as work:
        query = text(
            "SELECT count(*) FROM decision d JOIN transaction t ON t.uid = d.transaction_uid WHERE t.transaction_id = 'twice'"
        )
        assert (await work.run(query)).scalar_one() == 1
    assert first["decision"]["features"]["customer_velocity_1h_count"] == 1
    assert after["decision"]["features"]["customer_velocity_1h_count"] == 2


async def test_the_next_payments_are_judged_while_the_last_ones_are_stored(api: Api, resources: Resources) -> None:
    """One slice ahead and no more, each decided once. The first store waits for a lock on the decisions."""
    size = resources.settings.score_batch_max
    bodies = [payment(f"slice_{place}", customer_id="cus_slices") for place in range(2 * size + 1)]
    assert (await api.client.post("/v1/transactions/batch", json=bodies)).status_code == 200
    async with resources.postgres.reading() as work:
        query = select(Transaction).where(col(Transaction.customer_id) == "cus_slices").order_by(col(Transaction.uid))
        payments = [flow.payment_of(row) for row in (await work.session.exec(query)).all()]
    features = OnlineFeatures(resources.redis)

    async def taken() -> int:
        await features.prepare()
        return sum(await features.taken([payment.uid for payment in payments]))

    async with resources.postgres.unit_of_work() as locking:
        await locking.run(text("SET LOCAL ROLE NONE"))
        await locking.run(text("LOCK TABLE decision IN EXCLUSIVE MODE"))
        jobs = running(resources, "score", "relay")
        await jobs.__aenter__()
        async with asyncio.timeout(30):
            while await taken() < 2 * size:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        assert await taken() == 2 * size
    try:
        await decision_of(api, f"slice_{2 * size}")
    finally:
        await jobs.__aexit__(None, None, None)
    async with resources.postgres.reading() as work:
        versions = await flow.latest_decisions(work, [one.uid for one in payments])
    assert len(versions) == len(payments)
    assert {decision.version for decision in versions.values()} == {1}


async def test_what_cannot_be_read_is_buried_with_its_reason(api: Api, resources: Resources) -> None:
    await resources.bus.publish([Outgoing(score_queue(0), "poison", b"\xff not a message")])
    async with running(resources, "score", "relay", "bury"):
        await api.client.post("/v1/transactions", json=payment("innocent"))
        await decision_of(api, "innocent")
        async with asyncio.timeout(30):
            while True:
                async with resources.postgres.reading() as work:
                    rows = (await work.run(text("SELECT queue, reason FROM dead_letter"))).all()
                if rows:
                    break
                await asyncio.sleep(0.1)
    assert [row[0] for row in rows] == [score_queue(0)]
    assert "undecodable" in rows[0][1]
    assert await resources.bus.depth(DEAD) == 0


async def test_an_emptied_feature_store_degrades_and_comes_back(api: Api, resources: Resources) -> None:
    async with running(resources, "score", "relay"):
        await api.client.post("/v1/transactions", json=payment("before", customer_id="cus_lost"))
        await decision_of(api, "before")
        await resources.redis.flushall()
        await api.client.post("/v1/transactions", json=payment("dark", customer_id="cus_lost"))
        dark = (await decision_of(api, "dark"))["decision"]
        assert (dark["features_status"], dark["outcome"]) == ("degraded", "review")
        async with asyncio.timeout(60):
            status, ident = "degraded", ""
            while status == "degraded":
                await asyncio.sleep(0.5)
                ident = str(new_uuid())
                await api.client.post("/v1/transactions", json=payment(ident, customer_id="cus_back"))
                status = (await decision_of(api, ident))["decision"]["features_status"]
        await api.client.post("/v1/transactions", json=payment("restored", customer_id="cus_lost"))
        restored = (await decision_of(api, "restored"))["decision"]
    assert restored["features"]["customer_velocity_1h_count"] == 3


async def test_a_lost_message_is_sent_again(api: Api, resources: Resources) -> None:
    await api.client.post("/v1/transactions", json=payment("lost", customer_id="cus_gone"))
    consumer = await resources.bus.consumer([score_queue(n) for n in range(resources.settings.shards)], prefetch=10)
    async with asyncio.timeout(20):
        taken = await consumer.take(10, 5.0)
    for delivery in taken:
        await delivery.ack()
    await consumer.close()
    assert taken
    later = datetime.now(UTC) + timedelta(minutes=2)
    async with asyncio.timeout(20):
        while (count := await reconcile_once(resources, later)) == 0:
            await asyncio.sleep(0.2)
    assert count == 1
    async with running(resources, "score", "relay"):
        assert (await decision_of(api, "lost"))["decision"]["version"] == 1


async def test_the_export_shows_every_decision_once(api: Api, resources: Resources) -> None:
    idents = [f"exp-{n}" for n in range(120)]
    async with running(resources, "score", "relay"):
        bodies = [payment(ident, customer_id=f"cus_{n % 7}") for n, ident in enumerate(idents)]
        await asyncio.gather(*(api.client.post("/v1/transactions", json=body) for body in bodies))
        seen: list[str] = []
        after = ""
        async with asyncio.timeout(60):
            while len(seen) < len(idents):
                answer = await api.client.get("/v1/decisions", params={"after": after, "limit": 17})
                seen += [line.split('"transaction_id":"')[1].split('"')[0] for line in answer.text.splitlines()]
                after = answer.headers["ronda-next-cursor"]
    assert sorted(seen) == sorted(idents)
