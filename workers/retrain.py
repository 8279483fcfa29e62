"""Trains a challenger when asked, compares it with the champion on the same window, and registers it. A person promotes."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import cast
from uuid import UUID

import structlog

from core.acts import registry
from core.acts.audit import system
from core.acts.registry import NewModel
from core.base.errors import ModelRefused, RondaError
from core.base.ids import ModelId
from core.base.terms import RunStatus
from core.contracts.messages import TrainingRequested
from core.contracts.topology import TRAINING
from core.infra.bus import Delivery
from core.infra.resources import Resources
from core.stores import policy
from core.tables.policy import RegisteredModel
from models.features.catalogue import CATALOGUE_VERSION
from models.features.offline import replay
from models.scoring.dataset import Dataset
from models.scoring.scorer import Scorer
from models.scoring.training import Trained, TrainingOptions, train
from workers.handling import consume, read
from workers.history import put_logged_vectors, read_history
from workers.runner import JobContext

log = structlog.get_logger()
ACTOR = system("retrain")
Report = Callable[[float, str], None]
TELL_EVERY_S = 0.5


async def retrain(context: JobContext) -> None:
    async def handle(deliveries: list[Delivery]) -> None:
        for delivery, message in await read(deliveries, TrainingRequested):
            await train_and_register(context.resources, cast(TrainingRequested, message).run_id)
            await delivery.ack()

    await consume(context, [TRAINING], handle, most=1)


async def train_and_register(
    resources: Resources, run_id: UUID, report: Report = lambda _fraction, _step: None
) -> RegisteredModel | None:
    """One run from start to end; None when it failed (its row says why) or was done before.

    Progress goes to the run's row, for whoever looks, and to `report`.
    """
    async with resources.postgres.reading() as work:
        run = await policy.run(work, run_id)
    if run is None or run.status in (RunStatus.DONE.value, RunStatus.FAILED.value):
        return None
    progress = _Progress(resources, run_id, report)
    telling = asyncio.create_task(progress.tell_for_ever())
    try:
        trained = await _train(resources, progress.note)
        telling.cancel()
        return await _register(resources, run_id, run.requested_by, trained)
    except RondaError as error:
        telling.cancel()
        log.warning("training failed", run=str(run_id), detail=error.detail)
        await _move(resources, run_id, RunStatus.FAILED, progress.fraction, error.detail)
        return None
    finally:
        telling.cancel()


class _Progress:
    """Heard from the training thread, written by the event loop."""

    def __init__(self, resources: Resources, run_id: UUID, report: Report) -> None:
        self._resources, self._run_id, self._report = resources, run_id, report
        self.fraction, self.step = 0.0, "reading payments and labels"

    def note(self, fraction: float, step: str) -> None:
        self.fraction, self.step = fraction, step
        self._report(fraction, step)

    async def tell_for_ever(self) -> None:
        told: tuple[float, str] | None = None
        while True:
            if told != (self.fraction, self.step):
                told = (self.fraction, self.step)
                await _move(self._resources, self._run_id, RunStatus.RUNNING, *told)
            await asyncio.sleep(TELL_EVERY_S)


async def _train(resources: Resources, note: Report) -> Trained:
    note(0.0, "reading payments and labels")
    async with resources.postgres.reading() as work:
        columns = await read_history(work)
        champion = await policy.champion(work)
    note(0.1, "replaying features")
    matrix = await asyncio.to_thread(replay, columns.history)
    async with resources.postgres.reading() as work:
        logged = await put_logged_vectors(work, columns, matrix)
    log.info("training", payments=len(columns.uids), logged_vectors=logged)
    options = TrainingOptions(champion=await asyncio.to_thread(_champion, resources, champion))
    dataset = Dataset.of(columns, matrix)
    return await asyncio.to_thread(train, dataset, options, lambda part, step: note(0.15 + 0.8 * part, step))


def _champion(resources: Resources, model: RegisteredModel | None) -> Scorer | None:
    """The scorer to compare with; None without a champion or with one of another catalogue."""
    if model is None or model.catalogue_version != CATALOGUE_VERSION:
        return None
    try:
        return Scorer.load(resources.artifacts.get(model.artifact_sha))
    except ModelRefused as error:
        log.warning("the champion cannot be compared with", detail=error.detail)
        return None


async def _register(resources: Resources, run_id: UUID, requested_by: str, trained: Trained) -> RegisteredModel:
    new = NewModel(trained.artifact, CATALOGUE_VERSION, trained.metrics, trained.lineage)
    async with resources.postgres.unit_of_work() as work:
        model = await registry.register(
            work, resources.redis, resources.artifacts, new, requested_by=requested_by, by=ACTOR
        )
        step = "; ".join(registry.failed_gates(model)) or "registered as challenger"
        done = partial(registry.move_run, work, resources.redis, run_id, status=RunStatus.DONE, progress=1.0)
        await done(step=step, model_id=ModelId(model.id))
    return model


async def _move(resources: Resources, run_id: UUID, status: RunStatus, fraction: float, step: str) -> None:
    async with resources.postgres.unit_of_work() as work:
        await registry.move_run(work, resources.redis, run_id, status=status, progress=fraction, step=step)
