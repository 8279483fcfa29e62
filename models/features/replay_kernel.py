"""`lua/stream.lua` over arrays: payments and labels in the order they were taken.

Imported by `offline.replay` when it runs (numba takes most of a second to import, and some to compile the first time).
"""

from typing import NamedTuple

from models.compiled import compiled
from models.features.catalogue import SUBJECTS
from models.features.replay_labels import add_label, fraud_history, is_repeated, was_usual
from models.features.replay_payments import DAY, customer_velocity, meet, travel, velocity
from models.features.replay_state import IntMatrix, Limits, Meetings, Rings, add_to_day, answer_days
from models.features.vector import FloatArray, FloatMatrix, IntArray

CATEGORY = SUBJECTS.index("category")


class Payments(NamedTuple):
    """subjects: (n, subjects) numbers over all kinds, -1 = none; owners: (n, pairs) whose list it is; category: (n,) number of
    (customer, category). latitude, longitude: -1 = none."""

    time: IntArray
    amount: FloatArray
    under: FloatArray
    latitude: FloatArray
    longitude: FloatArray
    subjects: IntMatrix
    owners: IntMatrix
    category: IntArray


class Taken(NamedTuple):
    """Labels in the order they were taken. position: how many payments precede each."""

    payment: IntArray
    reported: IntArray
    fraud: FloatArray
    position: IntArray


class State(NamedTuple):
    customers: Rings
    entities: Rings
    categories: Rings
    labels: Rings
    category_days: Rings
    risk_days: Rings
    meetings: Meetings
    places: FloatMatrix


@compiled
def _take_label(payments: Payments, taken: Taken, record: int, state: State, limits: Limits) -> None:
    payment, reported, fraud = taken.payment[record], taken.reported[record], taken.fraud[record]
    subjects = payments.subjects[payment]
    customer, occurred = subjects[0], payments.time[payment]
    if state.labels.last[customer] > 0 and is_repeated(state.labels, customer, payment, reported, fraud):
        return
    usual = fraud == 1 and was_usual(state.customers, customer, occurred, payments.amount[payment])
    for subject in limits.labelled:
        if subjects[subject] >= 0:
            add_label(
                state.labels, subjects[subject], payment, reported, occurred, fraud, 1.0 if usual else 0.0, limits
            )
    for subject in limits.risked:
        add_to_day(state.risk_days, subjects[subject], reported // DAY, 1.0, fraud, limits)


@compiled
def _take_payment(out: FloatArray, payments: Payments, row: int, state: State, limits: Limits) -> None:
    time, amount, subjects = payments.time[row], payments.amount[row], payments.subjects[row]
    width = 2 * len(limits.windows) + len(limits.largest_in) + 1
    column = 6 * width
    own_width = 9 + len(limits.spike_windows) + len(limits.limit_windows)
    own = out[column : column + own_width]
    customer_velocity(out[:width], own, state.customers, subjects[0], time, amount, payments.under[row], limits)
    for kind in range(1, 5):
        velocity(out[kind * width : (kind + 1) * width], state.entities, subjects[kind], time, amount, limits)
    velocity(out[5 * width : 6 * width], state.categories, payments.category[row], time, amount, limits)
    column += own_width
    width = 1 + len(limits.distinct_windows)
    for pair in range(len(limits.pairs)):
        other = subjects[limits.pairs[pair, 1]]
        meet(out[column : column + width], state.meetings, payments.owners[row, pair], other, time, limits)
        column += width
    latitude, longitude = payments.latitude[row], payments.longitude[row]
    travel(out[column : column + 6], state.places, subjects[0], time, latitude, longitude, limits)
    column += 6
    width = 3 * len(limits.label_windows) + 10
    for subject in limits.labelled:
        fraud_history(out[column : column + width], state.labels, subjects[subject], time, limits)
        column += width
    day, category = time // DAY, subjects[CATEGORY]
    window = limits.risk_days[:1].copy()
    window[0] = limits.category_days
    answer_days(out[column : column + 2], state.category_days, category, day, window)
    column += 2
    width = 2 * len(limits.risk_days)
    for subject in limits.risked:
        answer_days(out[column : column + width], state.risk_days, subjects[subject], day, limits.risk_days)
        column += width
    add_to_day(state.category_days, category, day, 1.0, amount, limits)


@compiled
def run(
    out: FloatMatrix, first: int, label: int, payments: Payments, taken: Taken, state: State, limits: Limits
) -> int:
    """Take payments from row `first` on, one for each row of `out`, and the labels before them from number `label` on; the next label."""
    for row in range(first, first + len(out)):
        while label < len(taken.position) and taken.position[label] <= row:
            _take_label(payments, taken, label, state, limits)
            label += 1
        _take_payment(out[row - first], payments, row, state, limits)
    return label
