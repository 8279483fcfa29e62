"""Readings to features: the one function behind live scoring and training.

Only +, -, *, / and square roots: these are exact to the last bit for any batch size, where numpy's sines and logarithms are not.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from core.base.terms import EntityKind
from models.features.catalogue import DAY_S, FEATURES, LABEL_WINDOWS, LABELLED, NAMES, READINGS

FloatMatrix = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_READING: Final = {name: column for column, name in enumerate(READINGS)}
_COLUMN: Final = {name: column for column, name in enumerate(NAMES)}
_DIRECT: Final = [name for name in NAMES if name in _READING]
_DIRECT_FROM: Final = np.array([_READING[name] for name in _DIRECT])
_DIRECT_TO: Final = np.array([_COLUMN[name] for name in _DIRECT])
_DEFAULTS: Final = np.array([feature.default for feature in FEATURES])
_MS_PER_DAY: Final = DAY_S * 1000
_EPOCH_WEEKDAY: Final = 3  # 1970-01-01 was a Thursday; Monday is 0


def assemble(readings: FloatMatrix, occurred_at_ms: IntArray, amount_minor: IntArray) -> FloatMatrix:
    """readings: (n, len(READINGS)), -1 = not known. Returns (n, len(FEATURES)) float64, NaN = not known."""
    known = np.where(readings < 0, np.nan, readings)
    amount = amount_minor.astype(np.float64)
    matrix = np.empty((len(readings), len(FEATURES)))
    matrix[:, _DIRECT_TO] = known[:, _DIRECT_FROM]
    matrix[:, _COLUMN["amount"]] = amount
    with np.errstate(divide="ignore", invalid="ignore"):
        _set_own_history(matrix, known, amount)
        _set_entities(matrix, known, amount)
        _set_fraud_history(matrix, known)
    _set_time(matrix, occurred_at_ms)
    return np.where(np.isnan(matrix), _DEFAULTS, matrix)


def _reading(known: FloatMatrix, name: str) -> FloatArray:
    return known[:, _READING[name]]


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    """NaN where there is nothing to divide by."""
    return np.where(below > 0, above / below, np.nan)


def _set_own_history(matrix: FloatMatrix, known: FloatMatrix, amount: FloatArray) -> None:
    count = _reading(known, "customer_earlier_payments")
    total = _reading(known, "own_sum")
    # own_square_deviations = sum((n*a - total)^2) keeps whole numbers whole; n^3 brings it back to a variance.
    spread = np.sqrt(_ratio(_reading(known, "own_square_deviations"), count * count * count))
    matrix[:, _COLUMN["amount_to_own_mean"]] = _ratio(amount * count, total)
    matrix[:, _COLUMN["amount_to_own_median"]] = _ratio(2 * amount, _reading(known, "own_median_twice"))
    matrix[:, _COLUMN["amount_to_own_max"]] = _ratio(amount, _reading(known, "own_max"))
    matrix[:, _COLUMN["amount_own_deviations"]] = _ratio(amount - _ratio(total, count), spread)
    mean_30d = _mean(known, EntityKind.CUSTOMER, "30d")
    matrix[:, _COLUMN["customer_mean_amount_30d"]] = mean_30d
    matrix[:, _COLUMN["amount_to_mean_30d"]] = _ratio(amount, mean_30d)
    matrix[:, _COLUMN["customer_mean_24h_to_30d"]] = _ratio(_mean(known, EntityKind.CUSTOMER, "24h"), mean_30d)


def _mean(known: FloatMatrix, kind: EntityKind, window: str) -> FloatArray:
    return _ratio(
        _reading(known, f"{kind}_velocity_{window}_amount"), _reading(known, f"{kind}_velocity_{window}_count")
    )


def _set_entities(matrix: FloatMatrix, known: FloatMatrix, amount: FloatArray) -> None:
    for kind in EntityKind:
        since = _reading(known, f"{kind}_since_previous_ms")
        if kind is not EntityKind.MERCHANT:
            matrix[:, _COLUMN[f"{kind}_since_previous_s"]] = since / 1000
        named = ~np.isnan(_reading(known, f"{kind}_velocity_1h_count"))
        matrix[:, _COLUMN[f"{kind}_new"]] = np.where(named, np.isnan(since), np.nan)
    matrix[:, _COLUMN["amount_to_merchant_mean_30d"]] = _ratio(amount, _mean(known, EntityKind.MERCHANT, "30d"))


def _set_fraud_history(matrix: FloatMatrix, known: FloatMatrix) -> None:
    for kind in LABELLED:
        for window in LABEL_WINDOWS:
            frauds, labels = _reading(known, f"{kind}_frauds_{window}"), _reading(known, f"{kind}_labels_{window}")
            matrix[:, _COLUMN[f"{kind}_risk_{window}"]] = np.where(labels == 0, 0.0, frauds / labels)
        for what in ("fraud_run_age", "since_fraud"):
            matrix[:, _COLUMN[f"{kind}_{what}_s"]] = _reading(known, f"{kind}_{what}_ms") / 1000


def _set_time(matrix: FloatMatrix, occurred_at_ms: IntArray) -> None:
    hour = (occurred_at_ms % _MS_PER_DAY) / 3_600_000
    weekday = (occurred_at_ms // _MS_PER_DAY + _EPOCH_WEEKDAY) % 7
    matrix[:, _COLUMN["hour"]] = hour
    matrix[:, _COLUMN["night"]] = hour < 6
    matrix[:, _COLUMN["weekend"]] = weekday >= 5
