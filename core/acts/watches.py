"""Keep what a look at the champion found. Where it proposes a training, the audit trail says so, and a setting may ask for the training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from core.acts import registry
from core.acts.audit import Actor, Event, record
from core.base.clock import utc_now
from core.base.ids import ModelId, new_uuid
from core.base.terms import Action, ModelStage
from core.infra.postgres import UnitOfWork
from core.stores import policy
from core.tables.policy import ModelWatch

BETWEEN_TRAININGS: Final = timedelta(days=7)
"""A training that drift asked for changes nothing until a person promotes its model; asking again each hour would not help."""


@dataclass(frozen=True)
class Watch:
    """began: when the look began. window: what was compared, None = too few payments yet. figures, reasons: see ModelWatch.
    held_back: why no training may be asked for without a person, in words.
    """

    model_id: ModelId
    began: datetime
    window: tuple[datetime, datetime] | None
    figures: Mapping[str, Any]
    reasons: Sequence[Mapping[str, Any]]
    held_back: str | None


async def keep(work: UnitOfWork, watch: Watch, *, by: Actor, retrain: bool) -> ModelWatch | None:
    """The look as it is kept; another process's when that looked at the same time. None when the model is not the champion any more.

    retrain: ask for a training where one is proposed and nothing speaks against it. A proposal is on the audit trail once, not at every
    look that finds the same kinds of reasons again.
    """
    await policy.lock_models(work)
    model = await policy.model(work, watch.model_id)
    if model is None or model.stage != ModelStage.CHAMPION.value:
        return None
    before = await policy.latest_watch(work, watch.model_id)
    if before and before.measured_at > watch.began:
        return before
    row = ModelWatch(
        id=new_uuid(),
        model_id=watch.model_id,
        measured_at=utc_now(),
        window_from=watch.window[0] if watch.window else None,
        window_until=watch.window[1] if watch.window else None,
        figures=dict(watch.figures),
        proposal=await _proposal(work, watch, by, retrain) if watch.reasons else None,
    )
    await policy.save(work, row)
    if row.proposal and _codes(row) != (_codes(before) if before else []):
        detail = {"watch": str(row.id), "reasons": [_brief(reason) for reason in watch.reasons]}
        await record(work, Event(by, Action.MODEL_TRAIN_PROPOSE, "model", watch.model_id, detail))
    return row


async def _proposal(work: UnitOfWork, watch: Watch, by: Actor, retrain: bool) -> dict[str, Any]:
    held_back = watch.held_back or await _not_now(work)
    run = None
    if retrain and held_back is None:
        evidence = {"model": watch.model_id, "reasons": [_brief(reason) for reason in watch.reasons]}
        run = await registry.request_training(work, by=by, evidence=evidence)
    return {
        "reasons": [dict(reason) for reason in watch.reasons],
        "training": str(run.id) if run else None,
        "held_back": held_back,
    }


async def _not_now(work: UnitOfWork) -> str | None:
    if await policy.unfinished_run(work):
        return "a training is under way already"
    last = await policy.runs(work, 1)
    if last and utc_now() - last[0].requested_at < BETWEEN_TRAININGS:
        return f"a training was asked for less than {BETWEEN_TRAININGS.days} days ago; look at its model first"
    return None


def _codes(watch: ModelWatch) -> list[str]:
    return [reason["code"] for reason in watch.proposal["reasons"]] if watch.proposal else []


def _brief(reason: Mapping[str, Any]) -> dict[str, Any]:
    return {"code": reason["code"], "text": reason["text"]}


async def forget(work: UnitOfWork, before: datetime, *, by: Actor) -> int:
    """Remove the looks that were taken before then, but each model's newest; how many. Proposals stay on the audit trail."""
    gone = await policy.forget_watches(work, before)
    if gone:
        await record(work, Event(by, Action.MODEL_WATCH_FORGET, "database", "model_watch", {"removed": gone}))
    return gone
