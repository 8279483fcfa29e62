"""SQL of whose turn it is: the next open alert, of all or of those a view of the queue shows."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, func, literal_column
from sqlmodel import col, select

from core.infra.postgres import UnitOfWork
from core.stores.queue import looked_up
from core.stores.queue_filter import AlertFilter, Look, Standing, base_condition, conditions
from core.tables.casework import Alert

_OPEN = col(Alert.status) == literal_column("'open'")
"""Written out: the planner must see that the condition is the one of the partial index."""


async def next_open(work: UnitOfWork, wanted: AlertFilter, look: Look) -> Alert | None:
    """The open alert of those `wanted` whose turn it is, locked; those that others are just taking are passed over.

    The turn is when it was opened, an hour earlier for each doubling of its expected loss (the function alert_turn, and its index).
    """
    turn = func.alert_turn(Alert.opened_at, Alert.expected_loss_minor)
    query = select(Alert).where(_OPEN, *await _narrowed(work, wanted, look)).order_by(turn, col(Alert.id))
    return (await work.session.exec(query.limit(1).with_for_update(skip_locked=True))).one_or_none()


async def _narrowed(work: UnitOfWork, wanted: AlertFilter, look: Look) -> Sequence[ColumnElement[bool]]:
    """Whatever standing the view shows: only open alerts are taken."""
    wanted = replace(wanted, standing=Standing.UNCLOSED)
    look, _ = await looked_up(work, wanted, look)
    return [base_condition(wanted, look), *conditions(wanted, look).values()]
