"""SQL of how far decisions are behind: which payments have none yet, and how fast they are made."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from core.base.ids import first_uuid_at
from core.infra.postgres import Work

_UNDECIDED: Final = """
    WITH undecided AS MATERIALIZED (
        SELECT t.uid FROM transaction t
        WHERE t.uid >= $1 AND NOT t.imported AND NOT EXISTS (SELECT FROM decision d WHERE d.transaction_uid = t.uid)
        ORDER BY t.uid LIMIT $2
    )
    SELECT count(*), (SELECT uid FROM undecided ORDER BY uid LIMIT 1) FROM undecided
"""
_DECIDED: Final = """
    SELECT count(*) FROM (SELECT FROM decision WHERE decided_at >= $1 AND version = 1 ORDER BY decided_at DESC LIMIT $2) AS lately
"""


@dataclass(frozen=True)
class Undecided:
    """`count`: no further than was asked for. `oldest`: None = there is none."""

    count: int
    oldest: UUID | None


async def undecided(work: Work, since: datetime, *, most: int) -> Undecided:
    """Of the payments that came since then. Reads all of these, or until `most` are found: begin near the oldest."""
    [(count, oldest)] = await work.fetch(_UNDECIDED, first_uuid_at(since), most)
    return Undecided(count, UUID(bytes=oldest.bytes) if oldest else None)


async def decided(work: Work, since: datetime, *, most: int) -> int:
    """Decisions that were made first since then, counted no further than `most`."""
    [(count,)] = await work.fetch(_DECIDED, since, most)
    return int(count)
