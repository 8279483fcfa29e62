"""What a model learns from: vectors, what the payments turned out to be, and when that became known."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from core.base.errors import Kind, RondaError
from core.base.terms import EntityKind
from models.features.catalogue import NAMES
from models.features.offline import History
from models.features.vector import FloatArray, FloatMatrix, IntArray

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
    card, customer: (n,) numbers that tell them apart, card -1 = none.
    weight: (n,) how many payments each stands for; ones when not given. segments: parts to judge one by one, by attribute.
    """

    matrix: FloatMatrix
    label: IntArray
    occurred_at_ms: IntArray
    reported_at_ms: IntArray
    amount_minor: IntArray
    card: IntArray
    customer: IntArray
    weight: FloatArray = field(default_factory=lambda: np.empty(0))
    segments: Mapping[str, Segment] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = len(self.matrix)
        if len(self.weight) == 0:
            object.__setattr__(self, "weight", np.ones(rows))
        if self.matrix.shape != (rows, len(NAMES)):
            raise ValueError(f"expected {len(NAMES)} features, got a matrix of shape {self.matrix.shape}")
        for name in ("label", "occurred_at_ms", "reported_at_ms", "amount_minor", "card", "customer", "weight"):
            if getattr(self, name).shape != (rows,):
                raise ValueError(f"{name} must hold {rows} values")

    @classmethod
    def of(cls, known: LabelledHistory, matrix: FloatMatrix) -> "Dataset":
        """From a history, what is known of it, and its vectors."""
        kinds = list(EntityKind)
        return cls(
            matrix=matrix,
            label=known.truth,
            occurred_at_ms=known.history.occurred_at_ms,
            reported_at_ms=known.reported_at_ms,
            amount_minor=known.history.amount_minor,
            card=known.history.entities[:, kinds.index(EntityKind.CARD)],
            customer=known.history.entities[:, kinds.index(EntityKind.CUSTOMER)],
        )

    def __len__(self) -> int:
        return len(self.matrix)

    def rows(self, which: IntArray | BoolArray) -> "Dataset":
        return Dataset(
            self.matrix[which],
            self.label[which],
            self.occurred_at_ms[which],
            self.reported_at_ms[which],
            self.amount_minor[which],
            self.card[which],
            self.customer[which],
            self.weight[which],
            {by: replace(segment, code=segment.code[which]) for by, segment in self.segments.items()},
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
        for array in (
            self.matrix,
            self.label,
            self.occurred_at_ms,
            self.reported_at_ms,
            self.amount_minor,
            self.holder,
        ):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def counts(self) -> Mapping[str, Any]:
        return {"payments": len(self), "frauds": int(self.is_fraud.sum())}
