"""Payments in the order of their event times, cut into windows that may be sent at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from backend.replay.mapping import LABEL
from backend.replay.payments import UNKNOWN, Canonical, IntArray, bodies
from backend.replay.reading import BATCH_ROWS, BadRows, Rows
from core.base.clock import to_ms

_FAR = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Span:
    """Event times taken, in milliseconds: from <= t < until; at most `limit` payments, the earliest."""

    from_ms: int = UNKNOWN + 1
    until_ms: int = _FAR
    limit: int = _FAR

    @classmethod
    def of(cls, since: datetime | None, until: datetime | None, limit: int | None) -> "Span":
        return cls(
            cls.from_ms if since is None else to_ms(since),
            cls.until_ms if until is None else to_ms(until),
            cls.limit if limit is None else limit,
        )

    def mask(self, times: IntArray) -> npt.NDArray[np.bool_]:
        return np.asarray((times >= self.from_ms) & (times < self.until_ms), dtype=np.bool_)


@dataclass(frozen=True)
class Survey:
    """What a first look at the time column tells. `total` counts rows that may still turn out bad."""

    total: int
    in_order: bool


@dataclass(frozen=True)
class Window:
    """Consecutive payments of one stretch of event time. `fraud`: 1, 0 or -1 = not labelled."""

    bodies: list[dict[str, Any]]
    times: list[int]
    fraud: list[int]

    @property
    def last_ms(self) -> int:
        return self.times[-1]


def survey(rows: Rows, canonical: Canonical, span: Span) -> Survey:
    """Reads one column of the whole file, in batches; keeps nothing."""
    total, in_order, last = 0, True, int(UNKNOWN)
    for times in canonical.times(rows):
        taken = times[span.mask(times)]
        if taken.size:
            in_order = in_order and bool(taken[0] >= last) and bool(np.all(taken[1:] >= taken[:-1]))
            last = int(taken[-1])
            total += int(taken.size)
    return Survey(min(total, span.limit), in_order)


def in_time_order(
    rows: Rows, canonical: Canonical, span: Span, *, sorted_already: bool, bad: BadRows
) -> Iterator[pa.RecordBatch]:
    """The span's payments by event time, equal times as the file has them.

    A file in order is streamed. Another one is held in memory as Arrow columns and sorted: about 100 bytes a payment.
    """
    taken = (
        batch.filter(pa.array(span.mask(np.asarray(batch.column("occurred_ms")))))
        for batch in canonical.payments(rows, bad)
    )
    left = span.limit
    for batch in taken if sorted_already else _sorted(taken):
        yield batch.slice(0, left)
        left -= batch.num_rows
        if left <= 0:
            return


def _sorted(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    held = list(batches)
    if not held:
        return
    table = pa.Table.from_batches(held)
    order = pc.sort_indices(table, sort_keys=[("occurred_ms", "ascending")])
    for start in range(0, table.num_rows, BATCH_ROWS):
        yield from table.take(order.slice(start, BATCH_ROWS)).combine_chunks().to_batches()


def windows(batches: Iterator[pa.RecordBatch], size: int, shorter_than: timedelta) -> Iterator[Window]:
    """At most `size` payments whose event times lie less than `shorter_than` apart."""
    width = shorter_than // timedelta(milliseconds=1)
    held: pa.RecordBatch | None = None
    for batch in batches:
        held = batch if held is None else pa.concat_batches([held, batch])
        while held.num_rows > size:
            count = _fitting(held, size, width)
            yield _window(held.slice(0, count))
            held = held.slice(count)
    while held is not None and held.num_rows:
        count = _fitting(held, size, width)
        yield _window(held.slice(0, count))
        held = held.slice(count)


def _fitting(batch: pa.RecordBatch, size: int, width: int) -> int:
    times = np.asarray(batch.column("occurred_ms"))[:size]
    return int(np.searchsorted(times, times[0] + width, side="left"))


def _window(batch: pa.RecordBatch) -> Window:
    fraud = pc.fill_null(batch.column(LABEL), -1).to_pylist() if LABEL in batch.schema.names else [-1] * batch.num_rows
    return Window(bodies(batch), batch.column("occurred_ms").to_pylist(), fraud)
