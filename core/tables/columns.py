"""Column kinds that several tables share."""

from typing import Any

from sqlalchemy import Column, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import UserDefinedType
from sqlmodel import Field


class XID8(UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction id: with pg_snapshot_xmin() a cursor that skips no row (a sequence does)."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


def xid_column() -> Any:
    """Filled in by the server; the application cannot forge it."""
    return Field(default=None, sa_column=Column(XID8(), nullable=False, server_default=text("pg_current_xact_id()")))


def json_column(default: str = "{}") -> Any:
    """A JSONB column that is never NULL."""
    return Field(
        default_factory=list if default == "[]" else dict,
        sa_column=Column(JSONB, nullable=False, server_default=text(f"'{default}'::jsonb")),
    )


def optional_json_column() -> Any:
    """A JSONB column; None is stored as NULL."""
    return Field(default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True))
