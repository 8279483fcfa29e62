"""What travels on the bus. Versioned by `v`; fields are only ever added, with a default, so N-1 and N read each other."""

from typing import Any
from uuid import UUID

import msgspec

from core.base.terms import Label, LabelSource


class Payment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One accepted transaction as the pipeline carries it. Times are epoch milliseconds, amounts minor units."""

    uid: UUID
    source_id: str
    transaction_id: str
    occurred_at_ms: int
    accepted_at_ms: int
    amount_minor: int
    currency: str
    customer_id: str
    card_id: str | None = None
    merchant_id: str | None = None
    merchant_category: str | None = None
    merchant_country: str | None = None
    channel: str | None = None
    device_id: str | None = None
    ip: str | None = None
    email_hash: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    billing_country: str | None = None
    attributes: dict[str, Any] = {}


class ScoreBatch(msgspec.Struct, frozen=True, tag="score_batch", kw_only=True):
    """Transactions of one shard, in the order they were accepted. after: the id of the message before it; None = of none in particular."""

    v: int = 1
    shard: int
    payments: list[Payment]
    after: UUID | None = None


class LabelledPayment(msgspec.Struct, frozen=True, kw_only=True):
    """A label and the entities whose history it changes."""

    transaction_uid: UUID
    label: Label
    label_source: LabelSource
    occurred_at_ms: int
    reported_at_ms: int
    merchant_id: str | None = None
    customer_id: str
    card_id: str | None = None
    device_id: str | None = None
    ip: str | None = None
    amount_minor: int = 0
    currency: str = ""
    merchant_category: str | None = None
    merchant_country: str | None = None
    latitude: float | None = None
    longitude: float | None = None


class LabelsRecorded(msgspec.Struct, frozen=True, tag="labels_recorded", kw_only=True):
    v: int = 1
    labels: list[LabelledPayment]


class TrainingRequested(msgspec.Struct, frozen=True, tag="training_requested", kw_only=True):
    v: int = 1
    run_id: UUID


Message = ScoreBatch | LabelsRecorded | TrainingRequested

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    return _encoder.encode(message)


def decode(body: bytes) -> Message:
    """Raises msgspec.DecodeError (or its subclass ValidationError) on anything else."""
    return _decoder.decode(body)
