"""Registered models: ask for a training, register what it made, and every step of a model's life, each by somebody."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from core.acts.audit import Actor, Event, record
from core.acts.outbox import enqueue
from core.base.clock import utc_now
from core.base.errors import InvalidInput, NotAllowedNow, NotFound
from core.base.ids import ModelId, new_uuid
from core.base.terms import Action, ModelStage, Result, RunStatus
from core.contracts.messages import TrainingRequested
from core.contracts.topology import BELL_MODELS, TRAINING
from core.infra.artifacts import Artifacts
from core.infra.postgres import UnitOfWork
from core.infra.redis import Redis, ring
from core.stores import policy
from core.tables.policy import RegisteredModel, TrainingRun

ID_DIGITS = 12
MOST_SHADOWS = 3
"""Each one costs every batch another pass over the payments."""


async def request_training(work: UnitOfWork, *, by: Actor, evidence: Mapping[str, Any] | None = None) -> TrainingRun:
    """Queue a training; refused while another one is asked for or under way. evidence: why, for the audit trail."""
    await policy.lock_models(work)
    if await policy.unfinished_run(work):
        raise NotAllowedNow("a training is under way already")
    run = TrainingRun(
        id=new_uuid(), status=RunStatus.REQUESTED.value, requested_by=str(by), requested_at=utc_now(), step="waiting"
    )
    await policy.save(work, run)
    await record(work, Event(by, Action.MODEL_TRAIN_REQUEST, "training_run", str(run.id), dict(evidence or {})))
    await enqueue(work, TRAINING, TrainingRequested(run_id=run.id))
    return run


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
    """Store the artifact under its hash and list the model: as candidate, or as refused when a gate failed.

    The same bytes are registered once.
    """
    sha = await asyncio.to_thread(artifacts.put, new.artifact)
    existing = await policy.model(work, ModelId(sha[:ID_DIGITS]))
    if existing:
        return existing
    refusals = _failed(new.metrics)
    model = RegisteredModel(
        id=sha[:ID_DIGITS],
        artifact_sha=sha,
        artifact_size=len(new.artifact),
        stage=(ModelStage.REFUSED if refusals else ModelStage.CANDIDATE).value,
        catalogue_version=new.catalogue_version,
        metrics=dict(new.metrics),
        lineage=dict(new.lineage),
        trained_at=utc_now(),
        requested_by=requested_by,
        refusals=refusals,
        signed_by=artifacts.signer,
    )
    detail = {
        "artifact": sha,
        "signed_by": model.signed_by,
        **{name: new.metrics.get(name) for name in ("average_precision", "roc_auc")},
        **({"refusals": refusals} if refusals else {}),
    }
    result = Result.REFUSED if refusals else Result.DONE
    await _store(work, redis, model, Event(by, Action.MODEL_REGISTER, "model", model.id, detail, result))
    return model


def _failed(metrics: Mapping[str, Any]) -> list[str]:
    return [gate["detail"] for gate in metrics.get("gates", []) if not gate["passed"]]


def failed_gates(model: RegisteredModel) -> list[str]:
    """Which gates this model did not pass, in words."""
    return _failed(model.metrics)


async def _store(work: UnitOfWork, redis: Redis, model: RegisteredModel, event: Event) -> None:
    """The model's row, the event of the act, and the doorbell to scorers and consoles."""
    await policy.save(work, model)
    await record(work, event)
    work.after_commit.append(partial(ring, redis, BELL_MODELS, [model.id]))


async def _found(work: UnitOfWork, model_id: ModelId) -> RegisteredModel:
    """Locks the models until the unit of work ends, so that two acts happen one after the other. Raises NotFound."""
    await policy.lock_models(work)
    model = await policy.model(work, model_id)
    if model is None:
        raise NotFound(f"there is no model {model_id}")
    return model


def _must_be_fit(model: RegisteredModel) -> None:
    reasons = model.refusals or failed_gates(model)
    if reasons or model.stage == ModelStage.REFUSED.value:
        raise NotAllowedNow(f"model {model.id} is refused: " + ("; ".join(reasons) or "no reason was recorded"))


async def start_shadow(work: UnitOfWork, redis: Redis, model_id: ModelId, *, by: Actor) -> RegisteredModel:
    """A candidate scores live payments beside the champion from now on; nobody acts on its scores."""
    model = await _found(work, model_id)
    _must_be_fit(model)
    if model.stage != ModelStage.CANDIDATE.value:
        raise NotAllowedNow(f"only a candidate can begin to shadow; this model is {_stage_words(model)}")
    if len(await policy.shadows(work)) >= MOST_SHADOWS:
        raise NotAllowedNow(f"{MOST_SHADOWS} models shadow already; stop one first")
    model.stage, model.shadow_since = ModelStage.SHADOW.value, utc_now()
    await _store(work, redis, model, Event(by, Action.MODEL_SHADOW_START, "model", model.id))
    return model


async def stop_shadow(work: UnitOfWork, redis: Redis, model_id: ModelId, *, by: Actor) -> RegisteredModel:
    """The model is a candidate again. Its scores so far stay."""
    model = await _found(work, model_id)
    if model.stage != ModelStage.SHADOW.value:
        raise NotAllowedNow(f"this model does not shadow; it is {_stage_words(model)}")
    model.stage, model.shadow_since = ModelStage.CANDIDATE.value, None
    await _store(work, redis, model, Event(by, Action.MODEL_SHADOW_STOP, "model", model.id))
    return model


async def promote(work: UnitOfWork, redis: Redis, model_id: ModelId, *, by: Actor, four_eyes: bool) -> RegisteredModel:
    """Make a challenger, or a retired model again, the champion. Scorers hear of it after the commit.

    Raises NotAllowedNow when the model is refused, or when four eyes are asked for and the promoter requested the training.
    """
    model = await _found(work, model_id)
    if model.stage == ModelStage.CHAMPION.value:
        raise NotAllowedNow("this model is the champion already")
    _must_be_fit(model)
    if four_eyes and model.requested_by == str(by):
        raise NotAllowedNow("you asked for this model's training; a second person must promote it")
    before = await policy.champion(work)
    if before:
        before.stage = ModelStage.RETIRED.value
        await policy.save(work, before)
    was = model.stage
    model.replaced = before.id if before else None
    _crown(model, by)
    detail = {"replaced": model.replaced, "was": was}
    await _store(work, redis, model, Event(by, Action.MODEL_PROMOTE, "model", model.id, detail))
    return model


def _crown(model: RegisteredModel, by: Actor) -> None:
    model.stage, model.shadow_since = ModelStage.CHAMPION.value, None
    model.promoted_at, model.promoted_by = utc_now(), str(by)


async def rollback(work: UnitOfWork, redis: Redis, *, by: Actor, reason: str) -> RegisteredModel:
    """Back to the champion before, in one step and by one person: it passed its gates and four eyes when it was promoted.

    The one that leaves is retired. Raises NotAllowedNow when there is no champion before it, or none that could score.
    """
    reason = _given(reason)
    await policy.lock_models(work)
    now = await policy.champion(work)
    before = await policy.model(work, ModelId(now.replaced)) if now and now.replaced else None
    if now is None or before is None:
        raise NotAllowedNow("there is no champion before this one to go back to")
    _must_be_fit(before)
    if before.catalogue_version != now.catalogue_version:
        raise NotAllowedNow(
            f"the champion before, {before.id}, reads feature catalogue {before.catalogue_version} and would not load"
        )
    now.stage, now.replaced = ModelStage.RETIRED.value, None
    await policy.save(work, now)
    _crown(before, by)
    detail = {"left": now.id, "reason": reason}
    await _store(work, redis, before, Event(by, Action.MODEL_ROLLBACK, "model", before.id, detail))
    return before


async def refuse(work: UnitOfWork, redis: Redis, model_id: ModelId, *, by: Actor, reason: str) -> RegisteredModel:
    """For good: it can neither shadow nor be promoted any more. Raises NotAllowedNow for the champion."""
    reason = _given(reason)
    model = await _found(work, model_id)
    if model.stage in (ModelStage.CHAMPION.value, ModelStage.REFUSED.value):
        raise NotAllowedNow(f"this model is {_stage_words(model)}")
    was = model.stage
    model.stage, model.shadow_since, model.refusals = ModelStage.REFUSED.value, None, [reason]
    await _store(work, redis, model, Event(by, Action.MODEL_REFUSE, "model", model.id, {"was": was, "reason": reason}))
    return model


def _given(reason: str) -> str:
    if not reason.strip():
        raise InvalidInput("a reason is needed: the audit trail keeps it")
    return reason.strip()


def _stage_words(model: RegisteredModel) -> str:
    match ModelStage(model.stage):
        case ModelStage.CANDIDATE:
            return "a candidate"
        case ModelStage.SHADOW:
            return "a shadow already"
        case ModelStage.CHAMPION:
            return "the champion"
        case ModelStage.RETIRED:
            return "retired"
        case ModelStage.REFUSED:
            return "refused already"


async def note_load(work: UnitOfWork, model_id: str, *, ok: bool, detail: str, by: Actor) -> None:
    """A scorer took a model into use, or refused to."""
    result = Result.DONE if ok else Result.REFUSED
    await record(work, Event(by, Action.MODEL_LOAD, "model", model_id, {"detail": detail}, result))
