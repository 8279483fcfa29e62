"""Readings and facts to features: the one function behind live scoring and training.

Only +, -, *, / and square roots: these are exact to the last bit for any batch size, where numpy's sines and logarithms are not.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.base.terms import EntityKind
from models.features.catalogue import (
    DAY_S,
    FEATURES,
    LABEL_WINDOWS,
    LABELLED,
    LIMIT_WINDOWS,
    NAMES,
    READINGS,
    RISK_DAYS,
    RISKED,
    UNEXPLAINED,
    WINDOWS,
)
from models.features.facts import FACTS, ROUND

FloatMatrix = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.floating[Any]]
"""(n, len(NAMES)): double precision as scored, or single where a million payments are held at once."""
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
_NIGHT_ENDS: Final = 7
_STEPS_PER_DEGREE: Final = 100_000.0
_KM_PER_STEP: Final = 111.195 / _STEPS_PER_DEGREE
_LEAST_HOME_PAYMENTS: Final = 3
_LEAST_TRAVEL_S: Final = 60


def assemble(readings: FloatMatrix, occurred_at_ms: IntArray, facts: FloatMatrix) -> FloatMatrix:
    """readings: (n, len(READINGS)), facts: (n, len(FACTS)), -1 = not known. Returns (n, len(FEATURES)) float64, NaN = not known."""
    known = np.where(readings < 0, np.nan, readings)
    fact = dict(zip(FACTS, np.where(facts < 0, np.nan, facts).T, strict=True))
    matrix = np.full((len(readings), len(FEATURES)), np.nan)
    matrix[:, _DIRECT_TO] = known[:, _DIRECT_FROM]
    with np.errstate(divide="ignore", invalid="ignore"):
        _set_amount(matrix, known, fact)
        _set_own_history(matrix, known, fact["amount"])
        _set_entities(matrix, known, fact["amount"])
        _set_fraud_history(matrix, known)
        _set_place(matrix, known, fact)
    _set_time(matrix, occurred_at_ms)
    return np.where(np.isnan(matrix), _DEFAULTS, matrix)


def _reading(known: FloatMatrix, name: str) -> FloatArray:
    return known[:, _READING[name]]


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    """NaN where there is nothing to divide by."""
    return np.where(below > 0, above / below, np.nan)


def _set_amount(matrix: FloatMatrix, known: FloatMatrix, fact: dict[str, FloatArray]) -> None:
    amount = fact["amount"]
    matrix[:, _COLUMN["amount"]] = amount
    matrix[:, _COLUMN["amount_round"]] = (amount > 0) & (amount % ROUND == 0)
    matrix[:, _COLUMN["amount_just_under_limit"]] = fact["just_under_limit"]
    matrix[:, _COLUMN["category_code"]] = fact["category_code"]
    matrix[:, _COLUMN["country_not_billing"]] = fact["abroad"]
    for window in LIMIT_WINDOWS:
        name = f"customer_just_under_{window}"
        matrix[:, _COLUMN[name]] = _reading(known, name) + fact["just_under_limit"]


def _set_own_history(matrix: FloatMatrix, known: FloatMatrix, amount: FloatArray) -> None:
    count = _reading(known, "customer_earlier_payments")
    total = _reading(known, "own_sum")
    # own_square_deviations = sum((n*a - total)^2) keeps whole numbers whole; n^3 brings it back to a variance.
    spread = np.sqrt(_ratio(_reading(known, "own_square_deviations"), count * count * count))
    matrix[:, _COLUMN["amount_to_own_mean"]] = _ratio(amount * count, total)
    matrix[:, _COLUMN["amount_to_own_median"]] = _ratio(2 * amount, _reading(known, "own_median_twice"))
    matrix[:, _COLUMN["amount_to_own_p90"]] = _ratio(amount, _reading(known, "own_p90"))
    matrix[:, _COLUMN["amount_to_own_max"]] = _ratio(amount, _reading(known, "own_max"))
    matrix[:, _COLUMN["amount_own_deviations"]] = _ratio(amount - _ratio(total, count), spread)
    mean_30d = _mean(known, EntityKind.CUSTOMER, "30d")
    matrix[:, _COLUMN["amount_to_mean_30d"]] = _ratio(amount, mean_30d)
    matrix[:, _COLUMN["customer_mean_24h_to_30d"]] = _ratio(_mean(known, EntityKind.CUSTOMER, "24h"), mean_30d)
    matrix[:, _COLUMN["own_hour_share"]] = _ratio(_reading(known, "own_near_hour"), count)
    gap = _reading(known, "customer_since_previous_ms")
    matrix[:, _COLUMN["gap_to_own_mean"]] = _ratio(gap * (count - 1), _reading(known, "own_span_ms"))
    matrix[:, _COLUMN["customer_longest_silence_s"]] = _reading(known, "own_longest_silence_ms") / 1000


def _mean(known: FloatMatrix, kind: str, window: str) -> FloatArray:
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
        for window in WINDOWS:
            matrix[:, _COLUMN[f"{kind}_velocity_{window}_mean"]] = _mean(known, kind, window)
    matrix[:, _COLUMN["amount_to_merchant_mean_30d"]] = _ratio(amount, _mean(known, EntityKind.MERCHANT, "30d"))
    mean = _mean(known, "customer_category", "30d")
    matrix[:, _COLUMN["amount_to_customer_category_mean_30d"]] = _ratio(amount, mean)
    days = _ratio(_reading(known, "category_days_amount"), _reading(known, "category_days_count"))
    matrix[:, _COLUMN["amount_to_category_mean_30d"]] = _ratio(amount, days)


def _share(frauds: FloatArray, labels: FloatArray) -> FloatArray:
    """0 where nothing was checked."""
    return np.where(labels == 0, 0.0, frauds / labels)


def _set_fraud_history(matrix: FloatMatrix, known: FloatMatrix) -> None:
    for kind in LABELLED:
        for window in LABEL_WINDOWS:
            frauds, labels = _reading(known, f"{kind}_frauds_{window}"), _reading(known, f"{kind}_labels_{window}")
            matrix[:, _COLUMN[f"{kind}_risk_{window}"]] = _share(frauds, labels)
        for what in ("fraud", "unexplained") if kind in UNEXPLAINED else ("fraud",):
            for name in (f"{kind}_{what}_run_age", f"{kind}_since_{what}"):
                matrix[:, _COLUMN[f"{name}_s"]] = _reading(known, f"{name}_ms") / 1000
        if kind in UNEXPLAINED:
            newest = _reading(known, f"{kind}_newest_unexplained"), _reading(known, f"{kind}_newest_labels")
            matrix[:, _COLUMN[f"{kind}_unexplained_share"]] = _ratio(*newest)
    for subject in RISKED:
        for window in RISK_DAYS:
            frauds, labels = (_reading(known, f"{subject}_{what}_{window}") for what in ("frauds", "labels"))
            matrix[:, _COLUMN[f"{subject}_risk_{window}"]] = _share(frauds, labels)


def _set_place(matrix: FloatMatrix, known: FloatMatrix, fact: dict[str, FloatArray]) -> None:
    latitude, longitude = fact["latitude"], fact["longitude"]
    distance = _kilometres(
        latitude, longitude, _reading(known, "previous_latitude"), _reading(known, "previous_longitude")
    )
    hours = (_reading(known, "previous_place_ms") / 1000 + _LEAST_TRAVEL_S) / 3600
    matrix[:, _COLUMN["distance_from_previous_km"]] = distance
    matrix[:, _COLUMN["speed_from_previous_kmh"]] = distance / hours
    count = _reading(known, "home_payments")
    home = (_ratio(_reading(known, name), count) for name in ("home_latitudes", "home_longitudes"))
    from_home = _kilometres(latitude, longitude, *home)
    matrix[:, _COLUMN["distance_from_home_km"]] = np.where(count >= _LEAST_HOME_PAYMENTS, from_home, np.nan)


def _kilometres(
    latitude: FloatArray, longitude: FloatArray, other_latitude: FloatArray, other_longitude: FloatArray
) -> FloatArray:
    """Equirectangular distance; positions as in FACTS. Within 1% up to about 500 km away from the poles, rougher beyond.

    The cosine is Bhaskara's (7th century): cos x = (32400 - 4 x^2) / (32400 + x^2), x in degrees, off by at most 0.0017.
    """
    north = latitude - other_latitude
    around = 360 * _STEPS_PER_DEGREE
    east = np.abs(longitude - other_longitude)
    east = np.where(east > around / 2, around - east, east)
    middle = (latitude + other_latitude) / 2 / _STEPS_PER_DEGREE - 90
    cosine = (32_400 - 4 * middle * middle) / (32_400 + middle * middle)
    east = east * cosine
    return np.asarray(np.sqrt(north * north + east * east) * _KM_PER_STEP, dtype=np.float64)


def _set_time(matrix: FloatMatrix, occurred_at_ms: IntArray) -> None:
    hour = (occurred_at_ms % _MS_PER_DAY) / 3_600_000
    weekday = (occurred_at_ms // _MS_PER_DAY + _EPOCH_WEEKDAY) % 7
    matrix[:, _COLUMN["hour"]] = hour
    matrix[:, _COLUMN["night"]] = hour < _NIGHT_ENDS
    matrix[:, _COLUMN["weekend"]] = weekday >= 5
    matrix[:, _COLUMN["weekday"]] = weekday
