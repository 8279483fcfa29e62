"""Replay: the vectors a stream of payments and labels would have been scored with. The rule is stated in `online`.

Some tens of microseconds a payment once compiled. Memory: about 0.6 kB a payment, and 2 kB for each vector that is kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt

from core.base.money import to_hundredths
from core.base.terms import EntityKind
from models.features.catalogue import (
    CATEGORY_DAYS,
    DISTINCT_WINDOWS,
    LABEL_WINDOWS,
    LABELLED,
    LARGEST_IN,
    LIMIT_WINDOWS,
    MEMORY,
    NAMES,
    NEAR_HOUR_S,
    PAIRS,
    READINGS,
    RISK_DAYS,
    RISKED,
    SPIKE_WINDOWS,
    SUBJECTS,
    WINDOWS,
    Memory,
)
from models.features.facts import FACTS, category_code, is_just_under, place_of
from models.features.vector import FloatMatrix, IntArray, Vectors, assemble

if TYPE_CHECKING:
    from models.features.replay_kernel import Payments, State, Taken
    from models.features.replay_state import Limits, Meetings, Rings

BoolArray = npt.NDArray[np.bool_]
Report = Callable[[float], None]
_FACT: Final = {name: column for column, name in enumerate(FACTS)}
_AT_ONCE: Final = 50_000
"""Payments whose readings are held together: bounds the memory beside the result."""


@dataclass(frozen=True)
class Labels:
    """Label records in the order they were taken.

    payment: (m,) row of the labelled payment. position: (m,) ascending; how many payments were taken before the record.
    """

    payment: IntArray
    reported_at_ms: IntArray
    is_fraud: BoolArray
    position: IntArray

    @classmethod
    def none(cls) -> Self:
        empty = np.empty(0, dtype=np.int64)
        return cls(empty, empty, np.empty(0, dtype=np.bool_), empty)

    @classmethod
    def on_time(
        cls, occurred_at_ms: IntArray, payment: IntArray, reported_at_ms: IntArray, is_fraud: BoolArray
    ) -> Self:
        """Labels that reach the feature store when they are reported: before the first payment of at least that event time
        in a stream that was accepted in about the order of event time.
        """
        order = np.argsort(reported_at_ms, kind="stable")
        reached = np.maximum.accumulate(occurred_at_ms)
        position = np.searchsorted(reached, reported_at_ms[order], side="left")
        return cls(payment[order], reported_at_ms[order], is_fraud[order], position.astype(np.int64))


@dataclass(frozen=True)
class History:
    """Payments in the order of acceptance, each once.

    subjects: (n, len(SUBJECTS)); any numbers that tell a kind's entities apart, -1 = the payment names none.
    facts: (n, len(FACTS)), -1 = not known.
    """

    occurred_at_ms: IntArray
    subjects: IntArray
    facts: FloatMatrix
    labels: Labels

    @classmethod
    def of(
        cls,
        occurred_at_ms: IntArray,
        amount_minor: IntArray,
        currency: str | Sequence[str],
        labels: Labels,
        *,
        country: Sequence[str | None] | None = None,
        billing_country: Sequence[str | None] | None = None,
        category: Sequence[str | None] | None = None,
        latitude: npt.NDArray[np.float64] | None = None,
        longitude: npt.NDArray[np.float64] | None = None,
        **entities: Sequence[Any] | IntArray,
    ) -> Self:
        """From columns. entities: customer=, card=, merchant=, device=, ip=: ids (None = none), or whole numbers (-1 = none).
        latitude, longitude: degrees, NaN = none. currency: one for all, or one each.
        """
        rows = len(occurred_at_ms)
        facts = np.full((rows, len(FACTS)), -1.0)
        subjects = np.full((rows, len(SUBJECTS)), -1, dtype=np.int64)
        columns: dict[str, Any] = {**entities, "category": category, "country": country}
        columns["currency"] = currency if not isinstance(currency, str) else np.zeros(rows, dtype=np.int64)
        for name, values in columns.items():
            if values is not None:
                subjects[:, SUBJECTS.index(name)] = codes(values)
        facts[:, _FACT["amount"]] = _hundredths(amount_minor, currency)
        facts[:, _FACT["just_under_limit"]] = _each(is_just_under, facts[:, _FACT["amount"]].astype(np.int64))
        if category is not None:
            facts[:, _FACT["category_code"]] = _each(category_code, category)
        if country is not None and billing_country is not None:
            known = [
                -1 if here is None or home is None else int(here != home)
                for here, home in zip(country, billing_country, strict=True)
            ]
            facts[:, _FACT["abroad"]] = known
        if latitude is not None and longitude is not None:
            positions = _positions(latitude, longitude)
            facts[:, [_FACT["latitude"], _FACT["longitude"]]] = positions
            places = [place_of(int(north), int(east)) for north, east in positions]
            subjects[:, SUBJECTS.index("place")] = codes(places)
        return cls(occurred_at_ms.astype(np.int64), subjects, facts, labels)

    def __len__(self) -> int:
        return len(self.occurred_at_ms)

    @property
    def amount(self) -> IntArray:
        """Hundredths of the currency."""
        return self.facts[:, _FACT["amount"]].astype(np.int64)

    def subject(self, name: str) -> IntArray:
        """(n,) numbers of a subject."""
        return np.asarray(self.subjects[:, SUBJECTS.index(name)])


def codes(ids: Sequence[Any] | IntArray) -> IntArray:
    """Numbers for one kind's ids, -1 for None; whole numbers stay."""
    if isinstance(ids, np.ndarray) and ids.dtype.kind == "i":
        return ids.astype(np.int64)
    seen: dict[Any, int] = {None: -1}
    return np.array([seen.setdefault(entity_id, len(seen) - 1) for entity_id in ids], dtype=np.int64)


def _each(function: Callable[[Any], int | bool], values: Sequence[Any] | IntArray) -> npt.NDArray[np.float64]:
    """Calls it once for each different value."""
    known: dict[Any, float] = {}
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    return np.array([known[v] if v in known else known.setdefault(v, float(function(v))) for v in listed])


def _hundredths(amount_minor: IntArray, currency: str | Sequence[str]) -> IntArray:
    if isinstance(currency, str):
        return np.array([to_hundredths(minor, currency) for minor in amount_minor.tolist()], dtype=np.int64)
    pairs = zip(amount_minor.tolist(), currency, strict=True)
    return np.array([to_hundredths(minor, code) for minor, code in pairs], dtype=np.int64)


def _positions(latitude: npt.NDArray[np.float64], longitude: npt.NDArray[np.float64]) -> IntArray:
    """As `facts.position`, by columns: Python's and numpy's rounding are the same (half to even)."""
    known = np.isfinite(latitude) & np.isfinite(longitude)
    both = np.stack([(latitude + 90) * 100_000, (longitude + 180) * 100_000], axis=1)
    return np.where(known[:, None], np.round(np.nan_to_num(both)), -1).astype(np.int64)


def replay(
    history: History, memory: Memory = MEMORY, *, keep_from: int = 0, report: Report | None = None
) -> FloatMatrix:
    """(n - keep_from, len(FEATURES)) float64, NaN = not known: what `OnlineFeatures.vectors` answered, bit for bit.

    keep_from: row from which vectors are wanted; earlier ones only build the state. report: called with the share done; what it raises
    comes out.
    """
    matrix = np.empty((len(history) - keep_from, len(NAMES)))
    replay_into(matrix, history, memory, report=report)
    return matrix


def replay_into(matrix: Vectors, history: History, memory: Memory = MEMORY, *, report: Report | None = None) -> None:
    """`replay` of the last payments, as many as `matrix` has rows; it may be of single precision where memory counts."""
    keep_from = len(history) - len(matrix)
    from models.features import replay_kernel

    payments, state = _prepare(history, memory)
    taken, limits = _taken(history.labels), _limits(memory)
    label = 0
    for start in range(0, len(history), _AT_ONCE):
        end = min(start + _AT_ONCE, len(history))
        readings = np.empty((end - start, len(READINGS)))
        label = replay_kernel.run(readings, start, label, payments, taken, state, limits)
        kept = slice(max(start, keep_from), end)
        if kept.start < end:
            rows = readings[kept.start - start :]
            matrix[kept.start - keep_from : end - keep_from] = assemble(
                rows, history.occurred_at_ms[kept], history.facts[kept]
            )
        if report:
            report(end / len(history))


def compile_replay() -> None:
    """What a replay runs, into numba's cache on disk: half a minute the first time, nothing after that."""
    one = np.zeros(1, dtype=np.int64)
    replay(History.of(one, one, "EUR", Labels.none(), customer=one))


def _prepare(history: History, memory: Memory) -> "tuple[Payments, State]":
    from models.features.replay_kernel import Payments, State

    subjects, count = _number(history.subjects)
    known_entities = subjects[:, : len(EntityKind)]
    category = _pair_numbers(subjects[:, 0], subjects[:, SUBJECTS.index("category")])
    owners, met = _owners(subjects)
    labelled = subjects[history.labels.payment]
    kinds = [SUBJECTS.index(kind) for kind in LABELLED]
    risked = [SUBJECTS.index(name) for name in RISKED]
    columns = {name: np.ascontiguousarray(column) for name, column in zip(FACTS, history.facts.T, strict=True)}
    payments = Payments(
        time=history.occurred_at_ms,
        amount=columns["amount"],
        under=columns["just_under_limit"],
        latitude=columns["latitude"],
        longitude=columns["longitude"],
        subjects=subjects,
        owners=owners,
        category=category,
    )
    state = State(
        customers=_rings(known_entities[:, 0], count, 3),
        entities=_rings(known_entities[:, 1:], count, 1),
        categories=_rings(category, int(category.max(initial=-1)) + 1, 1),
        labels=_rings(labelled[:, kinds], count, 2, of_labels=True),
        category_days=_rings(subjects[:, SUBJECTS.index("category")], count, 2),
        risk_days=_rings(labelled[:, risked], count, 2),
        meetings=_meetings(met, memory),
        places=np.zeros((int(subjects[:, 0].max(initial=-1)) + 1, 6)),
    )
    return payments, state


def _number(subjects: IntArray) -> tuple[IntArray, int]:
    """Numbers that differ between kinds too (customers first), and how many there are."""
    numbered = np.full(subjects.shape, -1, dtype=np.int64)
    count = 0
    for kind in range(subjects.shape[1]):
        named = subjects[:, kind] >= 0
        distinct, numbers = np.unique(subjects[named, kind], return_inverse=True)
        numbered[named, kind] = numbers + count
        count += len(distinct)
    return numbered, count


def _pair_numbers(first: IntArray, second: IntArray) -> IntArray:
    """(n,) numbers of (first, second), -1 where one is missing."""
    both = np.flatnonzero((first >= 0) & (second >= 0))
    numbers = np.full(len(first), -1, dtype=np.int64)
    width = int(second.max(initial=0)) + 1
    numbers[both] = np.unique(first[both] * width + second[both], return_inverse=True)[1]
    return numbers


def _owners(subjects: IntArray) -> tuple[IntArray, IntArray]:
    """(n, pairs) numbers of the lists, -1 where a payment does not name both; and how often each list is asked."""
    owners = np.full((len(subjects), len(PAIRS)), -1, dtype=np.int64)
    count = 0
    for pair, (owner, other) in enumerate(PAIRS):
        both = np.flatnonzero((subjects[:, SUBJECTS.index(owner)] >= 0) & (subjects[:, SUBJECTS.index(other)] >= 0))
        distinct, numbers = np.unique(subjects[both, SUBJECTS.index(owner)], return_inverse=True)
        owners[both, pair] = numbers + count
        count += len(distinct)
    return owners, np.bincount(owners[owners >= 0], minlength=count).astype(np.int64)


def _segments(sizes: IntArray) -> IntArray:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])[: len(sizes)]


def _rings(owners: IntArray, count: int, width: int, *, of_labels: bool = False) -> "Rings":
    from models.features.replay_state import Rings

    sizes = np.bincount(owners[owners >= 0], minlength=count).astype(np.int64)
    slots = int(sizes.sum())
    rest = np.zeros(slots if of_labels else 0, dtype=np.int64)
    return Rings(
        time=np.zeros(slots, dtype=np.int64),
        totals=np.zeros((slots, width)),
        occurred=rest,
        payment=rest.copy(),
        segment=_segments(sizes),
        head=np.zeros(count, dtype=np.int64),
        last=np.full(count, -1, dtype=np.int64),
        base=np.zeros((count, width)),
    )


def _meetings(most: IntArray, memory: Memory) -> "Meetings":
    from models.features.replay_state import Meetings

    sizes = np.minimum(most, memory.known) + 1
    slots = int(sizes.sum())
    empty = np.zeros(slots, dtype=np.int64)
    return Meetings(empty, empty.copy(), empty.copy(), _segments(sizes), np.zeros(len(most), dtype=np.int64))


def _taken(labels: Labels) -> "Taken":
    from models.features.replay_kernel import Taken

    return Taken(
        labels.payment.astype(np.int64),
        labels.reported_at_ms.astype(np.int64),
        labels.is_fraud.astype(np.float64),
        labels.position.astype(np.int64),
    )


def _limits(memory: Memory) -> "Limits":
    from models.features.replay_state import Limits

    def ms(seconds: Any) -> IntArray:
        return np.array([second * 1000 for second in seconds], dtype=np.int64)

    def places(chosen: Sequence[str], among: Sequence[str]) -> IntArray:
        return np.array([among.index(name) for name in chosen], dtype=np.int64)

    windows = list(WINDOWS)
    pairs = [[SUBJECTS.index(owner), SUBJECTS.index(other)] for owner, other in PAIRS]
    return Limits(
        windows=ms(WINDOWS.values()),
        largest_in=places(LARGEST_IN, windows),
        spike_windows=ms(SPIKE_WINDOWS.values()),
        limit_windows=places(LIMIT_WINDOWS, windows),
        distinct_windows=ms(DISTINCT_WINDOWS.values()),
        label_windows=ms(LABEL_WINDOWS.values()),
        risk_days=np.array(list(RISK_DAYS.values()), dtype=np.int64),
        category_days=CATEGORY_DAYS,
        labelled=places([kind.value for kind in LABELLED], SUBJECTS),
        risked=places(RISKED, SUBJECTS),
        pairs=np.array(pairs, dtype=np.int64),
        forget=memory.forget_s * 1000,
        retention=memory.retention_s * 1000,
        retention_labels=memory.retention_labels_s * 1000,
        retention_days=memory.retention_days,
        fraud_memory=memory.fraud_memory_s * 1000,
        near_hour=NEAR_HOUR_S * 1000,
        most_payments=memory.most_payments,
        most_labels=memory.most_labels,
        most_late=memory.most_late,
        own_payments=memory.own_payments,
        known=memory.known,
        spike_quarters=memory.spike_quarters,
        spike_after=memory.spike_after,
        label_share=memory.label_share,
        home_payments=memory.home_payments,
    )
