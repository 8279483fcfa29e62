"""The state of `lua/histories.lua` as arrays, compiled by numba: same steps in the same order, so the same bits."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.compiled import compiled
from models.features.vector import FloatArray, FloatMatrix, IntArray

IntMatrix = npt.NDArray[np.int64]


class Rings(NamedTuple):
    """Histories of many owners in shared arrays. Owner g's record i (1 = oldest kept) is at segment[g] + head[g] + i - 1;
    last[g] = number of records, -1 = none; base[g] = totals of what was dropped. totals, base: one column a running total.
    occurred, payment: empty but for labels.
    """

    time: IntArray
    totals: FloatMatrix
    occurred: IntArray
    payment: IntArray
    segment: IntArray
    head: IntArray
    last: IntArray
    base: FloatMatrix


class Meetings(NamedTuple):
    """Whom each owner was seen with, in order of the last time."""

    other: IntArray
    seen: IntArray
    times: IntArray
    segment: IntArray
    length: IntArray


class Limits(NamedTuple):
    """`catalogue.Memory` and windows, in ms (days where it says so); subjects and windows by their number."""

    windows: IntArray
    largest_in: IntArray
    spike_windows: IntArray
    limit_windows: IntArray
    distinct_windows: IntArray
    label_windows: IntArray
    risk_days: IntArray
    category_days: int
    labelled: IntArray
    risked: IntArray
    pairs: IntMatrix
    forget: int
    retention: int
    retention_labels: int
    retention_days: int
    fraud_memory: int
    near_hour: int
    most_payments: int
    most_labels: int
    most_late: int
    own_payments: int
    known: int
    spike_quarters: int
    spike_after: int
    label_share: int
    home_payments: int


@compiled
def time_at(rings: Rings, g: int, index: int) -> int:
    return int(rings.time[rings.segment[g] + rings.head[g] + index - 1])


@compiled
def total_at(rings: Rings, g: int, index: int, which: int) -> float:
    if index == 0:
        return float(rings.base[g, which])
    return float(rings.totals[rings.segment[g] + rings.head[g] + index - 1, which])


@compiled
def last_upto(rings: Rings, g: int, moment: int, low: int, high: int) -> int:
    """Greatest index in [low, high] that is low or has a time of at most `moment`."""
    while high > low:
        middle = (low + high + 1) // 2
        if time_at(rings, g, middle) <= moment:
            low = middle
        else:
            high = middle - 1
    return low


@compiled
def first_reaching(rings: Rings, g: int, which: int, total: float, low: int, high: int) -> int:
    """Smallest index in (low, high] whose total is at least `total`; the one at `high` is."""
    while high - low > 1:
        middle = (low + high) // 2
        if total_at(rings, g, middle, which) < total:
            low = middle
        else:
            high = middle
    return high


@compiled
def forget(rings: Rings, g: int) -> None:
    rings.head[g] += max(rings.last[g], 0)
    rings.last[g] = -1


@compiled
def _drop_oldest(rings: Rings, g: int, newest: int, retention: int, most: int) -> None:
    last = rings.last[g]
    if last < 128 or last % 64 != 0:
        return
    middle = last - last // 2
    if time_at(rings, g, middle) >= newest - retention and last < 2 * most:
        return
    for which in range(rings.base.shape[1]):
        rings.base[g, which] = total_at(rings, g, middle, which)
    rings.head[g] += middle
    rings.last[g] = last - middle


@compiled
def insert(
    rings: Rings, g: int, at: int, time: int, amounts: FloatArray, occurred: int, payment: int,
    retention: int, most: int, most_late: int,
) -> None:  # fmt: skip
    """After index `at`. amounts: by how much each total grows."""
    last = rings.last[g]
    newest = time
    first = last < 0
    if first:
        at, last = 0, 0
        rings.base[g, :] = 0.0
    elif at < last:
        newest = time_at(rings, g, last)
        if newest - time > retention or last - at > most_late:
            return
    slot = rings.segment[g] + rings.head[g] + at
    for index in range(slot + last - at, slot, -1):
        rings.time[index] = rings.time[index - 1]
        for which in range(len(amounts)):
            rings.totals[index, which] = rings.totals[index - 1, which] + amounts[which]
        if len(rings.payment) > 0:
            rings.occurred[index] = rings.occurred[index - 1]
            rings.payment[index] = rings.payment[index - 1]
    for which in range(len(amounts)):
        rings.totals[slot, which] = total_at(rings, g, at, which) + amounts[which]
    rings.time[slot] = time
    if len(rings.payment) > 0:
        rings.occurred[slot] = occurred
        rings.payment[slot] = payment
    rings.last[g] = last + 1
    if not first:
        _drop_oldest(rings, g, newest, retention, most)


@compiled
def answer_days(out: FloatArray, rings: Rings, g: int, day: int, windows: IntArray) -> None:
    """Totals of the windows (in days) that end with `day`."""
    if g < 0:
        out[:] = -1
        return
    last = rings.last[g]
    if last < 1:
        out[:] = 0
        return
    at = last_upto(rings, g, day, 0, last)
    for index in range(len(windows)):
        before = last_upto(rings, g, day - windows[index], 0, at)
        out[2 * index] = total_at(rings, g, at, 0) - total_at(rings, g, before, 0)
        out[2 * index + 1] = total_at(rings, g, at, 1) - total_at(rings, g, before, 1)


@compiled
def add_to_day(rings: Rings, g: int, day: int, first: float, second: float, limits: Limits) -> None:
    if g < 0:
        return
    last = rings.last[g]
    at = last_upto(rings, g, day, 0, last) if last > 0 else last
    if last < 1 or at == 0 or time_at(rings, g, at) != day:
        amounts = np.array([first, second])
        insert(rings, g, at, day, amounts, 0, 0, limits.retention_days, 2 * limits.retention_days, limits.most_late)
        return
    start = rings.segment[g] + rings.head[g]
    for index in range(start + at - 1, start + last):
        rings.totals[index, 0] += first
        rings.totals[index, 1] += second
