"""Scoring with a compiled twin of the trained model, on one thread."""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from core.base.errors import ModelRefused
from models.features.catalogue import NAMES
from models.features.vector import FloatArray, FloatMatrix, Vectors
from models.scoring.artifact import Artifact, Calibration, Thresholds, decode, unpack, unpack_ensemble
from models.scoring.ensemble import Ensemble
from models.scoring.trees import CompiledTrees

GOLDEN_TOLERANCE: Final = 1e-9
_EDGE: Final = 1e-12


@dataclass(frozen=True)
class Scores:
    """margin: (n,) log-odds before calibration, what explanations add up to. probability: (n,) calibrated, strictly between 0 and 1."""

    margin: FloatArray
    probability: FloatArray


class Scorer:
    """Safe to share between threads. Makes no threads of its own: busy neighbours would cost it tens of milliseconds."""

    def __init__(self, artifact: Artifact, ensemble: Ensemble) -> None:
        self.ensemble = ensemble
        self.calibration = artifact.calibration
        self.thresholds: Thresholds = artifact.thresholds
        self.usual: FloatArray = unpack(artifact.usual)
        self.usual_range: FloatMatrix | None = unpack(artifact.usual_range) if artifact.usual_range else None
        self.past = Past.of(artifact)
        self.lineage: dict[str, Any] = artifact.lineage
        self._trees = CompiledTrees.of(ensemble, len(NAMES))
        self._strangeness = Strangeness.of(artifact)

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Raises ModelRefused unless the file is sound and repeats scikit-learn's margins on its golden payments to 1e-9."""
        artifact = decode(data)
        ensemble = unpack_ensemble(artifact.ensemble)
        golden, expected = unpack(artifact.golden), unpack(artifact.golden_margins)
        if (
            golden.shape != (len(expected), len(NAMES))
            or len(expected) == 0
            or unpack(artifact.usual).shape != (len(NAMES),)
        ):
            raise ModelRefused("the model file has no golden payments to be verified with")
        scorer = cls(artifact, ensemble)
        if scorer.usual_range is not None and scorer.usual_range.shape != (2, len(NAMES)):
            raise ModelRefused("the model file's usual ranges do not fit its features")
        _same(scorer.score(golden).margin, expected, "golden payments")
        if scorer._strangeness and artifact.golden_anomaly:
            _same(scorer._strangeness.sums(golden), unpack(artifact.golden_anomaly), "golden anomalies")
        return scorer

    def score(self, matrix: Vectors) -> Scores:
        """matrix: (n, len(NAMES)), NaN = not known."""
        margin = self._trees.sums(matrix)
        return Scores(margin, calibrated(self.calibration, margin))

    def anomaly(self, matrix: Vectors) -> FloatArray | None:
        """(n,) share of training payments that were less unusual, 0 to 1; None for a model without anomaly trees."""
        return self._strangeness.quantile(matrix) if self._strangeness else None


@dataclass(frozen=True)
class Past:
    """Condensed payments: judged (points, features + 1) with the score last, learned (points, features)."""

    judged: FloatMatrix
    learned: FloatMatrix

    @classmethod
    def of(cls, artifact: Artifact) -> Self | None:
        """Raises ModelRefused when only a part of it is there or it does not fit the features."""
        if artifact.reference is None and artifact.learned is None:
            return None
        if artifact.reference is None or artifact.learned is None:
            raise ModelRefused("of the payments the model learned from and was judged on, one kind is missing")
        judged, learned = unpack(artifact.reference), unpack(artifact.learned)
        if (
            judged.shape[1:] != (len(NAMES) + 1,)
            or learned.shape[1:] != (len(NAMES),)
            or not len(judged)
            or not len(learned)
        ):
            raise ModelRefused("the payments the model learned from and was judged on do not fit its features")
        return cls(judged, learned)


@dataclass(frozen=True)
class Strangeness:
    """The anomaly trees, compiled, and how their sums lay over the training payments."""

    trees: CompiledTrees
    steps: FloatArray
    shares: FloatArray
    """steps: (k,) different sums, ascending. shares: (k,) of training payments below each."""

    @classmethod
    def of(cls, artifact: Artifact) -> Self | None:
        """Raises ModelRefused when only a part of it is there or it does not fit together."""
        parts = (artifact.anomaly, artifact.anomaly_quantiles, artifact.golden_anomaly)
        if artifact.anomaly is None or artifact.anomaly_quantiles is None or artifact.golden_anomaly is None:
            if any(part is not None for part in parts):
                raise ModelRefused("the model's anomaly trees lack their quantiles or their golden sums")
            return None
        quantiles = unpack(artifact.anomaly_quantiles)
        if quantiles.ndim != 1 or len(quantiles) < 2 or not bool((np.diff(quantiles) >= 0).all()):
            raise ModelRefused("the quantiles of the model's anomaly trees are not in order")
        # Of equal sums the first: payments that share one are not less unusual than each other.
        steps, first = np.unique(quantiles, return_index=True)
        return cls(CompiledTrees.of(unpack_ensemble(artifact.anomaly), len(NAMES)), steps, first / (len(quantiles) - 1))

    def sums(self, matrix: Vectors) -> FloatArray:
        """(n,). scikit-learn's forests compare features in single precision; so do we, to land in the same leaves."""
        return self.trees.sums(np.asarray(matrix, dtype=np.float32))

    def quantile(self, matrix: Vectors) -> FloatArray:
        return np.interp(self.sums(matrix), self.steps, self.shares, right=1.0)


def _same(found: FloatArray, expected: FloatArray, what: str) -> None:
    worst = float(np.abs(found - expected).max()) if found.shape == expected.shape else float("nan")
    if not worst <= GOLDEN_TOLERANCE:
        raise ModelRefused(f"the model's {what} differ by {worst:.3g} from what its training gave", difference=worst)


def calibrated(calibration: Calibration, margin: FloatArray) -> FloatArray:
    """Probabilities; increasing in the margin, kept off 0 and 1 (nothing is certain)."""
    logit = np.clip(calibration.slope * margin + calibration.intercept, -700, 700)
    return np.asarray(np.clip(1 / (1 + np.exp(-logit)), _EDGE, 1 - _EDGE), dtype=np.float64)
