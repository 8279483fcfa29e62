"""Scores what is waiting: one feature call, one matrix, one predict, rules, outcome, one commit; then the ack."""

import asyncio
import heapq
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import cast
from uuid import UUID

import numpy as np
import structlog

from core.acts.audit import record, system
from core.base import telemetry
from core.base.clock import to_ms, utc_now
from core.base.tasks import end
from core.base.terms import FeaturesStatus
from core.contracts.messages import Payment, ScoreBatch
from core.contracts.topology import BELL_ALERTS, BELL_DECIDED, SUSPECT, score_queue
from core.infra.bus import Delivery
from core.infra.redis import ring
from core.rules.outcome import outcome_of
from core.stores import casework, flow, policy
from models.features.catalogue import NAMES
from models.features.online import FeaturesUnavailable, OnlineFeatures, StaleGeneration
from models.features.vector import FloatMatrix
from models.scoring.reasons import reasons
from workers.control import ControlSample
from workers.handling import consume, read
from workers.lineup import Lineup, LineupKeeper
from workers.rebuild import rebuild_features
from workers.runner import JobContext
from workers.shadow import shadow_rows
from workers.suspect import SuspectLane, without_suspects
from workers.verdicts import Explained, Verdict, alert_row, decision_row, events_of

log = structlog.get_logger()
MESSAGES_AT_ONCE = 32
ACTOR = system("score")


async def score(context: JobContext) -> None:
    scorer = _ScoringDesk(context)
    await scorer.prepare()
    follower = asyncio.create_task(scorer.lineup.follow())
    queues = [score_queue(shard) for shard in range(context.resources.settings.shards)]
    lane = SuspectLane(context.resources, scorer.settle)
    try:
        async with asyncio.TaskGroup() as lanes:
            lanes.create_task(
                consume(context, queues, without_suspects(scorer.handle), most=MESSAGES_AT_ONCE, turn=lane.turn)
            )
            lanes.create_task(consume(context, [SUSPECT], lane.handle, most=1, turn=lane.turn))
    finally:
        await end(follower)
        await scorer.close()


class _ScoringDesk:
    """One scorer process's feature store, model and policy."""

    def __init__(self, context: JobContext) -> None:
        self._resources = context.resources
        self._features = OnlineFeatures(context.resources.redis)
        self._rebuild: asyncio.Task[int] | None = None
        self._control = ControlSample.of(context.resources.settings)
        self.lineup = LineupKeeper(context.resources)

    async def prepare(self) -> None:
        with suppress(FeaturesUnavailable):
            if (await self._features.prepare()).empty:
                await rebuild_features(self._resources, by=ACTOR)
        await self.lineup.refresh()

    async def close(self) -> None:
        await end(self._rebuild)

    async def handle(self, deliveries: list[Delivery]) -> None:
        readable = await read(deliveries, ScoreBatch)
        payments = in_arrival_order([cast(ScoreBatch, message) for _, message in readable])
        size = self._resources.settings.score_batch_max
        for start in range(0, len(payments), size):
            await self.settle(payments[start : start + size])
        for delivery, _ in readable:
            await delivery.ack()

    async def settle(self, payments: Sequence[Payment]) -> None:
        lineup = self.lineup.current or await self.lineup.refresh()
        matrix, status = await self._vectors(payments)
        verdicts = judge(payments, matrix, status, lineup, self._control)
        await self._store(verdicts, matrix, lineup)

    async def _vectors(self, payments: Sequence[Payment]) -> tuple[FloatMatrix, FeaturesStatus]:
        try:
            return await self._features.vectors(payments), FeaturesStatus.COMPLETE
        except FeaturesUnavailable as error:
            log.warning("scoring without features", detail=error.detail, payments=len(payments))
            if isinstance(error, StaleGeneration):
                self._start_rebuild()
            return np.full((len(payments), len(NAMES)), np.nan), FeaturesStatus.DEGRADED

    def _start_rebuild(self) -> None:
        if self._rebuild is None or self._rebuild.done():
            self._rebuild = asyncio.create_task(rebuild_features(self._resources, by=ACTOR))

    async def _store(self, verdicts: Sequence[Verdict], matrix: FloatMatrix, lineup: Lineup) -> None:
        """Decisions, alerts, explanations, shadow scores and audit events in one commit. What is decided already writes nothing."""
        now = utc_now()
        async with self._resources.postgres.unit_of_work() as work:
            new = await flow.insert_decisions(work, [decision_row(verdict, now) for verdict in verdicts])
            fresh = [verdict for verdict in verdicts if verdict.payment.uid in new]
            alerts = {verdict.payment.uid: alert_row(verdict, now) for verdict in fresh if verdict.alerts}
            await casework.insert_alerts(work, list(alerts.values()))
            await policy.insert_shadow_scores(work, shadow_rows(lineup.shadows, verdicts, matrix, new, now))
            alert_ids: dict[UUID, UUID] = {uid: row["id"] for uid, row in alerts.items()}
            events = [e for v in fresh for e in events_of(v, alert_ids.get(v.payment.uid), ACTOR)]
            await record(work, *events)
            redis = self._resources.redis
            work.after_commit.append(partial(ring, redis, BELL_DECIDED, [str(uid) for uid in new]))
            if alert_ids:
                work.after_commit.append(partial(ring, redis, BELL_ALERTS, [str(i) for i in alert_ids.values()]))
        decided_ms = to_ms(utc_now())
        for verdict in fresh:
            telemetry.DECISIONS.labels(verdict.outcome.value).inc()
            telemetry.DECISION_SECONDS.observe(max(0, decided_ms - verdict.payment.accepted_at_ms) / 1000)


def in_arrival_order(batches: Sequence[ScoreBatch]) -> list[Payment]:
    """Payments of several shards by arrival. A shard's own order is kept; a merchant, device or address that customers of
    different shards share then sees their payments in time.
    """
    shards: dict[int, list[Payment]] = {}
    for batch in batches:
        shards.setdefault(batch.shard, []).extend(batch.payments)
    return list(heapq.merge(*shards.values(), key=lambda payment: payment.uid))


def judge(
    payments: Sequence[Payment], matrix: FloatMatrix, status: FeaturesStatus, lineup: Lineup, control: ControlSample
) -> list[Verdict]:
    """One verdict per payment, all with the same model and policy. A degraded batch is left to the rules."""
    champion = lineup.champion if status is FeaturesStatus.COMPLETE else None
    scores = champion.scorer.score(matrix) if champion else None
    anomalies = champion.scorer.anomaly(matrix) if champion else None
    verdicts = []
    for place, payment in enumerate(payments):
        vector = matrix[place]
        hits = lineup.rules.hits(payment, _known(vector))
        probability = float(scores.probability[place]) if scores else None
        verdict = Verdict(
            payment=payment,
            vector=vector.tolist(),
            status=status,
            score=probability,
            margin=float(scores.margin[place]) if scores else None,
            hits=hits,
            outcome=outcome_of(probability, lineup.thresholds, hits, status),
            explained=None,
            model_id=champion.id if champion else None,
            policy_version=lineup.policy_version,
            anomaly=None if anomalies is None else float(anomalies[place]),
        )
        verdicts.append(control.draw(verdict))
    return _explained(verdicts, matrix, lineup) if champion else verdicts


def _known(vector: FloatMatrix) -> dict[str, float]:
    return {name: value for name, value in zip(NAMES, vector.tolist(), strict=True) if value == value}


def _explained(verdicts: list[Verdict], matrix: FloatMatrix, lineup: Lineup) -> list[Verdict]:
    """SHAP only for what somebody will look at."""
    champion = lineup.champion
    places = [place for place, verdict in enumerate(verdicts) if verdict.alerts]
    if not places or champion is None:
        return verdicts
    explanation = champion.explainer.explain(matrix[places])
    for row, place in enumerate(places):
        contributions = explanation.contributions[row]
        scorer = champion.scorer
        words = reasons(matrix[place], contributions, verdicts[place].payment, scorer.usual, scorer.usual_range)
        explained = Explained(contributions.tolist(), float(explanation.base), words)
        verdicts[place] = replace(verdicts[place], explained=explained)
    return verdicts
