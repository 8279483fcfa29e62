"""Model files of one split each, for tests of everything around a model: no training, known answers."""

from dataclasses import dataclass

import numpy as np

from models.features.catalogue import CATALOGUE_VERSION, NAMES
from models.features.vector import FloatArray, FloatMatrix
from models.scoring.artifact import FORMAT, Artifact, Calibration, Thresholds, encode, pack, pack_ensemble
from models.scoring.ensemble import LEAF, Ensemble

AMOUNT = NAMES.index("amount")


def split_on_amount(at_minor: float, below: float, above: float) -> Ensemble:
    """Margin `below` up to an amount, `above` from there on."""
    return Ensemble(
        base=0.0,
        offset=np.array([0, 3], np.int32),
        feature=np.array([AMOUNT, 0, 0], np.int32),
        threshold=np.array([at_minor, 0.0, 0.0]),
        left=np.array([1, LEAF, LEAF], np.int32),
        right=np.array([2, LEAF, LEAF], np.int32),
        missing_left=np.array([True, False, False]),
        value=np.array([0.0, below, above]),
        cover=np.array([100.0, 90.0, 10.0]),
    )


@dataclass(frozen=True)
class SmallModel:
    """log-odds of fraud below and above an amount; `unusual_above`: the amount from which a payment is unlike any in training."""

    at_minor: float = 100_000
    below: float = -4.0
    above: float = 4.0
    unusual_above: float | None = None
    name: str = ""

    def margins(self, amounts: FloatArray) -> FloatArray:
        return np.where(amounts <= self.at_minor, self.below, self.above)

    def artifact(self) -> Artifact:
        golden = payments([self.at_minor - 1, self.at_minor, self.at_minor + 1])
        strange = None if self.unusual_above is None else split_on_amount(self.unusual_above, 0.0, 1.0)
        return Artifact(
            format=FORMAT,
            catalogue_version=CATALOGUE_VERSION,
            features=list(NAMES),
            ensemble=pack_ensemble(split_on_amount(self.at_minor, self.below, self.above)),
            calibration=Calibration(1.0, 0.0),
            thresholds=Thresholds(0.5, 0.9),
            golden=pack(golden),
            golden_margins=pack(self.margins(golden[:, AMOUNT])),
            usual=pack(np.full(len(NAMES), np.nan)),
            lineage={"name": self.name},
            anomaly=pack_ensemble(strange) if strange else None,
            anomaly_quantiles=pack(np.zeros(1001)) if strange else None,
            golden_anomaly=pack((golden[:, AMOUNT] > self.unusual_above).astype(float)) if strange else None,
        )

    def encoded(self) -> bytes:
        return encode(self.artifact())


def payments(amounts_minor: list[float]) -> FloatMatrix:
    """Vectors that know nothing but the amount."""
    matrix = np.full((len(amounts_minor), len(NAMES)), np.nan)
    matrix[:, AMOUNT] = amounts_minor
    return matrix
