"""SQL of the queue. Every statement is bounded, and every order has an index: nothing here grows with the alerts that are closed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, func, literal
from sqlmodel import col, select

from core.infra.postgres import UnitOfWork
from core.stores.queue_filter import AlertFilter, Look, base_condition, conditions, uuid_range
from core.tables.casework import SEARCHED, Alert

MOST_FOUND: Final = 2_000
"""Alerts that a search looks at for each kind of id."""
MOST_SELECTED: Final = 1_000


class Order(StrEnum):
    NEWEST = "newest"
    LOSS = "loss"
    DUE = "due"
    AMOUNT = "amount"
    SCORE = "score"


@dataclass(frozen=True)
class _Key:
    column: SQLColumnExpression[Any]
    descending: bool = True
    ids_descending: bool = False


_KEYS: Final[Mapping[Order, _Key]] = {
    Order.NEWEST: _Key(col(Alert.opened_at), ids_descending=True),
    Order.LOSS: _Key(col(Alert.expected_loss_minor)),
    Order.DUE: _Key(col(Alert.due_at), descending=False),
    Order.AMOUNT: _Key(col(Alert.amount_minor)),
    Order.SCORE: _Key(func.coalesce(col(Alert.score), -1)),
}
"""Amounts of all currencies stand side by side, in minor units; what no model scored comes last."""


@dataclass(frozen=True)
class Place:
    """Keyset of an order: strictly after this."""

    value: datetime | int | float
    id: UUID


def place_of(alert: Alert, order: Order) -> Place:
    match order:
        case Order.NEWEST:
            return Place(alert.opened_at, alert.id)
        case Order.DUE:
            return Place(alert.due_at, alert.id)
        case Order.LOSS:
            return Place(alert.expected_loss_minor, alert.id)
        case Order.AMOUNT:
            return Place(alert.amount_minor, alert.id)
        case Order.SCORE:
            return Place(-1.0 if alert.score is None else alert.score, alert.id)


def _after(place: Place, key: _Key) -> ColumnElement[bool]:
    """The first part alone is a range of the index."""
    ident, value = col(Alert.id), literal(place.value)
    later = ident < place.id if key.ids_descending else ident > place.id
    beyond = key.column < value if key.descending else key.column > value
    up_to = key.column <= value if key.descending else key.column >= value
    return and_(up_to, beyond | later)


def _ordering(key: _Key) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    ident = col(Alert.id)
    return (
        key.column.desc() if key.descending else key.column.asc(),
        ident.desc() if key.ids_descending else ident.asc(),
    )


@dataclass(frozen=True)
class Found:
    """Ids of the alerts that words find. cut: there are more of one kind than are looked at."""

    ids: list[UUID]
    cut: bool


async def search(work: UnitOfWork, words: str, *, most: int = MOST_FOUND) -> Found:
    """Alerts whose payment, or one of its entities, has an id that is `words` or begins so; also alerts by their own id.

    One ordered index range for each kind of id: never a walk over the table, however common the first characters are.
    """
    parts = [
        f"(SELECT {place}, id FROM alert WHERE {name} ~>=~ $1 AND {name} ~<~ $2 ORDER BY {name} USING ~<~, id LIMIT $3)"  # noqa: S608 - names of columns
        for place, name in enumerate(SEARCHED)
    ]
    values: list[Any] = [words, words + chr(0x10FFFF), most]
    bounds = uuid_range(words)
    if bounds:
        parts += [
            f"(SELECT {len(SEARCHED) + place}, id FROM alert WHERE {name} >= $4 AND {name} <= $5 ORDER BY {name} LIMIT $3)"  # noqa: S608
            for place, name in enumerate(("id", "transaction_uid"))
        ]
        values += bounds
    rows = await work.fetch(" UNION ALL ".join(parts), *values)
    kinds = [row[0] for row in rows]
    ids = dict.fromkeys(UUID(str(row[1])) for row in rows)
    return Found(list(ids), any(kinds.count(kind) >= most for kind in set(kinds)))


async def looked_up(work: UnitOfWork, wanted: AlertFilter, look: Look) -> tuple[Look, bool]:
    """With what the filter's words find, once for all statements that follow; and whether there is more than was looked at."""
    if not wanted.words:
        return look, False
    found = await search(work, wanted.words)
    return replace(look, found=found.ids), found.cut


async def page(
    work: UnitOfWork, wanted: AlertFilter, look: Look, *, order: Order, after: Place | None, limit: int
) -> Sequence[Alert]:
    key = _KEYS[order]
    query = select(Alert).where(base_condition(wanted, look), *conditions(wanted, look).values())
    query = query.order_by(*_ordering(key)).limit(limit)
    if after:
        query = query.where(_after(after, key))
    return (await work.session.exec(query)).all()


async def selected_ids(
    work: UnitOfWork, wanted: AlertFilter, look: Look, *, order: Order = Order.NEWEST, limit: int = MOST_SELECTED
) -> list[UUID]:
    """Of the alerts that match, in the view's order: what "all matching" means for an act on many."""
    look, _ = await looked_up(work, wanted, look)
    query = select(Alert.id).where(base_condition(wanted, look), *conditions(wanted, look).values())
    return list((await work.session.exec(query.order_by(*_ordering(_KEYS[order])).limit(limit))).all())
