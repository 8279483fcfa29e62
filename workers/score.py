"""Scores what is waiting: one feature call, one matrix, one predict, rules, outcome, one commit; then the ack."""

import asyncio
import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

import structlog

from core.acts.audit import record, system
from core.acts.dead_letters import message_of
from core.base import telemetry
from core.base.clock import to_ms, utc_now
from core.base.due import DueTimes
from core.base.heap import keep_for_good
from core.base.tasks import end
from core.contracts.messages import Payment, ScoreBatch
from core.contracts.topology import BELL_ALERTS, BELL_DECIDED, SUSPECT, score_queue
from core.infra.bus import Delivery
from core.infra.postgres import Bundle, Work
from core.infra.redis import ring
from core.stores import casework, flow, policy
from models.features.vector import FloatMatrix
from workers.again import decide_at_last
from workers.control import ControlSample
from workers.handling import consume, read
from workers.judging import judge
from workers.lineup import Lineup, LineupKeeper
from workers.live_features import LiveFeatures
from workers.order import Order, Readable
from workers.runner import JobContext
from workers.shadow import shadow_rows
from workers.suspect import SuspectLane, without_suspects
from workers.verdicts import Verdict, alert_row, decision_row, events_of
from workers.what_if import answer_what_ifs

log = structlog.get_logger()
MESSAGES_AT_ONCE = 32
ACTOR = system("score")


async def score(context: JobContext) -> None:
    scorer = _ScoringDesk(context)
    await scorer.prepare()
    beside = [
        asyncio.create_task(scorer.lineup.follow()),
        asyncio.create_task(scorer.features.keep()),
        asyncio.create_task(answer_what_ifs(context.resources.redis, scorer.lineup)),
    ]
    settings = context.resources.settings
    queues = [score_queue(shard) for shard in settings.score_shards or range(settings.shards)]
    lane = SuspectLane(context.resources, scorer.settle)
    handle = without_suspects(scorer.handle, scorer.take)
    try:
        async with asyncio.TaskGroup() as lanes:
            lanes.create_task(consume(context, queues, handle, most=MESSAGES_AT_ONCE, turn=lane.turn))
            lanes.create_task(consume(context, [SUSPECT], lane.handle, most=1, turn=lane.turn))
    finally:
        for task in beside:
            await end(task)
        await scorer.close()


@dataclass(frozen=True)
class _Judged:
    """matrix: the verdicts' vectors. lineup: what they were judged with."""

    verdicts: Sequence[Verdict]
    matrix: FloatMatrix
    lineup: Lineup


class _ScoringDesk:
    """One scorer process's feature store, model and policy."""

    def __init__(self, context: JobContext) -> None:
        self._resources = context.resources
        self.features = LiveFeatures(context.resources, ACTOR)
        self._storing = context.resources.postgres.line()
        self._order = Order(context.resources.postgres, self.features)
        self._control = ControlSample.of(context.resources.settings)
        self._due = DueTimes.of(context.resources.settings)
        self.lineup = LineupKeeper(context.resources)

    async def prepare(self) -> None:
        await self.features.open()
        await self.lineup.refresh()
        keep_for_good()

    async def close(self) -> None:
        self._storing.close()
        await self.features.close()

    async def handle(self, deliveries: list[Delivery]) -> None:
        """While some payments are being stored, the next ones are judged: Redis and PostgreSQL work at the same time, each in order."""
        readable = [(delivery, cast(ScoreBatch, message)) for delivery, message in await read(deliveries, ScoreBatch)]
        storing: asyncio.Task[None] | None = None
        try:
            for part in await self._parts(readable):
                judged = await self._judge(part)
                if storing:
                    await storing
                storing = asyncio.create_task(self._store(judged))
            if storing:
                await storing
        finally:
            await end(storing)
        self._order.remember(delivery.message_id for delivery, _ in readable)
        for delivery, _ in readable:
            await delivery.ack()

    async def take(self, deliveries: list[Delivery]) -> None:
        """Into the features only. A delivery that cannot be read is left for `handle`."""
        messages = [(delivery, message_of(delivery.body)) for delivery in deliveries]
        readable = [(delivery, message) for delivery, message in messages if isinstance(message, ScoreBatch)]
        for part in await self._parts(readable):
            await self.features.vectors(part)

    async def _parts(self, readable: Readable) -> list[list[Payment]]:
        payments = in_arrival_order(await self._order.complete(readable))
        size = self._resources.settings.score_batch_max
        return [payments[start : start + size] for start in range(0, len(payments), size)]

    async def settle(self, payments: Sequence[Payment]) -> None:
        await self._store(await self._judge(payments))

    async def _judge(self, payments: Sequence[Payment]) -> _Judged:
        lineup = self.lineup.current or await self.lineup.refresh()
        matrix, status = await self.features.vectors(payments)
        return _Judged(judge(payments, matrix, status, lineup, self._control, utc_now()), matrix, lineup)

    async def _store(self, judged: _Judged) -> None:
        """Decisions, alerts, explanations, shadow scores and audit events in one commit. What is decided already writes nothing.

        In one statement while none is, which is nearly always.
        """
        now, bundle, new = utc_now(), Bundle(), {verdict.payment.uid for verdict in judged.verdicts}
        rows = [decision_row(verdict, now) for verdict in judged.verdicts]
        await flow.insert_decisions(bundle, rows)
        alert_ids = await self._write(bundle, judged, new, now)
        if not await self._storing.at_once(bundle, rows=len(rows)):
            async with self._storing.unit_of_work() as work:
                new = await flow.insert_decisions(work, rows)
                alert_ids = await self._write(work, judged, new, now)
        known = [verdict for verdict in judged.verdicts if verdict.payment.uid not in new]
        if known:
            await decide_at_last(self._resources, known, self._due, by=ACTOR)
        # Who listens reads PostgreSQL on a timer too; a Redis that hangs would cost every batch a wait.
        if not self.features.away:
            await ring(self._resources.redis, BELL_DECIDED, [str(uid) for uid in new])
            if alert_ids:
                await ring(self._resources.redis, BELL_ALERTS, [str(ident) for ident in alert_ids])
        decided_ms = to_ms(utc_now())
        for verdict in _fresh(judged, new):
            telemetry.DECISIONS.labels(verdict.outcome.value).inc()
            telemetry.DECISION_SECONDS.observe(max(0, decided_ms - verdict.payment.accepted_at_ms) / 1000)

    async def _write(self, work: Work, judged: _Judged, new: set[UUID], now: datetime) -> list[UUID]:
        """What goes with the decisions that are `new`; ids of the alerts."""
        fresh = _fresh(judged, new)
        alerts = {verdict.payment.uid: alert_row(verdict, now, self._due) for verdict in fresh if verdict.alerts}
        await casework.insert_alerts(work, list(alerts.values()))
        await policy.insert_shadow_scores(
            work, shadow_rows(judged.lineup.shadows, judged.verdicts, judged.matrix, new, now)
        )
        ids: dict[UUID, UUID] = {uid: row["id"] for uid, row in alerts.items()}
        await record(work, *(e for v in fresh for e in events_of(v, ids.get(v.payment.uid), ACTOR)))
        return list(ids.values())


def _fresh(judged: _Judged, new: set[UUID]) -> list[Verdict]:
    return [verdict for verdict in judged.verdicts if verdict.payment.uid in new]


def in_arrival_order(batches: Sequence[ScoreBatch]) -> list[Payment]:
    """Payments of several shards by arrival. A shard's own order is kept; a merchant, device or address that customers of
    different shards share then sees their payments in time. A payment that was published twice is there once.
    """
    shards: dict[int, list[Payment]] = {}
    for batch in batches:
        shards.setdefault(batch.shard, []).extend(batch.payments)
    merged = heapq.merge(*shards.values(), key=lambda payment: payment.uid)
    return list({payment.uid: payment for payment in merged}.values())
