"""What a training leaves behind: the model file, and what it was made of."""

import hashlib
import platform
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

import models
from core.base.clock import from_ms, rfc3339
from core.base.terms import EntityKind
from models.features.catalogue import CATALOGUE_VERSION, FEATURES, NAMES
from models.features.vector import FloatArray, FloatMatrix, IntArray, Vectors
from models.scoring.anomaly import Isolation
from models.scoring.artifact import FORMAT, Artifact, Calibration, Thresholds, encode, pack, pack_ensemble
from models.scoring.dataset import BoolArray, Dataset
from models.scoring.growing import Grown
from models.scoring.options import TrainingOptions
from models.scoring.scorer import Past
from models.scoring.split import Split

_GOLDEN_ROWS: Final = 64
_USUAL: Final = (0.1, 0.5, 0.9)
_LIBRARIES: Final = ("numpy", "scipy", "scikit-learn", "numba", "shap")


@dataclass(frozen=True)
class Parts:
    """What goes into the model file."""

    grown: Grown
    isolation: Isolation | None
    calibration: Calibration
    thresholds: Thresholds


def pack_model(parts: Parts, slices: Split, lineage: dict[str, Any], past: Past) -> bytes:
    grown, isolation = parts.grown, parts.isolation
    golden = golden_rows(slices.test.matrix, grown.margin(slices.test.matrix))
    low, usual, high = usual_values(slices.train)
    return encode(
        Artifact(
            format=FORMAT,
            catalogue_version=CATALOGUE_VERSION,
            features=list(NAMES),
            ensemble=pack_ensemble(grown.ensemble()),
            calibration=parts.calibration,
            thresholds=parts.thresholds,
            golden=pack(golden),
            golden_margins=pack(grown.margin(golden)),
            usual=pack(usual),
            usual_range=pack(np.stack([low, high])),
            reference=pack(past.judged),
            learned=pack(past.learned),
            lineage=lineage,
            anomaly=pack_ensemble(isolation.ensemble()) if isolation else None,
            anomaly_quantiles=pack(isolation.quantiles) if isolation else None,
            golden_anomaly=pack(isolation.sums(golden)) if isolation else None,
        )
    )


def golden_rows(matrix: Vectors, margin: FloatArray) -> FloatMatrix:
    """Payments from the lowest margin to the highest, and the one with most unknowns."""
    spread = np.linspace(0, len(matrix) - 1, min(_GOLDEN_ROWS, len(matrix))).astype(np.int64)
    emptiest = int(np.isnan(matrix).sum(axis=1).argmax())
    rows = np.append(np.argsort(margin, kind="stable")[spread], emptiest)
    return np.asarray(matrix[rows], dtype=np.float64)


def usual_values(rows: Dataset) -> FloatMatrix:
    """(3, features) 10th percentile, median and 90th over legitimate payments, values that occur. NaN for a feature that most of those
    that name its entity do not know: most merchants have no last fraud, so no time since one is usual.

    Column by column: memory is bounded.
    """
    legitimate = np.flatnonzero(~rows.is_fraud)
    usual = np.full((3, rows.matrix.shape[1]), np.nan)
    naming = {kind: _known(rows, f"{kind}_velocity_1h_count", legitimate).sum() for kind in EntityKind}
    for column, feature in enumerate(FEATURES):
        known = _known(rows, feature.name, legitimate)
        naming_it = naming[feature.entity] if feature.entity else len(legitimate)
        if known.any() and 2 * known.sum() >= naming_it:
            usual[:, column] = np.quantile(rows.matrix[legitimate[known], column], _USUAL, method="inverted_cdf")
    return usual


def _known(rows: Dataset, name: str, which: IntArray) -> BoolArray:
    return np.asarray(~np.isnan(rows.matrix[which, NAMES.index(name)]))


def lineage_of(dataset_sha256: str, slices: Split, options: TrainingOptions, facts: dict[str, Any]) -> dict[str, Any]:
    """Everything needed to make the same model again. facts: what the training found out about its own labels and options."""
    return {
        "catalogue_version": CATALOGUE_VERSION,
        "code_sha256": code_sha256(),
        "dataset_sha256": dataset_sha256,
        "options": plain(options),
        "libraries": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
        "slices": {
            "train": {**slices.train.counts(), "until": rfc3339(from_ms(slices.train_until_ms))},
            "calibration": {**slices.calibration.counts(), "from": rfc3339(from_ms(slices.calibration_from_ms))},
            "test": {
                **slices.test.counts(),
                "from": rfc3339(from_ms(slices.test_from_ms)),
                "until": rfc3339(from_ms(slices.test_until_ms)),
            },
        },
        **facts,
    }


def plain(options: TrainingOptions) -> dict[str, Any]:
    """The champion is another model's artifact and not copied into this one."""
    as_dict = asdict(replace(options, champion=None))
    del as_dict["champion"]
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(as_dict))
    return found


@cache
def code_sha256() -> str:
    """Of the room that makes models: two trainings with the same one computed the same way."""
    digest = hashlib.sha256()
    room = Path(next(iter(models.__path__)))
    for path in sorted(path for path in room.rglob("*") if path.suffix in (".py", ".lua")):
        digest.update(path.relative_to(room).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
