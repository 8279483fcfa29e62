"""The feature script's input: payments and labels as records of fixed size, entities as tokens."""

import hashlib
import struct
from collections.abc import Iterable, Sequence
from typing import Final

from core.base.money import to_hundredths
from core.base.terms import Label
from core.contracts.messages import LabelledPayment, Payment
from models.features.facts import category_code, is_abroad, is_just_under, place_of, position
from models.features.script import FRAUD, ITEM_FORMAT, LEGITIMATE, LETTERS, PAYMENT

_ITEM: Final = struct.Struct(ITEM_FORMAT)
_NO_TOKEN: Final = bytes(8)


def token(letter: str, entity_id: str | None) -> bytes:
    """8 bytes that stand for an entity in keys and lists: bounded memory whatever the id, and no id leaves the database."""
    if entity_id is None:
        return _NO_TOKEN
    return hashlib.blake2b(f"{letter}{entity_id}".encode(), digest_size=8).digest()


def _tokens(of: Payment | LabelledPayment) -> Iterable[bytes]:
    place = place_of(*position(of.latitude, of.longitude))
    subjects = (
        of.customer_id, of.card_id, of.merchant_id, of.device_id, of.ip,
        of.merchant_category, of.merchant_country, of.currency, place,
    )  # fmt: skip
    return map(token, LETTERS, subjects)


def facts_of(payment: Payment) -> tuple[int, ...]:
    """In the order of FACTS."""
    amount = to_hundredths(payment.amount_minor, payment.currency)
    return (
        amount,
        is_just_under(amount),
        category_code(payment.merchant_category),
        is_abroad(payment.merchant_country, payment.billing_country),
        *position(payment.latitude, payment.longitude),
    )


def payment_item(payment: Payment) -> bytes:
    amount = to_hundredths(payment.amount_minor, payment.currency)
    where = position(payment.latitude, payment.longitude)
    return _ITEM.pack(
        PAYMENT, is_just_under(amount), payment.uid.bytes, payment.occurred_at_ms, amount, *where, *_tokens(payment)
    )


def label_items(labels: Sequence[LabelledPayment]) -> list[bytes]:
    """UNSURE says nothing and is left out."""
    kinds = {Label.FRAUD: FRAUD, Label.LEGITIMATE: LEGITIMATE}
    return [
        _ITEM.pack(
            kinds[label.label], 0, label.transaction_uid.bytes, label.reported_at_ms, label.occurred_at_ms,
            to_hundredths(label.amount_minor, label.currency), 0, *_tokens(label),
        )
        for label in labels
        if label.label in kinds
    ]  # fmt: skip
