"""A training outlives its message, its worker and its process: the run's row is the truth. Over real servers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from sqlalchemy import text

from backend import synthetic
from backend.demo import load_history
from core.acts import people, registry, trainings
from core.acts.audit import Actor, system
from core.base.clock import utc_now
from core.base.errors import NotAllowedNow, NotFound
from core.base.ids import new_uuid
from core.base.terms import Action, ActorType, RunStatus
from core.contracts.topology import TRAINING
from core.infra.resources import Resources
from core.stores import casework, flow, ledger, policy
from core.tables.policy import RegisteredModel, TrainingRun
from models.features.catalogue import CATALOGUE_VERSION
from models.features.offline import replay
from models.scoring.training import SearchOptions, TrainingOptions, TreeOptions
from tests.integration.conftest import Api, payment
from workers import retrain as job
from workers.history import read_history
from workers.retrain import train_and_register
from workers.roster import JOBS
from workers.runner import JobContext
from workers.schedule import schedule

ASKER = Actor(ActorType.USER, "asker")
PER_DAY, DAYS = 150, 90
OPTIONS = partial(
    TrainingOptions, trees=TreeOptions(iterations=60, learning_rate=0.15),
    search=SearchOptions(candidates=2, least_frauds=10, haste=0.2), weeks=1,
)  # fmt: skip
"""A search that lingers: what happens in the middle of a training is looked at here."""


@pytest.fixture(autouse=True)
async def one_at_a_time(resources: Resources) -> AsyncIterator[None]:
    """Each test begins and ends without a run under way."""
    yield
    async with resources.postgres.unit_of_work() as work:
        await work.run(text("UPDATE training_run SET status = 'failed' WHERE status IN ('requested', 'running')"))


@pytest.fixture
async def history(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    """Synthetic payments and labels, once for the module; trainings try few options."""
    monkeypatch.setattr(job, "training_options", lambda _settings: OPTIONS())
    async with resources.postgres.unit_of_work() as work:
        if await flow.count_transactions(work) > 1000:
            return
        await people.add_source(work, "demo", "Synthetic", system("test"))
    past = synthetic.history(days=DAYS, per_day=PER_DAY, until=datetime.now(UTC) - timedelta(hours=1))
    await load_history(resources, past, lambda _fraction, _words: None)


async def asked(resources: Resources) -> TrainingRun:
    async with resources.postgres.unit_of_work() as work:
        return await registry.request_training(work, by=ASKER)


async def now_of(resources: Resources, run: TrainingRun) -> TrainingRun:
    async with resources.postgres.reading() as work:
        found = await policy.run(work, run.id)
    assert found
    return found


async def take_up(resources: Resources, run: TrainingRun) -> TrainingRun | None:
    async with resources.postgres.unit_of_work() as work:
        return await trainings.take_up(work, resources.redis, run.id)


async def tell(resources: Resources, run: TrainingRun, progress: float = 0.5) -> bool:
    async with resources.postgres.unit_of_work() as work:
        return await trainings.tell(
            work, resources.redis, run.id, run.attempts, progress=progress, step="growing trees"
        )  # fmt: skip


async def cancel(resources: Resources, run: TrainingRun) -> TrainingRun:
    async with resources.postgres.unit_of_work() as work:
        return await trainings.cancel_training(work, resources.redis, run.id, by=ASKER)


async def look_for_stalled(resources: Resources) -> list[Any]:
    async with resources.postgres.unit_of_work() as work:
        return await trainings.ask_again_for_stalled(work, resources.redis, by=system("schedule"))


async def lose_worker(resources: Resources, run: TrainingRun) -> None:
    """As if its lease had run out."""
    async with resources.postgres.unit_of_work() as work:
        await work.run(
            text("UPDATE training_run SET lease_until = now() - interval '1 second' WHERE id = :id"), {"id": run.id}
        )


async def events_of(resources: Resources, run: TrainingRun) -> list[str]:
    async with resources.postgres.reading() as work:
        found = [row async for row in ledger.in_commit_order(work)]
    return [row.action for row in found if (row.subject_type, row.subject_id) == ("training_run", str(run.id))]


# The lease


async def test_only_one_worker_has_a_run(resources: Resources) -> None:
    run = await asked(resources)
    first = await take_up(resources, run)
    assert first
    assert (first.status, first.attempts) == (RunStatus.RUNNING.value, 1)
    assert await take_up(resources, run) is None
    assert await tell(resources, first)
    assert (await now_of(resources, run)).progress == 0.5
    with pytest.raises(NotAllowedNow):
        await asked(resources)


async def test_a_lost_worker_is_replaced_and_stops_when_it_comes_back(resources: Resources) -> None:
    run = await asked(resources)
    lost = await take_up(resources, run)
    assert lost
    assert await look_for_stalled(resources) == []
    await lose_worker(resources, run)
    assert await look_for_stalled(resources) == [run.id]
    assert not await tell(resources, lost)
    second = await take_up(resources, run)
    assert second
    assert second.attempts == 2
    assert not await tell(resources, lost)
    async with resources.postgres.unit_of_work() as work:
        ended = await trainings.end(
            work, resources.redis, run.id, lost.attempts, status=RunStatus.FAILED, step="mine failed"
        )  # fmt: skip
    assert not ended
    assert (await now_of(resources, run)).status == RunStatus.RUNNING.value
    assert await events_of(resources, run) == [Action.MODEL_TRAIN_REQUEST.value] * 2


async def test_a_worker_that_is_late_keeps_its_run_while_nobody_else_took_it(resources: Resources) -> None:
    run = await asked(resources)
    late = await take_up(resources, run)
    assert late
    await lose_worker(resources, run)
    assert await tell(resources, late)
    assert await look_for_stalled(resources) == []


async def test_a_run_that_kills_its_workers_is_given_up(resources: Resources) -> None:
    run = await asked(resources)
    for _ in range(trainings.MOST_ATTEMPTS):
        assert await take_up(resources, run)
        await lose_worker(resources, run)
        await look_for_stalled(resources)
    assert await take_up(resources, run) is None
    ended = await now_of(resources, run)
    assert (ended.status, ended.ended_at is not None) == (RunStatus.FAILED.value, True)
    assert "3 workers" in ended.step


async def test_a_worker_that_is_told_to_stop_does_not_count_as_lost(resources: Resources) -> None:
    run = await asked(resources)
    for _ in range(trainings.MOST_ATTEMPTS + 1):
        held = await take_up(resources, run)
        assert held
        async with resources.postgres.unit_of_work() as work:
            await trainings.hand_back(work, resources.redis, run.id, held.attempts)
        assert not await tell(resources, held)
    assert (await now_of(resources, run)).status == RunStatus.REQUESTED.value


# Cancelling


async def test_a_waiting_run_is_cancelled_at_once(resources: Resources) -> None:
    run = await cancel(resources, await asked(resources))
    assert (run.status, run.cancel_asked_by) == (RunStatus.CANCELLED.value, str(ASKER))
    assert run.ended_at is not None
    assert await take_up(resources, run) is None
    assert (await events_of(resources, run))[-1] == Action.MODEL_TRAIN_CANCEL.value
    with pytest.raises(NotAllowedNow, match="cancelled already"):
        await cancel(resources, run)
    run.id = new_uuid()
    with pytest.raises(NotFound):
        await cancel(resources, run)


async def test_a_worker_hears_of_it(resources: Resources) -> None:
    run = await asked(resources)
    held = await take_up(resources, run)
    assert held
    assert (await cancel(resources, run)).status == RunStatus.RUNNING.value
    assert not await tell(resources, held)
    with pytest.raises(NotAllowedNow, match="being stopped"):
        await cancel(resources, run)


async def test_a_lost_workers_run_is_cancelled_all_the_same(resources: Resources) -> None:
    run = await asked(resources)
    assert await take_up(resources, run)
    await cancel(resources, run)
    await lose_worker(resources, run)
    assert await look_for_stalled(resources) == []
    assert (await now_of(resources, run)).status == RunStatus.CANCELLED.value
    again = await asked(resources)
    assert await take_up(resources, again)
    await lose_worker(resources, again)
    assert (await cancel(resources, again)).status == RunStatus.CANCELLED.value


# The job


@asynccontextmanager
async def working(resources: Resources, *names: str) -> AsyncIterator[JobContext]:
    context = JobContext(resources, asyncio.Event())
    tasks = [asyncio.ensure_future(JOBS[name](context)) for name in names]
    try:
        yield context
    finally:
        context.stopping.set()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(resources: Resources, run: TrainingRun, reached: Callable[[TrainingRun], bool]) -> TrainingRun:
    async with asyncio.timeout(120):
        while not reached(found := await now_of(resources, run)):
            await asyncio.sleep(0.05)
    return found


def at_work(run: TrainingRun) -> bool:
    return run.status == RunStatus.RUNNING.value and ("trying options" in run.step or "growing" in run.step)


def folder_of(resources: Resources, run: TrainingRun) -> Path:
    return resources.settings.data_dir / "trainings" / str(run.id)


async def model_of(resources: Resources, run: TrainingRun) -> RegisteredModel:
    async with resources.postgres.reading() as work:
        found = await policy.model(work, (await now_of(resources, run)).model_id)  # type: ignore[arg-type]
    assert found
    return found


async def test_a_cancelled_training_stops_and_leaves_nothing_behind(resources: Resources, history: None) -> None:
    run = await asked(resources)
    async with working(resources, "retrain", "relay"):
        await until(resources, run, at_work)
        assert folder_of(resources, run).exists()
        await cancel(resources, run)
        ended = await until(resources, run, trainings.over)
        assert (ended.status, ended.step) == (RunStatus.CANCELLED.value, "cancelled")
        assert ended.model_id is None
        async with asyncio.timeout(10):
            while folder_of(resources, run).exists():
                await asyncio.sleep(0.05)


async def test_a_stopped_worker_hands_its_training_over_and_the_next_goes_on_where_it_was(
    resources: Resources, history: None
) -> None:
    run = await asked(resources)
    async with working(resources, "retrain", "relay"):
        await until(resources, run, at_work)
    handed_back = await now_of(resources, run)
    assert (handed_back.status, handed_back.attempts) == (RunStatus.REQUESTED.value, 0)
    kept = {path.name for path in folder_of(resources, run).rglob("*.*")}
    assert "useless-features.json" in kept
    assert any(name.endswith(".npy") for name in kept)
    steps: list[str] = []
    async with working(resources, "retrain", "relay"):

        def noted(found: TrainingRun) -> bool:
            steps.append(found.step)
            return trainings.over(found)

        ended = await until(resources, run, noted)
    assert ended.status == RunStatus.DONE.value
    assert not any("no use" in step for step in steps)
    assert not folder_of(resources, run).exists()
    model = await model_of(resources, run)
    assert model.metrics["search"]["candidates"] == 3
    whole = await train_and_register(resources, (await asked(resources)).id)
    assert whole
    for name in ("average_precision", "search", "dropped_features"):
        assert whole.metrics[name] == model.metrics[name]


async def test_the_message_is_gone_before_the_training_begins_and_the_schedule_finds_a_dead_worker(
    resources: Resources, history: None
) -> None:
    """No broker waits for the end of a training: RabbitMQ would take the delivery away after 30 minutes."""
    run = await asked(resources)
    async with working(resources, "relay"):
        context = JobContext(resources, asyncio.Event())
        worker = asyncio.ensure_future(JOBS["retrain"](context))
        await until(resources, run, at_work)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        consumer = await resources.bus.consumer([TRAINING], prefetch=1)
        assert await consumer.take(1, 1.5) == []
        await consumer.close()
        assert (await now_of(resources, run)).status == RunStatus.RUNNING.value
        await lose_worker(resources, run)
        async with working(resources, "retrain"):
            task = asyncio.create_task(schedule(context))
            ended = await until(resources, run, trainings.over)
            context.stopping.set()
            await task
    assert (ended.status, ended.attempts) == (RunStatus.DONE.value, 2)


async def test_a_redelivered_message_of_a_run_that_is_under_way_is_dropped(resources: Resources) -> None:
    run = await asked(resources)
    held = await take_up(resources, run)
    assert held
    async with working(resources, "retrain", "relay"):
        await asyncio.sleep(2)
        assert await resources.bus.depth(TRAINING) == 0
        assert (await now_of(resources, run)).attempts == 1


async def test_logged_vectors_are_read_and_only_what_is_missing_is_replayed(
    resources: Resources, history: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    decisions = await decisions_on_everything(resources)
    replayed = await train_and_register(resources, (await asked(resources)).id)
    assert replayed
    assert replayed.lineage["data"]["logged_vectors"] == 0
    assert replayed.lineage["data"]["replayed_vectors"] > 0.8 * replayed.lineage["data"]["payments"]
    early = len(decisions) // 2
    await insert(resources, [*decisions[:early], *decisions[early + 40 :]])
    some = await train_and_register(resources, (await asked(resources)).id)
    assert some
    assert some.lineage["data"]["replayed_vectors"] == 40
    await insert(resources, decisions[early : early + 40])

    def must_not(*_: Any) -> None:
        raise AssertionError("everything is logged")

    monkeypatch.setattr(job, "replay_into", must_not)
    logged = await train_and_register(resources, (await asked(resources)).id)
    assert logged
    assert logged.lineage["data"]["replayed_vectors"] == 0
    assert logged.lineage["data"]["logged_vectors"] == len(decisions)
    for other in (some, logged):
        assert other.metrics["average_precision"] == replayed.metrics["average_precision"]


async def decisions_on_everything(resources: Resources) -> list[dict[str, Any]]:
    """As a worker would have made them, in the order of acceptance."""
    async with resources.postgres.reading() as work:
        columns = await read_history(work)
    matrix = replay(columns.history)
    return [
        {
            "transaction_uid": UUID(bytes=uid), "version": 1, "outcome": "approve", "score": None, "margin": None,
            "base_margin": None, "anomaly": None, "reasons": [], "contributions": None, "rule_hits": [], "model_id": None,
            "policy_version": 1, "catalogue_version": CATALOGUE_VERSION,
            "features": [None if np.isnan(value) else value for value in vector.tolist()],
            "features_status": "complete", "decided_at": utc_now(),
        }
        for uid, vector in zip(columns.uids, matrix, strict=True)
    ]  # fmt: skip


async def insert(resources: Resources, decisions: list[dict[str, Any]]) -> None:
    async with resources.postgres.unit_of_work() as work:
        for start in range(0, len(decisions), 1_000):
            await flow.insert_decisions(work, decisions[start : start + 1_000])


async def test_the_lineage_names_labels_by_source_and_until_when(resources: Resources, history: None) -> None:
    run = await asked(resources)
    model = await train_and_register(resources, run.id)
    assert model
    found = model.lineage["data"]
    assert found["until"] == run.requested_at.isoformat()
    assert found["labels"]["import"]["fraud"] > 0
    assert found["labels"]["import"]["reported_until"] < found["until"]
    assert model.lineage["labels"]["used"] == "presume"
    async with resources.postgres.reading() as work:
        chances = [row async for rows in casework.walk_alert_chances(work, None) for row in rows]
    assert model.lineage["labels"]["alerts"] == sum(chance is None for _, chance in chances)


async def test_what_is_told_after_the_request_is_not_used(api: Api, resources: Resources, history: None) -> None:
    """So a training that is taken up again has the same payments and labels before it."""
    async with resources.postgres.reading() as work:
        before = await flow.count_transactions(work)
    run = await asked(resources)
    assert (await api.client.post("/v1/transactions", json=payment("late"))).status_code == 202
    label = {"transaction_id": "late", "label": "fraud", "source": "chargeback", "reported_at": utc_now().isoformat()}
    assert (await api.client.post("/v1/labels", json=[label])).status_code == 200
    model = await train_and_register(resources, run.id)
    assert model
    assert model.lineage["data"]["payments"] == before
    assert model.lineage["data"]["labels"].keys() == {"import"}
