"""SQL of policies, registered models, shadow scores and training runs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict, cast
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select

from core.base.ids import ModelId
from core.base.terms import ModelStage, RunStatus
from core.infra.postgres import UnitOfWork, Work
from core.stores.recordset import insert_rows
from core.tables.policy import ModelWatch, Policy, RegisteredModel, ShadowScore, TrainingRun


async def current_policy(work: UnitOfWork) -> Policy | None:
    """The newest policy; None only before `ronda migrate` has seeded the first."""
    return (await work.session.exec(select(Policy).order_by(col(Policy.version).desc()).limit(1))).one_or_none()


async def champion(work: UnitOfWork) -> RegisteredModel | None:
    query = select(RegisteredModel).where(RegisteredModel.stage == ModelStage.CHAMPION.value)
    return (await work.session.exec(query)).one_or_none()


async def shadows(work: UnitOfWork) -> Sequence[RegisteredModel]:
    """Those that shadow, the longest first."""
    query = select(RegisteredModel).where(RegisteredModel.stage == ModelStage.SHADOW.value)
    return (await work.session.exec(query.order_by(col(RegisteredModel.shadow_since)))).all()


async def insert_shadow_scores(work: Work, rows: Sequence[Mapping[str, Any]]) -> None:
    """`rows` name the columns of ShadowScore. What is scored already stays as it is."""
    await insert_rows(work, ShadowScore, rows, tail="ON CONFLICT (model_id, transaction_uid) DO NOTHING")


class Agreement(TypedDict):
    """How a shadow's answers stand to the decisions that were made on the same payments.

    more_alerts, fewer_alerts: payments that only the shadow, or only the decision, would have had looked at.
    mean_absolute_difference: of the two calibrated scores. correlation: theirs; None with less than two different scores.
    """

    payments: int
    same_outcome: int
    more_alerts: int
    fewer_alerts: int
    mean_absolute_difference: float | None
    correlation: float | None


async def shadow_agreement(work: UnitOfWork, model_id: ModelId, newest: int = 100_000) -> Agreement:
    """Over the `newest` payments it scored, where the decision had a score too. A control sample was decided as approved."""
    query = text(
        """
        SELECT count(*) AS payments,
               count(*) FILTER (WHERE s.outcome = d.outcome) AS same_outcome,
               count(*) FILTER (WHERE s.outcome <> 'approve' AND d.outcome = 'approve') AS more_alerts,
               count(*) FILTER (WHERE s.outcome = 'approve' AND d.outcome <> 'approve') AS fewer_alerts,
               avg(abs(s.score - d.score)) AS mean_absolute_difference,
               corr(s.score, d.score) AS correlation
        FROM (SELECT transaction_uid, score, outcome FROM shadow_score
              WHERE model_id = :model ORDER BY transaction_uid DESC LIMIT :newest) AS s
        JOIN decision AS d ON d.transaction_uid = s.transaction_uid AND d.version = 1
        WHERE d.score IS NOT NULL
        """
    )
    row = (await work.run(query, {"model": model_id, "newest": newest})).mappings().one()
    return cast(Agreement, dict(row))


async def model(work: UnitOfWork, model_id: ModelId) -> RegisteredModel | None:
    return await work.session.get(RegisteredModel, model_id)


async def lock_models(work: UnitOfWork) -> None:
    """One promotion at a time, until the end of this unit of work."""
    await work.run(text("SELECT pg_advisory_xact_lock(hashtext('ronda.models'))"))


async def models(work: UnitOfWork, limit: int) -> Sequence[RegisteredModel]:
    """Newest first."""
    query = select(RegisteredModel).order_by(col(RegisteredModel.trained_at).desc()).limit(limit)
    return (await work.session.exec(query)).all()


async def run(work: UnitOfWork, run_id: UUID) -> TrainingRun | None:
    return await work.session.get(TrainingRun, run_id)


async def lock_run(work: UnitOfWork, run_id: UUID) -> TrainingRun | None:
    """The run as it is now, nobody else's to change until this unit of work ends."""
    query = select(TrainingRun).where(TrainingRun.id == run_id).with_for_update()
    return (await work.session.exec(query.execution_options(populate_existing=True))).one_or_none()


async def stalled_runs(work: UnitOfWork, now: datetime, limit: int = 10) -> Sequence[TrainingRun]:
    """Under way by their rows, but their workers have not renewed the lease; locked until this unit of work ends."""
    query = (
        select(TrainingRun)
        .where(TrainingRun.status == RunStatus.RUNNING.value, col(TrainingRun.lease_until) < now)
        .order_by(col(TrainingRun.requested_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return (await work.session.exec(query)).all()


async def runs(work: UnitOfWork, limit: int) -> Sequence[TrainingRun]:
    """Newest first."""
    query = select(TrainingRun).order_by(col(TrainingRun.requested_at).desc()).limit(limit)
    return (await work.session.exec(query)).all()


async def standing(work: UnitOfWork, newest: int = 100) -> tuple[Any, ...]:
    """Equal as long as no model changed its stage and no training got further."""
    model = select(RegisteredModel.id, RegisteredModel.stage)
    run = select(TrainingRun.id, TrainingRun.status, TrainingRun.progress, TrainingRun.step)
    models = await work.session.exec(model.order_by(col(RegisteredModel.trained_at).desc()).limit(newest))
    trainings = await work.session.exec(run.order_by(col(TrainingRun.requested_at).desc()).limit(newest))
    return (*models.all(), *trainings.all())


async def unfinished_run(work: UnitOfWork) -> TrainingRun | None:
    """A run that is asked for or under way."""
    states = (RunStatus.REQUESTED.value, RunStatus.RUNNING.value)
    query = (
        select(TrainingRun).where(col(TrainingRun.status).in_(states)).order_by(col(TrainingRun.requested_at)).limit(1)
    )
    return (await work.session.exec(query)).one_or_none()


async def latest_watch(work: UnitOfWork, model_id: ModelId) -> ModelWatch | None:
    """The newest look at this model; None when nobody has looked yet."""
    query = select(ModelWatch).where(ModelWatch.model_id == model_id)
    return (await work.session.exec(query.order_by(col(ModelWatch.measured_at).desc()).limit(1))).one_or_none()


async def save(work: UnitOfWork, row: Policy | RegisteredModel | TrainingRun | ModelWatch) -> None:
    work.session.add(row)
    await work.session.flush()


async def forget_watches(work: UnitOfWork, before: datetime) -> int:
    """Remove the looks that were taken before then, but each model's newest; how many."""
    statement = text(
        "DELETE FROM model_watch AS old WHERE measured_at < :before AND EXISTS "
        "(SELECT FROM model_watch AS later WHERE later.model_id = old.model_id AND later.measured_at > old.measured_at)"
    )
    return (await work.run(statement, {"before": before})).rowcount
