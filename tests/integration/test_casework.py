"""Claim, note, label, close: over real PostgreSQL, with the races that people make."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest

from core.acts import casework, verdicts
from core.acts.audit import Actor, system
from core.acts.verdicts import Ruling
from core.base.clock import from_ms, utc_now
from core.base.errors import InvalidInput, NotAllowedNow, NotFound, RondaError, StaleVersion
from core.base.ids import AlertId, UserId, new_uuid
from core.base.terms import REASONS, ActorType, AlertStatus, Label, LabelSource, Role
from core.contracts.messages import LabelsRecorded, Payment, decode
from core.infra.postgres import UnitOfWork
from core.infra.resources import Resources
from core.stores import accepting, flow, ledger, people
from core.stores import casework as store
from core.stores.accepting import Arrival
from core.stores.ledger import AuditFilter
from core.tables.casework import Alert
from core.tables.flow import Source
from core.tables.people import User

LEASE = timedelta(minutes=15)


async def a_user(resources: Resources) -> UserId:
    user = User(
        id=new_uuid(), email=f"{new_uuid()}@localhost", name="An analyst", role=Role.ANALYST.value, password_hash="x",
        created_at=utc_now(),
    )  # fmt: skip
    async with resources.postgres.unit_of_work() as work:
        await people.save(work, user)
    return UserId(user.id)


async def an_alert(resources: Resources) -> AlertId:
    payment = Payment(
        uid=new_uuid(), source_id="shop", transaction_id=str(new_uuid()), occurred_at_ms=1_700_000_000_000,
        accepted_at_ms=1_700_000_000_100, amount_minor=12_990, currency="EUR", customer_id="cus_1", merchant_id="mer_1",
    )  # fmt: skip
    alert = {
        "id": new_uuid(), "transaction_uid": payment.uid, "status": "open", "outcome": "review", "score": 0.4,
        "expected_loss_minor": 5_196, "amount_minor": 12_990, "currency": "EUR", "customer_id": "cus_1",
        "merchant_id": "mer_1", "top_reason": "words", "occurred_at": from_ms(payment.occurred_at_ms),
        "opened_at": utc_now(), "version": 1,
    }  # fmt: skip
    async with resources.postgres.unit_of_work() as work:
        if not await people.source(work, "shop"):  # type: ignore[arg-type]
            await people.save(work, Source(id="shop", name="Shop", created_at=utc_now()))
        await accepting.insert_transactions(work, [Arrival(payment, b"x")])
        await store.insert_alerts(work, [alert])
    return AlertId(UUID(str(alert["id"])))


def actor(user_id: UserId) -> Actor:
    return Actor(ActorType.USER, str(user_id))


async def in_work(resources: Resources, act: Callable[[UnitOfWork], Awaitable[Alert]]) -> Alert:
    async with resources.postgres.unit_of_work() as work:
        return await act(work)


async def claim(resources: Resources, alert_id: AlertId, user_id: UserId, lease: timedelta = LEASE) -> Alert:
    return await in_work(
        resources, lambda work: casework.claim(work, resources.redis, alert_id, user_id, lease=lease, by=actor(user_id))
    )


async def decide(
    resources: Resources,
    alert_id: AlertId,
    user_id: UserId,
    version: int,
    label: Label = Label.FRAUD,
    window: timedelta = timedelta(),
) -> Alert:
    return await in_work(
        resources,
        lambda work: verdicts.decide(
            work,
            resources.redis,
            alert_id,
            user_id,
            ruling=Ruling(label, REASONS[label][0], "seen"),
            version=version,
            by=actor(user_id),
            window=window,
        ),
    )


async def test_twenty_analysts_and_one_alert(resources: Resources) -> None:
    alert_id = await an_alert(resources)
    analysts = [await a_user(resources) for _ in range(20)]
    answers = await asyncio.gather(*(claim(resources, alert_id, user) for user in analysts), return_exceptions=True)
    assert sum(isinstance(answer, Alert) for answer in answers) == 1
    assert sum(isinstance(answer, NotAllowedNow) for answer in answers) == 19


async def test_an_expired_claim_goes_back_to_the_queue(resources: Resources) -> None:
    alert_id, first, second = await an_alert(resources), await a_user(resources), await a_user(resources)
    await claim(resources, alert_id, first, timedelta(seconds=-1))
    async with resources.postgres.unit_of_work() as work:
        assert await casework.release_expired(work, resources.redis, by=system("schedule")) == 1
    alert = await claim(resources, alert_id, second)
    assert (alert.status, alert.claimed_by) == (AlertStatus.CLAIMED.value, second)


async def test_deciding_labels_closes_and_tells_the_feedback_worker(resources: Resources) -> None:
    alert_id, user = await an_alert(resources), await a_user(resources)
    alert = await decide(resources, alert_id, user, 1)
    assert (alert.status, alert.disposition, alert.version) == (AlertStatus.CLOSED.value, "fraud", 2)
    async with resources.postgres.unit_of_work() as work:
        [label] = await store.labels_of(work, alert.transaction_uid)
        [note] = await store.notes(work, alert_id)
        rows = await flow.due_outbox(work, utc_now(), lease=LEASE, limit=100)
        trail = await ledger.page(work, AuditFilter(actor_id=str(user)), before_id=None, limit=10)
    assert (label.label, label.label_source, note.body) == ("fraud", LabelSource.ANALYST.value, "seen")
    messages = [decode(row.body) for row in rows]
    told = [m.labels[0].transaction_uid for m in messages if isinstance(m, LabelsRecorded)]
    assert alert.transaction_uid in told
    assert [event.action for event in trail] == ["alert.close", "label.record"]


async def test_a_stale_act_changes_nothing(resources: Resources) -> None:
    alert_id, user, other = await an_alert(resources), await a_user(resources), await a_user(resources)
    await decide(resources, alert_id, other, 1, Label.LEGITIMATE)
    with pytest.raises(StaleVersion):
        await decide(resources, alert_id, user, 1)
    with pytest.raises(NotAllowedNow):
        await decide(resources, alert_id, user, 2)
    async with resources.postgres.reading() as work:
        alert = await store.alert(work, alert_id)
        assert alert is not None
        assert len(await store.labels_of(work, alert.transaction_uid)) == 1
    assert alert.disposition == "legitimate"


async def test_two_decisions_at_once_make_one(resources: Resources) -> None:
    alert_id, users = await an_alert(resources), [await a_user(resources) for _ in range(5)]
    answers = await asyncio.gather(*(decide(resources, alert_id, user, 1) for user in users), return_exceptions=True)
    assert sum(isinstance(answer, Alert) for answer in answers) == 1
    assert all(isinstance(answer, Alert | RondaError) for answer in answers)


async def test_a_colleagues_claim_is_respected(resources: Resources) -> None:
    alert_id, owner, other = await an_alert(resources), await a_user(resources), await a_user(resources)
    await claim(resources, alert_id, owner)
    with pytest.raises(NotAllowedNow, match="colleague"):
        await decide(resources, alert_id, other, 2)
    with pytest.raises(NotAllowedNow, match="not claimed"):
        await in_work(resources, lambda work: casework.release(work, resources.redis, alert_id, other, by=actor(other)))


@pytest.mark.parametrize("body", ["", "   ", "x" * 4001, "a\x00b"])
async def test_a_note_has_words(resources: Resources, body: str) -> None:
    alert_id, user = await an_alert(resources), await a_user(resources)
    with pytest.raises(InvalidInput):
        await in_work(
            resources,
            lambda work: casework.add_note(work, resources.redis, alert_id, user, body=body, by=actor(user)),
        )


async def test_an_unknown_alert_is_not_found(resources: Resources) -> None:
    with pytest.raises(NotFound):
        await claim(resources, AlertId(new_uuid()), await a_user(resources))
