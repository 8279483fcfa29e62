"""One test for each guard that stands alone: what happens twice, too early, or only half."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import numpy as np
import pytest
from sqlalchemy import text

import workers.reconcile
import workers.score
from backend.ingest import Ingest
from core.acts import outbox
from core.base.clock import EPOCH, utc_now
from core.base.errors import PublishFailed
from core.base.ids import moment_of
from core.contracts.messages import Payment, ScoreBatch
from core.contracts.topology import DEAD, Queue, score_queue
from core.infra import rabbit
from core.infra.bus import Consumer, Delivery, Outgoing
from core.infra.postgres import UnitOfWork
from core.infra.rabbit import RabbitBus
from core.infra.resources import Resources
from core.stores import accepting, commit_order, flow
from core.stores.accepting import Arrival
from core.stores.commit_order import Place
from models.features.online import OnlineFeatures, ServerRestarted, StaleGeneration
from tests import servers
from tests.poison import accept, payments
from tests.servers import Server
from workers.runner import JobContext
from workers.verdicts import decision_row, unscored


@pytest.fixture(autouse=True)
async def source(resources: Resources) -> None:
    async with resources.postgres.unit_of_work() as work:
        row = "INSERT INTO source (id, name, created_at) VALUES ('lane', 'Lane', now()) ON CONFLICT DO NOTHING"
        await work.run(text(row))


async def stored(work: UnitOfWork, *those: Payment) -> None:
    await accepting.insert_transactions(work, [Arrival(payment, b"") for payment in those])


async def decided(work: UnitOfWork, *those: Payment) -> set[Any]:
    rows = [decision_row(unscored(payment, "not scored", 0), utc_now()) for payment in those]
    return await flow.insert_decisions(work, rows)


async def test_a_payment_is_decided_once(resources: Resources) -> None:
    first, other = payments(2)
    async with resources.postgres.unit_of_work() as work:
        await stored(work, first, other)
        assert await decided(work, first) == {first.uid}
    async with resources.postgres.unit_of_work() as work:
        assert await decided(work, first, other) == {other.uid}


async def test_the_reconciler_looks_from_the_oldest_undecided_payment_on(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers.reconcile, "UNCOMMITTED", timedelta())
    first, other = payments(2)
    oldest = moment_of(first.uid)
    seen = []
    for one in (None, other, first):
        async with resources.postgres.unit_of_work() as work:
            await (decided(work, one) if one else stored(work, first, other))
        now = utc_now()
        seen.append((await workers.reconcile.decided_until(resources, now, oldest), now))
    assert [until for until, _ in seen] == [oldest, oldest, seen[-1][1]]


async def test_the_reconciler_looks_at_every_payment_now_and_then(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, looked, look = JobContext(resources, asyncio.Event()), [], workers.reconcile.reconcile_once

    async def noted(resources: Resources, now: datetime, since: datetime) -> int:
        looked.append(since == EPOCH)
        if len(looked) == 5:
            context.stopping.set()
        return await look(resources, now, since)

    monkeypatch.setattr(workers.reconcile, "reconcile_once", noted)
    monkeypatch.setattr(workers.reconcile, "EVERY_S", 0.01)
    monkeypatch.setattr(workers.reconcile, "ROUNDS_AN_HOUR", 3)
    async with asyncio.timeout(30):
        await workers.reconcile.reconcile(context)
    assert looked == [True, False, False, True, False]


async def test_a_sources_key_is_taken_once(resources: Resources) -> None:
    first, other = payments(2)
    again = msgspec.structs.replace(other, transaction_id=first.transaction_id)
    async with resources.postgres.unit_of_work() as work:
        await stored(work, first)
    async with resources.postgres.unit_of_work() as work:
        assert await accepting.insert_transactions(work, [Arrival(again, b"")]) == set()
        count = text('SELECT count(*) FROM "transaction" WHERE transaction_id = :ident')
        assert (await work.run(count, {"ident": first.transaction_id})).scalar_one() == 1


@asynccontextmanager
async def shard(resources: Resources) -> AsyncIterator[Consumer]:
    consumer = await resources.bus.consumer([score_queue(0)], prefetch=10)
    yield consumer
    await consumer.close()


async def next_of(consumer: Consumer) -> Delivery:
    async with asyncio.timeout(20):
        while not (found := await consumer.take(1, 0.5)):
            pass
    return found[0]


async def test_what_fails_before_its_commit_is_delivered_again(
    on_bus: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any) -> None:
        raise ZeroDivisionError

    desk = workers.score._ScoringDesk(JobContext(on_bus, asyncio.Event()))
    await desk.prepare()
    monkeypatch.setattr(desk, "_store", fails)
    await accept(on_bus, [payments(1)])
    async with shard(on_bus) as consumer:
        delivery = await next_of(consumer)
        with pytest.raises(ZeroDivisionError):
            await desk.handle([delivery])
        await delivery.release()
        back = await next_of(consumer)
        assert (back.body, back.redeliveries) == (delivery.body, 1)
        await back.ack()
    await desk.features.close()


async def test_a_slice_that_holds_a_decided_payment_decides_the_others(on_bus: Resources) -> None:
    desk = workers.score._ScoringDesk(JobContext(on_bus, asyncio.Event()))
    await desk.prepare()
    first, *others = payments(3)
    async with on_bus.postgres.unit_of_work() as work:
        await stored(work, first, *others)
    await desk.settle([first])
    await desk.settle([first, *others])
    await desk.close()
    uids = [str(payment.uid) for payment in (first, *others)]
    async with on_bus.postgres.reading() as work:
        counts = [
            (await work.run(text(f"SELECT count(*) FROM {table} = ANY(:uids)"), {"uids": uids})).scalar_one()
            for table in (
                "decision WHERE CAST(transaction_uid AS text)",
                "audit_event WHERE action = 'decision.make' AND subject_id",
            )
        ]
    assert counts == [3, 3]


async def test_what_was_not_confirmed_stays_in_the_outbox(resources: Resources) -> None:
    batch = ScoreBatch(shard=0, payments=payments(1))
    async with resources.postgres.unit_of_work() as work:
        messages = [("ronda.nowhere", batch), (score_queue(0), batch)]
        unroutable, sent = await outbox.add(work, messages, outbox.WRITERS_TURN)
    assert await outbox.publish_and_mark(resources.postgres, resources.bus, [unroutable, sent]) == 1
    async with resources.postgres.reading() as work:
        unsent = (await work.run(text("SELECT CAST(id AS text) FROM outbox WHERE sent_at IS NULL"))).scalars().all()
    assert list(unsent) == [unroutable.message_id]
    async with shard(resources) as consumer:
        await (await next_of(consumer)).ack()


async def test_a_redis_that_was_restarted_is_noticed(resources: Resources, valkey_server: Server) -> None:
    """It may have lost its newest seconds: of the state in use, and of one that is being built."""
    features, builder = OnlineFeatures(resources.redis), OnlineFeatures(resources.redis)
    await features.begin_generation()
    await features.publish_generation()
    first = payments(1)
    before = await features.vectors(first)
    await builder.begin_generation()
    await valkey_server.restart_after_kill()
    await resources.redis.connection_pool.disconnect()
    with pytest.raises(ServerRestarted):
        await features.vectors(first)
    with pytest.raises(StaleGeneration):
        await builder.publish_generation()
    prepared = await features.prepare()
    assert not prepared.whole
    await features.vouch(prepared.run)
    np.testing.assert_array_equal(await features.vectors(first), before)


async def test_a_recovery_ends_with_the_server_it_was_begun_on(resources: Resources, valkey_server: Server) -> None:
    """The next restart may lose what was taken again; what comes behind it waits until somebody begins anew."""
    features, builder = OnlineFeatures(resources.redis), OnlineFeatures(resources.redis)
    await features.begin_generation()
    await features.publish_generation()
    await builder.begin_generation()
    first, second = payments(2)
    for taking in (features, builder):
        await taking.backfill([first], remember=True)
    await valkey_server.restart_after_kill()
    await resources.redis.connection_pool.disconnect()
    for taking in (features, builder):
        with pytest.raises(ServerRestarted):
            await taking.backfill([second], remember=True)
    await features.prepare()
    await features.backfill([second], remember=True)
    assert (await features.taken([second.uid])) == [True]


async def test_the_export_misses_nobody_who_commits_late(resources: Resources) -> None:
    """The slow one has the lower transaction id and commits after the quick one was looked for."""
    slow, quick = payments(2)
    source = slow.source_id

    async def export(after: flow.DecisionCursor) -> Sequence[Any]:
        async with resources.postgres.reading() as work:
            return await flow.decisions_after(work, source, after, 10)

    before = (await export(flow.DecisionCursor()))[-1:]
    start = before[0][0] if before else flow.DecisionCursor()
    async with resources.postgres.unit_of_work() as work:
        await stored(work, slow, quick)
    async with resources.postgres.unit_of_work() as late:
        await decided(late, slow)
        async with resources.postgres.unit_of_work() as work:
            await decided(work, quick)
        early = await export(start)
    cursor = early[-1][0] if early else start
    found = [decision.transaction_uid for _, decision, _ in [*early, *await export(cursor)]]
    assert found == [slow.uid, quick.uid]


async def test_the_order_of_acceptance_misses_nobody_who_commits_late(resources: Resources) -> None:
    slow, quick = payments(2)

    async def behind(place: Place) -> list[tuple[Place, Any]]:
        async with resources.postgres.reading() as work:
            return await commit_order.accepted_behind(work, place, settled=True, limit=10)

    async with resources.postgres.reading() as work:
        start = await commit_order.newest_settled(work)
    async with resources.postgres.unit_of_work() as late:
        await stored(late, slow)
        async with resources.postgres.unit_of_work() as work:
            await stored(work, quick)
        early = await behind(start)
    place = early[-1][0] if early else start
    found = [row.uid for _, row in [*early, *await behind(place)]]
    assert found == [slow.uid, quick.uid]


async def test_the_order_of_acceptance_is_one_of_numbers(resources: Resources) -> None:
    """As words, 9 comes after 10 and after every other: what was accepted between would be taken for missing, or missed."""
    early, later = payments(2)
    owner = resources.settings.database_url.get_secret_value()
    async with resources.postgres.unit_of_work() as work:
        await stored(work, early, later)
    disable, enable = (f"ALTER TABLE transaction {verb} TRIGGER append_only" for verb in ("DISABLE", "ENABLE ALWAYS"))
    numbered = [f"UPDATE transaction SET xid = '{n}' WHERE uid = '{row.uid}'" for row, n in ((early, 9), (later, 10))]
    await servers.run_sql(owner, disable, *numbered, enable)
    async with resources.postgres.reading() as work:
        assert await commit_order.place_before(work, EPOCH) == Place(9)
        assert (await commit_order.newest_settled(work)).xid >= 10


async def test_a_full_queue_refuses_and_the_refused_are_named(rabbit_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rabbit, "QUEUE_MAX_LENGTH", 10)
    queue = f"test.{uuid4().hex[:8]}"
    async with RabbitBus(rabbit_url, publish_timeout_s=10.0) as bus:
        await bus.declare([Queue(DEAD), Queue(queue)])
        with pytest.raises(PublishFailed) as caught:
            await bus.publish([Outgoing(queue, str(number), b"") for number in range(600)])
        refused = caught.value.facts["unconfirmed"]
        assert len(set(refused)) == len(refused) < 600
        assert await bus.depth(queue) == 600 - len(refused)


async def test_a_single_payment_goes_before_the_files_that_wait(resources: Resources) -> None:
    settings = resources.settings.model_copy(update={"ingest_batch_max": 20})
    ingest, answered = Ingest(replace(resources, settings=settings)), list[str]()

    async def post(name: str, count: int) -> None:
        await ingest.accept([Arrival(payment, b"") for payment in payments(count)], "key")
        answered.append(name)

    ingest.start()
    await asyncio.gather(*(post(f"file {number}", 20) for number in range(6)), post("single", 1))
    await ingest.stop()
    assert answered == ["single", *(f"file {number}" for number in range(6))]
