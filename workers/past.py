"""Everything that was accepted, in the order the feature state takes it: payments, and labels between them.

One definition for the rebuild of Redis and for training, so that both see what live traffic saw.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from core.acts.labels import labelled_payment
from core.base.terms import Label, LabelSource
from core.contracts.messages import LabelledPayment, Payment
from core.infra.postgres import UnitOfWork
from core.stores import casework, commit_order, flow
from core.stores.casework import ArrivedLabel
from core.stores.commit_order import Place
from core.tables.flow import Transaction

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_NEVER = datetime.max.replace(tzinfo=UTC)
_IMPORT = LabelSource.IMPORT.value
Taken = Transaction | ArrivedLabel


async def walk_past(
    work: UnitOfWork, until: datetime | None = None, *, upto: Place | None = None
) -> AsyncIterator[list[Taken]]:
    """Payments in the order of acceptance, in batches. A label stands where it was received, one that was imported with its payment
    where event time reached its report, and none before its own payment. until: leave out what was accepted or received later.
    upto: leave out payments behind this place.
    About 100 bytes of memory a payment.
    """
    reported, received = (casework.walk_labels(work, with_history=with_history) for with_history in (True, False))
    async for taken in _merged(commit_order.walk(work), reported, received, until or _NEVER, upto):
        yield taken


async def past_of(payments: Sequence[Transaction], labels: Sequence[ArrivedLabel]) -> list[Taken]:
    """The same order for some payments, which come in that of acceptance, and their labels."""

    async def listed(items: Sequence[Any]) -> AsyncIterator[Sequence[Any]]:
        if items:
            yield items

    with_history = [item for item in labels if item.transaction.imported and item.label.label_source == _IMPORT]
    others = [item for item in labels if not (item.transaction.imported and item.label.label_source == _IMPORT)]
    with_history.sort(key=lambda item: (item.label.reported_at, item.label.id))
    others.sort(key=lambda item: (item.label.received_at, item.label.id))
    merged = _merged(listed(payments), listed(with_history), listed(others), _NEVER, None)
    return [item async for taken in merged for item in taken]


async def _merged(
    payments: AsyncIterator[Sequence[Transaction]],
    with_history: AsyncIterator[Sequence[ArrivedLabel]],
    others: AsyncIterator[Sequence[ArrivedLabel]],
    last: datetime,
    upto: Place | None,
) -> AsyncIterator[list[Taken]]:
    reported = _Labels(with_history, lambda item: item.label.reported_at)
    received = _Labels(others, lambda item: item.label.received_at)
    seen: set[UUID] = set()
    waiting: dict[UUID, list[ArrivedLabel]] = {}
    event_time = arrival = _LONG_AGO
    await reported.advance()
    await received.advance()
    async for rows in payments:
        taken: list[Taken] = []
        for row in rows:
            if row.accepted_at > last:
                continue
            if upto is not None and (row.xid, row.uid) > (upto.xid, upto.uid):
                continue
            event_time, arrival = max(event_time, row.occurred_at), max(arrival, row.accepted_at)
            for labels, moment in ((reported, event_time), (received, arrival)):
                while labels.next_at <= moment:
                    item = await labels.pop()
                    uid = item.label.transaction_uid
                    if item.label.received_at > last:
                        continue
                    (taken if uid in seen else waiting.setdefault(uid, [])).append(item)
            taken.append(row)
            seen.add(row.uid)
            taken += waiting.pop(row.uid, [])
        yield taken
    for labels in (reported, received):
        while labels.next_at < _NEVER:
            item = await labels.pop()
            if item.label.transaction_uid in seen and item.label.received_at <= last:
                yield [item]


def as_taken(row: Taken) -> Payment | LabelledPayment:
    """The feature state's form of it."""
    if isinstance(row, Transaction):
        return flow.payment_of(row)
    label = row.label
    return labelled_payment(row.transaction, Label(label.label), LabelSource(label.label_source), label.reported_at)


class _Labels:
    """A walk that can be looked ahead in."""

    def __init__(self, walk: AsyncIterator[Sequence[ArrivedLabel]], moment: Callable[[ArrivedLabel], datetime]) -> None:
        self._walk, self._moment = walk, moment
        self._held: list[ArrivedLabel] = []
        self.next_at = _LONG_AGO

    async def advance(self) -> None:
        """Look at the next label."""
        if not self._held:
            self._held = list(reversed(await anext(self._walk, [])))
        self.next_at = self._moment(self._held[-1]) if self._held else _NEVER

    async def pop(self) -> ArrivedLabel:
        item = self._held.pop()
        await self.advance()
        return item
