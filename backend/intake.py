"""The transaction a source may post: its shape, its checks, and its way into a `Payment`."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyAddress,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from core.base.cards import looks_like_card_number
from core.base.clock import to_ms
from core.base.errors import CardNumberRefused, InvalidInput, MalformedBody, RondaError
from core.base.hashing import body_sha, canonical_json
from core.base.ids import SourceId, new_uuid
from core.base.money import to_minor
from core.base.terms import Label, LabelSource
from core.contracts.messages import Payment
from core.stores.accepting import Arrival

MAX_ATTRIBUTES = 4096
MAX_AHEAD = timedelta(minutes=2)
"""How far `occurred_at` may lie in the future before it is taken for a mistake."""

_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
Ident = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=_PRINTABLE)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=_PRINTABLE)]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class TransactionBody(BaseModel):
    """One payment as its source sees it. Unknown fields are refused: a misspelt one would silently cost a feature."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    id: Ident = Field(description="The source's own id; the key together with the source", examples=["pay_10293"])
    occurred_at: AwareDatetime = Field(description="RFC 3339 with a zone", examples=["2026-01-31T09:30:00Z"])
    amount: Decimal = Field(ge=0, description="Major units", examples=["129.90"])
    currency: Currency = Field(description="ISO 4217", examples=["EUR"])
    customer_id: Ident
    card_id: Token | None = Field(default=None, description="A token; a card number is refused")
    merchant_id: Ident | None = None
    merchant_category: Annotated[str, StringConstraints(max_length=32, pattern=_PRINTABLE)] | None = Field(
        default=None, description="MCC or the source's own category"
    )
    merchant_country: Country | None = None
    channel: Annotated[str, StringConstraints(max_length=32, pattern=_PRINTABLE)] | None = None
    device_id: Token | None = None
    ip: IPvAnyAddress | None = None
    email_hash: Token | None = Field(default=None, description="A hash; an address is refused")
    latitude: float | None = Field(default=None, ge=-90, le=90)
    longitude: float | None = Field(default=None, ge=-180, le=180)
    billing_country: Country | None = None
    attributes: dict[str, str | bool | int | float | None] = Field(default={}, description="Flat, at most 4 KB of JSON")

    @field_validator("occurred_at", mode="before")
    @classmethod
    def _text_time(cls, value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError("an RFC 3339 time with a zone, as a string")
        return value

    @field_validator("email_hash")
    @classmethod
    def _no_address(cls, value: str | None) -> str | None:
        if value and "@" in value:
            raise ValueError("a hash, not an e-mail address")
        return value

    @field_validator("attributes")
    @classmethod
    def _small_and_clean(cls, value: dict[str, Any]) -> dict[str, Any]:
        if "\x00" in "".join(_texts(value)):
            raise ValueError("holds a NUL character")
        if any(isinstance(number, int) and abs(number) > 2**63 for number in value.values()):
            raise ValueError("holds an integer of more than 64 bits")
        if len(canonical_json(value).encode()) > MAX_ATTRIBUTES:
            raise ValueError(f"more than {MAX_ATTRIBUTES} bytes of JSON")
        return value

    @model_validator(mode="after")
    def _whole_minor_units(self) -> Self:
        to_minor(self.amount, self.currency)
        return self


class LabelBody(BaseModel):
    """A statement about a posted transaction."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    transaction_id: Ident
    label: Label
    source: LabelSource
    reported_at: AwareDatetime
    note: Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")] | None = None

    @field_validator("source")
    @classmethod
    def _not_an_analyst(cls, value: LabelSource) -> LabelSource:
        if value is LabelSource.ANALYST:
            raise ValueError("analysts label in the console; use chargeback, customer or import")
        return value


def field_errors(error: ValidationError) -> list[dict[str, str]]:
    """One {field, message} per mistake; the offending values are not repeated."""
    return [
        {
            "field": ".".join(str(part) for part in item["loc"]) or "body",
            "message": item["msg"].removeprefix("Value error, "),
        }
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def invalid(error: ValidationError) -> RondaError:
    mistakes = field_errors(error)
    if any(item["type"] == "json_invalid" for item in error.errors(include_url=False, include_context=False)):
        return MalformedBody(mistakes[0]["message"])
    names = ", ".join(dict.fromkeys(item["field"] for item in mistakes))
    return InvalidInput(f"not accepted: {names}", errors=mistakes)


def parse_transaction(raw: bytes, source_id: SourceId, now: datetime) -> Arrival:
    """Raises InvalidInput, MalformedBody or CardNumberRefused; nothing was stored then."""
    try:
        body = TransactionBody.model_validate_json(raw)
    except ValidationError as error:
        raise invalid(error) from None
    if body.occurred_at > now + MAX_AHEAD:
        raise InvalidInput(
            "occurred_at lies in the future", errors=[{"field": "occurred_at", "message": "in the future"}]
        )
    stated = _stated(body)
    sha = body_sha({**stated, "occurred_at": _json_time(body.occurred_at), "amount": str(body.amount)})
    for name in ("id", "occurred_at", "amount"):
        del stated[name]
    _refuse_card_numbers(stated)
    payment = Payment(
        **stated,
        uid=new_uuid(),
        source_id=source_id,
        transaction_id=body.id,
        occurred_at_ms=to_ms(body.occurred_at),
        accepted_at_ms=to_ms(now),
        amount_minor=to_minor(body.amount, body.currency),
    )
    return Arrival(payment, sha)


def parse_label(raw: bytes) -> LabelBody:
    try:
        return LabelBody.model_validate_json(raw)
    except ValidationError as error:
        raise invalid(error) from None


def _stated(body: TransactionBody) -> dict[str, Any]:
    """The fields that say something, as they are hashed and carried. By hand, since pydantic's dump costs as much as its validation."""
    stated = {name: value for name, value in vars(body).items() if value is not None}
    if body.ip:
        stated["ip"] = str(body.ip)
    if not body.attributes:
        del stated["attributes"]
    return stated


def _json_time(moment: datetime) -> str:
    """As pydantic writes it, in the zone that was posted: the hashes of stored bodies hold it so."""
    return moment.isoformat().replace("+00:00", "Z")


def _refuse_card_numbers(stated: dict[str, Any]) -> None:
    """Among all but `id`: long numeric ids of systems would be taken for card numbers one time in ten."""
    fields = [(name, value) for name, value in stated.items() if isinstance(value, str)]
    fields += [("attributes", text) for text in _texts(stated.get("attributes", {}))]
    if not looks_like_card_number("\n".join([value for _, value in fields])):
        return
    for name, value in fields:
        if looks_like_card_number(value):
            raise CardNumberRefused(f"{name} holds a card number; send a token instead", field=name)


def _texts(attributes: dict[str, Any]) -> Iterable[str]:
    for name, value in attributes.items():
        yield name
        if isinstance(value, str | int) and not isinstance(value, bool):
            yield str(value)
