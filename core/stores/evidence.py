"""SQL of what stands behind a judgement: payments and labels that made a reason's number, and alerts raised for similar reasons."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from core.base.clock import to_ms
from core.base.terms import Label, LabelSource
from core.infra.postgres import UnitOfWork
from core.stores.flow import ENTITY_COLUMNS
from core.tables.casework import Alert
from core.tables.flow import Transaction

_DAY_MS: Final = 86_400_000
MOST_LABELS: Final = 20_000
"""Newest label statements looked at; more than any window of the feature store counts."""

_COLUMNS: Final = {
    **{kind.value: column for kind, column in ENTITY_COLUMNS.items()},
    "category": "merchant_category",
    "country": "merchant_country",
    "currency": "currency",
}
_PLACE: Final = (
    "floor(round((o.{0} + :from_{0}) * 100000) / 100000) = floor(round((:{0} + :from_{0}) * 100000) / 100000)"
)
_TAKEN_BEFORE: Final = "(o.xid, o.uid) < (SELECT t.xid, t.uid FROM transaction t WHERE t.uid = :uid)"
"""Accepted before the payment in question."""


def _sharing(row: Transaction, subjects: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """SQL for payments `o` that share these with `row`, and its values. A place is a square degree."""
    conditions: list[str] = []
    values: dict[str, Any] = {}
    for subject in subjects:
        if subject == "place":
            conditions += [_PLACE.format("latitude"), _PLACE.format("longitude")]
            values |= {"latitude": row.latitude, "longitude": row.longitude, "from_latitude": 90, "from_longitude": 180}
        else:
            column = _COLUMNS[subject]
            conditions.append(f"o.{column} = :{column}")
            values[column] = getattr(row, column)
    return " AND ".join(conditions), values


@dataclass(frozen=True)
class Behind:
    """Payments behind a number. count, amount_minor, currencies, distinct: of all of them; uids: those of the slice, newest first."""

    count: int
    uids: list[UUID]
    amount_minor: int = 0
    currencies: Sequence[str] = ()
    distinct: int | None = None


@dataclass(frozen=True)
class Slice:
    """Which of the rows to name."""

    skip: int = 0
    limit: int = 20


async def payments_behind(
    work: UnitOfWork,
    row: Transaction,
    subjects: Sequence[str],
    part: Slice,
    *,
    window: timedelta | None = None,
    most: int | None = None,
    with_itself: bool = True,
    located: bool = False,
    distinct: str | None = None,
) -> Behind:
    """Payments that share `subjects` with `row`, accepted before it, with an event time up to its own and within the window (t - w, t].

    most: only the newest so many, `row` among them where it counts `with_itself`. located: only those that say where they were made.
    distinct: subject whose different ones are counted.
    """
    sharing, values = _sharing(row, subjects)
    since = " AND o.occurred_at > :since" if window else ""
    where = " AND o.latitude IS NOT NULL AND o.longitude IS NOT NULL" if located else ""
    itself = " OR o.uid = :uid" if with_itself else ""
    picked = (
        f"SELECT o.* FROM transaction o WHERE {sharing} AND o.occurred_at <= :until{since}{where} "  # noqa: S608 - columns of ours
        f"AND ({_TAKEN_BEFORE}{itself}) ORDER BY o.occurred_at DESC, o.xid DESC, o.uid DESC LIMIT :most"
    )
    values |= {"uid": row.uid, "until": row.occurred_at, "most": most}
    if window:
        values["since"] = row.occurred_at - window
    return await _behind(work, picked, values, part, distinct)


async def pair_behind(work: UnitOfWork, row: Transaction, subjects: Sequence[str], part: Slice, *, most: int) -> Behind:
    """Payments that share `subjects` with `row`, accepted before it, whatever their event time: the `most` accepted last."""
    sharing, values = _sharing(row, subjects)
    picked = (
        f"SELECT o.* FROM transaction o WHERE {sharing} AND {_TAKEN_BEFORE} "  # noqa: S608 - columns of ours
        "ORDER BY o.xid DESC, o.uid DESC LIMIT :most"
    )
    return await _behind(work, picked, values | {"uid": row.uid, "most": most}, part, None)


async def _behind(work: UnitOfWork, picked: str, values: dict[str, Any], part: Slice, distinct: str | None) -> Behind:
    different = f"count(DISTINCT {_COLUMNS[distinct]})" if distinct else "NULL"
    query = text(
        f"WITH picked AS MATERIALIZED ({picked}), numbered AS (SELECT *, row_number() OVER () AS place FROM picked) "  # noqa: S608
        f"SELECT count(*), coalesce(sum(amount_minor), 0), array_agg(DISTINCT currency), {different}, "
        "array_agg(uid ORDER BY place) FILTER (WHERE place > :skip AND place <= :stop) FROM numbered"
    )
    edges = {"skip": part.skip, "stop": part.skip + part.limit}
    count, total, currencies, others, uids = (await work.run(query, values | edges)).one()
    return Behind(count, list(uids or ()), int(total), tuple(currencies or ()), others)


@dataclass(frozen=True)
class CountedLabel:
    """A label that counted for the payment in question."""

    transaction_uid: UUID
    label: str
    reported_at: datetime


async def labels_behind(
    work: UnitOfWork, row: Transaction, subject: str, *, window: timedelta | None = None, by_day: bool = False
) -> list[CountedLabel]:
    """Labels at payments that share `subject` with `row`, newest report first: received before it, reported up to its event time.

    A statement that repeats a payment's newest label, or was reported before it, is none of its own; UNSURE is none at all.
    by_day: the window is whole UTC days, the payment's own the last.
    """
    sharing, values = _sharing(row, [subject])
    query = text(
        "SELECT l.transaction_uid, l.label, l.reported_at FROM label l JOIN transaction o ON o.uid = l.transaction_uid "  # noqa: S608
        f"WHERE {sharing} AND l.label <> :unsure AND l.withdrawn_at IS NULL AND date_trunc('milliseconds', l.received_at) <= :accepted "
        "ORDER BY l.received_at DESC, l.id DESC LIMIT :newest"
    )
    values |= {"unsure": Label.UNSURE.value, "accepted": row.accepted_at, "newest": MOST_LABELS}
    statements = [CountedLabel(*found) for found in (await work.run(query, values)).all()]
    after, until = _bounds(row.occurred_at, window, by_day)
    counted = [label for label in _each_once(reversed(statements)) if after < to_ms(label.reported_at) <= until]
    counted.reverse()
    return sorted(counted, key=lambda label: label.reported_at, reverse=True)


def _bounds(moment: datetime, window: timedelta | None, by_day: bool) -> tuple[int, int]:
    """Milliseconds (after, until]."""
    until = to_ms(moment)
    if by_day:
        until += _DAY_MS - until % _DAY_MS - 1
    return (until - window // timedelta(milliseconds=1) if window else -1), until


def _each_once(statements: Iterable[CountedLabel]) -> list[CountedLabel]:
    """What the feature store takes of statements in the order of their arrival."""
    newest: dict[UUID, CountedLabel] = {}
    taken = []
    for statement in statements:
        last = newest.get(statement.transaction_uid)
        if last is None or (statement.label != last.label and statement.reported_at >= last.reported_at):
            newest[statement.transaction_uid] = statement
            taken.append(statement)
    return taken


@dataclass(frozen=True)
class SimilarAlert:
    """An earlier alert with a known outcome. distance: in log-odds. label: the one that counts, fraud or legitimate."""

    alert_id: UUID
    distance: float
    label: str


async def similar_alerts(
    work: UnitOfWork, alert: Alert, *, as_of: datetime, candidates: int, limit: int, within: float
) -> list[SimilarAlert]:
    """The nearest by reason vector, nearest first, of the `candidates` newest alerts opened before this one.

    Only alerts whose payment had a label by `as_of`; the weightiest source's counts, and of those the latest reported. Exact: every
    candidate is measured.
    """
    if not alert.reason_vector:
        return []
    axes = range(len(alert.reason_vector))
    squares = " + ".join(f"(reason_vector[{axis + 1}] - CAST(:v{axis} AS real)) ^ 2" for axis in axes)
    query = text(
        "WITH earlier AS MATERIALIZED (SELECT id, transaction_uid, reason_vector FROM alert "  # noqa: S608 - numbers only
        "  WHERE (opened_at, id) < (:opened_at, :id) AND catalogue_version = :catalogue "
        "  ORDER BY opened_at DESC, id DESC LIMIT :candidates), "
        f"measured AS MATERIALIZED (SELECT id, transaction_uid, sqrt({squares}) AS distance FROM earlier ORDER BY distance) "
        "SELECT m.id, m.distance, said.label FROM measured m, LATERAL ("
        "  SELECT l.label FROM label l WHERE l.transaction_uid = m.transaction_uid AND l.withdrawn_at IS NULL AND l.received_at <= :as_of "
        "  ORDER BY array_position(CAST(:sources AS text[]), l.label_source) DESC, l.reported_at DESC LIMIT 1) said "
        "WHERE m.distance <= :within AND said.label <> :unsure ORDER BY m.distance, m.id LIMIT :limit"
    )
    values: dict[str, Any] = {f"v{axis}": value for axis, value in zip(axes, alert.reason_vector, strict=True)}
    values |= {
        "opened_at": alert.opened_at,
        "id": alert.id,
        "catalogue": alert.catalogue_version,
        "candidates": candidates,
        "as_of": as_of,
        "sources": [source.value for source in LabelSource],
        "within": within,
        "unsure": Label.UNSURE.value,
        "limit": limit,
    }
    return [SimilarAlert(*found) for found in (await work.run(query, values)).all()]
