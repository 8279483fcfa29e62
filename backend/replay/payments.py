"""A file's columns as the API's payments: one record batch with a column per transaction field, bad rows left out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from backend.replay.mapping import LABEL, ColumnMap
from backend.replay.reading import BadRows, Rows
from core.base.clock import from_ms, rfc3339, to_ms
from core.base.money import MAX_MINOR, exponent_of

IntArray = npt.NDArray[np.int64]

UNKNOWN = np.iinfo(np.int64).min
"""Marks a time or amount that could not be read."""

_TEXTS = (
    "id", "customer_id", "currency", "card_id", "merchant_id", "merchant_category", "merchant_country", "channel",
    "device_id", "ip", "email_hash", "billing_country",
)  # fmt: skip
_FRAUD_WORDS = {
    **dict.fromkeys(("1", "1.0", "true", "t", "yes", "y", "fraud", "fraudulent"), 1),
    **dict.fromkeys(("0", "0.0", "false", "f", "no", "n", "legitimate", "legit", "genuine"), 0),
}
_EPOCH_UNITS = ((10**11, 1000.0), (10**14, 1.0), (10**17, 1e-3), (10**30, 1e-6))
"""A number below the first value counts seconds, milliseconds, microseconds, nanoseconds; times this gives milliseconds."""


@dataclass(frozen=True)
class Canonical:
    """Turns rows of one file into payments. `currency`, `timezone`: for files and times that name none."""

    map: ColumnMap
    currency: str
    timezone: str

    def times(self, rows: Rows) -> Iterator[IntArray]:
        """Event times in milliseconds, batch by batch; UNKNOWN where unreadable. Reads that one column only."""
        column = self.map.fields["occurred_at"]
        for batch in rows.batches([column], BadRows()):
            yield milliseconds(batch.column(0), self.timezone)

    def payments(self, rows: Rows, bad: BadRows) -> Iterator[pa.RecordBatch]:
        """Batches with `occurred_ms`, `amount` (text), the fields of the map, and `is_fraud` (null = not labelled)."""
        seen = 0
        for batch in rows.batches(self.map.columns, bad):
            yield self.convert(batch, bad, first_row=seen + 1)
            seen += batch.num_rows

    def convert(self, batch: pa.RecordBatch, bad: BadRows, first_row: int) -> pa.RecordBatch:
        column = {name: batch.column(source) for name, source in self.map.fields.items()}
        texts = {name: text(column[name]) for name in _TEXTS if name in column}
        currency = pc.fill_null(texts.get("currency", pa.nulls(batch.num_rows, pa.string())), self.currency)
        occurred, minor = milliseconds(column["occurred_at"], self.timezone), minor_units(column["amount"], currency)
        made: dict[str, pa.Array] = {
            **texts,
            "currency": currency,
            "occurred_ms": pa.array(occurred),
            "amount": pa.array(list(map(_decimal, minor.tolist(), currency.to_pylist())), pa.string()),
        }
        for name in ("latitude", "longitude"):
            if name in column:
                values = numbers(column[name])
                made[name] = pa.array(values, mask=np.isnan(values))
        problems = {
            "occurred_at": occurred == UNKNOWN,
            "amount": minor == UNKNOWN,
            "id": _is_null(texts["id"]),
            "customer_id": _is_null(texts["customer_id"]),
        }
        if LABEL in column:
            made[LABEL], problems[LABEL] = _fraud_flags(column[LABEL])
        attributes, problems["attributes"] = self._attributes(batch)
        if attributes is not None:
            made["attributes"] = attributes
        good = _report_bad(column, problems, bad, first_row)
        return pa.RecordBatch.from_pydict(made).filter(good)

    def _attributes(self, batch: pa.RecordBatch) -> tuple[pa.Array | None, npt.NDArray[np.bool_]]:
        """JSON objects out of the file's own `attributes` and the columns chosen as attributes; which were no object."""
        broken = np.zeros(batch.num_rows, dtype=np.bool_)
        whole = self.map.fields.get("attributes")
        if not whole and not self.map.attributes:
            return None, broken
        merged: list[dict[str, Any]] = [{} for _ in range(batch.num_rows)]
        if whole:
            for place, value in enumerate(text(batch.column(whole)).to_pylist()):
                try:
                    merged[place] = msgspec.json.decode(value, type=dict[str, Any]) if value else {}
                except msgspec.DecodeError:
                    broken[place] = True
        for name, source in self.map.attributes.items():
            for place, value in enumerate(_plain_values(batch.column(source))):
                if value is not None:
                    merged[place][name] = value
        return pa.array([msgspec.json.encode(one).decode() if one else None for one in merged], pa.string()), broken


def bodies(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows as the API takes them: absent instead of null, times in RFC 3339."""
    made = []
    for row in batch.to_pylist():
        body = {name: value for name, value in row.items() if value is not None and name != LABEL}
        body["occurred_at"] = rfc3339(from_ms(body.pop("occurred_ms")))
        if "attributes" in body:
            body["attributes"] = msgspec.Raw(body["attributes"].encode())
        made.append(body)
    return made


def text(array: pa.Array) -> pa.Array:
    """Any scalar column as text; whole floats without `.0`, empty text as null."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_finite(array), array, pa.scalar(None, array.type))
        whole = pc.all(pc.and_(pc.equal(pc.floor(array), array), pc.less(pc.abs(array), 2.0**53))).as_py()
        array = pc.cast(array, pa.int64()) if whole else array
    array = pc.utf8_trim_whitespace(pc.cast(array, pa.string()))
    return pc.if_else(pc.equal(array, ""), pa.scalar(None, pa.string()), array)


def milliseconds(array: pa.Array, timezone: str) -> IntArray:
    """Times as milliseconds since 1970. Takes Arrow times and dates, ISO 8601 text and epoch numbers of any usual unit."""
    if pa.types.is_date(array.type):
        array = pc.cast(array, pa.timestamp("ms"))
    if pa.types.is_timestamp(array.type):
        if array.type.tz is None and timezone != "UTC":
            array = pc.assume_timezone(array, timezone, ambiguous="earliest", nonexistent="latest")
        known = pc.cast(pc.cast(array, pa.timestamp("ms", array.type.tz), safe=False), pa.int64())
        return _int64(known)
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        return _epoch_ms(numbers(array))
    zone = ZoneInfo(timezone)
    return np.array([_parsed_ms(value, zone) for value in text(array).to_pylist()], dtype=np.int64)


def numbers(array: pa.Array) -> npt.NDArray[np.float64]:
    """A numeric or text column as floats; NaN where there is none."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    try:
        return _float64(pc.cast(array, pa.float64()))
    except pa.ArrowInvalid:
        return np.array([_number(value) for value in text(array).to_pylist()], dtype=np.float64)


def minor_units(array: pa.Array, currency: pa.Array) -> IntArray:
    """Amounts in minor units, rounded to the currency's digits; UNKNOWN where not a number in range."""
    scales = np.array([10 ** exponent_of(code) for code in currency.to_pylist()], dtype=np.float64)
    scaled = np.rint(numbers(array) * scales)
    with np.errstate(invalid="ignore"):
        in_range = (scaled >= 0) & (scaled <= MAX_MINOR)
        return np.where(in_range, scaled, UNKNOWN).astype(np.int64)


def _decimal(minor: int, currency: str) -> str:
    digits = exponent_of(currency)
    if not digits or minor == UNKNOWN:
        return str(minor)
    whole, rest = divmod(minor, 10**digits)
    return f"{whole}.{rest:0{digits}d}"


def _fraud_flags(array: pa.Array) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """1 = fraud, 0 = not, null = not labelled; and which values say neither."""
    words = text(array).to_pylist()
    flags = [None if word is None else _FRAUD_WORDS.get(word.lower(), -1) for word in words]
    return pa.array(flags, pa.int8()), np.array([flag == -1 for flag in flags], dtype=np.bool_)


def _report_bad(
    column: dict[str, pa.Array], problems: dict[str, npt.NDArray[np.bool_]], bad: BadRows, first_row: int
) -> pa.Array:
    """Mask of the rows that can be sent; the others go to `bad`, one reason each."""
    broken = np.logical_or.reduce(list(problems.values()))
    for place in np.flatnonzero(broken).tolist():
        name = next(name for name, marks in problems.items() if marks[place])
        value = column[name][place].as_py()
        shown = "is missing" if value is None else f"is {str(value)[:60]!r}"
        bad.add(f"row {first_row + place}: {name} {shown}")
    return pa.array(~broken)


def _is_null(array: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(array.is_null().to_numpy(zero_copy_only=False), dtype=np.bool_)


def _int64(array: pa.Array) -> IntArray:
    return np.asarray(pc.fill_null(array, UNKNOWN).to_numpy(zero_copy_only=False), dtype=np.int64)


def _float64(array: pa.Array) -> npt.NDArray[np.float64]:
    return np.asarray(pc.fill_null(array, float("nan")).to_numpy(zero_copy_only=False), dtype=np.float64)


def _number(value: str | None) -> float:
    try:
        return float(value) if value is not None else float("nan")
    except ValueError:
        return float("nan")


def _epoch_ms(values: npt.NDArray[np.float64]) -> IntArray:
    largest = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0
    factor = next((factor for limit, factor in _EPOCH_UNITS if largest < limit), 1e-6)
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(values), np.floor(values * factor), UNKNOWN).astype(np.int64)


def _parsed_ms(value: str | None, zone: ZoneInfo) -> int:
    if value is None:
        return int(UNKNOWN)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        seconds = _number(value)
        return int(_epoch_ms(np.array([seconds]))[0])
    return to_ms(moment if moment.tzinfo else moment.replace(tzinfo=zone))


def _plain_values(array: pa.Array) -> Sequence[Any]:
    """Values as JSON can hold them: times and the like as text."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    plain: Callable[[Any], bool] = pa.types.is_primitive
    if pa.types.is_temporal(array.type) or not (plain(array.type) or pa.types.is_string(array.type)):
        array = text(array)
    values: Sequence[Any] = array.to_pylist()
    return [None if isinstance(value, float) and not np.isfinite(value) else value for value in values]
