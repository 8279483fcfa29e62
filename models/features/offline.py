"""Replay: the vectors a stream of payments and labels would have been scored with. The rule is stated in `online`.

About a microsecond or two a payment once compiled; memory is about 1 kB a payment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

from core.base.terms import EntityKind
from models.features.catalogue import LABEL_WINDOWS, LABELLED, MEMORY, PAIRED, READINGS, WINDOWS, Memory
from models.features.vector import FloatMatrix, IntArray, assemble

if TYPE_CHECKING:
    from models.features.replay_kernel import Known, Limits, Rings

_KINDS: Final = list(EntityKind)
_CUSTOMER: Final = 0
BoolArray = npt.NDArray[np.bool_]


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

    entities: (n, 5) in EntityKind order; any numbers that tell a kind's entities apart, -1 = the payment names none.
    """

    occurred_at_ms: IntArray
    amount_minor: IntArray
    entities: IntArray
    labels: Labels

    @staticmethod
    def codes(ids: Sequence[str | None]) -> IntArray:
        """Numbers for one kind's ids, -1 for None."""
        seen: dict[str | None, int] = {None: -1}
        return np.array([seen.setdefault(entity_id, len(seen) - 1) for entity_id in ids], dtype=np.int64)


def replay(history: History, memory: Memory = MEMORY) -> FloatMatrix:
    """(n, len(FEATURES)) float64, NaN = not known: what `OnlineFeatures.vectors` answered, bit for bit."""
    return assemble(readings(history, memory), history.occurred_at_ms, history.amount_minor)


def readings(history: History, memory: Memory = MEMORY) -> FloatMatrix:
    """(n, len(READINGS)) whole numbers, -1 = not known."""
    from models.features import replay_kernel

    entities, count = _number(history.entities)
    labels = history.labels
    out = np.empty((len(entities), len(READINGS)))
    replay_kernel.run(
        out,
        history.occurred_at_ms.astype(np.int64),
        history.amount_minor.astype(np.float64),
        entities,
        labels.position.astype(np.int64),
        labels.payment.astype(np.int64),
        labels.reported_at_ms.astype(np.int64),
        labels.is_fraud.astype(np.float64),
        _rings(entities, count, with_labels=False),
        _rings(entities[labels.payment], count, with_labels=True),
        _known(entities[:, _CUSTOMER], count, memory),
        _limits(memory),
    )
    return out


def _number(entities: IntArray) -> tuple[IntArray, int]:
    """Entity numbers that differ between kinds too, and how many there are."""
    numbered = np.full(entities.shape, -1, dtype=np.int64)
    count = 0
    for kind in range(entities.shape[1]):
        named = entities[:, kind] >= 0
        distinct, codes = np.unique(entities[named, kind], return_inverse=True)
        numbered[named, kind] = codes + count
        count += len(distinct)
    return numbered, count


def _segments(sizes: IntArray) -> IntArray:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])[: len(sizes)]


def _rings(entities: IntArray, count: int, *, with_labels: bool) -> "Rings":
    from models.features.replay_kernel import Rings

    sizes = np.bincount(entities[entities >= 0], minlength=count).astype(np.int64)
    slots = int(sizes.sum())
    rest = np.zeros(slots if with_labels else 0, dtype=np.int64)
    return Rings(
        time=np.zeros(slots, dtype=np.int64),
        total=np.zeros(slots),
        occurred=rest,
        payment=rest.copy(),
        segment=_segments(sizes),
        head=np.zeros(count, dtype=np.int64),
        last=np.full(count, -1, dtype=np.int64),
        base=np.zeros(count),
    )


def _known(customers: IntArray, count: int, memory: Memory) -> "Known":
    from models.features.replay_kernel import Known

    most = np.bincount(customers, minlength=count).astype(np.int64) * len(PAIRED)
    sizes = np.minimum(most, memory.known + len(PAIRED))
    slots = int(sizes.sum())
    return Known(
        token=np.full(slots, -1, dtype=np.int64),
        seen=np.zeros(slots, dtype=np.int64),
        segment=_segments(sizes),
        length=np.zeros(count, dtype=np.int64),
    )


def _limits(memory: Memory) -> "Limits":
    from models.features.replay_kernel import Limits

    return Limits(
        windows=np.array([seconds * 1000 for seconds in WINDOWS.values()], dtype=np.int64),
        label_windows=np.array([seconds * 1000 for seconds in LABEL_WINDOWS.values()], dtype=np.int64),
        labelled=np.array([_KINDS.index(kind) for kind in LABELLED], dtype=np.int64),
        paired=np.array([_KINDS.index(kind) for kind in PAIRED], dtype=np.int64),
        forget=memory.forget_s * 1000,
        retention=memory.retention_s * 1000,
        retention_labels=memory.retention_labels_s * 1000,
        fraud_memory=memory.fraud_memory_s * 1000,
        most_payments=memory.most_payments,
        most_labels=memory.most_labels,
        most_late=memory.most_late,
        own_payments=memory.own_payments,
        known=memory.known,
    )
