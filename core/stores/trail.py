"""The audit trail for whoever hashes it by the million: its rows as PostgreSQL sends them.

A field of PostgreSQL's binary COPY is its length in four bytes and then its content, and so is a field of what a leaf is the hash of.
So a leaf is computed over a piece of what came: none of its columns is decoded.
"""

from collections.abc import Callable, Sequence
from struct import Struct, error
from typing import Final, NamedTuple

from core.infra.postgres import UnitOfWork

_TIME: Final = """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')"""
"""As `exact_text` writes it."""
_HASHED: Final = (
    "CAST(event_id AS text)", "actor_type", "actor_id", "action", "subject_type", "subject_id", "result", "detail",
    _TIME.format("written_at"),
)  # fmt: skip
"""In the order of `core.acts.audit.recomputed_leaf`."""
_ROWS: Final = (
    f"SELECT id, xid, {_TIME.format('at')}, leaf, {', '.join(_HASHED)} FROM audit_event "  # noqa: S608 - names of our own
    "WHERE xid >= CAST(CAST($1 AS text) AS xid8) AND xid < CAST(CAST($2 AS text) AS xid8) ORDER BY xid, id"
)
_FILE_HEAD: Final = 19
_FILE_END: Final = b"\xff\xff"
_HEAD: Final = Struct(">hiqiQi")
"""How many fields; length and value of id and xid; length of the time of entry."""
_length = Struct(">i").unpack_from


class TrailRow(NamedTuple):
    """`at`, `written_at`: as `exact_text` writes them. `hashed`: what the leaf is over, each field behind its length."""

    id: int
    xid: int
    at: bytes
    leaf: bytes
    written_at: bytes
    hashed: bytes


async def read(work: UnitOfWork, since: int, until: int, take: Callable[[Sequence[TrailRow]], None]) -> None:
    """Events whose transaction id lies in [since, until), by (xid, id), some hundreds at a time: none is kept."""
    cutter = RowCutter()
    await work.copy(_ROWS, str(since), str(until), take=lambda piece: take(cutter.rows(piece)))
    cutter.finish()


class RowCutter:
    """Cuts a binary COPY into rows, wherever its pieces end."""

    def __init__(self) -> None:
        self._rest = b""
        self._begun = False

    def rows(self, piece: bytes) -> list[TrailRow]:
        """Those that are whole now."""
        data = self._rest + piece
        if not self._begun:
            self._begun = len(data) >= _FILE_HEAD
            data, self._rest = (data[_FILE_HEAD:], b"") if self._begun else (b"", data)
        found: list[TrailRow] = []
        place = whole = 0
        try:
            while True:
                _, _, ident, _, xid, size = _HEAD.unpack_from(data, place)
                at = place + _HEAD.size
                begin = at + max(size, 0)
                leaf = begin + 4
                place = begin = leaf + max(_length(data, begin)[0], 0)
                for _ in _HASHED:
                    field = place + 4
                    place = field + max(_length(data, place)[0], 0)
                if place > len(data):
                    break
                found.append(
                    TrailRow(ident, xid, data[at : leaf - 4], data[leaf:begin], data[field:place], data[begin:place])
                )
                whole = place
        except error:  # it ends within a length
            pass
        if self._begun:
            self._rest = data[whole:]
        return found

    def finish(self) -> None:
        """Raises ValueError when what came was cut short."""
        if self._rest != _FILE_END:
            raise ValueError("the copy of the audit trail ends within a row")
