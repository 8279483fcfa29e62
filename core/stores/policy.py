"""SQL of policies, registered models and training runs."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select

from core.base.ids import ModelId
from core.base.terms import ModelStage, RunStatus
from core.infra.postgres import UnitOfWork
from core.tables.policy import Policy, RegisteredModel, TrainingRun


async def current_policy(work: UnitOfWork) -> Policy | None:
    """The newest policy; None only before `ronda migrate` has seeded the first."""
    return (await work.session.exec(select(Policy).order_by(col(Policy.version).desc()).limit(1))).one_or_none()


async def champion(work: UnitOfWork) -> RegisteredModel | None:
    query = select(RegisteredModel).where(RegisteredModel.stage == ModelStage.CHAMPION.value)
    return (await work.session.exec(query)).one_or_none()


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


async def runs(work: UnitOfWork, limit: int) -> Sequence[TrainingRun]:
    """Newest first."""
    query = select(TrainingRun).order_by(col(TrainingRun.requested_at).desc()).limit(limit)
    return (await work.session.exec(query)).all()


async def unfinished_run(work: UnitOfWork) -> TrainingRun | None:
    """A run that is asked for or under way."""
    states = (RunStatus.REQUESTED.value, RunStatus.RUNNING.value)
    query = (
        select(TrainingRun).where(col(TrainingRun.status).in_(states)).order_by(col(TrainingRun.requested_at)).limit(1)
    )
    return (await work.session.exec(query)).one_or_none()


async def save(work: UnitOfWork, row: Policy | RegisteredModel | TrainingRun) -> None:
    work.session.add(row)
    await work.session.flush()
