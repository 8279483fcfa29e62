"""Many rows in one statement: the rows travel as one JSON parameter, whatever their number, so the statement is prepared once."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import LargeBinary, Table, bindparam, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.elements import TextClause
from sqlmodel import SQLModel

from core.infra.postgres import UnitOfWork

_encoder = msgspec.json.Encoder()
_statements: dict[tuple[str, tuple[str, ...], str], TextClause] = {}


def _statement(table: Table, names: tuple[str, ...], tail: str) -> TextClause:
    """INSERT INTO table (names) SELECT ... FROM json_to_recordset(:rows) <tail>; bytes travel as hex."""
    key = (table.name, names, tail)
    if key not in _statements:
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
        selected, typed = [], []
        for name in names:
            column_type = table.c[name].type
            binary = isinstance(column_type, LargeBinary)
            selected.append(f"decode(r.{name}, 'hex')" if binary else f"r.{name}")
            typed.append(f"{name} {'text' if binary else column_type.compile(dialect)}")
        sql = (
            f'INSERT INTO "{table.name}" ({", ".join(names)}) SELECT {", ".join(selected)} '  # noqa: S608 - names come from the table
            f"FROM json_to_recordset(CAST(:rows AS json)) AS r({', '.join(typed)}) {tail}"
        )
        _statements[key] = text(sql).bindparams(bindparam("rows"))
    return _statements[key]


def _plain(rows: Sequence[Mapping[str, Any]], table: Table) -> list[dict[str, Any]]:
    """As JSON can hold them: bytes as hex."""
    binary = [name for name in rows[0] if isinstance(table.c[name].type, LargeBinary)]
    return [
        {**row, **{name: row[name] if row[name] is None else row[name].hex() for name in binary}}
        if binary
        else dict(row)
        for row in rows
    ]


async def insert_rows(
    work: UnitOfWork, model: type[SQLModel], rows: Sequence[Mapping[str, Any]], *, tail: str = ""
) -> list[UUID]:
    """Insert; every row names the same columns. `tail`: ON CONFLICT and RETURNING of one UUID column, whose values come back."""
    if not rows:
        return []
    table: Table = model.__table__  # type: ignore[attr-defined]
    names = tuple(rows[0])
    body = _encoder.encode(_plain(rows, table)).decode()
    result = await work.run(_statement(table, names, tail), {"rows": body})
    return [row[0] for row in result] if "RETURNING" in tail else []
