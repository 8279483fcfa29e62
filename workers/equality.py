"""Redis is a cache of PostgreSQL: once in a while a small sample is compared, and what differs is found, told and repaired."""

import random
from datetime import timedelta
from typing import Final

import structlog
from redis.exceptions import RedisError

from core.acts.audit import Actor, Event, record, system
from core.base import telemetry
from core.base.clock import utc_now
from core.base.errors import Unavailable
from core.base.terms import Action
from core.infra.resources import Resources
from models.features.online import FeaturesUnavailable
from workers.comparing import Comparison, compare, compare_these
from workers.rebuild import rebuild_features
from workers.runner import JobContext

log = structlog.get_logger()
ACTOR: Final = system("equality")
TICK_S, FIRST_S = 15.0, 60.0
"""FIRST_S: a process that starts has more urgent things to do."""
TURN_KEY: Final = "ronda:equality"
"""Held between two comparisons: one process compares, however many run this job."""
REPAIRED_KEY: Final = "ronda:equality:repaired"
REPAIRED: Final = timedelta(days=1)
"""A difference that a rebuild did not mend is a fault of the program: building anew again and again would only hide it."""
TOLD: Final = 10


async def equality(context: JobContext) -> None:
    settings = context.resources.settings
    every, redis = timedelta(minutes=settings.equality_every_minutes), context.resources.redis
    draw = random.Random()  # noqa: S311 - a sample
    await context.pause(FIRST_S)
    while not context.stopping.is_set():
        try:
            if every and await redis.set(TURN_KEY, "taken", nx=True, ex=every):
                await audit_equality(context.resources, settings.equality_entities, draw=draw, by=ACTOR)
        except (FeaturesUnavailable, Unavailable, RedisError) as error:
            log.info("the features are compared later", detail=str(error))
        await context.pause(TICK_S)


async def audit_equality(resources: Resources, count: int, *, draw: random.Random, by: Actor) -> Comparison:
    """Compare; when something differs, put it on the trail and build the state anew, once. Raises FeaturesUnavailable, Unavailable."""
    found = await compare(resources, count, draw=draw)
    telemetry.FEATURES_COMPARED.inc(found.compared)
    telemetry.FEATURES_DIFFERING.inc(len(found.differing))
    telemetry.FEATURES_COMPARED_AT.set(utc_now().timestamp())
    if not found.differences:
        log.info("the features equal those of PostgreSQL", compared=found.compared, unsettled=found.unsettled)
        return found
    await _tell(resources, found, by)
    if not await resources.redis.set(REPAIRED_KEY, "taken", nx=True, ex=REPAIRED):
        log.error("the features differ again; they are not built anew by themselves more than once a day")
    elif await rebuild_features(resources, by=by) is not None:
        after = Comparison()
        await compare_these(resources, found.differing, after)
        if after.differences:
            log.error("building the features anew did not mend them", differing=len(after.differing))
            await _tell(resources, after, by)
    return found


async def _tell(resources: Resources, found: Comparison, by: Actor) -> None:
    first = [difference.as_json() for difference in found.differences[:TOLD]]
    log.error("the features differ from those of PostgreSQL", compared=found.compared, differing=len(found.differing))
    detail = {"compared": found.compared, "differing": len(found.differing), "first": first}
    async with resources.postgres.unit_of_work() as work:
        await record(work, Event(by, Action.FEATURES_DIFFER, "features", "sample", detail))
