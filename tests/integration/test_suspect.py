"""Messages that come back, on both buses: what is poisonous dies alone, and an outage is nobody's fault."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from sqlalchemy import text

import workers.score
from core.acts import dead_letters as acts
from core.acts.audit import system
from core.base.clock import utc_now
from core.base.errors import Unavailable
from core.base.hashing import shard_of
from core.base.ids import new_uuid
from core.base.terms import FeaturesStatus
from core.contracts.messages import Payment, ScoreBatch, encode
from core.contracts.topology import DEAD, SUSPECT, score_queue
from core.infra.resources import Resources
from core.stores import dead_letters, flow
from core.tables.flow import DeadLetter
from models.features.catalogue import NAMES
from tests.jobs import running
from tests.poison import POISON, accept, payments
from workers import again, handling
from workers.reconcile import reconcile_once

TEST = system("test")


async def decided(resources: Resources, uids: Sequence[UUID], within_s: float = 60) -> dict[UUID, Any]:
    async with asyncio.timeout(within_s):
        while True:
            async with resources.postgres.reading() as work:
                found = await flow.latest_decisions(work, uids)
            if len(found) == len(uids):
                return found
            await asyncio.sleep(0.05)


async def letters(resources: Resources) -> Sequence[DeadLetter]:
    async with resources.postgres.reading() as work:
        return await dead_letters.page(work, state=None, reason="", after=None, limit=100)


@pytest.fixture
def poisonous(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judging raises for a batch that holds a poisonous payment."""
    judge = workers.score.judge

    def judged(batch: Sequence[Payment], *rest: Any) -> Any:
        if any(POISON in payment.attributes for payment in batch):
            raise ZeroDivisionError
        return judge(batch, *rest)

    monkeypatch.setattr(workers.score, "judge", judged)


async def test_a_poisonous_payment_dies_alone_and_is_answered(on_bus: Resources, poisonous: None) -> None:
    batch = payments(6, {2})
    async with running(on_bus, "score", "bury"):
        await accept(on_bus, [batch])
        found = await decided(on_bus, [payment.uid for payment in batch])
    poison = batch[2]
    assert [uid for uid, one in found.items() if one.features_status == "absent"] == [poison.uid]
    answer = found[poison.uid]
    assert (answer.outcome, answer.score, answer.reasons[0]["code"]) == ("review", None, "scoring_failed")
    [letter] = [one for one in await letters(on_bus) if one.message_id == str(poison.uid)]
    assert (letter.queue, letter.transaction_uid, letter.payments, letter.state) == (SUSPECT, poison.uid, 1, "waiting")
    assert letter.reason == "scoring it alone raised ZeroDivisionError, 3 times"
    async with on_bus.postgres.reading() as work:
        alert = text("SELECT outcome, top_reason FROM alert WHERE transaction_uid = :uid")
        assert (await work.run(alert, {"uid": poison.uid})).one()[0] == "review"
        acts_of = text("SELECT action FROM audit_event WHERE subject_id IN (:uid, :letter) ORDER BY action")
        named = await work.run(acts_of, {"uid": str(poison.uid), "letter": str(letter.id)})
        assert [row[0] for row in named] == ["dead_letter.store", "decision.make"]
    assert await on_bus.bus.depth(SUSPECT) == await on_bus.bus.depth(DEAD) == 0


async def test_a_redriven_payment_has_all_its_attempts_again(on_bus: Resources, poisonous: None) -> None:
    [payment] = payments(1, {0})
    async with running(on_bus, "score", "bury", "relay"):
        await accept(on_bus, [[payment]])
        await decided(on_bus, [payment.uid])
        first = next(one for one in await letters(on_bus) if one.transaction_uid == payment.uid)
        async with on_bus.postgres.unit_of_work() as work:
            row = acts.taken(await dead_letters.one_for_update(work, first.id))
            await acts.redrive(work, row, by=TEST, shards=on_bus.settings.shards)
        async with asyncio.timeout(60):
            while len(again := [one for one in await letters(on_bus) if one.transaction_uid == payment.uid]) < 2:
                await asyncio.sleep(0.1)
    assert [one.state for one in again] == ["waiting", "redriven"]
    assert again[0].reason == first.reason


@pytest.mark.parametrize("features", ["there", "away at first"], ids=["there", "away-at-first"])
async def test_a_redriven_payment_that_can_be_scored_is_decided_again(
    on_bus: Resources, poisonous: None, monkeypatch: pytest.MonkeyPatch, features: str
) -> None:
    """Its first answer was that it could not be scored. What ailed the scorer is repaired before a person sends it again."""
    [payment] = payments(1, {0})
    async with running(on_bus, "score", "bury", "relay"):
        await accept(on_bus, [[payment]])
        [first] = (await decided(on_bus, [payment.uid])).values()
        monkeypatch.undo()
        if features != "there":
            away_once(monkeypatch)
        letter = next(one for one in await letters(on_bus) if one.transaction_uid == payment.uid)
        async with on_bus.postgres.unit_of_work() as work:
            row = acts.taken(await dead_letters.one_for_update(work, letter.id))
            await acts.redrive(work, row, by=TEST, shards=on_bus.settings.shards)
        async with asyncio.timeout(60):
            while (second := (await decided(on_bus, [payment.uid]))[payment.uid]).version == 1:
                await asyncio.sleep(0.1)
    assert (first.version, first.features_status) == (1, "absent")
    assert (second.version, second.features_status) == (2, "complete")
    assert not [reason for reason in second.reasons if reason["code"] == "scoring_failed"]
    async with on_bus.postgres.reading() as work:
        alert = text("SELECT count(*), min(reason_code) FROM alert WHERE transaction_uid = :uid")
        assert tuple((await work.run(alert, {"uid": payment.uid})).one()) == (1, "no_model")
        told = text("SELECT action FROM audit_event WHERE subject_id = :uid ORDER BY id")
        actions = [row[0] for row in await work.run(told, {"uid": str(payment.uid)})]
        assert actions == ["decision.make", "decision.rescore"]


def away_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first time that features are asked for, they are away; what is sent again then is sent at once."""
    vectors, asked = workers.score.LiveFeatures.vectors, 0

    async def away(self: Any, batch: Sequence[Payment]) -> Any:
        nonlocal asked
        asked += 1
        if asked == 1:
            return np.full((len(batch), len(NAMES)), np.nan), FeaturesStatus.DEGRADED
        return await vectors(self, batch)

    monkeypatch.setattr(workers.score.LiveFeatures, "vectors", away)
    monkeypatch.setattr(again, "LATER", timedelta())


async def test_an_outage_is_nobodys_fault(on_bus: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long PostgreSQL is away: nothing is returned, suspected or buried."""
    monkeypatch.setattr(handling, "OUTAGE_WAIT_S", (0.01, 0.01))
    store, refusals = workers.score._ScoringDesk._store, 0

    async def stored(*given: Any) -> None:
        nonlocal refusals
        if refusals < 12:
            refusals += 1
            raise Unavailable("PostgreSQL does not answer")
        await store(*given)

    monkeypatch.setattr(workers.score._ScoringDesk, "_store", stored)
    before = len(await letters(on_bus))
    batch = payments(3)
    async with running(on_bus, "score", "bury"):
        await accept(on_bus, [batch])
        found = await decided(on_bus, [payment.uid for payment in batch])
    assert refusals == 12
    assert {one.features_status for one in found.values()} == {"complete"}
    assert len(await letters(on_bus)) == before


async def test_a_batch_that_hangs_is_given_up(on_bus: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handling, "DEADLINE_S", 0.3)
    vectors, hung = workers.score.LiveFeatures.vectors, 0

    async def slow(*given: Any) -> Any:
        nonlocal hung
        if hung < 1:
            hung += 1
            await asyncio.sleep(3600)
        return await vectors(*given)

    monkeypatch.setattr(workers.score.LiveFeatures, "vectors", slow)
    [payment] = payments(1)
    async with running(on_bus, "score"):
        await accept(on_bus, [[payment]])
        await decided(on_bus, [payment.uid])
    assert hung == 1


async def test_a_dead_letter_is_stored_once(on_bus: Resources) -> None:
    ident = str(new_uuid())
    async with on_bus.postgres.unit_of_work() as work:
        assert await acts.store(work, SUSPECT, ident, "a reason", b"\xff", by=TEST)
        assert await acts.store(work, SUSPECT, ident, "another", b"\xff", by=TEST) is None
        assert await acts.store(work, SUSPECT, ident, "a reason", b"\xfe", by=TEST)


async def test_what_is_never_decided_is_sent_three_times_and_then_answered(resources: Resources) -> None:
    """Nobody scores; the clock is handed in."""
    [payment] = payments(1)
    await accept(resources, [[payment]])
    now = utc_now()
    sent = []
    for minutes in (2, 3, 13, 24, 25, 35, 36):
        await taken_off(resources)
        sent.append(await reconcile_once(resources, now + timedelta(minutes=minutes)))
    assert sent == [1, 0, 1, 1, 0, 0, 0]
    queue = score_queue(shard_of(payment.customer_id, resources.settings.shards))
    [letter] = [one for one in await letters(resources) if one.transaction_uid == payment.uid]
    assert (letter.reason, letter.queue, letter.payments) == ("never decided", queue, 1)
    [decision] = (await decided(resources, [payment.uid])).values()
    assert (decision.outcome, decision.reasons[0]["code"]) == ("review", "scoring_failed")


async def test_what_has_a_waiting_dead_letter_is_left_alone(resources: Resources) -> None:
    [payment] = payments(1)
    await accept(resources, [[payment]])
    await taken_off(resources)
    body = encode(ScoreBatch(shard=0, payments=[payment]))
    async with resources.postgres.unit_of_work() as work:
        letter = await acts.store(work, SUSPECT, str(payment.uid), "a reason", body, by=TEST)
        assert letter
    later = utc_now() + timedelta(minutes=2)
    assert await reconcile_once(resources, later) == 0
    async with resources.postgres.unit_of_work() as work:
        row = acts.taken(await dead_letters.one_for_update(work, letter.id))
        await acts.discard(work, row, by=TEST, reason="a copy")
    assert await reconcile_once(resources, later) == 1
    await taken_off(resources)


async def taken_off(resources: Resources) -> None:
    """Loses what is on the bus, and takes what waits in the outbox for sent."""
    consumer = await resources.bus.consumer([score_queue(n) for n in range(resources.settings.shards)], prefetch=100)
    while deliveries := await consumer.take(100, 0.3):
        for delivery in deliveries:
            await delivery.ack()
    await consumer.close()
    async with resources.postgres.unit_of_work() as work:
        rows = await flow.due_outbox(work, utc_now(), lease=timedelta(seconds=1), limit=100)
        await flow.mark_sent(work, [row.id for row in rows], utc_now())
