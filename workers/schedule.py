"""What happens by the clock: expired claims go back to the queue; trainings whose worker was lost too; retraining when it is due."""

from datetime import timedelta

from core.acts import casework as acts
from core.acts import registry, trainings
from core.acts.audit import system
from core.base.clock import utc_now
from core.infra.postgres import UnitOfWork
from core.stores import casework, policy
from workers.runner import JobContext

TICK_S = 5.0
ACTOR = system("schedule")


async def schedule(context: JobContext) -> None:
    ticks = 0
    while not context.stopping.is_set():
        async with context.resources.postgres.unit_of_work() as work:
            await acts.release_expired(work, context.resources.redis, by=ACTOR)
        async with context.resources.postgres.unit_of_work() as work:
            await trainings.ask_again_for_stalled(work, context.resources.redis, by=ACTOR)
        if ticks % 12 == 0:
            await retrain_when_due(context)
        ticks += 1
        await context.pause(TICK_S)


async def retrain_when_due(context: JobContext) -> bool:
    """Ask for a training when enough labels arrived or the interval is over; whether it was asked for."""
    async with context.resources.postgres.unit_of_work() as work:
        if await policy.unfinished_run(work) or not await _due(context, work):
            return False
        await registry.request_training(work, by=ACTOR)
        return True


async def _due(context: JobContext, work: UnitOfWork) -> bool:
    settings = context.resources.settings
    if (
        settings.retrain_after_labels
        and await casework.labels_since_last_training(work) >= settings.retrain_after_labels
    ):
        return True
    if not settings.retrain_every_hours:
        return False
    last = await policy.runs(work, 1)
    return not last or utc_now() - last[0].requested_at >= timedelta(hours=settings.retrain_every_hours)
