"""Rows of a Parquet, CSV or NDJSON file as Arrow record batches, a few thousand rows at a time.

Text formats are read as text: guessed types would drop the leading zeros of ids and change their mind between two blocks.
"""

import gzip
import itertools
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from core.base.errors import InvalidInput

BATCH_ROWS = 8192
_CSV_NULLS = ["", "null", "NULL", "NaN", "nan", "None"]
_CSV_DELIMITERS = ",;\t|"
_SUFFIXES = {
    ".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson",
    ".json": "ndjson",
}  # fmt: skip


@dataclass
class BadRows:
    """Rows that cannot be sent: counted, the first few in words."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, words: str) -> None:
        self.count += 1
        if len(self.first) < 5:
            self.first.append(words)


class Rows(Protocol):
    """A file of rows. May be walked several times; each walk starts at the first row."""

    columns: tuple[str, ...]

    def batches(self, wanted: Sequence[str], bad: BadRows) -> Iterator[pa.RecordBatch]:
        """The wanted columns. Lines that are no row at all go to `bad`. Raises InvalidInput for a damaged file."""


def open_rows(path: Path) -> Rows:
    """Raises InvalidInput for a file that is missing, empty or of another format."""
    if not path.is_file():
        raise InvalidInput(f"there is no file {path}")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = _SUFFIXES.get(suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else "".join(suffixes[-1:]))
    try:
        if kind == "parquet":
            return ParquetRows(path)
        if kind == "csv":
            return CsvRows(path)
        if kind == "ndjson":
            return NdjsonRows(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    raise InvalidInput(f"{path.name}: the format is told by the name: .parquet, .csv, .ndjson or .jsonl")


class ParquetRows:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.columns: tuple[str, ...] = tuple(pa.parquet.read_schema(path).names)

    def batches(self, wanted: Sequence[str], bad: BadRows) -> Iterator[pa.RecordBatch]:
        try:
            with pa.parquet.ParquetFile(self._path) as file:
                yield from file.iter_batches(BATCH_ROWS, columns=list(wanted))
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self._path, error) from error


class CsvRows:
    """The first line names the columns; the separator is whichever of `,` `;` tab `|` it holds most of."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with _open_text(path) as stream:
            header = stream.readline().decode("utf-8-sig")
        self._delimiter = max(_CSV_DELIMITERS, key=header.count)
        with self._open([], BadRows()) as reader:
            self.columns: tuple[str, ...] = tuple(reader.schema.names)

    def _open(self, wanted: Sequence[str], bad: BadRows) -> Any:
        def skip(row: Any) -> str:
            bad.add(f"a line has {row.actual_columns} values, not {row.expected_columns}")
            return "skip"

        return pa.csv.open_csv(
            pa.input_stream(str(self._path), compression="detect"),
            pa.csv.ReadOptions(use_threads=False),
            pa.csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=skip),
            pa.csv.ConvertOptions(
                column_types={name: pa.string() for name in wanted},
                include_columns=list(wanted),
                strings_can_be_null=True,
                null_values=_CSV_NULLS,
            ),
        )

    def batches(self, wanted: Sequence[str], bad: BadRows) -> Iterator[pa.RecordBatch]:
        try:
            with self._open(wanted, bad) as reader:
                yield from reader
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self._path, error) from error


class NdjsonRows:
    """One JSON object a line. Columns are what the first lines hold; values become text, objects stay JSON."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._decode = msgspec.json.Decoder(dict[str, Any]).decode
        names: dict[str, None] = {}
        with _open_text(path) as stream:
            for line in itertools.islice(stream, 200):
                names.update(dict.fromkeys(self._row(line, 0, BadRows()) or {}))
        if not names:
            raise InvalidInput(f"{path.name} holds no JSON object on its first lines: one object a line is needed")
        self.columns: tuple[str, ...] = tuple(names)

    def _row(self, line: bytes, number: int, bad: BadRows) -> dict[str, Any] | None:
        try:
            return self._decode(line) if line.strip() else None
        except msgspec.DecodeError as error:
            bad.add(f"line {number}: {error}")
            return None

    def batches(self, wanted: Sequence[str], bad: BadRows) -> Iterator[pa.RecordBatch]:
        try:
            with _open_text(self._path) as stream:
                numbered = enumerate(stream, start=1)
                while lines := list(itertools.islice(numbered, BATCH_ROWS)):
                    rows = [row for number, line in lines if (row := self._row(line, number, bad)) is not None]
                    arrays = [pa.array([_text(row.get(name)) for row in rows], pa.string()) for name in wanted]
                    yield pa.RecordBatch.from_arrays(arrays, names=list(wanted))
        except (OSError, EOFError, zlib.error) as error:
            raise _unreadable(self._path, error) from error


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _open_text(path: Path) -> IO[bytes] | gzip.GzipFile:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")


def _unreadable(path: Path, error: BaseException) -> InvalidInput:
    reason = " ".join(str(error).split())
    return InvalidInput(f"{path.name} cannot be read: {reason[:200]}")
