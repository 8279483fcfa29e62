"""SQL of the monitoring: bounded reads of recent decisions, of labels as they came, and of alerts with what they turned out to be.

Windows are event time (`occurred_at`), so a replay of past payments is looked at as it would have been then.

LIMIT in a lateral subquery is there for the planner: row by row over an index, never a join with whole tables, statistics or not.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from core.base.ids import ModelId
from core.base.terms import Label, LabelSource
from core.infra.postgres import UnitOfWork

_WEIGHTS = [source.value for source in LabelSource]
_BURST = 20_000
"""Most payments read of one stretch: a burst cannot fill the sample."""

_STRETCHES = """
    unnest(CAST(:starts AS timestamptz[]), CAST(:ends AS timestamptz[])) AS stretch(starts, ends)
    CROSS JOIN LATERAL (
        SELECT uid, occurred_at, customer_id FROM transaction
        WHERE occurred_at >= stretch.starts AND occurred_at < stretch.ends AND NOT imported
        ORDER BY occurred_at LIMIT :burst) AS t
    CROSS JOIN LATERAL (SELECT * FROM decision WHERE transaction_uid = t.uid AND version = 1 LIMIT 1) AS d
"""

Stretch = tuple[datetime, datetime]
"""[start, end) of event time."""


def _bounds(stretches: Sequence[Stretch]) -> dict[str, Any]:
    return {"starts": [start for start, _ in stretches], "ends": [end for _, end in stretches], "burst": _BURST}


async def newest_moment(work: UnitOfWork) -> datetime | None:
    """Of the newest posted payment or the report of the newest label, whichever is later; None before the first posted payment."""
    query = text(
        """
        SELECT (SELECT occurred_at FROM transaction WHERE NOT imported ORDER BY occurred_at DESC, uid DESC LIMIT 1),
               (SELECT reported_at FROM label WHERE withdrawn_at IS NULL ORDER BY received_at DESC LIMIT 1)
        """
    )
    payment, label = (await work.run(query)).one()
    return max(payment, label or payment) if payment else None


async def anything_since(work: UnitOfWork, moment: datetime) -> bool:
    """Whether a payment was decided or a label received after that."""
    query = text(
        "SELECT EXISTS (SELECT FROM decision WHERE decided_at > :moment) "
        "OR EXISTS (SELECT FROM label WHERE received_at > :moment AND withdrawn_at IS NULL)"
    )
    return bool((await work.run(query, {"moment": moment})).scalar_one())


async def count_decided(work: UnitOfWork, stretches: Sequence[Stretch], model_id: ModelId | None = None) -> int:
    """How many decided payments lie in these stretches; with `model_id`, of those that model decided."""
    query = text(
        f"SELECT count(*) FROM {_STRETCHES} WHERE CAST(:model AS text) IS NULL OR d.model_id = :model"  # noqa: S608 - no value is in it
    )
    return int((await work.run(query, {**_bounds(stretches), "model": model_id})).scalar_one())


async def walk_vectors(
    work: UnitOfWork, stretches: Sequence[Stretch], catalogue_version: int, *, batch: int = 50
) -> AsyncIterator[Sequence[tuple[datetime, list[float | None]]]]:
    """(occurred at, vector as scored) of complete decisions under this catalogue, the stretches' in turn, a `batch` of them at once."""
    query = text(
        f"SELECT t.occurred_at, d.features FROM {_STRETCHES} "  # noqa: S608 - no value is in it
        "WHERE d.catalogue_version = :version AND d.features_status = 'complete'"
    )
    for start in range(0, len(stretches), batch):
        values = {**_bounds(stretches[start : start + batch]), "version": catalogue_version}
        yield [(row[0], row[1]) for row in await work.run(query, values)]


@dataclass(frozen=True)
class ScoredPayment:
    uid: UUID
    occurred_at: datetime
    customer_id: str
    score: float
    outcome: str


async def scored(work: UnitOfWork, stretches: Sequence[Stretch], model_id: ModelId) -> list[ScoredPayment]:
    """Payments of these stretches that this model scored."""
    query = text(
        f"SELECT t.uid, t.occurred_at, t.customer_id, d.score, d.outcome FROM {_STRETCHES} "  # noqa: S608 - no value is in it
        "WHERE d.model_id = :model AND d.score IS NOT NULL"
    )
    return [ScoredPayment(*row) for row in await work.run(query, {**_bounds(stretches), "model": model_id})]


@dataclass(frozen=True)
class FraudReport:
    occurred_at: datetime
    reported_at: datetime


async def fraud_reports(work: UnitOfWork, since: datetime, limit: int = 100_000) -> list[FraudReport]:
    """The first time each fraud was reported, of payments from `since` on; the latest payments' when there are more."""
    query = text(
        """
        SELECT t.occurred_at, min(l.reported_at)
        FROM label AS l
        CROSS JOIN LATERAL (SELECT uid, occurred_at FROM transaction WHERE uid = l.transaction_uid LIMIT 1) AS t
        WHERE l.received_at >= :since AND t.occurred_at >= :since AND l.label = :fraud
          AND l.withdrawn_at IS NULL
        GROUP BY t.uid, t.occurred_at ORDER BY t.occurred_at DESC LIMIT :limit
        """
    )
    values = {"since": since, "fraud": Label.FRAUD.value, "limit": limit}
    return [FraudReport(*row) for row in await work.run(query, values)]


@dataclass(frozen=True)
class LabelledPayment:
    """label: what counts now, also "unsure". alerted, control_probability: as its alert says."""

    uid: UUID
    occurred_at: datetime
    customer_id: str
    score: float
    outcome: str
    label: str
    alerted: bool
    control_probability: float | None


async def labelled(
    work: UnitOfWork, model_id: ModelId, since: datetime, until: datetime, limit: int = 200_000
) -> list[LabelledPayment]:
    """Payments of [since, until) that this model scored and of which something was said; the newest when there are more."""
    query = text(
        """
        SELECT DISTINCT ON (t.uid) t.uid, t.occurred_at, t.customer_id, d.score, d.outcome, l.label,
               a.id IS NOT NULL, a.control_probability
        FROM label AS l
        CROSS JOIN LATERAL (SELECT * FROM transaction WHERE uid = l.transaction_uid LIMIT 1) AS t
        CROSS JOIN LATERAL (SELECT * FROM decision WHERE transaction_uid = t.uid AND version = 1 LIMIT 1) AS d
        LEFT JOIN LATERAL (SELECT * FROM alert WHERE transaction_uid = t.uid LIMIT 1) AS a ON true
        WHERE l.received_at >= :since AND t.occurred_at >= :since AND t.occurred_at < :until
          AND d.model_id = :model AND d.score IS NOT NULL AND l.withdrawn_at IS NULL
        ORDER BY t.uid DESC, array_position(CAST(:weights AS text[]), l.label_source) DESC, l.reported_at DESC
        LIMIT :limit
        """
    )
    values = {"model": model_id, "since": since, "until": until, "weights": _WEIGHTS, "limit": limit}
    return [LabelledPayment(*row) for row in await work.run(query, values)]


@dataclass(frozen=True)
class AlertTruth:
    """reason: code of the group that raised the score most; None when none did. label, source: what counts now. analyst: what the
    analyst said last.
    """

    outcome: str
    reason: str | None
    label: str | None
    source: str | None
    analyst: str | None


async def alert_truths(
    work: UnitOfWork, model_id: ModelId, since: datetime, until: datetime, limit: int = 20_000
) -> list[AlertTruth]:
    """Alerts on their own merit of payments of [since, until) that this model decided, newest first; control samples are none."""
    query = text(
        """
        SELECT d.outcome, jsonb_path_query_first(d.reasons, '$[*] ? (@.direction == "up").code') #>> '{}',
               counts.label, counts.label_source, analyst.label
        FROM alert AS a
        CROSS JOIN LATERAL (SELECT * FROM decision WHERE transaction_uid = a.transaction_uid AND version = 1 LIMIT 1) AS d
        LEFT JOIN LATERAL (
            SELECT label, label_source FROM label AS l WHERE l.transaction_uid = a.transaction_uid AND l.withdrawn_at IS NULL
            ORDER BY array_position(CAST(:weights AS text[]), label_source) DESC, reported_at DESC LIMIT 1) AS counts ON true
        LEFT JOIN LATERAL (
            SELECT label FROM label AS l WHERE l.transaction_uid = a.transaction_uid AND label_source = :analyst AND l.withdrawn_at IS NULL
            ORDER BY reported_at DESC LIMIT 1) AS analyst ON true
        WHERE a.opened_at >= :since AND a.occurred_at >= :since AND a.occurred_at < :until
          AND a.control_probability IS NULL AND d.model_id = :model
        ORDER BY a.opened_at DESC LIMIT :limit
        """
    )
    values = {"model": model_id, "since": since, "until": until, "limit": limit}
    rows = await work.run(query, {**values, "weights": _WEIGHTS, "analyst": LabelSource.ANALYST.value})
    return [AlertTruth(*row) for row in rows]
