"""Typed ids: no bare `str` or `UUID` for an id crosses a function border."""

from typing import NewType
from uuid import UUID

from uuid_utils.compat import uuid7

SourceId = NewType("SourceId", str)
"""A transaction source's short name, e.g. `checkout`."""

TransactionUid = NewType("TransactionUid", UUID)
"""Ronda's own key of a transaction (time-ordered). The source's key is (SourceId, TransactionId)."""

TransactionId = NewType("TransactionId", str)
AlertId = NewType("AlertId", UUID)
UserId = NewType("UserId", UUID)
ModelId = NewType("ModelId", str)
"""First 12 hex digits of the artifact's SHA-256."""

RunId = NewType("RunId", UUID)


def new_uuid() -> UUID:
    """A time-ordered (version 7) UUID."""
    return uuid7()
