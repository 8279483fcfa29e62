"""Each stage alone, on the same servers while nothing else is sent: the most it could do if the others cost nothing."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import msgspec

from backend.bench.options import BATCH
from backend.bench.workload import Workload, begin_before
from backend.intake import parse_transaction
from core.acts import outbox
from core.acts.audit import Event, record, system
from core.base.clock import utc_now
from core.base.due import DueTimes
from core.base.errors import Unavailable
from core.base.ids import new_uuid
from core.base.settings import Settings
from core.base.terms import Action, FeaturesStatus
from core.contracts.messages import ScoreBatch, encode
from core.contracts.topology import Queue, score_queue
from core.infra.bus import Outgoing
from core.infra.postgres import Bundle, Line
from core.infra.resources import Resources, open_resources
from core.stores import accepting, casework, flow
from core.stores.accepting import Arrival
from models.features.online import OnlineFeatures
from models.features.vector import FloatMatrix
from models.scoring.reasons import reasons
from workers.control import ControlSample
from workers.judging import judge
from workers.lineup import Lineup, LineupKeeper, WarmModel
from workers.verdicts import Verdict, alert_row, decision_row, events_of

GROUP = 128
"""Payments a scorer settles together."""
MESSAGES = 16
QUEUE = Queue("bench", single_active=True)
BY = system("bench")


@dataclass
class _Group:
    """One batch on its way through the stages."""

    arrivals: list[Arrival]
    matrix: FloatMatrix | None = None
    verdicts: Sequence[Verdict] = ()


async def measure(settings: Settings, source: str, seconds: float, seed: int) -> dict[str, float]:
    """Payments a second by stage, and `shap_ms_per_alert`. The payments are stored and decided like any other."""
    async with open_resources(settings, "bench") as resources:
        with closing(resources.postgres.line()) as line:
            workload = Workload.synthetic("", seed, begin_before(utc_now()))
            return await _Stages(resources, line, seconds, source, workload).run()


class _Stages:
    def __init__(self, resources: Resources, line: Line, seconds: float, source: str, workload: Workload) -> None:
        self._line = line
        self._resources, self._seconds, self._source, self._workload = resources, seconds, source, workload
        self._groups: list[_Group] = []
        self._features = OnlineFeatures(resources.redis)

    async def run(self) -> dict[str, float]:
        lineup = await LineupKeeper(self._resources).refresh()
        assert lineup.champion, "the bench made a model"
        found = {"read bodies": self._read_bodies()}
        found["features: one Redis call"] = await self._each(self._take_features)
        found["model: predict"] = self._predict(lineup.champion)
        found["judge: model, rules, SHAP for alerts"] = await self._each(partial(self._judge, lineup))
        found["accept: insert and commit"] = await self._each(self._accept)
        found["decide: insert and commit"] = await self._each(self._decide, whole=True)
        found["broker: publish and consume"] = await self._broker()
        return found | {"shap_ms_per_alert": self._explain(lineup.champion)}

    def _read_bodies(self) -> float:
        """Until the time is over; these groups go through the other stages."""
        spent = 0.0
        while spent < self._seconds or len(self._groups) < 2:
            bodies = [msgspec.json.encode(body) for body in self._workload.take(GROUP)]
            began = time.perf_counter()
            arrivals = [parse_transaction(body, self._source, utc_now()) for body in bodies]  # type: ignore[arg-type]
            spent += time.perf_counter() - began
            self._groups.append(_Group(arrivals))
        return len(self._groups) * GROUP / spent

    async def _each(self, act: Callable[[_Group], Awaitable[None]], *, whole: bool = False) -> float:
        """One group after the other until the time is over; the groups that were not reached are dropped, unless `whole`."""
        await act(self._groups[0])  # pays for connections and caches
        began, done = time.perf_counter(), 1
        while done < len(self._groups) and (whole or done == 1 or time.perf_counter() - began < self._seconds):
            await act(self._groups[done])
            done += 1
        took = time.perf_counter() - began
        del self._groups[done:]
        return (done - 1) * GROUP / took

    async def _accept(self, group: _Group) -> None:
        payments, bundle = [arrival.payment for arrival in group.arrivals], Bundle()
        await accepting.take_keys(bundle, group.arrivals)
        await accepting.store(bundle, payments)
        message = ScoreBatch(shard=0, payments=payments)
        [outgoing] = await outbox.add(bundle, [(score_queue(0), message)], outbox.WRITERS_TURN)
        await record(bundle, Event(BY, Action.TRANSACTIONS_ACCEPT, "source_key", "bench", {"count": len(payments)}))
        await self._store(bundle, group)
        async with self._resources.postgres.unit_of_work() as work:
            # Never published: these payments are decided by a later stage.
            await flow.mark_sent(work, [UUID(outgoing.message_id)], utc_now())

    async def _broker(self) -> float:
        """Messages of 100 payments, confirmed in windows of 16, while they are taken and acked."""
        bus = self._resources.bus
        await bus.declare([QUEUE])
        payments = [arrival.payment for group in self._groups for arrival in group.arrivals][:BATCH]
        body = encode(ScoreBatch(shard=0, payments=payments))
        consumer = await bus.consumer([QUEUE.name], prefetch=2 * MESSAGES)
        published, taken, began = 0, 0, time.perf_counter()

        async def publish() -> None:
            nonlocal published
            while time.perf_counter() - began < self._seconds:
                await bus.publish([Outgoing(QUEUE.name, str(new_uuid()), body) for _ in range(MESSAGES)])
                published += MESSAGES

        async with asyncio.TaskGroup() as group:
            publishing = group.create_task(publish())
            while not publishing.done() or taken < published:
                for delivery in await consumer.take(2 * MESSAGES, 0.2):
                    await delivery.ack()
                    taken += 1
        took = time.perf_counter() - began
        await consumer.close()
        return taken * len(payments) / took

    async def _take_features(self, group: _Group) -> None:
        group.matrix = await self._features.vectors([arrival.payment for arrival in group.arrivals])

    def _predict(self, champion: WarmModel) -> float:
        matrix = self._groups[0].matrix
        assert matrix is not None
        return GROUP / median_s(lambda: (champion.scorer.score(matrix), champion.scorer.anomaly(matrix)), self._seconds)

    async def _judge(self, lineup: Lineup, group: _Group) -> None:
        assert group.matrix is not None
        payments = [arrival.payment for arrival in group.arrivals]
        control = ControlSample.of(self._resources.settings)
        group.verdicts = judge(payments, group.matrix, FeaturesStatus.COMPLETE, lineup, control, utc_now())

    async def _decide(self, group: _Group) -> None:
        now, due, bundle = utc_now(), DueTimes.of(self._resources.settings), Bundle()
        await flow.insert_decisions(bundle, [decision_row(verdict, now) for verdict in group.verdicts])
        alerts = {v.payment.uid: alert_row(v, now, due) for v in group.verdicts if v.alerts}
        await casework.insert_alerts(bundle, list(alerts.values()))
        events = [
            event
            for verdict in group.verdicts
            for event in events_of(verdict, alerts.get(verdict.payment.uid, {}).get("id"), BY)
        ]
        await record(bundle, *events)
        await self._store(bundle, group)

    async def _store(self, bundle: Bundle, group: _Group) -> None:
        if not await self._line.at_once(bundle, rows=len(group.arrivals)):
            raise Unavailable("the payments of a stage were there already")

    def _explain(self, champion: WarmModel) -> float:
        """Milliseconds for SHAP values and reasons of one alert, a few alerts at a time as they come."""
        group = self._groups[0]
        assert group.matrix is not None
        rows, payments = group.matrix[:4], [arrival.payment for arrival in group.arrivals[:4]]

        def explain() -> None:
            explanation = champion.explainer.explain(rows)
            for row, payment, contributions in zip(rows, payments, explanation.contributions, strict=True):
                reasons(row, contributions, payment, champion.scorer.usual, champion.scorer.usual_range)

        return median_s(explain, self._seconds) / len(rows) * 1000


def median_s(act: Callable[[], object], seconds: float) -> float:
    act()
    taken: list[float] = []
    while sum(taken) < seconds:
        began = time.perf_counter()
        act()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)
