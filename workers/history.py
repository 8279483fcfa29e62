"""Reads payments and labels from PostgreSQL into the columns that replay and training work on."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from core.base.clock import rfc3339, to_ms
from core.base.terms import Label, LabelSource
from core.infra.postgres import UnitOfWork
from core.stores import casework, flow
from core.stores.flow import ENTITY_COLUMNS
from core.tables.casework import TransactionLabel
from core.tables.flow import Transaction
from models.features.catalogue import CATALOGUE_VERSION, NAMES
from models.features.offline import BoolArray, History, Labels
from models.features.vector import FloatArray, IntArray, Vectors
from workers.past import Taken, walk_past

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


async def read_history(work: UnitOfWork, until: datetime | None = None) -> PaymentColumns:
    """Everything accepted, labelled and alerted so far, or by `until`. About 1 kB of memory a payment."""
    columns = _Columns()
    async for taken in walk_past(work, until):
        for row in taken:
            columns.take(row)
    async for alerts in casework.walk_alert_chances(work, until):
        for uid, chance in alerts:
            columns.looked_at(uid.bytes, 1.0 if chance is None else chance)
    return columns.finished()


def history_of(past: Iterable[Taken]) -> History:
    """What a replay works on, of some payments and labels in the order they were taken."""
    columns = _Columns()
    for row in past:
        columns.take(row)
    return columns.finished().history


class _Columns:
    """Grows row by row; ids become numbers at once, so that a million payments stay small."""

    def __init__(self) -> None:
        self._row_of: dict[bytes, int] = {}
        self._codes: dict[str, dict[str, int]] = {name: {} for name in _CODED}
        self._coded: dict[str, list[int]] = {name: [] for name in _CODED}
        self._numbers: list[tuple[int, int, int]] = []
        self._positions: list[tuple[float, float]] = []
        self._taken: list[tuple[int, int, bool, int]] = []
        self._truth: dict[int, _Statement] = {}
        self._told = _Told()
        self._chances: dict[int, float] = {}

    def take(self, row: Taken) -> None:
        if isinstance(row, Transaction):
            self.add(row)
        else:
            self.label(row.label)

    def add(self, row: Transaction) -> None:
        self._row_of[row.uid.bytes] = len(self._numbers)
        self._numbers.append((to_ms(row.occurred_at), to_ms(row.accepted_at), row.amount_minor))
        here, there = row.latitude, row.longitude
        self._positions.append((math.nan if here is None else here, math.nan if there is None else there))
        for name in _CODED:
            value, codes = getattr(row, name), self._codes[name]
            self._coded[name].append(-1 if value is None else codes.setdefault(value, len(codes)))

    def label(self, label: TransactionLabel) -> None:
        row = self._row_of[label.transaction_uid.bytes]
        reported, fraud = to_ms(label.reported_at), label.label == Label.FRAUD.value
        self._told.add(label)
        _weigh(self._truth, row, label)
        if label.label != Label.UNSURE.value:
            self._taken.append((row, reported, fraud, len(self._numbers)))

    def looked_at(self, uid: bytes, chance: float) -> None:
        row = self._row_of.get(uid)
        if row is not None:
            self._chances[row] = chance

    def finished(self) -> PaymentColumns:
        rows = len(self._numbers)
        occurred, accepted, amount = np.array(self._numbers, dtype=np.int64).reshape(-1, 3).T
        latitude, longitude = np.array(self._positions, dtype=np.float64).reshape(-1, 2).T
        coded = {name: np.array(codes, dtype=np.int64) for name, codes in self._coded.items()}
        words = {name: tuple(codes) for name, codes in self._codes.items()}
        history = History.of(
            occurred,
            amount,
            [words["currency"][code] for code in coded["currency"].tolist()],
            _labels(self._taken),
            category=_spelled(words, coded, "merchant_category"),
            country=_spelled(words, coded, "merchant_country"),
            billing_country=_spelled(words, coded, "billing_country"),
            latitude=latitude,
            longitude=longitude,
            **{kind: coded[column] for kind, column in ENTITY_COLUMNS.items()},
        )
        known = np.full(rows, UNKNOWN, dtype=np.int64)
        reported = known.copy()
        for row, statement in self._truth.items():
            known[row], reported[row] = int(statement.fraud), statement.reported_at_ms
        inclusion = np.full(rows, np.nan)
        inclusion[list(self._chances)] = list(self._chances.values())
        segments = {name: (words[name], coded[name]) for name in SEGMENTS}
        uids, told = list(self._row_of), self._told.by_source
        return PaymentColumns(uids, history, accepted, known, reported, inclusion, segments, told)


class _Told:
    """Counts what was said, by whom."""

    def __init__(self) -> None:
        self.by_source: dict[str, dict[str, int | str]] = {}

    def add(self, label: TransactionLabel) -> None:
        source = self.by_source.setdefault(label.label_source, {"reported_until": ""})
        source[label.label] = int(source.get(label.label, 0)) + 1
        source["reported_until"] = max(str(source["reported_until"]), rfc3339(label.reported_at))


_CODED = (*ENTITY_COLUMNS.values(), "currency", "channel", "merchant_category", "merchant_country", "billing_country")
SEGMENTS = ("channel", "currency", "merchant_category")
"""Fields whose values models are judged apart by."""


def _spelled(words: Mapping[str, tuple[str, ...]], coded: Mapping[str, IntArray], name: str) -> list[str | None]:
    values = words[name]
    return [None if code < 0 else values[code] for code in coded[name].tolist()]


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


def _labels(taken: list[tuple[int, int, bool, int]]) -> Labels:
    if not taken:
        return Labels.none()
    rows, reported, fraud, position = (np.array(column) for column in zip(*taken, strict=True))
    return Labels(rows, reported, fraud, position)


async def put_logged_vectors(work: UnitOfWork, columns: PaymentColumns, matrix: Vectors) -> BoolArray:
    """Writes the vectors that were really scored into the rows of the last payments, as many as `matrix` has; which rows have one."""
    row_of = {uid: row for row, uid in enumerate(columns.uids[len(columns.uids) - len(matrix) :])}
    logged = np.zeros(len(matrix), dtype=np.bool_)
    async for batch in flow.walk_logged_vectors(work, CATALOGUE_VERSION):
        for uid, vector in batch:
            row = row_of.get(uid.bytes)
            if row is not None and len(vector) == len(NAMES):
                matrix[row] = [np.nan if value is None else value for value in vector]
                logged[row] = True
    return logged
