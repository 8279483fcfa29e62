"""SQL of the overview: one day's figures, measured over indices and kept, and the state of the system in bounded reads."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select

from core.base.ids import first_uuid_at
from core.base.terms import AlertStatus, FeaturesStatus, Label, LabelSource, Outcome
from core.infra.postgres import UnitOfWork
from core.tables.casework import DayFigures

STEP: Final = 1.05
"""Each step of the histogram of times is so much longer than the one before: a percentile read from it is right to 2.5 %."""
_WEIGHTS: Final = [source.value for source in LabelSource]

_COUNTS: Final = """
    LEFT JOIN LATERAL (
        SELECT l.label FROM label AS l WHERE l.transaction_uid = a.transaction_uid AND l.withdrawn_at IS NULL
        ORDER BY array_position(CAST(:weights AS text[]), l.label_source) DESC, l.reported_at DESC LIMIT 1) AS counts ON true
"""
_OPENED: Final = text(
    f"""
    SELECT CASE WHEN a.control_probability IS NULL THEN a.outcome ELSE 'control' END, counts.label, count(*)
    FROM (SELECT transaction_uid, outcome, control_probability FROM alert
          WHERE opened_at >= :since AND opened_at < :until LIMIT :most) AS a {_COUNTS}
    GROUP BY 1, 2
    """  # noqa: S608 - no value is in it
)
_CLOSED: Final = text(
    """
    SELECT floor(ln(greatest(extract(epoch FROM closed_at - opened_at), 1)) / ln(CAST(:step AS float)))::int,
           count(*), count(closed_by)
    FROM (SELECT opened_at, closed_at, closed_by FROM alert WHERE closed_at >= :since AND closed_at < :until LIMIT :most) AS a
    GROUP BY 1
    """
)
_FRAUDS: Final = text(
    f"""
    SELECT t.currency, d.outcome = :decline OR (d.outcome = :review AND coalesce(said.label = :fraud, false)),
           count(*), sum(t.amount_minor)::bigint
    FROM (SELECT DISTINCT transaction_uid FROM label
          WHERE transaction_uid >= :first AND transaction_uid < :beyond AND label = :fraud
            AND withdrawn_at IS NULL LIMIT :most) AS a {_COUNTS}
    CROSS JOIN LATERAL (
        SELECT currency, amount_minor FROM transaction WHERE uid = a.transaction_uid AND NOT imported LIMIT 1) AS t
    CROSS JOIN LATERAL (
        SELECT outcome FROM decision WHERE transaction_uid = a.transaction_uid AND version = 1 LIMIT 1) AS d
    LEFT JOIN LATERAL (
        SELECT l.label FROM label AS l WHERE l.transaction_uid = a.transaction_uid AND l.label_source = :analyst
            AND l.withdrawn_at IS NULL
        ORDER BY l.reported_at DESC LIMIT 1) AS said ON true
    WHERE counts.label = :fraud
    GROUP BY 1, 2
    """  # noqa: S608 - no value is in it
)
MOST: Final = 200_000
"""Alerts, or frauds, of one day that are counted."""


async def measure(work: UnitOfWork, since: datetime, until: datetime) -> dict[str, Any]:
    """`figures` of the day [since, until) as DayFigures describes them, without `open`."""
    bounds = {"since": since, "until": until, "most": MOST}
    opened = {Outcome.REVIEW.value: 0, Outcome.DECLINE.value: 0, "control": 0}
    labels = {label.value: 0 for label in Label}
    for kind, label, count in await work.run(_OPENED, {**bounds, "weights": _WEIGHTS}):
        opened[kind] = opened.get(kind, 0) + count
        if label and kind != "control":
            labels[label] += count
    steps = (await work.run(_CLOSED, {**bounds, "step": STEP})).all()
    saved, lost = await _frauds(work, since, until)
    return {
        "opened": opened,
        "labels": labels,
        "closed": sum(row[1] for row in steps),
        "seconds": {str(row[0]): row[2] for row in steps if row[2]},
        "saved": saved,
        "lost": lost,
    }


async def _frauds(work: UnitOfWork, since: datetime, until: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
    values = {
        "first": first_uuid_at(since),
        "beyond": first_uuid_at(until),
        "most": MOST,
        "weights": _WEIGHTS,
        "decline": Outcome.DECLINE.value,
        "review": Outcome.REVIEW.value,
        "fraud": Label.FRAUD.value,
        "analyst": LabelSource.ANALYST.value,
    }
    saved: dict[str, Any] = {}
    lost: dict[str, Any] = {}
    for currency, kept, payments, amount in await work.run(_FRAUDS, values):
        (saved if kept else lost)[currency] = [payments, amount]
    return saved, lost


async def keep(work: UnitOfWork, day: date, measured_at: datetime, figures: dict[str, Any]) -> None:
    statement = text(
        "INSERT INTO day_figures (day, measured_at, figures) VALUES (:day, :measured_at, CAST(:figures AS jsonb)) "
        "ON CONFLICT (day) DO UPDATE SET measured_at = excluded.measured_at, figures = excluded.figures"
    )
    await work.run(statement, {"day": day, "measured_at": measured_at, "figures": json.dumps(figures)})


async def days(work: UnitOfWork, since: date, limit: int = 400) -> Sequence[DayFigures]:
    """Oldest first."""
    query = select(DayFigures).where(col(DayFigures.day) >= since).order_by(col(DayFigures.day)).limit(limit)
    return (await work.session.exec(query)).all()


async def began(work: UnitOfWork) -> datetime | None:
    """When the first payment was decided; None before that."""
    found = await work.run(text("SELECT decided_at FROM decision ORDER BY decided_at LIMIT 1"))
    moment: datetime | None = found.scalar_one_or_none()
    return moment


async def spoken_of(work: UnitOfWork, received_since: datetime, limit: int = 50_000) -> list[UUID]:
    """Payments that a label was received for since then, the latest when there are more."""
    query = text(
        "SELECT transaction_uid FROM label WHERE received_at >= :since AND label_source <> 'import' "
        "ORDER BY received_at DESC LIMIT :limit"
    )
    return [row[0] for row in await work.run(query, {"since": received_since, "limit": limit})]


async def count_open(work: UnitOfWork) -> int:
    """Alerts that are not closed, over the queue's index."""
    query = text("SELECT count(*) FROM alert WHERE status <> 'closed'")
    assert AlertStatus.CLOSED.value == "closed"  # the index's own condition
    return int((await work.run(query)).scalar_one())


@dataclass(frozen=True)
class SourceState:
    """last_at: when it last had a payment accepted, by the trail; None = never, with the keys it has."""

    id: str
    name: str
    last_at: datetime | None


async def sources(work: UnitOfWork, limit: int = 50) -> list[SourceState]:
    """By id. One lookup in the trail's index for each of their keys."""
    query = text(
        """
        SELECT s.id, s.name, max(seen.at) FROM (SELECT id, name FROM source ORDER BY id LIMIT :limit) AS s
        LEFT JOIN api_key AS k ON k.source_id = s.id
        LEFT JOIN LATERAL (
            SELECT at FROM audit_event WHERE subject_type = 'source_key' AND subject_id = k.prefix
            AND action = 'transactions.accept' ORDER BY id DESC LIMIT 1) AS seen ON true
        GROUP BY s.id, s.name ORDER BY s.id
        """
    )
    return [SourceState(*row) for row in await work.run(query, {"limit": limit})]


async def decided_without(work: UnitOfWork, since: datetime, most: int) -> int:
    """Payments decided without features or model since then; counted up to `most`."""
    query = text(
        """
        SELECT count(*) FROM (SELECT FROM decision
            WHERE version = 1 AND (features_status = 'degraded' OR score IS NULL) AND decided_at >= :since LIMIT :most) AS counted
        """
    )
    assert FeaturesStatus.DEGRADED.value == "degraded"  # the index's own condition
    return int((await work.run(query, {"since": since, "most": most})).scalar_one())
