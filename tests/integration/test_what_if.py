"""A what-if over a running web process and a scorer that answers: real Valkey, PostgreSQL and model file."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text

from console.pages import what_if as page_module
from core.acts import registry
from core.acts.audit import Actor, system
from core.acts.registry import NewModel
from core.base.clock import to_ms, utc_now
from core.base.ids import ModelId, new_uuid
from core.base.tasks import end
from core.base.terms import ActorType, Role
from core.contracts.messages import Payment
from core.contracts.what_if import Answer, Question, Variant
from core.infra.asking import ask
from core.infra.resources import Resources
from core.stores import flow
from models.features.catalogue import CATALOGUE_VERSION, NAMES
from tests.integration.conftest import Api
from tests.integration.console_browser import HTMX, Browser, a_user, browser
from tests.integration.test_rescoring import HIGH, LOW, SmallModel
from tests.integration.test_surroundings import HOUR_MS, START_MS, a_payment, alert_on, store
from workers.lineup import LineupKeeper
from workers.what_if import answer_what_ifs

_AMOUNT = NAMES.index("amount")


@pytest.fixture
async def analyst(api: Api, resources: Resources) -> AsyncIterator[Browser]:
    async with browser(api) as tab:
        assert (await tab.sign_in(await a_user(resources, Role.ANALYST))).status_code == 303
        yield tab


@asynccontextmanager
async def a_scorer(resources: Resources) -> AsyncIterator[str]:
    """Its model's id; it says yes to LOW and asks for a look at HIGH."""
    new = NewModel(SmallModel(50_000, -4.0, 1.0).encoded(), CATALOGUE_VERSION, {"gates": []}, {})
    async with resources.postgres.unit_of_work() as work:
        model = await registry.register(
            work, resources.redis, resources.artifacts, new, requested_by="user:asker", by=system("test")
        )
    second = Actor(ActorType.USER, "second")
    async with resources.postgres.unit_of_work() as work:
        await registry.promote(work, resources.redis, ModelId(model.id), by=second, four_eyes=True)
    keeper = LineupKeeper(resources)
    await keeper.refresh()
    task = asyncio.create_task(answer_what_ifs(resources.redis, keeper))
    await asyncio.sleep(0.2)  # until it listens; a question asked before would wait a second
    try:
        yield model.id
    finally:
        await end(task)
        async with resources.postgres.unit_of_work() as work:
            await work.run(text("UPDATE model SET stage = 'retired' WHERE stage = 'champion'"))


async def decided(resources: Resources, payment: Payment, **changes: object) -> None:
    features: list[float | None] = [None] * len(NAMES)
    features[_AMOUNT] = float(payment.amount_minor)
    row = {
        "transaction_uid": payment.uid, "version": 1, "outcome": "review", "score": 0.6, "margin": 0.4,
        "base_margin": -4.0, "anomaly": None, "reasons": [], "contributions": [0.0] * len(NAMES), "rule_hits": [],
        "model_id": None, "policy_version": 1, "catalogue_version": CATALOGUE_VERSION, "features": features,
        "features_status": "complete", "decided_at": utc_now(), **changes,
    }  # fmt: skip
    async with resources.postgres.unit_of_work() as work:
        await flow.insert_decisions(work, [row])


async def an_alert(resources: Resources, **changes: object) -> UUID:
    customer = f"cus_{new_uuid().hex[:12]}"
    past = [a_payment(START_MS - place * HOUR_MS, customer_id=customer) for place in range(4, 0, -1)]
    own = a_payment(START_MS, customer_id=customer, amount_minor=HIGH)
    await store(resources, *past)
    await store(resources, own)
    await decided(resources, own, **changes)
    return await alert_on(resources, own)


async def test_a_changed_amount_is_scored_and_the_smallest_clearing_one_is_named(
    analyst: Browser, resources: Resources
) -> None:
    alert_id = await an_alert(resources)
    async with a_scorer(resources) as model_id:
        first = await analyst.client.get(f"/alerts/{alert_id}/what-if", headers=HTMX)
        assert first.status_code == 200
        assert "<html" not in first.text
        assert "Not a decision, and recorded nowhere" in first.text
        assert model_id in first.text
        clears = re.search(r'id="clears-1" href="([^"]+)"', first.text)
        assert clears, first.text
        # 50,000 is where the model changes its mind: 48,000 is the largest step below it.
        assert clears[1].endswith("?amount=480.00")
        assert "an amount of €480.00" in first.text
        then = await analyst.client.get(clears[1], headers=HTMX)
        rows = re.findall(r"<tr><th scope=\"row\">(.*?)</th>.*?outcome-(\w+)", then.text, re.S)
        assert rows == [("As it was", "review"), ("As changed", "approve")]
        assert "features moved with the change" in then.text or "feature moved with the change" in then.text
        whole = await analyst.client.get(f"/alerts/{alert_id}/what-if?amount={LOW / 100}")
        assert "<html" in whole.text
    async with resources.postgres.reading() as work:
        made = await work.run(text("SELECT count(*) FROM decision WHERE outcome = 'approve'"))
        assert made.scalar_one() == 0, "a what-if left a decision behind"


async def test_what_cannot_be_asked_is_said(
    analyst: Browser, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert_id = await an_alert(resources)
    for query, words in [
        ("amount=ten", "is not an amount"),
        ("amount=1e999999", "is not an amount"),
        ("hour=24", "whole number from 0 to 23"),
        ("device=dev_nobody", "no such choice"),
    ]:
        bad = await analyst.client.get(f"/alerts/{alert_id}/what-if?{query}", headers=HTMX)
        assert bad.status_code == 422
        assert words in bad.text
        assert "No scorer answered within 3 seconds" in bad.text
        monkeypatch.setattr("console.what_if.ANSWER_WITHIN_S", 0.1)
    for changes, words in [
        ({"features_status": "degraded"}, "without all its features"),
        ({"catalogue_version": CATALOGUE_VERSION - 1}, "older catalogue"),
    ]:
        page = await analyst.client.get(f"/alerts/{await an_alert(resources, **changes)}/what-if", headers=HTMX)
        assert page.status_code == 200
        assert words in page.text
        assert "<form" not in page.text
    assert (await analyst.client.get(f"/alerts/{new_uuid()}/what-if")).status_code == 404


async def test_questions_of_another_catalogue_and_garbage_get_no_opinion(resources: Resources) -> None:
    vector: list[float | None] = [1.0] * len(NAMES)
    async with a_scorer(resources):
        await resources.redis.rpush("ronda:questions", b"garbage")
        for version, features in [(CATALOGUE_VERSION - 1, vector), (CATALOGUE_VERSION, vector[:-1])]:
            variants = [Variant(a_payment(START_MS), features)]
            question = Question(
                id=new_uuid(), asked_at_ms=to_ms(utc_now()), catalogue_version=version, variants=variants
            )
            body = await ask(resources.redis, question.id, msgspec.msgpack.encode(question), within_s=5)
            assert body is not None
            assert msgspec.msgpack.decode(body, type=Answer).said == []


def test_wishes_are_read_or_refused() -> None:
    choices = page_module.Choices({}, {}, {}, ["pos"])
    wish = page_module.read_wish({"amount": " 12.50 ", "hour": "7", "channel": "pos", "device": "new"}, "EUR", choices)
    assert (wish.amount_minor, wish.hour, wish.channel, wish.device) == (1_250, 7, "pos", "new")
    assert not page_module.read_wish({}, "EUR", choices).any
