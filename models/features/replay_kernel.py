"""The rule of `features.lua` over arrays, compiled by numba: same steps in the same order, so the same bits.

Imported by `offline.replay` when it runs (numba takes most of a second to import, and some to compile the first time).
"""

from typing import NamedTuple

import numpy as np

from models.compiled import compiled
from models.features.vector import FloatArray, IntArray


class Rings(NamedTuple):
    """Histories of many entities in shared arrays. Entity g owns the slots from segment[g]; its record i (1 = oldest kept) is at
    segment[g] + head[g] + i - 1; last[g] = number of records, -1 = none; base[g] = total of what was dropped.
    """

    time: IntArray
    total: FloatArray
    occurred: IntArray
    payment: IntArray
    segment: IntArray
    head: IntArray
    last: IntArray
    base: FloatArray


class Known(NamedTuple):
    """What each customer has paid with, least recent first."""

    token: IntArray
    seen: IntArray
    segment: IntArray
    length: IntArray


class Limits(NamedTuple):
    """`catalogue.Memory` and windows, in ms."""

    windows: IntArray
    label_windows: IntArray
    labelled: IntArray
    paired: IntArray
    forget: int
    retention: int
    retention_labels: int
    fraud_memory: int
    most_payments: int
    most_labels: int
    most_late: int
    own_payments: int
    known: int


@compiled
def _time_at(rings: Rings, g: int, index: int) -> int:
    return int(rings.time[rings.segment[g] + rings.head[g] + index - 1])


@compiled
def _total_at(rings: Rings, g: int, index: int) -> float:
    if index == 0:
        return float(rings.base[g])
    return float(rings.total[rings.segment[g] + rings.head[g] + index - 1])


@compiled
def _last_upto(rings: Rings, g: int, moment: int, low: int, high: int) -> int:
    """Greatest index in [low, high] that is low or has a time of at most `moment`."""
    while high > low:
        middle = (low + high + 1) // 2
        if _time_at(rings, g, middle) <= moment:
            low = middle
        else:
            high = middle - 1
    return low


@compiled
def _drop_oldest(rings: Rings, g: int, newest: int, retention: int, most: int) -> None:
    last = rings.last[g]
    if last < 128 or last % 64 != 0:
        return
    middle = last - last // 2
    if _time_at(rings, g, middle) >= newest - retention and last < 2 * most:
        return
    rings.base[g] = _total_at(rings, g, middle)
    rings.head[g] += middle
    rings.last[g] = last - middle


@compiled
def _insert(
    rings: Rings,
    g: int,
    at: int,
    time: int,
    amount: float,
    occurred: int,
    payment: int,
    retention: int,
    most: int,
    most_late: int,
) -> None:
    last = rings.last[g]
    newest = time
    if last < 0:
        at, last = 0, 0
        rings.base[g] = 0.0
    elif at < last:
        newest = _time_at(rings, g, last)
        if newest - time > retention or last - at > most_late:
            return
    before = _total_at(rings, g, at)
    slot = rings.segment[g] + rings.head[g] + at
    for index in range(slot + last - at, slot, -1):
        rings.time[index] = rings.time[index - 1]
        rings.total[index] = rings.total[index - 1] + amount
        if len(rings.payment) > 0:
            rings.occurred[index] = rings.occurred[index - 1]
            rings.payment[index] = rings.payment[index - 1]
    rings.time[slot] = time
    rings.total[slot] = before + amount
    if len(rings.payment) > 0:
        rings.occurred[slot] = occurred
        rings.payment[slot] = payment
    first = rings.last[g] < 0
    rings.last[g] = last + 1
    if not first:
        _drop_oldest(rings, g, newest, retention, most)


@compiled
def _own_amounts(out: FloatArray, rings: Rings, g: int, at: int, lowest: int, most: int) -> None:
    count = min(at - lowest, most)
    if count <= 0:
        out[0] = 0
        out[1:5] = -1
        return
    amounts = np.empty(count)
    later = _total_at(rings, g, at)
    total = later
    for back in range(count):
        earlier = _total_at(rings, g, at - 1 - back)
        amounts[back] = later - earlier
        later = earlier
    total = total - later
    deviations = 0.0
    for index in range(count):
        deviation = count * amounts[index] - total
        deviations = deviations + deviation * deviation
    amounts.sort()
    out[0] = count
    out[1] = total
    out[2] = amounts[(count + 1) // 2 - 1] + amounts[count // 2]
    out[3] = deviations
    out[4] = amounts[count - 1]


@compiled
def _velocity(out: FloatArray, own: FloatArray, rings: Rings, g: int, time: int, amount: float, limits: Limits) -> bool:
    """Fills `out` (2 per window, then time since the previous payment) and returns whether the entity was new."""
    if g < 0:
        out[:] = -1
        return True
    last = rings.last[g]
    if last > 0 and time - _time_at(rings, g, last) > limits.forget:
        rings.head[g] += last
        rings.last[g] = -1
        last = -1
    lowest = max(0, last - limits.most_payments)
    at = _last_upto(rings, g, time, lowest, last) if last > 0 else 0
    total = _total_at(rings, g, at) if last > 0 else 0.0
    bound = at
    for index in range(len(limits.windows)):
        before = 0.0
        if last > 0:
            bound = _last_upto(rings, g, time - limits.windows[index], lowest, bound)
            before = _total_at(rings, g, bound)
        out[2 * index] = at - bound + 1
        out[2 * index + 1] = total - before + amount
    out[2 * len(limits.windows)] = time - _time_at(rings, g, at) if at > lowest else -1
    if len(own) > 0:
        _own_amounts(own, rings, g, at, lowest, limits.own_payments)
    _insert(rings, g, at, time, amount, 0, 0, limits.retention, limits.most_payments, limits.most_late)
    return bool(last < 0)


@compiled
def _known_pairs(out: FloatArray, known: Known, customer: int, fresh: bool, entities: IntArray, limits: Limits) -> None:
    start = known.segment[customer]
    length = 0 if fresh else known.length[customer]
    for index in range(len(limits.paired)):
        token = entities[limits.paired[index]]
        count = -1
        if token >= 0:
            count = 0
            for position in range(start, start + length):
                if known.token[position] == token:
                    count = known.seen[position]
                    for later in range(position, start + length - 1):
                        known.token[later] = known.token[later + 1]
                        known.seen[later] = known.seen[later + 1]
                    length -= 1
                    break
            known.token[start + length] = token
            known.seen[start + length] = min(count + 1, 65535)
            length += 1
        out[index] = count
    surplus = length - limits.known
    if surplus > 0:
        for position in range(start, start + limits.known):
            known.token[position] = known.token[position + surplus]
            known.seen[position] = known.seen[position + surplus]
        length = limits.known
    known.length[customer] = length


@compiled
def _last_with_fewer_frauds(rings: Rings, g: int, frauds: float, low: int, high: int) -> int:
    while low < high:
        middle = (low + high + 1) // 2
        if _total_at(rings, g, middle) < frauds:
            low = middle
        else:
            high = middle - 1
    return low


@compiled
def _last_legitimate(rings: Rings, g: int, low: int, high: int) -> int:
    legitimate = high - _total_at(rings, g, high)
    while low < high:
        middle = (low + high) // 2
        if middle - _total_at(rings, g, middle) == legitimate:
            high = middle
        else:
            low = middle + 1
    return low


@compiled
def _fraud_history(out: FloatArray, rings: Rings, g: int, time: int, limits: Limits) -> None:
    windows = len(limits.label_windows)
    if g < 0:
        out[:] = -1
        return
    last = rings.last[g]
    lowest = max(0, last - limits.most_labels)
    at = _last_upto(rings, g, time, lowest, last) if last > 0 else 0
    out[: 2 * windows + 1] = 0
    out[2 * windows + 1 :] = -1
    if at <= lowest or time - _time_at(rings, g, at) > limits.forget:
        return
    frauds = _total_at(rings, g, at)
    bound = at
    for index in range(windows):
        bound = _last_upto(rings, g, time - limits.label_windows[index], lowest, bound)
        out[2 * index] = at - bound
        out[2 * index + 1] = frauds - _total_at(rings, g, bound)
    if frauds <= _total_at(rings, g, lowest):
        return
    first_slot = rings.segment[g] + rings.head[g] - 1
    last_fraud = _last_with_fewer_frauds(rings, g, frauds, lowest, at) + 1
    age = max(0, time - rings.occurred[first_slot + last_fraud])
    if age <= limits.fraud_memory:
        out[2 * windows + 2] = age
        out[2 * windows + 3] = at - last_fraud
    if last_fraud == at:
        start = _last_legitimate(rings, g, lowest, at)
        out[2 * windows] = at - start
        out[2 * windows + 1] = max(0, time - rings.occurred[first_slot + start + 1])


@compiled
def _is_repeated(rings: Rings, g: int, payment: int, reported: int, fraud: float) -> bool:
    newest = -1.0
    newest_time = reported
    first_slot = rings.segment[g] + rings.head[g] - 1
    for index in range(1, rings.last[g] + 1):
        if rings.payment[first_slot + index] == payment:
            newest = _total_at(rings, g, index) - _total_at(rings, g, index - 1)
            newest_time = _time_at(rings, g, index)
            if newest == fraud and newest_time == reported:
                return True
    return bool(newest == fraud or newest_time > reported)


@compiled
def _record_label(
    rings: Rings, g: int, payment: int, reported: int, occurred: int, fraud: float, limits: Limits
) -> None:
    last = rings.last[g]
    if last > 0 and _is_repeated(rings, g, payment, reported, fraud):
        return
    at = _last_upto(rings, g, reported, 0, last) if last > 0 else 0
    _insert(
        rings, g, at, reported, fraud, occurred, payment, limits.retention_labels, limits.most_labels, limits.most_late
    )


@compiled
def run(
    out: FloatArray,
    times: IntArray,
    amounts: FloatArray,
    entities: IntArray,
    position: IntArray,
    labelled_payment: IntArray,
    reported: IntArray,
    fraud: FloatArray,
    rings: Rings,
    labels: Rings,
    known: Known,
    limits: Limits,
) -> None:
    """out: (n, readings) float64. entities: (n, kinds) global entity numbers, -1 = none. position: how many payments precede a label."""
    kinds = entities.shape[1]
    per_kind = 2 * len(limits.windows) + 1
    per_label = 2 * len(limits.label_windows) + 4
    nothing = np.empty(0)
    next_label = 0
    for row in range(len(times)):
        while next_label < len(position) and position[next_label] <= row:
            payment = labelled_payment[next_label]
            for kind in limits.labelled:
                if entities[payment, kind] >= 0:
                    _record_label(
                        labels, entities[payment, kind], payment, reported[next_label], times[payment],
                        fraud[next_label], limits,
                    )  # fmt: skip
            next_label += 1
        answer = out[row]
        own = answer[kinds * per_kind : kinds * per_kind + 5]
        fresh = True
        for kind in range(kinds):
            part = answer[kind * per_kind : (kind + 1) * per_kind]
            is_new = _velocity(
                part, own if kind == 0 else nothing, rings, entities[row, kind], times[row], amounts[row], limits
            )
            if kind == 0:
                fresh = is_new
        column = kinds * per_kind + 5
        _known_pairs(answer[column:], known, entities[row, 0], fresh, entities[row], limits)
        column += len(limits.paired)
        for kind in limits.labelled:
            _fraud_history(answer[column : column + per_label], labels, entities[row, kind], times[row], limits)
            column += per_label
