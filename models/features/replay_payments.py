"""`lua/payments.lua` over arrays."""

import numpy as np

from models.compiled import compiled
from models.features.replay_state import (
    Limits,
    Meetings,
    Rings,
    forget,
    insert,
    last_upto,
    time_at,
    total_at,
)
from models.features.vector import FloatArray, FloatMatrix, IntArray

DAY = 86_400_000


@compiled
def _own_history(
    out: FloatArray, rings: Rings, g: int, at: int, lowest: int, time: int, amount: float, limits: Limits
) -> bool:
    count = min(at - lowest, limits.own_payments)
    if count <= 0:
        out[0] = 0
        out[1:9] = -1
        return False
    amounts = np.empty(count)
    later = total_at(rings, g, at, 0)
    total = later
    newer, near, silence = time, 0, -1
    for back in range(count):
        earlier, when = total_at(rings, g, at - 1 - back, 0), time_at(rings, g, at - back)
        amounts[back] = later - earlier
        later = earlier
        apart = (time - when) % DAY
        if apart <= limits.near_hour or apart >= DAY - limits.near_hour:
            near += 1
        if newer > time - DAY and newer - when > silence:
            silence = newer - when
        newer = when
    total = total - later
    deviations = 0.0
    for index in range(count):
        deviation = count * amounts[index] - total
        deviations = deviations + deviation * deviation
    amounts.sort()
    median_twice = amounts[(count + 1) // 2 - 1] + amounts[count // 2]
    out[0] = count
    out[1] = total
    out[2] = median_twice
    out[3] = amounts[(9 * count + 9) // 10 - 1]
    out[4] = deviations
    out[5] = amounts[count - 1]
    out[6] = near
    out[7] = time_at(rings, g, at) - newer
    out[8] = silence
    return bool(count >= limits.spike_after and 8 * amount > limits.spike_quarters * median_twice)


@compiled
def _read_velocity(
    out: FloatArray, rings: Rings, g: int, lowest: int, time: int, amount: float, bounds: IntArray, limits: Limits
) -> int:
    last = rings.last[g]
    windows = len(limits.windows)
    at = last_upto(rings, g, time, lowest, last) if last > 0 else 0
    total = total_at(rings, g, at, 0) if last > 0 else 0.0
    bound = at
    for index in range(windows):
        before = 0.0
        if last > 0:
            bound = last_upto(rings, g, time - limits.windows[index], lowest, bound)
            before = total_at(rings, g, bound, 0)
        bounds[index] = bound
        out[2 * index] = at - bound + 1
        out[2 * index + 1] = total - before + amount
    largest, index, later = amount, at, total
    for which in range(len(limits.largest_in)):
        stop = max(bounds[limits.largest_in[which]], at - limits.own_payments)
        while index > stop:
            index -= 1
            earlier = total_at(rings, g, index, 0)
            largest = max(largest, later - earlier)
            later = earlier
        out[2 * windows + which] = largest
    out[2 * windows + len(limits.largest_in)] = time - time_at(rings, g, at) if at > lowest else -1
    return int(at)


@compiled
def _lowest(rings: Rings, g: int, time: int, limits: Limits) -> int:
    last = rings.last[g]
    if last > 0 and time - time_at(rings, g, last) > limits.forget:
        forget(rings, g)
    return int(max(0, rings.last[g] - limits.most_payments))


@compiled
def velocity(out: FloatArray, rings: Rings, g: int, time: int, amount: float, limits: Limits) -> None:
    """Fills `out`, then adds the payment."""
    if g < 0:
        out[:] = -1
        return
    lowest = _lowest(rings, g, time, limits)
    bounds = np.zeros(len(limits.windows), dtype=np.int64)
    at = _read_velocity(out, rings, g, lowest, time, amount, bounds, limits)
    insert(rings, g, at, time, np.array([amount]), 0, 0, limits.retention, limits.most_payments, limits.most_late)


@compiled
def customer_velocity(
    out: FloatArray, own: FloatArray, rings: Rings, g: int, time: int, amount: float, under: float, limits: Limits
) -> None:
    lowest = _lowest(rings, g, time, limits)
    last = rings.last[g]
    bounds = np.zeros(len(limits.windows), dtype=np.int64)
    at = _read_velocity(out, rings, g, lowest, time, amount, bounds, limits)
    spike = _own_history(own, rings, g, at, lowest, time, amount, limits)
    bound, column = at, 9
    for index in range(len(limits.spike_windows)):
        own[column] = 0
        if last > 0:
            bound = last_upto(rings, g, time - limits.spike_windows[index], lowest, bound)
            own[column] = total_at(rings, g, at, 1) - total_at(rings, g, bound, 1)
        column += 1
    for index in range(len(limits.limit_windows)):
        before = bounds[limits.limit_windows[index]]
        own[column] = total_at(rings, g, at, 2) - total_at(rings, g, before, 2) if last > 0 else 0
        column += 1
    amounts = np.array([amount, 1.0 if spike else 0.0, under])
    insert(rings, g, at, time, amounts, 0, 0, limits.retention, limits.most_payments, limits.most_late)


@compiled
def _seen_upto(meetings: Meetings, start: int, length: int, moment: int) -> int:
    low, high = 0, length
    while low < high:
        middle = (low + high) // 2
        if meetings.seen[start + middle] <= moment:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def meet(out: FloatArray, meetings: Meetings, g: int, other: int, time: int, limits: Limits) -> None:
    if g < 0 or other < 0:
        out[:] = -1
        return
    start, length = meetings.segment[g], meetings.length[g]
    count, seen = 0, time
    for position in range(start, start + length):
        if meetings.other[position] == other:
            if time - meetings.seen[position] <= limits.forget:
                count = meetings.times[position]
            seen = max(meetings.seen[position], time)
            for later in range(position, start + length - 1):
                meetings.other[later] = meetings.other[later + 1]
                meetings.seen[later] = meetings.seen[later + 1]
                meetings.times[later] = meetings.times[later + 1]
            length -= 1
            break
    place = start + _seen_upto(meetings, start, length, seen)
    for later in range(start + length, place, -1):
        meetings.other[later] = meetings.other[later - 1]
        meetings.seen[later] = meetings.seen[later - 1]
        meetings.times[later] = meetings.times[later - 1]
    meetings.other[place], meetings.seen[place], meetings.times[place] = other, seen, min(count + 1, 65535)
    length += 1
    if length > limits.known:
        for position in range(start, start + limits.known):
            meetings.other[position] = meetings.other[position + 1]
            meetings.seen[position] = meetings.seen[position + 1]
            meetings.times[position] = meetings.times[position + 1]
        length = limits.known
    meetings.length[g] = length
    out[0] = count
    for index in range(len(limits.distinct_windows)):
        out[1 + index] = length - _seen_upto(meetings, start, length, time - limits.distinct_windows[index])


@compiled
def travel(
    out: FloatArray, places: FloatMatrix, customer: int, time: int, latitude: float, longitude: float, limits: Limits
) -> None:
    """places: (customers, 6) as the script packs them; its last column 0 = nothing known."""
    if latitude < 0:
        out[:] = -1
        return
    state = places[customer]
    known = state[5] > 0
    if known and time - state[0] > limits.forget:
        known = False
    if known:
        out[0] = state[1]
        out[1] = state[2]
        out[2] = abs(time - state[0])
        out[3:6] = state[3:6]
    else:
        out[:] = -1
        state[3:6] = 0
    if not known or time >= state[0]:
        state[0], state[1], state[2] = time, latitude, longitude
    state[3] += latitude
    state[4] += longitude
    state[5] += 1
    if state[5] > limits.home_payments:
        state[3:6] = np.floor(state[3:6] / 2)
