"""Version 2 of decisions that were made without features: what it says, and what becomes of the alert."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from sqlalchemy import text

from core.acts import casework as acts
from core.acts import registry
from core.acts.audit import Actor, system
from core.acts.registry import NewModel
from core.base.clock import to_ms, utc_now
from core.base.due import DueTimes
from core.base.ids import AlertId, ModelId, UserId, new_uuid
from core.base.terms import ActorType, EntityKind, EntityList, FeaturesStatus, Role
from core.contracts.messages import Payment
from core.infra.resources import Resources
from core.rules.lists import Listed, Lists
from core.stores import accepting, casework, flow, rescoring
from core.stores.accepting import Arrival
from core.tables.casework import Alert
from models.features.catalogue import CATALOGUE_VERSION, NAMES
from models.features.online import OnlineFeatures
from tests.integration.conftest import Api
from tests.integration.console_browser import a_user
from tests.small_models import SmallModel
from workers.control import ControlSample
from workers.judging import judge
from workers.lineup import Lineup, LineupKeeper
from workers.rescore import rescore_once
from workers.unscored import answer
from workers.verdicts import alert_row, decision_row

SECOND = Actor(ActorType.USER, "second")
LOW, HIGH = 1_000, 60_000
"""Amounts that the model approves, and leaves to a person, when it knows them."""


@pytest.fixture
async def lineup(resources: Resources) -> AsyncIterator[Lineup]:
    new = NewModel(SmallModel(50_000, -4.0, 1.0).encoded(), CATALOGUE_VERSION, {"gates": []}, {})
    async with resources.postgres.unit_of_work() as work:
        model = await registry.register(
            work, resources.redis, resources.artifacts, new, requested_by="user:asker", by=system("test")
        )
    async with resources.postgres.unit_of_work() as work:
        await registry.promote(work, resources.redis, ModelId(model.id), by=SECOND, four_eyes=True)
    yield await LineupKeeper(resources).refresh()
    async with resources.postgres.unit_of_work() as work:
        await work.run(text("UPDATE model SET stage = 'retired' WHERE stage = 'champion'"))


def payment(api: Api, amount_minor: int) -> Payment:
    now, ident = to_ms(utc_now()), str(new_uuid())
    return Payment(
        uid=new_uuid(), source_id=api.source, transaction_id=ident, occurred_at_ms=now, accepted_at_ms=now,
        amount_minor=amount_minor, currency="EUR", customer_id=f"cus_{ident}",
    )  # fmt: skip


async def degraded(resources: Resources, lineup: Lineup, paid: Payment, *, alert: bool = True) -> None:
    """Accepted, decided while Redis was away, and taken into the feature state since."""
    nothing = np.full((1, len(NAMES)), np.nan)
    [verdict] = judge([paid], nothing, FeaturesStatus.DEGRADED, lineup, ControlSample(0.0, 1.0, 0.0), utc_now())
    async with resources.postgres.unit_of_work() as work:
        await accepting.insert_transactions(work, [Arrival(paid, b"x")])
        await flow.insert_decisions(work, [decision_row(verdict, utc_now())])
        if alert:
            await casework.insert_alerts(work, [alert_row(verdict, utc_now(), DueTimes.of(resources.settings))])
    features = OnlineFeatures(resources.redis)
    if (await features.prepare()).empty:
        await features.begin_generation()
        await features.publish_generation()
    await features.backfill([paid], remember=True)


async def again(resources: Resources, lineup: Lineup) -> int:
    return await rescore_once(resources, OnlineFeatures(resources.redis), lineup)


async def alert_of(resources: Resources, paid: Payment) -> Alert | None:
    async with resources.postgres.unit_of_work() as work:
        return await casework.alert_of_for_update(work, paid.uid)


async def events(resources: Resources, subject: UUID | str) -> list[tuple[str, str, dict[str, Any]]]:
    query = text("SELECT actor_id, action, detail FROM audit_event WHERE subject_id = :subject ORDER BY id")
    async with resources.postgres.reading() as work:
        found = await work.run(query, {"subject": str(subject)})
        return [(row.actor_id, row.action, json.loads(row.detail)) for row in found]


async def test_an_alert_that_nobody_touched_is_closed_when_version_2_approves(
    api: Api, resources: Resources, lineup: Lineup
) -> None:
    paid = payment(api, LOW)
    await degraded(resources, lineup, paid)
    before = await alert_of(resources, paid)
    assert before
    assert (before.status, before.score) == ("open", None)
    assert await again(resources, lineup) == 1
    assert await again(resources, lineup) == 0
    alert = await alert_of(resources, paid)
    assert alert
    assert (alert.status, alert.outcome, alert.version) == ("closed", "approve", 2)
    assert alert.score == pytest.approx(1 / (1 + np.exp(4)))
    assert [e[:2] for e in await events(resources, alert.id)] == [("rescore", "alert.close")]
    [(actor, action, detail)] = await events(resources, paid.uid)
    assert (actor, action) == ("rescore", "decision.rescore")
    assert (detail["version"], detail["outcome"], detail["alert"]) == (2, "approve", "closed")
    told = (await api.client.get(f"/v1/transactions/{paid.transaction_id}")).json()["decision"]
    assert (told["version"], told["outcome"], told["features_status"]) == (2, "approve", "complete")
    exported = [json.loads(line) for line in (await api.client.get("/v1/decisions?limit=1000")).text.splitlines()]
    assert [one["version"] for one in exported if one["transaction_id"] == paid.transaction_id] == [1, 2]


async def test_an_alert_that_somebody_has_stays_open_with_the_new_score(
    api: Api, resources: Resources, lineup: Lineup
) -> None:
    paid = payment(api, LOW)
    await degraded(resources, lineup, paid)
    alert = await alert_of(resources, paid)
    analyst = await a_user(resources, Role.ANALYST)
    assert alert
    async with resources.postgres.unit_of_work() as work:
        await acts.claim(
            work, resources.redis, AlertId(alert.id), UserId(analyst.id), lease=timedelta(minutes=5), by=SECOND
        )
    assert await again(resources, lineup) == 1
    after = await alert_of(resources, paid)
    assert after
    assert (after.status, after.claimed_by, after.outcome) == ("claimed", analyst.id, "approve")
    assert after.score == pytest.approx(1 / (1 + np.exp(4)))


async def test_version_2_opens_an_alert_and_sharpens_another(api: Api, resources: Resources, lineup: Lineup) -> None:
    new, known = payment(api, HIGH), payment(api, HIGH)
    await degraded(resources, lineup, new, alert=False)
    await degraded(resources, lineup, known)
    assert await again(resources, lineup) == 2
    for paid, said in ((new, "opened"), (known, "updated")):
        alert = await alert_of(resources, paid)
        assert alert
        assert (alert.status, alert.outcome) == ("open", "review")
        assert alert.score == pytest.approx(1 / (1 + np.exp(-1)))
        [(_, _, detail)] = await events(resources, paid.uid)
        assert detail["alert"] == said


async def test_version_2_of_a_snoozed_payment_opens_no_alert(api: Api, resources: Resources, lineup: Lineup) -> None:
    paid = payment(api, HIGH)
    await degraded(resources, lineup, paid, alert=False)
    entry = Listed(new_uuid(), EntityList.SNOOZE, EntityKind.CUSTOMER, paid.customer_id, "known trouble", None)
    assert await again(resources, replace(lineup, lists=Lists([entry]))) == 1
    assert await alert_of(resources, paid) is None
    [(_, _, detail)] = await events(resources, paid.uid)
    assert (detail["outcome"], detail["alert"], detail["rules"]) == ("review", "none", ["snooze_list"])


async def test_what_no_scorer_survives_is_not_tried_again(api: Api, resources: Resources, lineup: Lineup) -> None:
    """It has no score either, and would take the rescoring down with it."""
    paid = payment(api, LOW)
    async with resources.postgres.unit_of_work() as work:
        await accepting.insert_transactions(work, [Arrival(paid, b"x")])
    async with resources.postgres.unit_of_work() as work:
        await answer(work, resources, [paid], "killed its scorer", by=system("bury"))
    async with resources.postgres.reading() as work:
        early = utc_now() - timedelta(hours=1)
        assert await rescoring.degraded(work, since=early, limit=10, model_since=early) == []
    assert await again(resources, lineup) == 0
