"""Files of labelled payments as one stream: what the feature replay and the training work on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from backend.evaluation.options import EvaluationOptions
from backend.replay.mapping import LABEL, ColumnMap, resolve
from backend.replay.payments import Canonical, text
from backend.replay.reading import BadRows, open_rows
from core.base.errors import InvalidInput
from core.base.money import exponent_of
from core.base.terms import EntityKind
from models.features.offline import History, Labels
from models.features.vector import IntArray

DAY_MS = 86_400_000
UNLABELLED = -1
_ENTITY_COLUMNS = {
    EntityKind.CUSTOMER: "customer_id",
    EntityKind.CARD: "card_id",
    EntityKind.MERCHANT: "merchant_id",
    EntityKind.DEVICE: "device_id",
    EntityKind.IP: "ip",
}


@dataclass(frozen=True)
class Stream:
    """Payments in time order; a label is known a delay after its payment.

    truth: (n,) 1 fraud, 0 legitimate, -1 not labelled. judged_from_ms: the first payment of the file that ends last.
    notes: what a person should know of the files. Satisfies models.scoring.dataset.LabelledHistory.
    """

    history: History
    truth: IntArray
    reported_at_ms: IntArray
    judged_from_ms: int
    notes: list[str] = field(default_factory=list)


def read_stream(options: EvaluationOptions) -> Stream:
    """Raises InvalidInput: a file that cannot be read, a missing column, no labels, nothing to read."""
    notes: list[str] = []
    tables = [_read_file(path, options, notes) for path in options.files]
    payments = _in_time_order(tables, notes)
    truth = pc.fill_null(payments[LABEL], UNLABELLED).to_numpy().astype(np.int64)
    if not (truth == 1).any() or not (truth == 0).any():
        raise InvalidInput("the files hold frauds only or legitimate payments only: nothing can be ranked")
    occurred = _integers(payments["occurred_ms"])
    reported = occurred + options.delay_days * DAY_MS
    history = build_history(payments, truth, reported)
    last = max(tables, key=lambda table: pc.max(table["occurred_ms"]).as_py())
    return Stream(history, truth, reported, int(pc.min(last["occurred_ms"]).as_py()), notes)


def build_history(payments: pa.Table, truth: IntArray, reported: IntArray) -> History:
    """The columns of `backend.replay.payments.Canonical`, null or absent where a payment names nothing."""
    occurred = _integers(payments["occurred_ms"])
    labelled = np.flatnonzero(truth != UNLABELLED)
    labels = Labels.on_time(occurred, labelled, reported[labelled], truth[labelled] == 1)

    def words(name: str) -> list[str | None] | None:
        return payments[name].to_pylist() if name in payments.column_names else None

    def degrees(name: str) -> npt.NDArray[np.float64] | None:
        return _floats(payments[name]) if name in payments.column_names else None

    return History.of(
        occurred,
        _minor(payments),
        payments["currency"].to_pylist(),
        labels,
        category=words("merchant_category"),
        country=words("merchant_country"),
        billing_country=words("billing_country"),
        latitude=degrees("latitude"),
        longitude=degrees("longitude"),
        **{
            kind.value: _codes(payments[name])
            for kind, name in _ENTITY_COLUMNS.items()
            if name in payments.column_names
        },
    )


def _read_file(path: Path, options: EvaluationOptions, notes: list[str]) -> pa.Table:
    rows = open_rows(path)
    columns = resolve(rows.columns, options.columns)
    if not columns.has_labels:
        raise InvalidInput(
            f"{path.name} does not say which payments were fraud; it has: {', '.join(rows.columns)}. "
            f"Name the column with --map {LABEL}=COLUMN"
        )
    bad = BadRows()
    batches = list(Canonical(_needed(columns), options.currency, options.timezone).payments(rows, bad))
    if not sum(batch.num_rows for batch in batches):
        why = f": {bad.first[0]}" if bad.first else ""
        raise InvalidInput(f"{path.name} holds no payment that can be read{why}")
    if bad.count:
        notes.append(f"{path.name}: {bad.count:,} rows were left out, e.g. {bad.first[0]}")
    return pa.Table.from_batches(batches)


def _needed(columns: ColumnMap) -> ColumnMap:
    """Attributes feed no feature."""
    return ColumnMap({name: column for name, column in columns.fields.items() if name != "attributes"})


def _in_time_order(tables: Sequence[pa.Table], notes: list[str]) -> pa.Table:
    """Equal times as the files have them; a payment that several files hold counts once."""
    whole = pa.concat_tables(tables, promote_options="permissive")
    whole = whole.take(pc.sort_indices(whole, sort_keys=[("occurred_ms", "ascending")])) if _unsorted(whole) else whole
    if len(tables) == 1:
        return whole.combine_chunks()
    ids = [_codes(text(whole["id"].combine_chunks())), _integers(whole["occurred_ms"])]
    _, first = np.unique(np.stack(ids, axis=1), axis=0, return_index=True)
    if len(first) < whole.num_rows:
        notes.append(f"{whole.num_rows - len(first):,} payments are in more than one file and count once")
    return whole.take(pa.array(np.sort(first))).combine_chunks()


def _unsorted(table: pa.Table) -> bool:
    return bool((np.diff(_integers(table["occurred_ms"])) < 0).any())


def _codes(column: pa.ChunkedArray | pa.Array) -> IntArray:
    """Numbers that tell a column's values apart, -1 = null."""
    encoded = pc.dictionary_encode(column)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    return np.asarray(pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _minor(payments: pa.Table) -> IntArray:
    """Minor units of each payment's own currency."""
    currency = pc.dictionary_encode(payments["currency"].combine_chunks())
    digits = np.array([exponent_of(code) for code in currency.dictionary.to_pylist()], dtype=np.int64)
    scale = 10.0 ** digits[np.asarray(currency.indices)]
    return np.asarray(np.rint(_floats(payments["amount"]) * scale), dtype=np.int64)


def _integers(column: pa.ChunkedArray) -> IntArray:
    return np.asarray(column.to_numpy(), dtype=np.int64)


def _floats(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    return np.asarray(pc.cast(column, pa.float64()).to_numpy(), dtype=np.float64)
