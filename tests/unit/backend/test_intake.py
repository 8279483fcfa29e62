"""What a source may post, and what is refused with which words."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from backend.intake import parse_label, parse_transaction
from core.base.cards import looks_like_card_number
from core.base.errors import CardNumberRefused, InvalidInput, MalformedBody, RondaError
from core.base.ids import SourceId

NOW = datetime(2026, 2, 1, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "id": "pay_1",
    "occurred_at": "2026-01-31T09:30:00+02:00",
    "amount": "129.90",
    "currency": "EUR",
    "customer_id": "cus_1",
}


def parsed(**changes: Any) -> Any:
    body = {name: value for name, value in (GOOD | changes).items() if value is not ...}
    return parse_transaction(json.dumps(body).encode(), SourceId("checkout"), NOW)


def test_amount_becomes_minor_units_and_time_utc_milliseconds() -> None:
    payment = parsed().payment
    assert payment.amount_minor == 12_990
    assert payment.occurred_at_ms == int(datetime(2026, 1, 31, 7, 30, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(("currency", "amount", "minor"), [("JPY", "500", 500), ("KWD", "1.234", 1234), ("EUR", 0, 0)])
def test_minor_units_follow_the_currency(currency: str, amount: Any, minor: int) -> None:
    assert parsed(currency=currency, amount=amount).payment.amount_minor == minor


def test_same_meaning_is_the_same_body_whatever_its_spelling() -> None:
    respelt = json.dumps(dict(reversed(GOOD.items())), indent=3).encode()
    other = parse_transaction(respelt, SourceId("checkout"), NOW)
    assert other.body_sha == parsed().body_sha
    assert parsed(amount="129.91").body_sha != parsed().body_sha


@pytest.mark.parametrize(
    ("changes", "sha"),
    [
        ({}, "9a7f41612c16458f853c799457e0112c9364edc94dc4daf204f5a1e72b32c9ae"),
        (
            {"occurred_at": "2026-01-31T09:30:00.125Z", "amount": 12.5, "card_id": None, "attributes": {}},
            "8a8bd9440369803ace2f456b34e213d6bd7f048b955cdfb781725615169cefdf",
        ),
        (
            {"occurred_at": "2026-01-31T09:30:00-00:00", "amount": "5E+1", "latitude": 0, "longitude": -1e-5}
            | {"billing_country": "BR"},
            "9776cd44c1edbb8761a76c6d6b3acd38dfa4db78c4d6b634469557be069cdada",
        ),
        (
            {"ip": "2001:DB8:0::1", "merchant_id": 'café "q"'}
            | {"attributes": {"b": None, "a": 1e16, "c": True, "€": "\\"}},
            "453ce86005e69b89d2be9ff14c2d318228223a736fee128240863c0f9fd40a88",
        ),
    ],
)
def test_hashes_are_those_of_bodies_stored_long_ago(changes: dict[str, Any], sha: str) -> None:
    assert parsed(**changes).body_sha.hex() == sha


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"surprise": 1}, "surprise"),
        ({"amount": "-1"}, "amount"),
        ({"amount": "1.234"}, "body"),
        ({"amount": "1e30"}, "body"),
        ({"amount": "NaN"}, "amount"),
        ({"occurred_at": "2026-01-31T09:30:00"}, "occurred_at"),
        ({"occurred_at": 1769851800}, "occurred_at"),
        ({"occurred_at": "2026-02-01T00:03:00Z"}, "occurred_at"),
        ({"currency": "eur"}, "currency"),
        ({"customer_id": ...}, "customer_id"),
        ({"customer_id": 7}, "customer_id"),
        ({"id": "x" * 65}, "id"),
        ({"id": "a\x00b"}, "id"),
        ({"ip": "300.1.1.1"}, "ip"),
        ({"latitude": 91}, "latitude"),
        ({"email_hash": "someone@example.org"}, "email_hash"),
        ({"attributes": {"deep": {"er": 1}}}, "attributes.deep.str"),
        ({"attributes": {"long": "x" * 5000}}, "attributes"),
        ({"attributes": {"nul": "a\x00"}}, "attributes"),
        ({"attributes": {"wide": 2**70}}, "attributes"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parsed(**changes)
    assert field in [error["field"] for error in caught.value.facts["errors"]]


@pytest.mark.parametrize("raw", [b"{", b"\xff\xfe{}", b"[" * 5000, b"", b'{"id": NaN'])
def test_what_is_not_json_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedBody):
        parse_transaction(raw, SourceId("checkout"), NOW)


@pytest.mark.parametrize("raw", [b'"\\ud800"', b"[]", b"7", b"null"])
def test_json_that_is_no_transaction_is_refused(raw: bytes) -> None:
    with pytest.raises(RondaError):
        parse_transaction(raw, SourceId("checkout"), NOW)


@pytest.mark.parametrize("field", ["card_id", "customer_id", "device_id", "merchant_id", "channel"])
def test_card_numbers_are_refused_and_not_repeated(field: str) -> None:
    with pytest.raises(CardNumberRefused) as caught:
        parsed(**{field: "4111111111111111"})
    assert "4111" not in str(caught.value)
    assert "4111" not in str(caught.value.facts)


def test_card_number_in_an_attribute_is_refused() -> None:
    with pytest.raises(CardNumberRefused):
        parsed(attributes={"memo": "paid with 5500 0000 0000 0004 today"})


@pytest.mark.parametrize(
    ("value", "card"),
    [
        ("4111-1111-1111-1111", True),
        ("378282246310005", True),
        ("4111111111111112", False),
        ("tok_4111111111111111", True),
        ("9999999999999995", False),
        ("411111111111", False),
        ("2018-04-01 12:00:00", False),
    ],
)
def test_what_looks_like_a_card_number(value: str, card: bool) -> None:
    assert looks_like_card_number(value) is card


def test_a_feed_cannot_speak_for_an_analyst() -> None:
    label = {"transaction_id": "p", "label": "fraud", "source": "analyst", "reported_at": "2026-01-31T00:00:00Z"}
    with pytest.raises(InvalidInput, match="source"):
        parse_label(json.dumps(label).encode())
