"""Errors are kinds with a stable code and facts. HTTP numbers live in backend.problems only."""

from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"
    TOO_MANY = "too_many"
    UNAVAILABLE = "unavailable"


class RondaError(Exception):
    """Base of every error a user may read: `detail` is a sentence for them, `facts` go into the answer."""

    kind: Kind = Kind.INVALID
    code: str = "invalid"

    def __init__(self, detail: str, **facts: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts


class InvalidInput(RondaError):
    """`facts["errors"]`: a list of {field, message}."""

    kind, code = Kind.INVALID, "invalid_input"


class MalformedBody(RondaError):
    kind, code = Kind.INVALID, "malformed_body"


class CardNumberRefused(RondaError):
    """A raw card number arrived where a token belongs. The number itself is never repeated."""

    kind, code = Kind.INVALID, "card_number_refused"


class UnsupportedMediaType(RondaError):
    kind, code = Kind.UNSUPPORTED, "unsupported_media_type"


class BodyTooLarge(RondaError):
    kind, code = Kind.TOO_LARGE, "body_too_large"


class BatchTooLarge(RondaError):
    kind, code = Kind.TOO_LARGE, "batch_too_large"


class IdempotencyConflict(RondaError):
    kind, code = Kind.CONFLICT, "idempotency_conflict"


class StaleVersion(RondaError):
    """Somebody else changed the row first."""

    kind, code = Kind.CONFLICT, "stale_version"


class NotAllowedNow(RondaError):
    """The act does not fit the state the thing is in."""

    kind, code = Kind.CONFLICT, "not_allowed_now"


class SignInNeeded(RondaError):
    kind, code = Kind.UNAUTHENTICATED, "sign_in_needed"


class BadCredentials(RondaError):
    kind, code = Kind.UNAUTHENTICATED, "bad_credentials"


class BadApiKey(RondaError):
    kind, code = Kind.UNAUTHENTICATED, "bad_api_key"


class Forbidden(RondaError):
    kind, code = Kind.FORBIDDEN, "forbidden"


class NotFound(RondaError):
    kind, code = Kind.NOT_FOUND, "not_found"


class TooManyAttempts(RondaError):
    kind, code = Kind.TOO_MANY, "too_many_attempts"


class Backlogged(RondaError):
    """Too many payments wait for their decision. Nothing was accepted; the caller may retry the same request."""

    kind, code = Kind.TOO_MANY, "backlogged"


class Unavailable(RondaError):
    """A server Ronda needs does not answer. Nothing was accepted; the caller may retry the same request."""

    kind, code = Kind.UNAVAILABLE, "unavailable"


class ModelRefused(RondaError):
    """An artifact whose hash, format, golden vectors or gates do not hold."""

    kind, code = Kind.CONFLICT, "model_refused"


class PublishFailed(RondaError):
    """The broker did not confirm every message; the outbox keeps them."""

    kind, code = Kind.UNAVAILABLE, "publish_failed"
