"""Many rows in one statement: the rows travel as one JSON parameter, whatever their number, so the statement is prepared once."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import LargeBinary, Table
from sqlalchemy.dialects import postgresql
from sqlmodel import SQLModel

from core.infra.postgres import Work

_encoder = msgspec.json.Encoder()


def typed(table: Table, names: Sequence[str]) -> list[str]:
    """`name type` of these columns, as JSON can hold them: bytes are text."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    types = {name: table.c[name].type for name in names}
    return [
        f"{name} {'text' if isinstance(kind, LargeBinary) else kind.compile(dialect)}" for name, kind in types.items()
    ]


@cache
def _statement(table: Table, names: tuple[str, ...], tail: str) -> str:
    selected = [
        f"decode(r.{name}, 'base64')" if isinstance(table.c[name].type, LargeBinary) else f"r.{name}" for name in names
    ]
    return (
        f'INSERT INTO "{table.name}" ({", ".join(names)}) SELECT {", ".join(selected)} '  # noqa: S608 - names come from the table
        f"FROM json_to_recordset(CAST($1 AS json)) AS r({', '.join(typed(table, names))}) {tail}"
    )


def as_json(rows: Sequence[Any]) -> str:
    """Bytes as base64."""
    return _encoder.encode(rows).decode()


async def insert_rows(
    work: Work, model: type[SQLModel], rows: Sequence[Mapping[str, Any]], *, tail: str = ""
) -> list[UUID]:
    """Insert; every row names the same columns. `tail`: ON CONFLICT and RETURNING of one UUID column, whose values come back."""
    if not rows:
        return []
    table: Table = model.__table__  # type: ignore[attr-defined]
    return [row[0] for row in await work.fetch(_statement(table, tuple(rows[0]), tail), as_json(rows))]
