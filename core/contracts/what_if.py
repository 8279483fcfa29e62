"""A question to a scorer, and its answer: what it would say of payments that nobody made. Over Redis; recorded nowhere."""

from typing import Final
from uuid import UUID

import msgspec

from core.base.terms import Outcome
from core.contracts.messages import Payment

MOST_VARIANTS: Final = 100
"""More than this is no question any more."""


class Variant(msgspec.Struct, frozen=True):
    """features: in catalogue order, None = not known."""

    payment: Payment
    features: list[float | None]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """asked_at_ms: by the asker's clock; nobody waits for an old one."""

    v: int = 1
    id: UUID
    asked_at_ms: int
    catalogue_version: int
    variants: list[Variant]


class Said(msgspec.Struct, frozen=True):
    """score: calibrated probability; None without a model. hits: what the rules and lists that hit say."""

    score: float | None
    outcome: Outcome
    hits: list[str]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One Said a variant, by the model and the policy in force. None of them for another feature catalogue, or for too many variants."""

    v: int = 1
    model_id: str | None
    policy_version: int
    said: list[Said]
