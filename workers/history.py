"""Reads payments and labels from PostgreSQL into the columns that replay and training work on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.base.clock import to_ms
from core.base.terms import EntityKind, Label, LabelSource
from core.infra.postgres import UnitOfWork
from core.stores import casework, flow
from core.stores.flow import ENTITY_COLUMNS
from core.tables.casework import TransactionLabel
from core.tables.flow import Transaction
from models.features.catalogue import CATALOGUE_VERSION, NAMES
from models.features.offline import History, Labels
from models.features.vector import FloatMatrix, IntArray

_WEIGHT = {source.value: weight for weight, source in enumerate(LabelSource)}
UNKNOWN = -1


@dataclass(frozen=True)
class PaymentColumns:
    """Payments in the order of acceptance. `truth`: 1 fraud, 0 legitimate, -1 nothing said; `reported_at_ms` -1 where unknown."""

    uids: list[bytes]
    history: History
    accepted_at_ms: IntArray
    truth: IntArray
    reported_at_ms: IntArray


@dataclass
class _Statement:
    weight: int
    reported_at_ms: int
    fraud: bool


@dataclass(frozen=True)
class _Taken:
    """A label as the feature store took it."""

    row: int
    reported_at_ms: int
    received_at_ms: int
    fraud: bool
    with_history: bool


async def read_history(work: UnitOfWork) -> PaymentColumns:
    """Everything accepted so far. About 1 kB of memory a payment."""
    columns = _Columns()
    async for rows in flow.walk_accepted(work):
        columns.add(rows)
    taken: list[_Taken] = []
    truth: dict[int, _Statement] = {}
    async for arrived in casework.walk_labels(work):
        for item in arrived:
            row = columns.row_of[item.label.transaction_uid.bytes]
            _weigh(truth, row, item.label)
            if item.label.label != Label.UNSURE.value:
                taken.append(_take(row, item.label, item.transaction.imported))
    return columns.finished(taken, truth)


def _take(row: int, label: TransactionLabel, imported: bool) -> _Taken:
    with_history = imported and label.label_source == LabelSource.IMPORT.value
    fraud = label.label == Label.FRAUD.value
    return _Taken(row, to_ms(label.reported_at), to_ms(label.received_at), fraud, with_history)


def _weigh(truth: dict[int, _Statement], row: int, label: TransactionLabel) -> None:
    """The weightiest source wins, then the latest report. UNSURE takes back an analyst's earlier word."""
    new = _Statement(_WEIGHT[label.label_source], to_ms(label.reported_at), label.label == Label.FRAUD.value)
    old = truth.get(row)
    if old and (old.weight, old.reported_at_ms) > (new.weight, new.reported_at_ms):
        return
    if label.label == Label.UNSURE.value:
        truth.pop(row, None)
    else:
        truth[row] = new


class _Columns:
    """Grows row by row; ids become numbers at once, so that a million payments stay small."""

    def __init__(self) -> None:
        self.row_of: dict[bytes, int] = {}
        self._codes: list[dict[str, int]] = [{} for _ in EntityKind]
        self._entities: list[tuple[int, ...]] = []
        self._occurred: list[int] = []
        self._accepted: list[int] = []
        self._amounts: list[int] = []

    def add(self, rows: Sequence[Transaction]) -> None:
        for row in rows:
            self.row_of[row.uid.bytes] = len(self._occurred)
            self._occurred.append(to_ms(row.occurred_at))
            self._accepted.append(to_ms(row.accepted_at))
            self._amounts.append(row.amount_minor)
            self._entities.append(tuple(self._code(place, getattr(row, name)) for place, name in _PLACES))

    def _code(self, place: int, value: str | None) -> int:
        return -1 if value is None else self._codes[place].setdefault(value, len(self._codes[place]))

    def finished(self, taken: list[_Taken], truth: dict[int, _Statement]) -> PaymentColumns:
        occurred, accepted = np.array(self._occurred, dtype=np.int64), np.array(self._accepted, dtype=np.int64)
        known, reported = (
            np.full(len(occurred), UNKNOWN, dtype=np.int64),
            np.full(len(occurred), UNKNOWN, dtype=np.int64),
        )
        for row, statement in truth.items():
            known[row], reported[row] = int(statement.fraud), statement.reported_at_ms
        entities = np.array(self._entities, dtype=np.int64).reshape(-1, len(EntityKind))
        labels = _labels(taken, occurred, accepted)
        history = History(occurred, np.array(self._amounts, dtype=np.int64), entities, labels)
        return PaymentColumns(list(self.row_of), history, accepted, known, reported)


_PLACES = tuple(enumerate(ENTITY_COLUMNS[kind] for kind in EntityKind))


def _labels(taken: list[_Taken], occurred: IntArray, accepted: IntArray) -> Labels:
    """Where each label stood in the stream: history's when they were reported, others when they were received."""
    if not taken:
        return Labels.none()
    rows, reported, received, fraud, with_history = (
        np.array(column) for column in zip(*map(_fields, taken), strict=True)
    )
    by_report = np.searchsorted(np.maximum.accumulate(occurred), reported, side="left")
    by_receipt = np.searchsorted(np.maximum.accumulate(accepted), received, side="left")
    position = np.where(with_history, by_report, by_receipt).astype(np.int64)
    order = np.lexsort((reported, position))
    return Labels(rows[order].astype(np.int64), reported[order].astype(np.int64), fraud[order], position[order])


def _fields(label: _Taken) -> tuple[int, int, int, bool, bool]:
    return label.row, label.reported_at_ms, label.received_at_ms, label.fraud, label.with_history


async def put_logged_vectors(work: UnitOfWork, columns: PaymentColumns, matrix: FloatMatrix) -> int:
    """Overwrite replayed rows with the vectors that were really scored; how many there were."""
    row_of = {uid: row for row, uid in enumerate(columns.uids)}
    count = 0
    async for batch in flow.walk_logged_vectors(work, CATALOGUE_VERSION):
        for uid, vector in batch:
            row = row_of.get(uid.bytes)
            if row is not None and len(vector) == len(NAMES):
                matrix[row] = [np.nan if value is None else value for value in vector]
                count += 1
    return count
