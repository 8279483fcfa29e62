"""What a model learns from: vectors, what the payments turned out to be, and when that became known."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from core.base.errors import Kind, RondaError
from core.base.terms import EntityKind
from models.features.catalogue import NAMES
from models.features.offline import History
from models.features.vector import FloatArray, IntArray, Vectors

FRAUD: Final = 1
LEGITIMATE: Final = 0
UNLABELLED: Final = -1
BoolArray = npt.NDArray[np.bool_]


class TrainingImpossible(RondaError):
    """Too little to learn from or to judge by. `facts` say what is there and what is needed."""

    kind, code = Kind.CONFLICT, "training_impossible"


class LabelledHistory(Protocol):
    """truth: (n,) FRAUD, LEGITIMATE or UNLABELLED. reported_at_ms: (n,), any number where UNLABELLED."""

    @property
    def history(self) -> History: ...
    @property
    def truth(self) -> IntArray: ...
    @property
    def reported_at_ms(self) -> IntArray: ...


_COLUMNS: Final = (
    "label",
    "occurred_at_ms",
    "reported_at_ms",
    "amount",
    "card",
    "customer",
    "weight",
    "inclusion",
)
_AMOUNT_BANDS: Final = ("lowest quarter", "below the median", "above the median", "highest quarter")
_CUSTOMER_AGES: Final = ("new (less than 7 days)", "young (less than 30 days)", "old (30 days and more)")
_AGES_MS: Final = np.array([7, 30]) * 86_400_000


@runtime_checkable
class SampledHistory(Protocol):
    """Optional parts of a history: `Dataset.inclusion`, and segments as (names, (n,) codes)."""

    @property
    def inclusion(self) -> FloatArray: ...


@runtime_checkable
class SegmentedHistory(Protocol):
    """segments: by attribute, (names, (n,) place in them or -1)."""

    @property
    def segments(self) -> Mapping[str, tuple[tuple[str, ...], IntArray]]: ...


@dataclass(frozen=True)
class Segment:
    """Parts of the payments by one attribute. code: (n,) place in `names`, -1 = none."""

    names: tuple[str, ...]
    code: IntArray


@dataclass(frozen=True)
class Dataset:
    """Payments as rows, any order.

    matrix: (n, len(NAMES)) as scored, NaN = not known. label: (n,) FRAUD, LEGITIMATE or UNLABELLED.
    reported_at_ms: (n,) when the label became known; any number where UNLABELLED.
    amount: (n,) hundredths of the payment's currency, as the features have them.
    card, customer: (n,) numbers that tell them apart, card -1 = none.
    weight: (n,) how many payments each stands for; ones when not given. segments: parts to judge one by one, by attribute.
    inclusion: (n,) chance with which people came to look at the payment: 1 = an alert on its own merit, less = drawn for the control
    sample, NaN = nobody looked. All NaN when not given.
    """

    matrix: Vectors
    label: IntArray
    occurred_at_ms: IntArray
    reported_at_ms: IntArray
    amount: IntArray
    card: IntArray
    customer: IntArray
    weight: FloatArray = field(default_factory=lambda: np.empty(0))
    segments: Mapping[str, Segment] = field(default_factory=dict)
    inclusion: FloatArray = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        rows = len(self.matrix)
        for name, usual in (("weight", 1.0), ("inclusion", np.nan)):
            if len(getattr(self, name)) == 0:
                object.__setattr__(self, name, np.full(rows, usual))
        if self.matrix.shape != (rows, len(NAMES)):
            raise ValueError(f"expected {len(NAMES)} features, got a matrix of shape {self.matrix.shape}")
        for name in _COLUMNS:
            if getattr(self, name).shape != (rows,):
                raise ValueError(f"{name} must hold {rows} values")

    @classmethod
    def of(cls, known: LabelledHistory, matrix: Vectors) -> "Dataset":
        """From a history, what is known of it, and the vectors of its last payments, as many as `matrix` has rows."""
        last = slice(len(known.truth) - len(matrix), None)
        return cls(
            matrix=matrix,
            label=known.truth[last],
            occurred_at_ms=known.history.occurred_at_ms[last],
            reported_at_ms=known.reported_at_ms[last],
            amount=known.history.amount[last],
            card=known.history.subject(EntityKind.CARD)[last],
            customer=known.history.subject(EntityKind.CUSTOMER)[last],
            segments={by: replace(one, code=one.code[last]) for by, one in segments_of(known).items()},
            inclusion=known.inclusion[last] if isinstance(known, SampledHistory) else np.empty(0),
        )

    def __len__(self) -> int:
        return len(self.matrix)

    def rows(self, which: IntArray | BoolArray) -> "Dataset":
        return Dataset(
            self.matrix[which],
            self.label[which],
            self.occurred_at_ms[which],
            self.reported_at_ms[which],
            self.amount[which],
            self.card[which],
            self.customer[which],
            self.weight[which],
            {by: replace(segment, code=segment.code[which]) for by, segment in self.segments.items()},
            self.inclusion[which],
        )

    @property
    def is_fraud(self) -> BoolArray:
        return np.asarray(self.label == FRAUD)

    @property
    def holder(self) -> IntArray:
        """The card, or the customer where the payment names no card: whom an analyst would look at."""
        return np.where(self.card >= 0, self.card, -2 - self.customer)

    def sha256(self) -> str:
        """Identifies exactly this data in a model's lineage."""
        digest = hashlib.sha256()
        for name in ("matrix", *_COLUMNS):
            digest.update(np.ascontiguousarray(getattr(self, name)).ravel().view(np.uint8).data)
        return digest.hexdigest()

    def counts(self) -> Mapping[str, Any]:
        return {"payments": len(self), "frauds": int(self.is_fraud.sum())}


def segments_of(known: LabelledHistory) -> dict[str, Segment]:
    """What the history names (channel, currency, merchant category), the size of the amount, and how long the customer is known.

    The bands of amounts are quarters of the payments, so their bounds follow the data. A customer's first payment is the first there.
    """
    named = known.segments if isinstance(known, SegmentedHistory) else {}
    found = {by: Segment(names, np.asarray(code, dtype=np.int64)) for by, (names, code) in named.items() if names}
    if len(known.history.occurred_at_ms) == 0:
        return found
    amount = known.history.amount
    band = np.searchsorted(np.quantile(amount, (0.25, 0.5, 0.75)), amount, side="left")
    age = np.searchsorted(_AGES_MS, _known_for_ms(known.history), side="right")
    return {
        **found,
        "amount_band": Segment(_AMOUNT_BANDS, band.astype(np.int64)),
        "customer_age": Segment(_CUSTOMER_AGES, age.astype(np.int64)),
    }


def _known_for_ms(history: History) -> IntArray:
    """(n,) time since the customer's earliest payment."""
    customer = history.subject(EntityKind.CUSTOMER)
    _, code = np.unique(customer, return_inverse=True)
    earliest = np.full(int(code.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(earliest, code, history.occurred_at_ms)
    return np.asarray(history.occurred_at_ms - earliest[code])
