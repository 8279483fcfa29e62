"""Trains a challenger when asked, compares it with the champion on the same window, and registers it. A person promotes."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, cast
from uuid import UUID

import numpy as np
import structlog

from core.acts import registry, trainings
from core.acts.audit import system
from core.acts.registry import NewModel
from core.base.errors import ModelRefused, RondaError, Unavailable
from core.base.ids import ModelId
from core.base.settings import Settings
from core.base.tasks import end
from core.base.terms import RunStatus
from core.contracts.messages import TrainingRequested
from core.contracts.topology import TRAINING
from core.infra.resources import Resources
from core.stores import policy
from core.tables.policy import RegisteredModel, TrainingRun
from models.features.catalogue import CATALOGUE_VERSION, NAMES
from models.features.offline import BoolArray, replay_into
from models.features.vector import Vectors
from models.scoring.dataset import Dataset
from models.scoring.scorer import Scorer
from models.scoring.steps import Report, TrainingCancelled
from models.scoring.training import SearchOptions, Trained, TrainingOptions, train
from workers.handling import TAKE_WAIT_S, read
from workers.history import PaymentColumns, put_logged_vectors, read_history
from workers.runner import JobContext
from workers.trainings import RunFolder

log = structlog.get_logger()
ACTOR = system("retrain")
TELL_EVERY_S: Final = 0.5
RENEW_EVERY: Final = 20
"""The lease is renewed at least once in so many tells, however slow the step."""


async def retrain(context: JobContext) -> None:
    while not context.stopping.is_set():
        run = await _next_run(context)
        if run:
            await _carry_out(context.resources, run, stopping=context.stopping.is_set)


async def _next_run(context: JobContext) -> TrainingRun | None:
    """The run a message asked for, ours by its row. The message is acknowledged, and the consumer closed, before a training begins:
    it may take longer than a broker waits (see `core.acts.trainings`).
    """
    resources = context.resources
    consumer = await resources.bus.consumer([TRAINING], prefetch=1)
    try:
        while not context.stopping.is_set():
            for delivery, message in await read(await consumer.take(1, TAKE_WAIT_S), TrainingRequested):
                run = await _take_up(resources, cast(TrainingRequested, message).run_id)
                await delivery.ack()
                if run:
                    return run
    finally:
        await consumer.close()
    return None


async def train_and_register(
    resources: Resources,
    run_id: UUID,
    report: Report = lambda _fraction, _step: None,
    options: TrainingOptions | None = None,
) -> RegisteredModel | None:
    """One run from start to end; None when it failed or was cancelled (its row says why). Waits while another worker has it.

    Progress goes to the run's row, for whoever looks, and to `report`.
    """
    while True:
        run = await _take_up(resources, run_id)
        if run:
            return await _carry_out(resources, run, report, options=options)
        async with resources.postgres.reading() as work:
            found = await policy.run(work, run_id)
            if found is None or trainings.over(found):
                return await policy.model(work, ModelId(found.model_id)) if found and found.model_id else None
        report(found.progress, found.step)
        await asyncio.sleep(1)


async def _take_up(resources: Resources, run_id: UUID) -> TrainingRun | None:
    async with resources.postgres.unit_of_work() as work:
        return await trainings.take_up(work, resources.redis, run_id)


async def _carry_out(
    resources: Resources,
    run: TrainingRun,
    report: Report = lambda _fraction, _step: None,
    stopping: Callable[[], bool] = lambda: False,
    options: TrainingOptions | None = None,
) -> RegisteredModel | None:
    progress, folder = _Progress(resources, run, report, stopping), RunFolder(resources.settings.data_dir, run.id)
    telling = asyncio.create_task(progress.tell_for_ever())
    try:
        # Who may not sign learns it before the work, not after.
        await asyncio.to_thread(lambda: resources.artifacts.signer)
        model = await _register(resources, run, await _train(resources, run, progress, folder, options))
    except TrainingCancelled:
        await _stopped(resources, run, folder, lost=progress.lost)
        return None
    except Unavailable:
        # Nothing is wrong with the training: the lease runs out, and the run is asked for again.
        raise
    except RondaError as error:
        log.warning("training failed", run=str(run.id), detail=error.detail)
        await _end(resources, run, RunStatus.FAILED, error.detail)
        model = None
    finally:
        # Whatever ended it: a training thread that is still at work stops at its next step.
        progress.lost = True
        await end(telling)
    await asyncio.to_thread(folder.drop)
    return model


class _Progress:
    """Heard from the training thread, written by the event loop, which hears in turn whether to go on."""

    def __init__(self, resources: Resources, run: TrainingRun, report: Report, stopping: Callable[[], bool]) -> None:
        self._resources, self._run, self._report, self._stopping = resources, run, report, stopping
        self.fraction, self.step = run.progress, "reading payments and labels"
        self.lost = False
        """It is to be cancelled, or not ours any more."""

    def note(self, fraction: float, step: str) -> None:
        self.fraction, self.step = fraction, step
        self._report(fraction, step)

    def cancelled(self) -> bool:
        return self.lost or self._stopping()

    def check(self) -> None:
        """Raises TrainingCancelled."""
        if self.cancelled():
            raise TrainingCancelled("the training was stopped")

    async def tell_for_ever(self) -> None:
        told: tuple[float, str] | None = None
        turn = 0
        while not self.lost:
            if told != (self.fraction, self.step) or turn % RENEW_EVERY == 0:
                told = (self.fraction, self.step)
                # A database that is away for a moment is none of the training's business; the lease has room for it.
                with suppress(Unavailable):
                    self.lost = not await self._tell(*told)
            turn += 1
            await asyncio.sleep(TELL_EVERY_S)

    async def _tell(self, fraction: float, step: str) -> bool:
        run = self._run
        async with self._resources.postgres.unit_of_work() as work:
            return await trainings.tell(
                work, self._resources.redis, run.id, run.attempts, progress=fraction, step=step
            )  # fmt: skip


async def _train(
    resources: Resources, run: TrainingRun, progress: _Progress, folder: RunFolder, options: TrainingOptions | None
) -> Trained:
    """On what was known when the run was asked for: a training that is taken up again has the same data before it."""
    checkpoints = await asyncio.to_thread(folder.open)
    progress.note(0.0, "reading payments and labels")
    async with resources.postgres.reading() as work:
        columns = await read_history(work, until=run.requested_at)
        champion = await policy.champion(work)
    progress.check()
    options = options or training_options(resources.settings)
    options = replace(options, champion=await asyncio.to_thread(_champion, resources, champion))
    vectors = await _vectors(resources, columns, options, progress, folder)
    progress.check()
    provenance = {
        "data": {
            "until": run.requested_at.isoformat(),
            "payments": len(columns.uids),
            "logged_vectors": vectors.logged,
            "replayed_vectors": vectors.replayed,
            "labels": {source: dict(told) for source, told in columns.labels_told.items()},
        }
    }
    log.info("training", run=str(run.id), payments=len(columns.uids), logged=vectors.logged, replayed=vectors.replayed)
    return await asyncio.to_thread(
        train,
        Dataset.of(columns, vectors.matrix),
        options,
        lambda part, step: progress.note(0.15 + 0.8 * part, step),
        cancelled=progress.cancelled,
        checkpoints=checkpoints,
        provenance=provenance,
    )


def training_options(settings: Settings) -> TrainingOptions:
    return TrainingOptions(
        search=SearchOptions(candidates=settings.search_candidates),
        label_scheme=settings.label_scheme,
        threads=settings.training_threads,
    )


@dataclass(frozen=True)
class _Vectors:
    """matrix: of the newest payments, in single precision. logged, replayed: how many rows come from decisions, and from a replay."""

    matrix: Vectors
    logged: int
    replayed: int


async def _vectors(
    resources: Resources, columns: PaymentColumns, options: TrainingOptions, progress: _Progress, folder: RunFolder
) -> _Vectors:
    """As scored, where a decision says so. What is missing of the payments that are old enough to learn from is replayed."""
    progress.note(0.02, "reading logged features")
    rows = min(len(columns.uids), options.most_payments)
    matrix = np.full((rows, len(NAMES)), np.nan, dtype=np.float32)
    async with resources.postgres.reading() as work:
        logged = await put_logged_vectors(work, columns, matrix)
    missing = ~logged & _old_enough(columns, options)[len(columns.uids) - rows :]
    if missing.any():
        some = bool(logged.any())
        await asyncio.to_thread(_replay_missing, columns, matrix, missing, progress, folder, logged=some)
    return _Vectors(matrix, int(logged.sum()), int(missing.sum()))


def _old_enough(columns: PaymentColumns, options: TrainingOptions) -> BoolArray:
    occurred = columns.history.occurred_at_ms
    delay_ms = options.split.label_delay_days * 86_400_000
    newest = max(int(occurred.max(initial=0)), int(columns.reported_at_ms.max(initial=0)))
    return np.asarray(occurred <= newest - delay_ms)


def _replay_missing(
    columns: PaymentColumns,
    matrix: Vectors,
    missing: BoolArray,
    progress: _Progress,
    folder: RunFolder,
    *,
    logged: bool,
) -> None:
    """A replay is of everything, because every payment's features come from those before it. logged: some rows stay as they are."""

    def told(done: float) -> None:
        progress.check()
        progress.note(0.03 + 0.12 * done, "replaying features that were not logged")

    told(0.0)
    replayed = folder.replayed(columns.history, len(matrix))
    if replayed is None:
        replayed = np.empty_like(matrix) if logged else matrix
        replay_into(replayed, columns.history, report=told)
        folder.keep_replayed(columns.history, replayed)
    if replayed is matrix:
        # The same data, whether it was replayed now or before the training was cut short.
        matrix[~missing] = np.nan
    else:
        np.copyto(matrix, replayed, where=missing[:, None])


def _champion(resources: Resources, model: RegisteredModel | None) -> Scorer | None:
    """The scorer to compare with; None without a champion or with one of another catalogue."""
    if model is None or model.catalogue_version != CATALOGUE_VERSION:
        return None
    try:
        return Scorer.load(resources.artifacts.get(model.artifact_sha))
    except ModelRefused as error:
        log.warning("the champion cannot be compared with", detail=error.detail)
        return None


async def _register(resources: Resources, run: TrainingRun, trained: Trained) -> RegisteredModel:
    new = NewModel(trained.artifact, CATALOGUE_VERSION, trained.metrics, trained.lineage)
    async with resources.postgres.unit_of_work() as work:
        model = await registry.register(
            work, resources.redis, resources.artifacts, new, requested_by=run.requested_by, by=ACTOR
        )
        refusals = registry.failed_gates(model)
        step = "refused: " + "; ".join(refusals) if refusals else "registered as challenger"
        ended: dict[str, Any] = {"status": RunStatus.DONE, "step": step, "model_id": model.id}
        await trainings.end(work, resources.redis, run.id, run.attempts, **ended)
    return model


async def _stopped(resources: Resources, run: TrainingRun, folder: RunFolder, *, lost: bool) -> None:
    """The end was asked for, or this process stops and another worker goes on where it was."""
    if lost:
        if await _end(resources, run, RunStatus.CANCELLED, "cancelled"):
            await asyncio.to_thread(folder.drop)
        return
    async with resources.postgres.unit_of_work() as work:
        await trainings.hand_back(work, resources.redis, run.id, run.attempts)


async def _end(resources: Resources, run: TrainingRun, status: RunStatus, step: str) -> bool:
    async with resources.postgres.unit_of_work() as work:
        return await trainings.end(work, resources.redis, run.id, run.attempts, status=status, step=step)
