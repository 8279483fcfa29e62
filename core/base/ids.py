"""Typed ids: no bare `str` or `UUID` for an id crosses a function border."""

from datetime import datetime
from typing import NewType
from uuid import UUID

from uuid_utils.compat import uuid7

from core.base.clock import from_ms, to_ms

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


def first_uuid_at(moment: datetime) -> UUID:
    """Not above any id that `new_uuid` makes from `moment` on: the bound of a search by time over ids."""
    return UUID(int=max(to_ms(moment), 0) << 80)


def moment_of(uid: UUID) -> datetime:
    """When `new_uuid` made it, to the millisecond."""
    return from_ms(uid.int >> 80)
