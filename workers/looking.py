"""One look at the champion: bounded reads, then the measures of `models.monitoring`."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import structlog

from core.acts.watches import Watch
from core.base.clock import from_ms, to_ms, utc_now
from core.base.errors import ModelRefused
from core.base.ids import ModelId
from core.infra.postgres import UnitOfWork
from core.infra.resources import Resources
from core.stores import watching
from core.stores.watching import AlertTruth, Stretch
from core.tables.policy import RegisteredModel
from models.features.catalogue import CATALOGUE_VERSION, NAMES
from models.monitoring.arrival import Arrival
from models.monitoring.decay import DAY_MS
from models.monitoring.proposal import Findings, held_back, reasons
from models.monitoring.sampling import FIRST_SHARE, Stretches, share_for, stretches
from models.scoring.scorer import Scorer
from workers import findings
from workers.findings import RECENT_DAYS, Judged, Recent

log = structlog.get_logger()
HISTORY: Final = timedelta(days=90)
"""How far back labels, alerts and judged payments are read."""
MOST_VECTORS: Final = 20_000
MOST_SCORES: Final = 50_000
"""About; where few payments are, all of them are read, up to twice as many."""


@dataclass(frozen=True)
class _Seen:
    """until: payments before that are old enough to be judged."""

    recent: Recent
    arrival: Arrival | None
    old_enough_days: int
    since: datetime
    until: datetime
    alerts: list[AlertTruth]
    judged: Judged


async def look(resources: Resources, model: RegisteredModel) -> Watch:
    """Reads and measures; keeps nothing. Some seconds of one processor."""
    began = utc_now()
    scorer = await asyncio.to_thread(_scorer, resources, model)
    async with resources.postgres.reading() as work:
        seen = await _read(work, model, began)
    return await asyncio.to_thread(_measured, model, scorer, seen, began)


def _scorer(resources: Resources, model: RegisteredModel) -> Scorer | None:
    try:
        return Scorer.load(resources.artifacts.get(model.artifact_sha))
    except ModelRefused as error:
        log.warning("the champion cannot be looked at", model=model.id, detail=error.detail)
        return None


async def _read(work: UnitOfWork, model: RegisteredModel, began: datetime) -> _Seen:
    """Now is the newest moment in the data, as in a training: a replay of past payments is looked at as of then."""
    now = min(await watching.newest_moment(work) or began, began)
    recent = await _recent(work, now)
    since = now - HISTORY
    arrival = findings.arrived(await watching.fraud_reports(work, since), now)
    old_enough = findings.old_enough_days(arrival, model)
    until = now - timedelta(days=old_enough)
    ident = ModelId(model.id)
    return _Seen(
        recent,
        arrival,
        old_enough,
        since,
        until,
        await watching.alert_truths(work, ident, since, until),
        await _judged(work, ident, since, until),
    )


async def _recent(work: UnitOfWork, now: datetime) -> Recent:
    until = to_ms(now) + 1
    start = until - RECENT_DAYS * DAY_MS
    counted = await watching.count_decided(work, _stretches(stretches(start, until, FIRST_SHARE)))
    chosen = _stretches(stretches(start, until, share_for(MOST_VECTORS, counted)))
    occurred, parts = [], [np.empty((0, len(NAMES)))]
    async for rows in watching.walk_vectors(work, chosen, CATALOGUE_VERSION):
        occurred += [to_ms(moment) for moment, _ in rows]
        if rows:
            parts.append(np.array([vector for _, vector in rows], dtype=np.float64))
    return Recent(np.array(occurred, dtype=np.int64), np.concatenate(parts), until)


async def _judged(work: UnitOfWork, model_id: ModelId, since: datetime, until: datetime) -> Judged:
    start, end = to_ms(since), to_ms(until)
    counted = await watching.count_decided(work, _stretches(stretches(start, end, FIRST_SHARE)), model_id)
    chosen = stretches(start, end, share_for(MOST_SCORES, counted))
    sampled = await watching.scored(work, _stretches(chosen), model_id)
    return Judged(await watching.labelled(work, model_id, since, until), sampled, chosen.share)


def _stretches(chosen: Stretches) -> list[Stretch]:
    return [
        (from_ms(start), from_ms(end))
        for start, end in zip(chosen.start_ms.tolist(), chosen.end_ms.tolist(), strict=True)
    ]


def _measured(model: RegisteredModel, scorer: Scorer | None, seen: _Seen, began: datetime) -> Watch:
    compared = findings.compared(scorer, seen.recent)
    presume = findings.presumes(model)
    payments = findings.judged_payments(seen.judged, presume=presume)
    performance = findings.performance_json(payments, seen.until, model)
    figures: dict[str, Any] = {
        **findings.drift_json(compared),
        "labels": findings.labels_json(seen.arrival, seen.old_enough_days),
        "precision": findings.precision_json(seen.alerts, seen.since, seen.until, presume=presume),
        "performance": performance,
        "notes": [],
    }
    figures["notes"] = [*filter(None, [compared.note]), *_notes(figures)]
    top = model.metrics.get("top_features", [])
    why = reasons(Findings(compared.score, compared.drift, compared.since, top, performance))
    return Watch(ModelId(model.id), began, compared.window, figures, why, held_back(why))


def _notes(figures: dict[str, Any]) -> Iterator[str]:
    labels = figures["labels"]
    days = labels["old_enough_days"]
    if not labels["measured"]:
        yield f"too few frauds were reported to tell how long it takes; {days} days are taken for it"
    if figures["performance"] is None:
        yield f"performance is measured on payments the champion decided {days} days ago and more; there are none yet"
    if figures["precision"] is None:
        yield f"alert precision is measured on alerts of {days} days ago and more; there are none yet"
