"""SQL of what stands behind a reason: the payments and labels that made its number, as they were known to the payment."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from core.base.terms import EntityKind, Label
from core.infra.postgres import UnitOfWork
from core.stores.flow import ENTITY_COLUMNS
from core.tables.flow import Transaction

MOST_LABELS: Final = 20_000
"""Newest label statements looked at; more than any window of the feature store counts."""

_TAKEN_BEFORE: Final = "(o.xid, o.uid) < (SELECT t.xid, t.uid FROM transaction t WHERE t.uid = :uid)"
"""Accepted before the payment in question."""


@dataclass(frozen=True)
class Behind:
    """Payments behind a number. count, amount_minor, currencies: of all of them; uids: those of the slice, newest first."""

    count: int
    amount_minor: int
    currencies: list[str]
    uids: list[UUID]


@dataclass(frozen=True)
class Slice:
    """Which of the rows to name."""

    skip: int = 0
    limit: int = 20


async def payments_behind(
    work: UnitOfWork,
    row: Transaction,
    kind: EntityKind,
    part: Slice,
    *,
    window: timedelta | None = None,
    most: int | None = None,
    with_itself: bool = True,
) -> Behind:
    """Payments of one of `row`'s entities, accepted before it, with an event time up to its own and within the window (t - w, t].

    most: only the newest so many, `row` among them where it counts `with_itself`.
    """
    column = ENTITY_COLUMNS[kind]
    since = " AND o.occurred_at > :since" if window else ""
    itself = " OR o.uid = :uid" if with_itself else ""
    picked = (
        f"SELECT o.uid, o.amount_minor, o.currency FROM transaction o "  # noqa: S608 - columns of ours
        f"WHERE o.{column} = :ident AND o.occurred_at <= :until{since} AND ({_TAKEN_BEFORE}{itself}) "
        "ORDER BY o.occurred_at DESC, o.xid DESC, o.uid DESC LIMIT :most"
    )
    values = {"uid": row.uid, "ident": getattr(row, column), "until": row.occurred_at, "most": most}
    if window:
        values["since"] = row.occurred_at - window
    return await _behind(work, picked, values, part)


async def pair_behind(work: UnitOfWork, row: Transaction, kind: EntityKind, part: Slice, *, most: int) -> Behind:
    """The customer's payments with one of `row`'s other entities, accepted before it: the `most` accepted last."""
    column = ENTITY_COLUMNS[kind]
    picked = (
        f"SELECT o.uid, o.amount_minor, o.currency FROM transaction o "  # noqa: S608 - columns of ours
        f"WHERE o.customer_id = :customer AND o.{column} = :ident AND {_TAKEN_BEFORE} "
        "ORDER BY o.xid DESC, o.uid DESC LIMIT :most"
    )
    values = {"uid": row.uid, "customer": row.customer_id, "ident": getattr(row, column), "most": most}
    return await _behind(work, picked, values, part)


async def _behind(work: UnitOfWork, picked: str, values: dict[str, Any], part: Slice) -> Behind:
    query = text(
        f"WITH picked AS MATERIALIZED ({picked}), numbered AS (SELECT *, row_number() OVER () AS place FROM picked) "  # noqa: S608
        "SELECT count(*), coalesce(sum(amount_minor), 0), array_agg(DISTINCT currency), "
        "array_agg(uid ORDER BY place) FILTER (WHERE place > :skip AND place <= :stop) FROM numbered"
    )
    edges = {"skip": part.skip, "stop": part.skip + part.limit}
    count, total, currencies, uids = (await work.run(query, values | edges)).one()
    return Behind(count, int(total), list(currencies or ()), list(uids or ()))


@dataclass(frozen=True)
class CountedLabel:
    """A label that counted for the payment in question."""

    transaction_uid: UUID
    label: str
    reported_at: datetime


async def labels_behind(
    work: UnitOfWork, row: Transaction, kind: EntityKind, *, window: timedelta | None = None
) -> list[CountedLabel]:
    """Labels at one of `row`'s entities that had arrived by then, newest report first: taken before it, reported up to its event time.

    A statement that repeats a payment's newest label, or was reported before it, is none of its own; UNSURE is none at all.
    """
    column = ENTITY_COLUMNS[kind]
    query = text(
        "SELECT l.transaction_uid, l.label, l.reported_at FROM label l JOIN transaction o ON o.uid = l.transaction_uid "  # noqa: S608
        f"WHERE o.{column} = :ident AND l.label <> :unsure "
        "AND date_trunc('milliseconds', l.received_at) <= :accepted "
        "ORDER BY l.received_at DESC, l.id DESC LIMIT :most"
    )
    values = {
        "ident": getattr(row, column),
        "unsure": Label.UNSURE.value,
        "accepted": row.accepted_at,
        "most": MOST_LABELS,
    }
    statements = [CountedLabel(*found) for found in (await work.run(query, values)).all()]
    since = row.occurred_at - window if window else None
    counted = [
        label
        for label in _each_once(reversed(statements))
        if label.reported_at <= row.occurred_at and (since is None or label.reported_at > since)
    ]
    counted.reverse()
    return sorted(counted, key=lambda label: label.reported_at, reverse=True)


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
