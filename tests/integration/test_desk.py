"""Taking, keeping, handing over, undoing: over real PostgreSQL, with the races that people and the relay make."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.acts import casework, verdicts
from core.acts.lists import NewEntry
from core.acts.verdicts import Ruling
from core.base.clock import utc_now
from core.base.errors import InvalidInput, NotAllowedNow, StaleVersion
from core.base.ids import AlertId, UserId
from core.base.terms import Action, AlertStatus, DispositionReason, EntityKind, EntityList, Label, Role
from core.contracts.messages import LabelsRecorded, decode
from core.infra.resources import Resources
from core.stores import casework as store
from core.stores import evidence, flow, ledger, lists, sampling, watching
from core.stores.ledger import AuditFilter
from core.tables.casework import Alert
from core.tables.flow import OutboxMessage
from tests.integration.console_browser import a_user, an_alert
from tests.integration.test_casework import actor, claim

LEASE = timedelta(minutes=15)
WINDOW = timedelta(seconds=10)
STOLEN = Ruling(Label.FRAUD, DispositionReason.STOLEN_CARD, "seen")


async def an_analyst(resources: Resources, role: Role = Role.ANALYST) -> UserId:
    return UserId((await a_user(resources, role)).id)


async def seen(resources: Resources, alert_id: UUID) -> Alert:
    async with resources.postgres.reading() as work:
        alert = await store.alert(work, alert_id)
    assert alert is not None
    return alert


async def take(resources: Resources, user: UserId) -> Alert | None:
    async with resources.postgres.unit_of_work() as work:
        return await casework.take_next(work, resources.redis, user, lease=LEASE, by=actor(user))


async def decide(
    resources: Resources, alert_id: AlertId, user: UserId, ruling: Ruling = STOLEN, window: timedelta = WINDOW
) -> Alert:
    version = (await seen(resources, alert_id)).version
    async with resources.postgres.unit_of_work() as work:
        return await verdicts.decide(
            work, resources.redis, alert_id, user, ruling=ruling, version=version, by=actor(user), window=window
        )


async def undo(resources: Resources, alert_id: AlertId, user: UserId) -> Alert:
    async with resources.postgres.unit_of_work() as work:
        return await verdicts.undo(work, resources.redis, alert_id, user, lease=LEASE, by=actor(user))


async def due(resources: Resources, at: datetime) -> Sequence[OutboxMessage]:
    """What the relay takes at that moment."""
    async with resources.postgres.unit_of_work() as work:
        return await flow.due_outbox(work, at, lease=LEASE, limit=1000)


def tells_of(rows: Sequence[OutboxMessage], alert: Alert) -> bool:
    messages = [decode(row.body) for row in rows]
    told = {label.transaction_uid for one in messages if isinstance(one, LabelsRecorded) for label in one.labels}
    return alert.transaction_uid in told


@pytest.fixture
async def empty_queue(resources: Resources) -> None:
    async with resources.postgres.unit_of_work() as work:
        await work.run(text("UPDATE alert SET status = 'closed' WHERE status <> 'closed'"))


@pytest.mark.usefixtures("empty_queue")
async def test_twenty_takers_share_fifty_alerts(resources: Resources) -> None:
    made = {await an_alert(resources) for _ in range(50)}
    analyst = [await an_analyst(resources) for _ in range(20)]
    got: list[UUID] = []

    async def work_on(user: UserId) -> None:
        misses = 0
        while misses < 3:  # others may hold the last ones only for the moment
            alert = await take(resources, user)
            misses = 0 if alert else misses + 1
            got.extend([alert.id] if alert else [])
            await asyncio.sleep(0)

    await asyncio.gather(*(work_on(user) for user in analyst))
    assert len(got) == len(set(got)) == 50
    assert set(got) == made
    assert await take(resources, analyst[0]) is None


@pytest.mark.usefixtures("empty_queue")
async def test_what_is_at_stake_counts_and_waiting_outweighs_it_in_the_end(resources: Resources) -> None:
    now = utc_now()
    old = await an_alert(resources, expected_loss_minor=100, opened_at=now - timedelta(hours=11))
    large = await an_alert(resources, expected_loss_minor=100_000, opened_at=now)
    small = await an_alert(resources, expected_loss_minor=100, opened_at=now)
    user = await an_analyst(resources)
    taken = [alert.id for _ in range(3) if (alert := await take(resources, user))]
    # 1,000.00 is worth log2(1001) - log2(2), nearly nine hours more than 1.00.
    assert taken == [old, large, small]


async def test_the_order_of_taking_comes_from_its_index(resources: Resources) -> None:
    async with resources.postgres.unit_of_work() as work:
        await work.run(text("SET LOCAL enable_seqscan = off"))
        plan = await work.run(
            text(
                "EXPLAIN SELECT * FROM alert WHERE status = 'open' "
                "ORDER BY alert_turn(opened_at, expected_loss_minor), id LIMIT 1 FOR UPDATE SKIP LOCKED"
            )
        )
        lines = "\n".join(row[0] for row in plan)
    assert "alert_turn" in lines
    assert "Sort" not in lines


async def test_a_claim_is_kept_by_its_owner_while_it_runs_and_makes_no_new_version(resources: Resources) -> None:
    alert_id, owner, other = await an_alert(resources), await an_analyst(resources), await an_analyst(resources)
    before = await claim(resources, alert_id, owner, timedelta(minutes=1))
    async with resources.postgres.unit_of_work() as work:
        kept = await casework.keep_claim(work, alert_id, owner, lease=LEASE)
    assert kept.claim_expires_at is not None
    assert before.claim_expires_at is not None
    assert kept.claim_expires_at > before.claim_expires_at
    assert kept.version == before.version
    for user in (other, owner):
        if user is owner:
            await claim(resources, alert_id, owner, timedelta(seconds=-1))
        with pytest.raises(NotAllowedNow, match="run out"):
            async with resources.postgres.unit_of_work() as work:
                await casework.keep_claim(work, alert_id, user, lease=LEASE)


async def test_a_longer_claim_is_not_cut_short(resources: Resources) -> None:
    alert_id, owner = await an_alert(resources), await an_analyst(resources)
    before = await claim(resources, alert_id, owner, timedelta(hours=8))
    async with resources.postgres.unit_of_work() as work:
        kept = await casework.keep_claim(work, alert_id, owner, lease=LEASE)
    assert kept.claim_expires_at == before.claim_expires_at


async def test_an_alert_is_handed_to_somebody_who_may_work_on_it(resources: Resources) -> None:
    alert_id, owner = await an_alert(resources), await an_analyst(resources)
    colleague, viewer = await an_analyst(resources), await an_analyst(resources, Role.VIEWER)
    version = (await claim(resources, alert_id, owner)).version

    async def hand(to: UserId, by: UserId, seen_version: int) -> Alert:
        async with resources.postgres.unit_of_work() as work:
            return await casework.hand_over(
                work, resources.redis, alert_id, by, to=to, lease=timedelta(hours=8), by=actor(by), version=seen_version,
                note="please ring the shop",
            )  # fmt: skip

    for to in (viewer, owner, UserId(UUID(int=7))):
        with pytest.raises(InvalidInput):
            await hand(to, owner, version)
    with pytest.raises(NotAllowedNow, match="colleague"):
        await hand(owner, colleague, version)
    with pytest.raises(StaleVersion):
        await hand(colleague, owner, version - 1)
    alert = await hand(colleague, owner, version)
    assert (alert.status, alert.claimed_by) == (AlertStatus.CLAIMED.value, colleague)
    async with resources.postgres.reading() as work:
        trail = await ledger.page(work, AuditFilter(subject_id=str(alert_id)), before_id=None, limit=10)
        [note] = await store.notes(work, alert_id)
    assert [event.action for event in trail] == [Action.ALERT_HAND_OVER, Action.ALERT_CLAIM]
    assert str(colleague) in trail[0].detail
    assert note.body == "please ring the shop"


async def test_a_decision_is_undone_as_if_it_had_not_been_made(resources: Resources) -> None:
    alert_id, user = await an_alert(resources), await an_analyst(resources)
    end = utc_now() + timedelta(days=1)
    entry = NewEntry(EntityList.DENY, EntityKind.DEVICE, f"dev_{alert_id}", "stolen", end)
    closed = await decide(resources, alert_id, user, Ruling(Label.FRAUD, DispositionReason.STOLEN_CARD, "x", entry))
    assert (closed.status, closed.disposition_reason) == ("closed", "stolen_card")
    assert not tells_of(await due(resources, utc_now()), closed), "the label left within the window"
    async with resources.postgres.reading() as work:
        assert len(await store.labels_of(work, closed.transaction_uid)) == 1
        assert await lists.unended(work, EntityList.DENY, EntityKind.DEVICE, f"dev_{alert_id}")

    back = await undo(resources, alert_id, user)
    assert (back.status, back.claimed_by, back.disposition, back.closed_at) == ("claimed", user, None, None)
    assert not tells_of(await due(resources, utc_now() + WINDOW), back)
    async with resources.postgres.reading() as work:
        trail = await ledger.page(work, AuditFilter(actor_id=str(user)), before_id=None, limit=20)
        assert await lists.unended(work, EntityList.DENY, EntityKind.DEVICE, f"dev_{alert_id}") is None
    actions = [event.action for event in trail]
    assert actions[0] == Action.ALERT_UNDO
    assert {Action.LABEL_WITHDRAW, Action.LIST_END, Action.ALERT_CLOSE, Action.LABEL_RECORD} <= set(actions)
    again = await decide(resources, alert_id, user, Ruling(Label.LEGITIMATE, DispositionReason.TRAVEL))
    async with resources.postgres.reading() as work:
        assert [label.label for label in await store.labels_of(work, again.transaction_uid)] == ["legitimate"]


async def test_only_the_one_who_decided_undoes_and_only_in_time(resources: Resources) -> None:
    alert_id, user, other = await an_alert(resources), await an_analyst(resources), await an_analyst(resources)
    with pytest.raises(NotAllowedNow, match="no decision"):
        await undo(resources, alert_id, user)
    await decide(resources, alert_id, user)
    with pytest.raises(NotAllowedNow, match="only the one"):
        await undo(resources, alert_id, other)
    await undo(resources, alert_id, user)
    await decide(resources, alert_id, user, window=timedelta(milliseconds=1))
    await asyncio.sleep(0.01)
    with pytest.raises(NotAllowedNow, match="is over"):
        await undo(resources, alert_id, user)


async def test_a_closed_alert_is_opened_again_and_its_label_stands_until_the_new_one(resources: Resources) -> None:
    alert_id, first, second = await an_alert(resources), await an_analyst(resources), await an_analyst(resources)
    closed = await decide(resources, alert_id, first)

    async def reopen(version: int) -> Alert:
        async with resources.postgres.unit_of_work() as work:
            return await verdicts.reopen(
                work, resources.redis, alert_id, second, version=version, lease=LEASE, by=actor(second)
            )

    with pytest.raises(StaleVersion):
        await reopen(closed.version - 1)
    opened = await reopen(closed.version)
    assert (opened.status, opened.claimed_by, opened.disposition, opened.closed_at) == ("claimed", second, None, None)
    with pytest.raises(NotAllowedNow, match="not closed"):
        await reopen(opened.version)
    with pytest.raises(NotAllowedNow, match="no decision"):  # there is nothing left that an undo would undo
        await undo(resources, alert_id, first)
    await decide(resources, alert_id, second, Ruling(Label.LEGITIMATE, DispositionReason.CONFIRMED))
    async with resources.postgres.reading() as work:
        said = await store.labels_of(work, closed.transaction_uid)
        counts = await store.labels_by_transaction(work, [closed.transaction_uid])
    assert [label.label for label in said] == ["fraud", "legitimate"]
    assert counts[closed.transaction_uid].label == "legitimate"


async def test_the_relay_and_an_undo_at_the_same_row(resources: Resources) -> None:
    """Whoever is first at the row has it: a label that left stays, one that was withdrawn never leaves."""
    user = await an_analyst(resources)
    for relay_first in (True, False):
        alert_id = await an_alert(resources)
        closed = await decide(resources, alert_id, user)
        taking = asyncio.Event()

        async def relay(taking: asyncio.Event = taking, relay_first: bool = relay_first) -> Sequence[OutboxMessage]:
            if not relay_first:
                await taking.wait()
            async with resources.postgres.unit_of_work() as work:
                rows = await flow.due_outbox(work, utc_now() + WINDOW, lease=LEASE, limit=1000)
                if relay_first:
                    taking.set()
                    await asyncio.sleep(0.2)  # the undo waits for this transaction
            return rows

        async def analyst(
            taking: asyncio.Event = taking, relay_first: bool = relay_first, alert_id: AlertId = alert_id
        ) -> bool:
            if relay_first:
                await taking.wait()
            try:
                async with resources.postgres.unit_of_work() as work:
                    await verdicts.undo(work, resources.redis, alert_id, user, lease=LEASE, by=actor(user))
                    if not relay_first:
                        taking.set()
                        await asyncio.sleep(0.2)  # the relay passes the row over
            except NotAllowedNow:
                return False
            return True

        sent, undone = await asyncio.gather(relay(), analyst())
        assert undone is not relay_first
        assert tells_of(sent, closed) is relay_first
        async with resources.postgres.reading() as work:
            assert bool(await store.labels_of(work, closed.transaction_uid)) is relay_first


async def test_a_withdrawn_label_counts_for_nobody(resources: Resources) -> None:
    alert_id, user, since = await an_alert(resources), await an_analyst(resources), utc_now() - timedelta(seconds=5)
    alert = await decide(resources, alert_id, user, window=timedelta(seconds=1))
    uid = alert.transaction_uid

    async def readers() -> list[bool]:
        """Whether each reader of labels sees this payment's."""
        async with resources.postgres.unit_of_work() as work:
            payment = await flow.transaction(work, uid)
            assert payment is not None
            behind = await evidence.labels_behind(work, payment, "customer")
            walked = [item async for batch in store.walk_labels(work, with_history=False) for item in batch]
            told = await store.labels_since(work, since, limit=1000)
            reports = await watching.fraud_reports(work, since - timedelta(days=10_000))
            return [
                bool(await store.labels_of(work, uid)),
                uid in await store.labels_by_transaction(work, [uid]),
                any(item.label.transaction_uid == uid for item in walked),
                any(item.label.transaction_uid == uid for item in told),
                bool(await sampling.labels_of(work, [payment], limit=10)),
                any(report.reported_at == alert.closed_at for report in reports),
                any(label.transaction_uid == uid for label in behind),
            ]

    # Within the window people see it; what is built from labels does not use it yet.
    assert (await readers())[:4] == [True, True, False, False]
    await undo(resources, alert_id, user)
    assert not any(await readers())


async def test_a_label_is_withdrawn_once_and_otherwise_never_changed(resources: Resources) -> None:
    alert_id, user = await an_alert(resources), await an_analyst(resources)
    uid = (await decide(resources, alert_id, user)).transaction_uid
    refused = [
        "UPDATE label SET label = 'legitimate' WHERE transaction_uid = :uid",
        "UPDATE label SET withdrawn_at = now(), note = 'other words' WHERE transaction_uid = :uid",
        "UPDATE label SET withdrawn_at = NULL WHERE transaction_uid = :uid",
        "DELETE FROM label WHERE transaction_uid = :uid",
    ]
    for statement in refused:
        with pytest.raises(DBAPIError, match=r"append-only|permission denied"):
            async with resources.postgres.unit_of_work() as work:
                await work.run(text(statement), {"uid": uid})
    await undo(resources, alert_id, user)
    with pytest.raises(DBAPIError, match="append-only"):
        async with resources.postgres.unit_of_work() as work:
            await work.run(text("UPDATE label SET withdrawn_at = now() WHERE transaction_uid = :uid"), {"uid": uid})


def test_a_reason_belongs_to_its_label() -> None:
    with pytest.raises(InvalidInput):
        Ruling(Label.LEGITIMATE, DispositionReason.STOLEN_CARD)
