"""What happens by the clock: expired claims and trainings whose worker was lost go back, retraining is asked for, months get partitions,
days are measured, old looks at models are removed."""

from datetime import timedelta

import structlog

from core.acts import casework as acts
from core.acts import overview, registry, trainings, watches
from core.acts.audit import Event, record, system
from core.base.clock import utc_now
from core.base.terms import Action
from core.infra.postgres import UnitOfWork
from core.stores import casework, partitions, policy
from workers.runner import JobContext

log = structlog.get_logger()
TICK_S = 5.0
MONTHS_AHEAD = 3
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
        if ticks % 6 == 0:
            async with context.resources.postgres.unit_of_work() as work:
                await overview.refresh(work, utc_now())
        if ticks % 720 == 0:
            await make_partitions(context)
            await forget_watches(context)
        ticks += 1
        await context.pause(TICK_S)


async def make_partitions(context: JobContext) -> int:
    """The next months' partitions, long before a row needs one; how many were made. Tried again in an hour when the tables are busy."""
    async with context.resources.postgres.unit_of_work() as work:
        made = await partitions.make_ahead(work, utc_now(), months=MONTHS_AHEAD)
        if made:
            detail = {"made": made, "months_ahead": MONTHS_AHEAD}
            await record(work, Event(ACTOR, Action.PARTITIONS_MAKE, "database", "partitions", detail))
    if made is None:
        log.warning("the next months' partitions are made later: the tables are busy")
    return made or 0


async def forget_watches(context: JobContext) -> int:
    before = utc_now() - timedelta(days=context.resources.settings.monitor_keep_days)
    async with context.resources.postgres.unit_of_work() as work:
        return await watches.forget(work, before, by=ACTOR)


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
