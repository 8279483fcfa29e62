"""Looks at the champion once in a while, and proposes a training, with its evidence, when the payments or the figures have moved away."""

import math
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

import structlog

from core.acts import watches
from core.acts.audit import Actor, system
from core.base import telemetry
from core.base.clock import utc_now
from core.base.errors import NotFound
from core.base.ids import ModelId
from core.infra.resources import Resources
from core.stores import policy, watching
from core.tables.policy import ModelWatch
from workers.looking import look
from workers.runner import JobContext

log = structlog.get_logger()
ACTOR: Final = system("monitor")
TICK_S: Final = 30.0


async def monitor(context: JobContext) -> None:
    every = timedelta(minutes=context.resources.settings.monitor_every_minutes)
    while not context.stopping.is_set():
        if every and await due(context.resources, every):
            # The champion may change while it is looked at; the next tick looks at the new one.
            with suppress(NotFound):
                _log(await watch_champion(context.resources, by=ACTOR))
        await context.pause(TICK_S)


async def due(resources: Resources, every: timedelta) -> bool:
    """There is a champion, the last look at it is long enough ago, and something has happened since."""
    async with resources.postgres.reading() as work:
        champion = await policy.champion(work)
        if champion is None:
            return False
        last = await policy.latest_watch(work, ModelId(champion.id))
        if last is None:
            return await watching.newest_moment(work) is not None
        return utc_now() - last.measured_at >= every and await watching.anything_since(work, last.measured_at)


async def watch_champion(resources: Resources, *, by: Actor) -> ModelWatch:
    """Look now, keep what was found, and ask for a training if the setting says so. Raises NotFound without a champion."""
    async with resources.postgres.reading() as work:
        champion = await policy.champion(work)
    if champion is None:
        raise NotFound("there is no champion to look at; promote a model first")
    found = await look(resources, champion)
    async with resources.postgres.unit_of_work() as work:
        kept = await watches.keep(work, found, by=by, retrain=resources.settings.retrain_on_drift)
    if kept is None:
        raise NotFound("the champion changed meanwhile; look again")
    _tell(kept)
    return kept


def _tell(watch: ModelWatch) -> None:
    """To whoever reads the metrics."""
    figures = watch.figures
    recent = (figures["performance"] or {}).get("recent") or {}
    telemetry.CHAMPION_PSI.set(_known(figures, "psi_max"))
    telemetry.CHAMPION_SCORE_PSI.set(_known(figures["score"], "psi"))
    telemetry.CHAMPION_FEATURES_MOVED.set(sum(one["moved"] for one in figures["drift"]))
    telemetry.CHAMPION_AVERAGE_PRECISION.set(_known(recent, "average_precision"))


def _log(watch: ModelWatch) -> None:
    if watch.proposal:
        why = "; ".join(reason["text"] for reason in watch.proposal["reasons"])
        log.warning("a training is proposed", model=watch.model_id, why=why, training=watch.proposal["training"])


def _known(figures: dict[str, Any] | None, name: str) -> float:
    found = figures.get(name) if figures else None
    return math.nan if found is None else float(found)
