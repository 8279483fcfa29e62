"""The ingest API over real PostgreSQL, Valkey and RabbitMQ."""

import asyncio
import json
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

import backend.ingest
from backend.auth import ApiKeys
from core.acts import people
from core.acts.audit import system
from core.base.errors import BadApiKey
from core.contracts.messages import ScoreBatch, decode
from core.contracts.topology import score_queue
from core.infra.postgres import UnitOfWork
from core.infra.resources import Resources
from core.stores import flow
from core.tables.people import ApiKey
from tests.integration.conftest import Api, payment

PROBLEM = "application/problem+json"


async def queued(resources: Resources, expect: int) -> list[str]:
    """Transaction ids waiting to be scored, taken off both shards."""
    consumer = await resources.bus.consumer([score_queue(0), score_queue(1)], prefetch=50)
    ids: list[str] = []
    for _ in range(20):
        for delivery in await consumer.take(50, 0.5):
            message = decode(delivery.body)
            assert isinstance(message, ScoreBatch)
            ids += [p.transaction_id for p in message.payments]
            await delivery.ack()
        if len(ids) >= expect:
            break
    await consumer.close()
    return ids


async def test_one_payment_is_stored_queued_and_repeatable(api: Api, resources: Resources) -> None:
    first = await api.client.post("/v1/transactions", json=payment("one"))
    again = await api.client.post("/v1/transactions", json=payment("one"))
    other = await api.client.post("/v1/transactions", json=payment("one", amount="1.00"))
    assert (first.status_code, first.json()) == (202, {"id": "one", "status": "accepted"})
    assert "idempotent-replayed" not in first.headers
    assert (again.status_code, again.headers["idempotent-replayed"]) == (202, "true")
    assert (other.status_code, other.headers["content-type"]) == (409, PROBLEM)
    assert other.json()["code"] == "idempotency_conflict"
    assert await queued(resources, 1) == ["one"]


async def test_what_the_broker_confirmed_is_marked_soon(api: Api, resources: Resources) -> None:
    assert (await api.client.post("/v1/transactions", json=payment("marked"))).status_code == 202
    async with asyncio.timeout(5):
        while True:
            async with resources.postgres.reading() as work:
                if not (await flow.outbox_state(work)).unsent:
                    break
            await asyncio.sleep(0.05)
    assert await queued(resources, 1) == ["marked"]


async def test_who_comes_together_asks_once_for_a_key(
    api: Api, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, look_up = [], people.key_holder

    async def key_holder(work: UnitOfWork, presented: str) -> ApiKey | None:
        asked.append(presented)
        return await look_up(work, presented)

    monkeypatch.setattr(people, "key_holder", key_holder)
    keys = ApiKeys(resources)
    callers = await asyncio.gather(*(keys.caller(key) for key in [api.key] * 50))
    assert {caller.source_id for caller in callers} == {api.source}
    refused = await asyncio.gather(*(keys.caller("unknown") for _ in range(50)), return_exceptions=True)
    assert {type(error) for error in refused} == {BadApiKey}
    assert asked == [api.key, "unknown"]
    with pytest.raises(BadApiKey):
        await keys.caller("unknown")


async def test_two_hundred_racing_posts_make_one_transaction(api: Api, resources: Resources) -> None:
    bodies = [payment("race", amount="5.00" if n % 2 else "6.00") for n in range(200)]
    answers = await asyncio.gather(*(api.client.post("/v1/transactions", json=body) for body in bodies))
    counts = {code: sum(a.status_code == code for a in answers) for code in (202, 409)}
    assert counts == {202: 100, 409: 100}
    assert sum("idempotent-replayed" not in a.headers for a in answers if a.status_code == 202) == 1
    assert await queued(resources, 1) == ["race"]


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        ("{", "application/json", 400, "malformed_body"),
        ("[" * 3000, "application/json", 400, "malformed_body"),
        (b"\xff", "application/json", 400, "malformed_body"),
        (json.dumps(payment("bad", surprise=1)), "application/json", 422, "invalid_input"),
        (json.dumps(payment("bad", amount=-1)), "application/json", 422, "invalid_input"),
        (json.dumps(payment("bad", occurred_at="2026-01-31T09:30:00")), "application/json", 422, "invalid_input"),
        (json.dumps(payment("bad", card_id="4111111111111111")), "application/json", 422, "card_number_refused"),
        (json.dumps(payment("bad")), "text/plain", 415, "unsupported_media_type"),
        (json.dumps(payment("bad")), "", 415, "unsupported_media_type"),
        ("x" * 70_000, "application/json", 413, "body_too_large"),
    ],
)
async def test_bad_input_is_told_clearly_and_stores_nothing(
    api: Api, resources: Resources, content: Any, content_type: str, status: int, code: str
) -> None:
    answer = await api.client.post("/v1/transactions", content=content, headers={"content-type": content_type})
    assert (answer.status_code, answer.headers["content-type"], answer.json()["code"]) == (status, PROBLEM, code)
    assert "4111" not in answer.text
    assert (await api.client.get("/v1/transactions/bad")).status_code == 404


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer rk_nope.nope", "Basic x", "Bearer é".encode()])
async def test_without_a_good_key_nothing_works(api: Api, header: Any) -> None:
    async with httpx2.AsyncClient(base_url=api.client.base_url) as stranger:
        headers = {"authorization": header} if header else {}
        answer = await stranger.post("/v1/transactions", json=payment("x"), headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_a_revoked_key_stops_working(api: Api, resources: Resources) -> None:
    async with resources.postgres.unit_of_work() as work:
        await people.revoke_key(work, api.key.partition(".")[0], system("cli"))
    answer = await api.client.get("/v1/decisions")
    assert answer.status_code == 401


async def test_a_batch_answers_each_item_in_order(api: Api, resources: Resources) -> None:
    items = [payment("b1"), payment("b2"), {"id": "b3"}, payment("b1"), payment("b2", amount="7.00")]
    answer = await api.client.post("/v1/transactions/batch", json=items)
    assert answer.status_code == 200
    states = [result["status"] for result in answer.json()["results"]]
    assert states == ["accepted", "accepted", "invalid", "replayed", "conflict"]
    assert answer.json()["results"][2]["error"]["code"] == "invalid_input"
    repeated = await api.client.post(
        "/v1/transactions/batch",
        content="\n".join(json.dumps(item) for item in items),
        headers={"content-type": "application/x-ndjson"},
    )
    states = [result["status"] for result in repeated.json()["results"]]
    assert states == ["replayed", "replayed", "invalid", "replayed", "conflict"]
    assert sorted(await queued(resources, 2)) == ["b1", "b2"]


async def test_a_batch_has_its_limits(api: Api) -> None:
    too_many = await api.client.post("/v1/transactions/batch", json=[payment(str(n)) for n in range(2000)])
    assert (too_many.status_code, too_many.json()["code"], too_many.json()["most"]) == (413, "batch_too_large", 1000)
    for content in ("[]", "{}", "[1,", "7"):
        headers = {"content-type": "application/json"}
        answer = await api.client.post("/v1/transactions/batch", content=content, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (400, PROBLEM)


async def test_one_source_does_not_see_anothers_transactions(api: Api, resources: Resources) -> None:
    await api.client.post("/v1/transactions", json=payment("mine"))
    async with resources.postgres.unit_of_work() as work:
        await people.add_source(work, "other", "", system("cli"))
        key = await people.add_key(work, "other", system("cli"))
    headers = {"authorization": f"Bearer {key}"}
    assert (await api.client.get("/v1/transactions/mine")).status_code == 200
    assert (await api.client.get("/v1/transactions/mine", headers=headers)).status_code == 404
    same_id = await api.client.post("/v1/transactions", json=payment("mine", amount="1.00"), headers=headers)
    assert same_id.status_code == 202


async def test_labels_are_recorded_once_each(api: Api) -> None:
    await api.client.post("/v1/transactions", json=payment("lab"))
    label = {"transaction_id": "lab", "label": "fraud", "source": "chargeback", "reported_at": "2026-02-10T00:00:00Z"}
    items = [label, label, label | {"transaction_id": "nobody"}, label | {"source": "analyst"}]
    first = await api.client.post("/v1/labels", json=items)
    states = [result["status"] for result in first.json()["results"]]
    assert states == ["recorded", "replayed", "unknown_transaction", "invalid"]
    again = await api.client.post("/v1/labels", json=[label])
    assert again.json()["results"] == [{"transaction_id": "lab", "status": "replayed"}]
    found = (await api.client.get("/v1/transactions/lab")).json()
    assert [(row["label"], row["source"]) for row in found["labels"]] == [("fraud", "chargeback")]


async def test_accepting_works_without_the_broker_and_the_outbox_keeps_the_message(
    api: Api, resources: Resources, rabbit_server: Any
) -> None:
    await rabbit_server.kill()
    try:
        answer = await api.client.post("/v1/transactions", json=payment("dark"))
        assert answer.status_code == 202
        async with resources.postgres.reading() as work:
            assert (await flow.outbox_state(work)).unsent >= 1
    finally:
        await rabbit_server.start()


async def test_more_than_can_wait_is_refused_for_now(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend.ingest, "QUEUE_LIMIT", 2)
    items = [payment(f"many-{n}") for n in range(3)]
    answer = await api.client.post("/v1/transactions/batch", json=items)
    assert (answer.status_code, answer.headers["content-type"], answer.json()["code"]) == (503, PROBLEM, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert (await api.client.get("/v1/transactions/many-0")).status_code == 404
    fewer = await api.client.post("/v1/transactions/batch", json=items[:2])
    assert [result["status"] for result in fewer.json()["results"]] == ["accepted", "accepted"]


async def test_health_metrics_and_description(api: Api) -> None:
    await api.client.post("/v1/transactions", json=payment("counted"))
    ready = await api.client.get("/health/ready")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "postgres": True, "redis": True})
    metrics = await api.client.get("/metrics")
    assert f'ronda_transactions_accepted_total{{source="{api.source}"}} 1.0' in metrics.text
    schema = (await api.client.get("/schema/openapi.json")).json()
    body = schema["paths"]["/v1/transactions"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["additionalProperties"] is False
    assert set(body["required"]) == {"id", "occurred_at", "amount", "currency", "customer_id"}


async def test_every_act_left_an_audit_event(api: Api, resources: Resources) -> None:
    await api.client.post("/v1/transactions", json=payment("seen"))
    await api.client.post("/v1/transactions", json=payment("seen", amount="3.00"))
    async with resources.postgres.reading() as work:
        query = text("SELECT action, result FROM audit_event WHERE actor_id = :key ORDER BY id")
        rows = [tuple(row) for row in await work.run(query, {"key": api.key.partition(".")[0]})]
    assert rows == [("transactions.accept", "done"), ("transaction.conflict", "refused")]
