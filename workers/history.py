"""Reads payments and labels from PostgreSQL into the columns that replay and training work on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from core.base.clock import rfc3339, to_ms
from core.base.terms import EntityKind, Label, LabelSource
from core.infra.postgres import UnitOfWork
from core.stores import casework, flow
from core.stores.flow import ENTITY_COLUMNS
from core.tables.casework import TransactionLabel
from core.tables.flow import Transaction
from models.features.catalogue import CATALOGUE_VERSION, NAMES
from models.features.offline import BoolArray, History, Labels
from models.features.vector import FloatArray, FloatMatrix, IntArray

_WEIGHT = {source.value: weight for weight, source in enumerate(LabelSource)}
UNKNOWN = -1


@dataclass(frozen=True)
class PaymentColumns:
    """Payments in the order of acceptance. `truth`: 1 fraud, 0 legitimate, -1 nothing said; `reported_at_ms` -1 where unknown.

    inclusion: chance with which people came to look at the payment: 1 = an alert on its own merit, less = drawn for the control sample,
    NaN = no alert. segments: by attribute, its values and each payment's place in them, -1 = none. labels_told: by source, how many of
    each label, and the latest report.
    """

    uids: list[bytes]
    history: History
    accepted_at_ms: IntArray
    truth: IntArray
    reported_at_ms: IntArray
    inclusion: FloatArray
    segments: Mapping[str, tuple[tuple[str, ...], IntArray]]
    labels_told: Mapping[str, Mapping[str, int | str]]


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


async def read_history(work: UnitOfWork, until: datetime | None = None) -> PaymentColumns:
    """Everything accepted, labelled and alerted so far, or by `until`. About 1 kB of memory a payment."""
    columns, told = _Columns(), _Told()
    async for rows in flow.walk_accepted(work):
        columns.add([row for row in rows if until is None or row.accepted_at <= until])
    taken: list[_Taken] = []
    truth: dict[int, _Statement] = {}
    async for arrived in casework.walk_labels(work):
        for item in arrived:
            row = columns.row_of.get(item.label.transaction_uid.bytes)
            if row is None or (until is not None and item.label.received_at > until):
                continue
            told.add(item.label)
            _weigh(truth, row, item.label)
            if item.label.label != Label.UNSURE.value:
                taken.append(_take(row, item.label, item.transaction.imported))
    inclusion = np.full(len(columns.row_of), np.nan)
    async for alerts in casework.walk_alert_chances(work, until):
        for uid, chance in alerts:
            if (row := columns.row_of.get(uid.bytes)) is not None:
                inclusion[row] = 1.0 if chance is None else chance
    return columns.finished(taken, truth, inclusion, told.by_source)


class _Told:
    """Counts what was said, by whom."""

    def __init__(self) -> None:
        self.by_source: dict[str, dict[str, int | str]] = {}

    def add(self, label: TransactionLabel) -> None:
        source = self.by_source.setdefault(label.label_source, {"reported_until": ""})
        source[label.label] = int(source.get(label.label, 0)) + 1
        source["reported_until"] = max(str(source["reported_until"]), rfc3339(label.reported_at))


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
        self._attributes: dict[str, tuple[dict[str, int], list[int]]] = {name: ({}, []) for name in _SEGMENTED}

    def add(self, rows: Sequence[Transaction]) -> None:
        for row in rows:
            self.row_of[row.uid.bytes] = len(self._occurred)
            self._occurred.append(to_ms(row.occurred_at))
            self._accepted.append(to_ms(row.accepted_at))
            self._amounts.append(row.amount_minor)
            self._entities.append(tuple(self._code(place, getattr(row, name)) for place, name in _PLACES))
            for name, (seen, codes) in self._attributes.items():
                value = getattr(row, name)
                codes.append(-1 if value is None else seen.setdefault(value, len(seen)))

    def _code(self, place: int, value: str | None) -> int:
        return -1 if value is None else self._codes[place].setdefault(value, len(self._codes[place]))

    def finished(
        self,
        taken: list[_Taken],
        truth: dict[int, _Statement],
        inclusion: FloatArray,
        labels_told: Mapping[str, Mapping[str, int | str]],
    ) -> PaymentColumns:
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
        segments = {
            name: (tuple(seen), np.array(codes, dtype=np.int64)) for name, (seen, codes) in self._attributes.items()
        }
        return PaymentColumns(
            list(self.row_of), history, accepted, known, reported, inclusion, segments, labels_told
        )  # fmt: skip


_SEGMENTED = ("channel", "currency", "merchant_category")
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


async def put_logged_vectors(work: UnitOfWork, columns: PaymentColumns, matrix: FloatMatrix) -> BoolArray:
    """Writes the vectors that were really scored into their rows; (n,) which rows have one."""
    row_of = {uid: row for row, uid in enumerate(columns.uids)}
    logged = np.zeros(len(matrix), dtype=np.bool_)
    async for batch in flow.walk_logged_vectors(work, CATALOGUE_VERSION):
        for uid, vector in batch:
            row = row_of.get(uid.bytes)
            if row is not None and len(vector) == len(NAMES):
                matrix[row] = [np.nan if value is None else value for value in vector]
                logged[row] = True
    return logged
