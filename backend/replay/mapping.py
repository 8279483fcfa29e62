"""Which column of the file feeds which field of a transaction: chosen by the caller or recognised by name."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from core.base.errors import InvalidInput

REQUIRED = ("id", "occurred_at", "amount", "customer_id")
LABEL = "is_fraud"
ATTRIBUTE = "attributes."

NAMES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "transaction_id", "tx_id", "trans_num", "trans_id", "transaction_number", "payment_id"),
    "occurred_at": (
        "occurred_at", "tx_datetime", "trans_date_trans_time", "datetime", "timestamp", "transaction_time",
        "transaction_date", "event_time", "created_at", "time", "date",
    ),
    "amount": ("amount", "tx_amount", "amt", "transaction_amount", "value"),
    "customer_id": ("customer_id", "customer", "cust_id", "client_id", "user_id", "account_id"),
    "currency": ("currency", "currency_code", "iso_currency"),
    "card_id": ("card_id", "card_token", "card"),
    "merchant_id": ("merchant_id", "terminal_id", "merchant", "store_id", "seller_id"),
    "merchant_category": ("merchant_category", "mcc", "merchant_category_code", "category", "category_code"),
    "merchant_country": ("merchant_country", "merchant_country_code", "country", "country_code"),
    "channel": ("channel", "entry_mode", "transaction_channel"),
    "device_id": ("device_id", "device", "device_fingerprint"),
    "ip": ("ip", "ip_address", "client_ip"),
    "email_hash": ("email_hash",),
    "latitude": ("latitude", "merchant_latitude", "merchant_lat", "merch_lat", "lat"),
    "longitude": (
        "longitude", "merchant_longitude", "merchant_lon", "merchant_long", "merch_long", "lon", "lng", "long",
    ),
    "billing_country": ("billing_country", "customer_country", "issuer_country"),
    "attributes": ("attributes",),
    LABEL: ("is_fraud", "tx_fraud", "fraud", "isfraud", "fraud_label", "class"),
}  # fmt: skip
"""A field's column names, likeliest first, compared without case and punctuation."""


@dataclass(frozen=True)
class ColumnMap:
    """`fields`: transaction field (or `is_fraud`) -> column. `attributes`: attribute name -> column."""

    fields: Mapping[str, str]
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """Every column that is read, once."""
        return list(dict.fromkeys([*self.fields.values(), *self.attributes.values()]))

    @property
    def has_labels(self) -> bool:
        return LABEL in self.fields

    def unused(self, columns: Iterable[str]) -> list[str]:
        used = set(self.columns)
        return [name for name in columns if name not in used]


def parse_map(options: Sequence[str]) -> dict[str, str]:
    """`["amount=TX_AMOUNT", ...]` as a mapping. Raises InvalidInput."""
    chosen = {}
    for option in options:
        name, equals, column = option.partition("=")
        if not (equals and name and column):
            raise InvalidInput(f"--map {option!r} must read FIELD=COLUMN, e.g. --map amount=TX_AMOUNT")
        chosen[name.strip()] = column.strip()
    return chosen


def resolve(columns: Sequence[str], chosen: Mapping[str, str]) -> ColumnMap:
    """Choices first, the other fields by name. Raises InvalidInput for a choice that cannot be or a required field without a column."""
    _check(columns, chosen)
    fields = {name: column for name, column in chosen.items() if not name.startswith(ATTRIBUTE)}
    taken = set(chosen.values())
    by_plain_name = {_plain(column): column for column in reversed(columns)}
    for name, candidates in NAMES.items():
        if name in fields:
            continue
        found = (by_plain_name.get(_plain(candidate)) for candidate in candidates)
        column = next((column for column in found if column and column not in taken), None)
        if column:
            fields[name] = column
            taken.add(column)
    missing = [name for name in REQUIRED if name not in fields]
    if missing:
        raise InvalidInput(
            f"no column for {_listed(missing)}; the file has: {', '.join(columns)}. "
            f"Name it with --map {missing[0]}=COLUMN"
        )
    attributes = {name.removeprefix(ATTRIBUTE): col for name, col in chosen.items() if name.startswith(ATTRIBUTE)}
    return ColumnMap(fields, attributes)


def _check(columns: Sequence[str], chosen: Mapping[str, str]) -> None:
    for name, column in chosen.items():
        if name not in NAMES and not (name.startswith(ATTRIBUTE) and len(name) > len(ATTRIBUTE)):
            raise InvalidInput(f"--map: there is no field {name!r}; the fields are {', '.join(NAMES)}")
        if column not in columns:
            raise InvalidInput(f"--map: the file has no column {column!r}; it has: {', '.join(columns)}")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
