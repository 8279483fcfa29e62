"""SQL of the queue's numbers. All of them are counted in the newest alerts, at most COUNTED, so that none costs more with time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    SQLColumnExpression,
    String,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    select,
    true,
    union_all,
)
from sqlmodel import col

from core.base.bands import LOWEST
from core.base.due import SOON
from core.base.terms import AlertStatus, DueState, ScoreBand
from core.infra.postgres import UnitOfWork
from core.stores.queue_filter import Age, AlertFilter, Look, Standing, base_condition, conditions, not_closed
from core.tables.casework import Alert

COUNTED: Final = 10_000


@dataclass(frozen=True)
class Facets:
    """total: how many alerts match. counts: how many each choice would show, the other filters as they are.

    cut: there are more than the newest COUNTED that were counted in.
    """

    total: int
    cut: bool
    counts: Mapping[str, Mapping[str, int]]


def _values(look: Look) -> dict[str, SQLColumnExpression[Any]]:
    score, opened, due = col(Alert.score), col(Alert.opened_at), col(Alert.due_at)
    hour, day = look.now - timedelta(hours=1), look.now - timedelta(days=1)
    return {
        "outcome": col(Alert.outcome),
        "band": case(
            *((score >= least, band.value) for band, least in LOWEST.items() if band is not ScoreBand.LOW),
            (score.is_(None), ScoreBand.NONE.value),
            else_=ScoreBand.LOW.value,
        ),
        "due": case(
            (col(Alert.status) == AlertStatus.CLOSED.value, null()),
            (due <= look.now, DueState.OVERDUE.value),
            (due <= look.now + SOON, DueState.SOON.value),
            else_=DueState.OK.value,
        ),
        "age": case((opened > hour, Age.HOUR.value), (opened > day, Age.DAY.value), else_=Age.OLDER.value),
        "reason": col(Alert.reason_code),
        "currency": col(Alert.currency),
        "control": case((col(Alert.control_probability).is_(None), "no"), else_="yes"),
    }


async def facets(work: UnitOfWork, wanted: AlertFilter, look: Look) -> Facets:
    """`look` with what the filter's words found."""
    narrowing, values = conditions(wanted, look), _values(look)
    base = (
        select(
            *(value.label(name) for name, value in values.items()),
            *(condition.label(f"in_{name}") for name, condition in narrowing.items()),
        )
        .where(base_condition(wanted, look))
        .order_by(col(Alert.opened_at).desc(), col(Alert.id).desc())
        .limit(COUNTED)
        .cte("base")
    )

    def others(name: str) -> ColumnElement[bool]:
        return and_(true(), *(base.c[f"in_{other}"] for other in narrowing if other != name))

    parts = [
        select(literal(name).label("facet"), cast(base.c[name], String).label("value"), func.count())
        .where(others(name), base.c[name].is_not(None))
        .group_by(base.c[name])
        for name in values
    ]
    parts.append(select(literal("all"), literal("matching"), func.count()).select_from(base).where(others("")))
    parts.append(select(literal("all"), literal("counted"), func.count()).select_from(base))
    counts: dict[str, dict[str, int]] = {name: {} for name in [*values, "all"]}
    for facet, value, count in await work.run(union_all(*parts)):
        counts[facet][value] = count
    everything = counts.pop("all")
    return Facets(everything["matching"], everything["counted"] >= COUNTED, counts)


def countable(wanted: AlertFilter) -> bool:
    """Badges are counted in what is not closed, and without a search."""
    return wanted.standing not in (Standing.CLOSED, Standing.ANY) and not wanted.words


async def badges(work: UnitOfWork, views: Sequence[AlertFilter], look: Look) -> list[int | None]:
    """How many alerts each view holds, in one walk over what is not closed; None for a view that is not countable."""
    asked = {place: view for place, view in enumerate(views) if countable(view)}
    if not asked:
        return [None] * len(views)
    inner = (
        select(
            *(
                and_(base_condition(view, look), *conditions(view, look).values()).label(f"v{place}")
                for place, view in asked.items()
            )
        )
        .where(not_closed())
        .order_by(col(Alert.opened_at).desc(), col(Alert.id).desc())
        .limit(COUNTED)
        .subquery()
    )
    row = (await work.run(select(*(func.count().filter(inner.c[f"v{place}"]) for place in asked)))).one()
    counts: dict[int, int] = dict(zip(asked, row, strict=True))
    return [counts.get(place) for place in range(len(views))]


async def claims(work: UnitOfWork, *, limit: int = 1000) -> dict[UUID, int]:
    """How many alerts each person has claimed."""
    query = (
        select(col(Alert.claimed_by), func.count())
        .where(col(Alert.status) == AlertStatus.CLAIMED.value)
        .group_by(col(Alert.claimed_by))
        .limit(limit)
    )
    return {row[0]: row[1] for row in await work.run(query) if row[0]}


async def without(work: UnitOfWork, wanted: AlertFilter, look: Look) -> dict[str, int]:
    """How many alerts there would be without each of the filters, one at a time: which of them is too narrow."""
    narrowing = conditions(wanted, look)
    if not narrowing:
        return {}
    inner = (
        select(*(condition.label(f"in_{name}") for name, condition in narrowing.items()))
        .where(base_condition(wanted, look))
        .order_by(col(Alert.opened_at).desc(), col(Alert.id).desc())
        .limit(COUNTED)
        .subquery()
    )
    counts = [
        func.count().filter(and_(true(), *(inner.c[f"in_{other}"] for other in narrowing if other != name)))
        for name in narrowing
    ]
    row = (await work.run(select(*counts).select_from(inner))).one()
    return dict(zip(narrowing, row, strict=True))
