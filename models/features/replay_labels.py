"""`lua/labels.lua` over arrays."""

import numpy as np

from models.compiled import compiled
from models.features.replay_state import (
    Limits,
    Rings,
    first_reaching,
    insert,
    last_upto,
    time_at,
    total_at,
)
from models.features.vector import FloatArray

FRAUDS, UNEXPLAINED = 0, 1


@compiled
def _occurred_at(rings: Rings, g: int, index: int) -> int:
    return int(rings.occurred[rings.segment[g] + rings.head[g] + index - 1])


@compiled
def _last_legitimate(rings: Rings, g: int, low: int, high: int) -> int:
    legitimate = high - total_at(rings, g, high, FRAUDS)
    while low < high:
        middle = (low + high) // 2
        if middle - total_at(rings, g, middle, FRAUDS) == legitimate:
            high = middle
        else:
            low = middle + 1
    return low


@compiled
def _answer_runs(
    out: FloatArray, rings: Rings, g: int, which: int, lowest: int, start: int, at: int, time: int, limits: Limits
) -> None:
    total = total_at(rings, g, at, which)
    out[0] = 0
    out[1:4] = -1
    if total <= total_at(rings, g, lowest, which):
        return
    last = first_reaching(rings, g, which, total, lowest, at)
    age = max(0, time - _occurred_at(rings, g, last))
    if age <= limits.fraud_memory:
        out[2] = age
        out[3] = at - last - (total_at(rings, g, at, FRAUDS) - total_at(rings, g, last, FRAUDS))
    before = total_at(rings, g, start, which)
    if total > before:
        out[0] = total - before
        first = first_reaching(rings, g, which, before + 1, start, at)
        out[1] = max(0, time - _occurred_at(rings, g, first))


@compiled
def fraud_history(out: FloatArray, rings: Rings, g: int, time: int, limits: Limits) -> None:
    windows = len(limits.label_windows)
    if g < 0:
        out[:] = -1
        return
    last = rings.last[g]
    lowest = max(0, last - limits.most_labels)
    at = last_upto(rings, g, time, lowest, last) if last > 0 else 0
    runs = 3 * windows
    if at <= lowest or time - time_at(rings, g, at) > limits.forget:
        out[:] = 0
        out[runs + 1 : runs + 4] = -1
        out[runs + 5 : runs + 8] = -1
        return
    bound = at
    for index in range(windows):
        bound = last_upto(rings, g, time - limits.label_windows[index], lowest, bound)
        out[3 * index] = at - bound
        out[3 * index + 1] = total_at(rings, g, at, FRAUDS) - total_at(rings, g, bound, FRAUDS)
        out[3 * index + 2] = total_at(rings, g, at, UNEXPLAINED) - total_at(rings, g, bound, UNEXPLAINED)
    start = _last_legitimate(rings, g, lowest, at)
    _answer_runs(out[runs : runs + 4], rings, g, FRAUDS, lowest, start, at, time, limits)
    _answer_runs(out[runs + 4 : runs + 8], rings, g, UNEXPLAINED, lowest, start, at, time, limits)
    newest = max(lowest, at - limits.label_share)
    out[runs + 8] = total_at(rings, g, at, UNEXPLAINED) - total_at(rings, g, newest, UNEXPLAINED)
    out[runs + 9] = at - newest


@compiled
def is_repeated(rings: Rings, g: int, payment: int, reported: int, fraud: float) -> bool:
    newest = -1.0
    newest_time = reported
    first_slot = rings.segment[g] + rings.head[g] - 1
    for index in range(1, rings.last[g] + 1):
        if rings.payment[first_slot + index] == payment:
            newest = total_at(rings, g, index, FRAUDS) - total_at(rings, g, index - 1, FRAUDS)
            newest_time = time_at(rings, g, index)
            if newest == fraud and newest_time == reported:
                return True
    return bool(newest == fraud or newest_time > reported)


@compiled
def was_usual(rings: Rings, g: int, occurred: int, amount: float) -> bool:
    """Whether the customer's payment of that time and amount was no spike when it was taken; false also when it is forgotten."""
    last = rings.last[g]
    if last < 1:
        return False
    at = last_upto(rings, g, occurred, 0, last)
    while at > 0 and time_at(rings, g, at) == occurred:
        if total_at(rings, g, at, 0) - total_at(rings, g, at - 1, 0) == amount:
            return bool(total_at(rings, g, at, 1) == total_at(rings, g, at - 1, 1))
        at -= 1
    return False


@compiled
def add_label(
    rings: Rings, g: int, payment: int, reported: int, occurred: int, fraud: float, unexplained: float, limits: Limits
) -> None:
    last = rings.last[g]
    at = last_upto(rings, g, reported, 0, last) if last > 0 else last
    amounts = np.array([fraud, unexplained])
    insert(
        rings,
        g,
        at,
        reported,
        amounts,
        occurred,
        payment,
        limits.retention_labels,
        limits.most_labels,
        limits.most_late,
    )
