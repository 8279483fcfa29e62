"""The model file: MessagePack with packed arrays. Reading it runs nothing: no pickle, no native deserialiser.

The caller keeps it under its SHA-256 and has that verified before these functions see a byte.
"""

from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from core.base.errors import ModelRefused
from models.features.catalogue import CATALOGUE_VERSION, NAMES
from models.scoring.ensemble import Ensemble

FORMAT: Final = "ronda-model/1"
_DTYPES: Final = {"<f8", "<i4", "|b1"}


class PackedArray(msgspec.Struct, frozen=True):
    dtype: str
    shape: list[int]
    data: bytes


class PackedEnsemble(msgspec.Struct, frozen=True):
    base: float
    offset: PackedArray
    feature: PackedArray
    threshold: PackedArray
    left: PackedArray
    right: PackedArray
    missing_left: PackedArray
    value: PackedArray
    cover: PackedArray


class Calibration(msgspec.Struct, frozen=True):
    """probability = 1 / (1 + exp(-(slope * margin + intercept))); slope > 0, so the order of payments stays."""

    slope: float
    intercept: float


class Thresholds(msgspec.Struct, frozen=True):
    """Probabilities from which a payment is reviewed and declined; 1.0 = never."""

    review: float
    decline: float


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """golden, golden_margins: payments and the margins scikit-learn gave them at training.
    usual: (features,) median of each feature over legitimate training payments, NaN = not known. usual_range: (2, features) their 10th
    and 90th percentile.

    anomaly: trees whose sum grows with strangeness (for an isolation forest, minus the mean path length), over float32 features as
    scikit-learn compares them. anomaly_quantiles: (q,) that sum at evenly spaced quantiles 0 to 1 of training payments, ascending.
    golden_anomaly: the sums scikit-learn gave the golden payments. All three or none.

    reference: (points, features + 1) the features and, last, the calibrated score of the payments the model was judged on, each column
    by itself condensed to evenly spaced order statistics, unknown values last: what monitoring compares recent payments with.
    learned: (points, features) the same of the payments of the time it learned from: how far a feature moves anyway. Both or none.
    """

    format: str
    catalogue_version: int
    features: list[str]
    ensemble: PackedEnsemble
    calibration: Calibration
    thresholds: Thresholds
    golden: PackedArray
    golden_margins: PackedArray
    usual: PackedArray
    lineage: dict[str, Any]
    anomaly: PackedEnsemble | None = None
    anomaly_quantiles: PackedArray | None = None
    golden_anomaly: PackedArray | None = None
    usual_range: PackedArray | None = None
    reference: PackedArray | None = None
    learned: PackedArray | None = None


_decoder = msgspec.msgpack.Decoder(Artifact)


def pack(array: npt.NDArray[Any]) -> PackedArray:
    dtype = np.dtype(array.dtype).newbyteorder("<")
    if dtype.str not in _DTYPES:
        raise ValueError(f"arrays of {dtype.str} are not stored")
    return PackedArray(dtype.str, list(array.shape), np.ascontiguousarray(array, dtype=dtype).tobytes())


def unpack(packed: PackedArray) -> npt.NDArray[Any]:
    """Raises ModelRefused when the bytes do not fill the shape."""
    if packed.dtype not in _DTYPES or any(size < 0 for size in packed.shape) or len(packed.shape) > 2:
        raise ModelRefused("the model file holds an array of an unknown kind")
    expected = int(np.dtype(packed.dtype).itemsize)
    for size in packed.shape:
        expected *= size
    if expected != len(packed.data):
        raise ModelRefused("the model file holds an array of another size than it says")
    return np.frombuffer(packed.data, dtype=packed.dtype).reshape(packed.shape)


def pack_ensemble(ensemble: Ensemble) -> PackedEnsemble:
    arrays = {name: pack(getattr(ensemble, name)) for name in PackedEnsemble.__struct_fields__ if name != "base"}
    return PackedEnsemble(base=ensemble.base, **arrays)


def unpack_ensemble(packed: PackedEnsemble) -> Ensemble:
    arrays = {name: unpack(getattr(packed, name)) for name in PackedEnsemble.__struct_fields__ if name != "base"}
    return Ensemble(base=packed.base, **arrays)


def encode(artifact: Artifact) -> bytes:
    """Deterministic: the same model gives the same bytes."""
    return msgspec.msgpack.encode(artifact, order="deterministic")


def decode(data: bytes) -> Artifact:
    """Raises ModelRefused for another format, another catalogue, or bytes that are no model."""
    try:
        artifact = _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise ModelRefused(f"the model file cannot be read: {error}") from error
    if artifact.format != FORMAT:
        raise ModelRefused(f"the model file has format {artifact.format}, this program reads {FORMAT}")
    if artifact.catalogue_version != CATALOGUE_VERSION or tuple(artifact.features) != NAMES:
        raise ModelRefused(
            f"the model was trained on feature catalogue {artifact.catalogue_version}, this program has {CATALOGUE_VERSION}: train again"
        )
    if not (np.isfinite(artifact.calibration.slope) and artifact.calibration.slope > 0):
        raise ModelRefused("the model's calibration is not increasing")
    if not 0 <= artifact.thresholds.review <= artifact.thresholds.decline <= 1:
        raise ModelRefused("the model's thresholds are not in order")
    return artifact
