"""Registered models: ask for a training, register what it made, promote by a person."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from core.acts.audit import Actor, Event, record
from core.acts.outbox import enqueue
from core.base.clock import utc_now
from core.base.errors import NotAllowedNow, NotFound
from core.base.ids import ModelId, new_uuid
from core.base.terms import Action, ModelStage, Result, RunStatus
from core.contracts.messages import TrainingRequested
from core.contracts.topology import BELL_MODELS, BELL_RUNS, TRAINING
from core.infra.artifacts import Artifacts
from core.infra.postgres import UnitOfWork
from core.infra.redis import Redis, ring
from core.stores import policy
from core.tables.policy import RegisteredModel, TrainingRun

ID_DIGITS = 12


async def request_training(work: UnitOfWork, *, by: Actor) -> TrainingRun:
    """Queue a training; refused while another one is asked for or under way."""
    await policy.lock_models(work)
    if await policy.unfinished_run(work):
        raise NotAllowedNow("a training is under way already")
    run = TrainingRun(
        id=new_uuid(), status=RunStatus.REQUESTED.value, requested_by=str(by), requested_at=utc_now(), step="waiting"
    )
    await policy.save(work, run)
    await record(work, Event(by, Action.MODEL_TRAIN_REQUEST, "training_run", str(run.id)))
    await enqueue(work, TRAINING, TrainingRequested(run_id=run.id))
    return run


async def move_run(
    work: UnitOfWork,
    redis: Redis,
    run_id: UUID,
    *,
    status: RunStatus,
    progress: float,
    step: str,
    model_id: ModelId | None = None,
) -> None:
    """Write how far a training is; `step` is what people read."""
    run = await policy.run(work, run_id)
    if run is None:
        raise NotFound("there is no such training run")
    run.status, run.progress, run.step = status.value, progress, step
    run.started_at = run.started_at or utc_now()
    if status in (RunStatus.DONE, RunStatus.FAILED):
        run.ended_at, run.model_id = utc_now(), model_id
    await policy.save(work, run)
    work.after_commit.append(partial(ring, redis, BELL_RUNS, [str(run_id)]))


@dataclass(frozen=True)
class NewModel:
    """What a training hands over."""

    artifact: bytes
    catalogue_version: int
    metrics: Mapping[str, Any]
    lineage: Mapping[str, Any]


async def register(
    work: UnitOfWork, redis: Redis, artifacts: Artifacts, new: NewModel, *, requested_by: str, by: Actor
) -> RegisteredModel:
    """Store the artifact under its hash and list the model as challenger; the same bytes are registered once."""
    sha = artifacts.put(new.artifact)
    existing = await policy.model(work, ModelId(sha[:ID_DIGITS]))
    if existing:
        return existing
    model = RegisteredModel(
        id=sha[:ID_DIGITS],
        artifact_sha=sha,
        artifact_size=len(new.artifact),
        stage=ModelStage.CHALLENGER.value,
        catalogue_version=new.catalogue_version,
        metrics=dict(new.metrics),
        lineage=dict(new.lineage),
        trained_at=utc_now(),
        requested_by=requested_by,
    )
    await policy.save(work, model)
    figures = {name: new.metrics.get(name) for name in ("average_precision", "roc_auc")}
    await record(work, Event(by, Action.MODEL_REGISTER, "model", model.id, {"artifact": sha, **figures}))
    work.after_commit.append(partial(ring, redis, BELL_MODELS, [model.id]))
    return model


def failed_gates(model: RegisteredModel) -> list[str]:
    """Why this model may not be promoted, in words."""
    return [gate["detail"] for gate in model.metrics.get("gates", []) if not gate["passed"]]


async def promote(work: UnitOfWork, redis: Redis, model_id: ModelId, *, by: Actor, four_eyes: bool) -> RegisteredModel:
    """Make a challenger, or a retired model again, the champion. Scorers hear of it after the commit.

    Raises NotAllowedNow when a gate failed, or when four eyes are asked for and the promoter requested the training.
    """
    await policy.lock_models(work)
    model = await policy.model(work, model_id)
    if model is None:
        raise NotFound(f"there is no model {model_id}")
    if model.stage == ModelStage.CHAMPION.value:
        raise NotAllowedNow("this model is the champion already")
    refusals = failed_gates(model)
    if refusals:
        raise NotAllowedNow("this model did not pass its gates: " + "; ".join(refusals))
    if four_eyes and model.requested_by == str(by):
        raise NotAllowedNow("you asked for this model's training; a second person must promote it")
    before = await policy.champion(work)
    if before:
        before.stage = ModelStage.RETIRED.value
        await policy.save(work, before)
    model.stage, model.promoted_at, model.promoted_by = ModelStage.CHAMPION.value, utc_now(), str(by)
    await policy.save(work, model)
    detail = {"replaced": before.id if before else None}
    await record(work, Event(by, Action.MODEL_PROMOTE, "model", model.id, detail))
    work.after_commit.append(partial(ring, redis, BELL_MODELS, [model.id]))
    return model


async def note_load(work: UnitOfWork, model_id: str, *, ok: bool, detail: str, by: Actor) -> None:
    """A scorer took a model into use, or refused to."""
    result = Result.DONE if ok else Result.REFUSED
    await record(work, Event(by, Action.MODEL_LOAD, "model", model_id, {"detail": detail}, result))
