"""Money, clock, hashing, cursors: the values everything else trusts."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.base.clock import from_ms, rfc3339, to_ms
from core.base.hashing import audit_leaf, body_sha, shard_of
from core.base.money import to_major, to_minor
from core.stores.flow import DecisionCursor


@given(st.integers(0, 10**15), st.sampled_from(["EUR", "JPY", "KWD", "CLF"]))
def test_minor_units_survive_the_round_trip(minor: int, currency: str) -> None:
    assert to_minor(to_major(minor, currency), currency) == minor


@pytest.mark.parametrize("amount", ["0.001", "-0.01", "10000000000000.01"])
def test_amounts_out_of_range_raise(amount: str) -> None:
    with pytest.raises(ValueError, match=r"decimal digits|between"):
        to_minor(Decimal(amount), "EUR")


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)))
def test_milliseconds_are_exact(naive: datetime) -> None:
    moment = naive.replace(microsecond=naive.microsecond // 1000 * 1000, tzinfo=UTC)
    assert from_ms(to_ms(moment)) == moment
    assert rfc3339(moment.astimezone(timezone(timedelta(hours=-5)))) == rfc3339(moment)


@given(st.lists(st.text(max_size=4), max_size=4), st.lists(st.text(max_size=4), max_size=4))
def test_two_field_lists_never_share_a_leaf(left: list[str], right: list[str]) -> None:
    assert (audit_leaf(left) == audit_leaf(right)) == (left == right)


def test_body_hash_ignores_the_order_of_keys() -> None:
    assert body_sha({"a": 1, "b": "é"}) == body_sha({"b": "é", "a": 1})


def test_shards_are_stable_and_all_used() -> None:
    assert shard_of("cus_000001", 4) == shard_of("cus_000001", 4)
    assert {shard_of(f"cus_{n}", 4) for n in range(100)} == {0, 1, 2, 3}


def test_a_cursor_reads_back_and_nothing_else_does() -> None:
    cursor = DecisionCursor(123456789, uuid4(), 2)
    assert DecisionCursor.parse(str(cursor)) == cursor
    for wrong in ("", "1-2-3", "zz", f"{cursor} ", str(cursor).upper() + "0"):
        with pytest.raises(ValueError):  # noqa: PT011 - every kind of nonsense has its own words
            DecisionCursor.parse(wrong)
