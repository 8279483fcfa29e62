"""A binary COPY is cut into the same rows wherever its pieces end."""

from itertools import pairwise
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.base.hashing import audit_leaf, leaf_over
from core.stores.trail import RowCutter, TrailRow

HEAD = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
END = b"\xff\xff"
FIELDS = ["id", "user", "ann", "label.record", "alert", "a1", "done", '{"é":1}', "2026-01-31T09:30:00.000000+00:00"]
AT = b"2026-01-31T09:30:01.000000+00:00"


def field(value: bytes) -> bytes:
    return pack(">i", len(value)) + value


def sent(ident: int, xid: int, leaf: bytes) -> bytes:
    numbers = field(pack(">q", ident)) + field(pack(">Q", xid))
    return pack(">h", 13) + numbers + field(AT) + field(leaf) + b"".join(field(text.encode()) for text in FIELDS)


LEAVES = [b"", bytes(32), b"\x01" * 40, audit_leaf(FIELDS)]
COPY = HEAD + b"".join(sent(number, 2**40 + number, leaf) for number, leaf in enumerate(LEAVES)) + END


@given(st.lists(st.integers(0, len(COPY))))
def test_it_is_cut_into_the_same_rows_wherever_its_pieces_end(cuts: list[int]) -> None:
    cutter, rows = RowCutter(), list[TrailRow]()
    places = [0, *sorted(cuts), len(COPY)]
    for begin, end in pairwise(places):
        rows += cutter.rows(COPY[begin:end])
    cutter.finish()
    assert [(row.id, row.xid, row.at, row.leaf) for row in rows] == [
        (number, 2**40 + number, AT, leaf) for number, leaf in enumerate(LEAVES)
    ]
    assert {row.written_at for row in rows} == {FIELDS[-1].encode()}
    assert {leaf_over(row.hashed) for row in rows} == {audit_leaf(FIELDS)}


@pytest.mark.parametrize("lost", [1, 2, 50])
def test_a_copy_that_was_cut_short_is_no_shorter_trail(lost: int) -> None:
    cutter = RowCutter()
    cutter.rows(COPY[:-lost])
    with pytest.raises(ValueError, match="ends within a row"):
        cutter.finish()


def test_a_value_that_is_null_is_no_hash_of_anything() -> None:
    """Such as the text of a time that is infinite."""
    whole = sent(1, 2, bytes(32))
    cutter = RowCutter()
    [row] = cutter.rows(HEAD + whole[: -len(field(FIELDS[-1].encode()))] + pack(">i", -1))
    assert row.written_at == b""
    assert leaf_over(row.hashed) != audit_leaf([*FIELDS[:-1], ""])
