"""The overview's figures over real PostgreSQL, its page for each role, and what is forgotten."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from core.acts import overview as acts
from core.acts import people, watches
from core.acts.audit import system
from core.base.clock import from_ms, to_ms, utc_now
from core.base.ids import first_uuid_at, moment_of, new_uuid
from core.base.terms import Action, Label, LabelSource, ModelStage, Outcome, Role
from core.contracts.messages import Payment
from core.infra.resources import Resources
from core.stores import accepting, casework, flow, ledger, overview, policy
from core.stores.accepting import Arrival
from core.stores.ledger import AuditFilter
from core.tables.policy import ModelWatch, RegisteredModel
from tests.integration.conftest import Api
from tests.integration.console_browser import Browser, a_user, browser

NOON = utc_now().replace(hour=12, minute=0, second=0, microsecond=0)


def uid_at(moment: datetime) -> UUID:
    """As `new_uuid` would have made it then."""
    return UUID(int=first_uuid_at(moment).int | (new_uuid().int & ((1 << 80) - 1)))


async def a_payment(
    resources: Resources,
    moment: datetime,
    outcome: Outcome,
    *said: tuple[LabelSource, Label],
    amount: int = 1000,
    currency: str = "EUR",
    closed_after: timedelta | None = None,
    alerted: bool | None = None,
    control: float | None = None,
) -> UUID:
    """Decided at `moment`, with an alert where its outcome asks for one, closed by an analyst, and what was said about it a day later."""
    uid = uid_at(moment)
    payment = Payment(
        uid=uid, source_id="shop", transaction_id=str(uid), occurred_at_ms=to_ms(moment), accepted_at_ms=to_ms(moment),
        amount_minor=amount, currency=currency, customer_id="cus_1",
    )  # fmt: skip
    decision = {
        "transaction_uid": uid, "version": 1, "outcome": outcome.value, "score": 0.5, "policy_version": 1,
        "catalogue_version": 1, "features": [], "features_status": "complete", "decided_at": moment, "reasons": [], "rule_hits": [],
    }  # fmt: skip
    alert = {
        "id": new_uuid(), "transaction_uid": uid, "status": "closed" if closed_after else "open", "outcome": outcome.value,
        "expected_loss_minor": 1, "amount_minor": amount, "currency": currency, "customer_id": "cus_1", "top_reason": "words",
        "occurred_at": moment, "opened_at": moment, "version": 1, "control_probability": control, "score": 0.5,
        "closed_at": moment + closed_after if closed_after else None,
    }  # fmt: skip
    labels = [
        {
            "id": new_uuid(), "transaction_uid": uid, "label": label.value, "label_source": source.value,
            "reported_at": moment + timedelta(hours=place), "received_at": moment + timedelta(hours=place), "actor_type": "system",
            "actor_id": "test", "note": None,
        }
        for place, (source, label) in enumerate(said)
    ]  # fmt: skip
    async with resources.postgres.unit_of_work() as work:
        await people.add_source(work, "shop", "Shop", system("test"))
        await accepting.insert_transactions(work, [Arrival(payment, b"x")])
        await flow.insert_decisions(work, [decision])
        if alerted if alerted is not None else outcome is not Outcome.APPROVE:
            await casework.insert_alerts(work, [alert])
        if labels:
            await casework.insert_labels(work, labels)
    return uid


async def figures(resources: Resources, now: datetime) -> dict[str, Any]:
    async with resources.postgres.unit_of_work() as work:
        await acts.refresh(work, now)
    async with resources.postgres.reading() as work:
        return {
            row.day.isoformat(): row.figures for row in await overview.days(work, (now - timedelta(days=90)).date())
        }


FRAUD, FINE = Label.FRAUD, Label.LEGITIMATE
ANALYST, CHARGEBACK = LabelSource.ANALYST, LabelSource.CHARGEBACK


async def test_a_days_figures_are_what_happened_on_it(resources: Resources) -> None:
    async with resources.postgres.unit_of_work() as work:
        assert await acts.refresh(work, utc_now()) == 0, "nothing is measured before the first decision"
    day = NOON - timedelta(days=5)
    hour = timedelta(hours=1)
    await a_payment(resources, day, Outcome.APPROVE)
    await a_payment(resources, day, Outcome.APPROVE, (CHARGEBACK, FRAUD), amount=700)
    await a_payment(resources, day, Outcome.DECLINE, (CHARGEBACK, FRAUD), amount=11, closed_after=hour)
    await a_payment(resources, day, Outcome.REVIEW, (ANALYST, FRAUD), amount=50, closed_after=hour)
    await a_payment(
        resources, day, Outcome.REVIEW, (ANALYST, FINE), (CHARGEBACK, FRAUD), amount=5000, closed_after=hour
    )
    await a_payment(resources, day, Outcome.REVIEW, (ANALYST, FRAUD), (CHARGEBACK, FINE), closed_after=hour)
    await a_payment(resources, day, Outcome.REVIEW, (ANALYST, FRAUD), currency="JPY", amount=9)
    await a_payment(resources, day, Outcome.REVIEW)
    await a_payment(resources, day, Outcome.APPROVE, (ANALYST, FRAUD), amount=3, alerted=True, control=0.01)
    await a_payment(resources, day + timedelta(days=1), Outcome.REVIEW, closed_after=hour)
    found = await figures(resources, NOON)
    assert len(found) == 6
    then = found[day.date().isoformat()]
    assert then["opened"] == {"review": 5, "decline": 1, "control": 1}
    assert then["labels"] == {"fraud": 4, "legitimate": 1, "unsure": 0}
    assert then["closed"] == 4
    assert then["saved"] == {"EUR": [2, 61], "JPY": [1, 9]}
    assert then["lost"] == {"EUR": [3, 5703]}
    assert then["open"] is None
    assert found[NOON.date().isoformat()]["open"] == 3
    assert then["seconds"] == {}, "no analyst closed them"


async def test_a_late_label_has_its_payments_day_measured_again_and_days_pass_by_turns(resources: Resources) -> None:
    uids = [await a_payment(resources, NOON - timedelta(days=days), Outcome.REVIEW) for days in range(40)]
    before = await figures(resources, NOON)
    assert sum(day["opened"]["review"] for day in before.values()) >= 40
    async with resources.postgres.unit_of_work() as work:
        assert await acts.refresh(work, NOON + timedelta(minutes=1)) == 5, (
            "today, yesterday and the three looked at longest ago"
        )
    old = NOON - timedelta(days=20)
    async with resources.postgres.unit_of_work() as work:
        label = {
            "id": new_uuid(), "transaction_uid": uids[20], "label": "fraud", "label_source": "chargeback", "reported_at": NOON,
            "received_at": NOON + timedelta(minutes=2), "actor_type": "system", "actor_id": "test", "note": None,
        }  # fmt: skip
        await casework.insert_labels(work, [label])
    after = await figures(resources, NOON + timedelta(minutes=3))
    assert (
        after[old.date().isoformat()]["lost"]["EUR"][0] == before[old.date().isoformat()]["lost"].get("EUR", [0])[0] + 1
    )


def test_ids_tell_their_time() -> None:
    moment = from_ms(1_790_000_000_123)
    assert first_uuid_at(moment) <= uid_at(moment) < first_uuid_at(moment + timedelta(milliseconds=1))
    assert moment_of(uid_at(moment)) == moment


@pytest.fixture
async def tabs(api: Api, resources: Resources) -> AsyncIterator[Sequence[Browser]]:
    """A viewer's and a lead's."""
    async with browser(api) as viewer, browser(api) as lead:
        await viewer.sign_in(await a_user(resources, Role.VIEWER))
        await lead.sign_in(await a_user(resources, Role.LEAD))
        yield viewer, lead


async def test_the_page_reads_what_was_measured_and_each_role_has_its_places(
    resources: Resources, tabs: Sequence[Browser]
) -> None:
    viewer, lead = tabs
    await a_payment(resources, utc_now() - timedelta(seconds=1), Outcome.REVIEW)
    await figures(resources, utc_now())
    page = (await viewer.client.get("/overview?days=7")).text
    assert 'id="tile-opened"' in page
    assert 'id="chart-money-' in page
    assert 'aria-current="page"' in page
    assert 'id="nav-audit"' not in page
    assert 'id="state-seal-open"' not in page, "a viewer has no link to the trail"
    assert 'id="state-seal-open"' in (await lead.client.get("/overview")).text
    refused = await lead.client.get("/overview?days=5")
    assert (refused.status_code, "7, 30 or 90 days" in refused.text) == (422, True)


async def test_sources_say_when_their_last_payment_came(resources: Resources, api: Api) -> None:
    body = {
        "id": str(new_uuid()), "occurred_at": "2026-01-31T09:30:00Z", "amount": "1.00", "currency": "EUR", "customer_id": "c",
    }  # fmt: skip
    assert (await api.client.post("/v1/transactions", json=body)).status_code == 202
    async with resources.postgres.reading() as work:
        found = {source.id: source.last_at for source in await overview.sources(work)}
    assert utc_now() - timedelta(minutes=1) < (found[api.source] or datetime.min.replace(tzinfo=UTC))
    assert found["shop"] is None


async def test_old_looks_at_a_model_are_forgotten_but_its_newest(resources: Resources) -> None:
    now, model = utc_now(), f"m{new_uuid().hex[:11]}"
    row = RegisteredModel(
        id=model, artifact_sha="a", artifact_size=1, stage=ModelStage.RETIRED.value, catalogue_version=1, metrics={},
        trained_at=now, requested_by="user:a",
    )  # fmt: skip
    looks = [
        ModelWatch(id=new_uuid(), model_id=model, measured_at=now - timedelta(days=days), figures={})
        for days in (200, 91, 10)
    ]
    async with resources.postgres.unit_of_work() as work:
        await policy.save(work, row)
        for look in looks:
            await policy.save(work, look)
    async with resources.postgres.unit_of_work() as work:
        assert await watches.forget(work, now - timedelta(days=90), by=system("test")) == 2
        assert await watches.forget(work, now, by=system("test")) == 0, "the newest stays"
    async with resources.postgres.reading() as work:
        [event] = await ledger.page(work, AuditFilter(action=Action.MODEL_WATCH_FORGET.value), before_id=None, limit=5)
        assert event.detail == '{"removed":2}'
        assert await policy.latest_watch(work, model) is not None  # type: ignore[arg-type]
