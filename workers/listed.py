"""The live list entries, kept warm in a scorer: what is read again is only what changed."""

from datetime import datetime
from typing import Final
from uuid import UUID

from core.acts.lists import MOST_LIVE
from core.base.clock import utc_now
from core.base.terms import EntityKind, EntityList
from core.infra.postgres import UnitOfWork
from core.rules.lists import Listed, Lists
from core.stores import lists
from core.tables.policy import ListEntry

AT_ONCE: Final = 1000
"""Changes; beyond them reading all that is live costs no more."""


class ListsKeeper:
    """Holds at most as many entries as can be added."""

    def __init__(self) -> None:
        self._live: dict[UUID, Listed] = {}
        self._current: Lists | None = None

    async def refresh(self, work: UnitOfWork) -> Lists:
        """The same value as long as nothing changed: asking for that costs one look into an index."""
        last = await lists.last_change(work)
        if self._current is None or last != self._current.version:
            await self._read(work, utc_now())
            self._current = Lists(self._live.values(), last)
        return self._current

    async def _read(self, work: UnitOfWork, now: datetime) -> None:
        changed = await lists.changed_after(work, self._current.version, AT_ONCE) if self._current else None
        if changed is None or len(changed) == AT_ONCE:
            self._live = {row.id: _listed(row) for row in await lists.live_entries(work, now, MOST_LIVE)}
            return
        for row in changed:
            self._live[row.id] = _listed(row)
            if row.ended_at:
                del self._live[row.id]
        self._live = {ident: entry for ident, entry in self._live.items() if entry.holds(now)}


def _listed(row: ListEntry) -> Listed:
    return Listed(row.id, EntityList(row.list), EntityKind(row.kind), row.entity_id, row.reason, row.expires_at)
