"""What an outsider can check an event with: its content, its path to its seal's root, and the seal's path to a signed root."""

from typing import Any
from uuid import UUID

from core.acts.audit_seals import checkpoint_line, entry_of
from core.base.clock import exact_text
from core.base.errors import NotAllowedNow, NotFound
from core.base.merkle import path_in_grown, path_of
from core.infra.postgres import UnitOfWork
from core.stores import ledger, seals
from core.stores.ledger import SealableEvent
from core.tables.ledger import AuditSeal


def event_as_json(row: SealableEvent) -> dict[str, Any]:
    """Every column as the hashes take it."""
    times = {"at": exact_text(row.at), "written_at": exact_text(row.written_at)}
    return row._asdict() | times | {"event_id": str(row.event_id), "leaf": row.leaf.hex()}


def seal_as_json(seal: AuditSeal) -> dict[str, Any]:
    hashes = {name: getattr(seal, name).hex() for name in ("root", "prev", "hash")}
    return {
        "n": seal.n,
        "xid_lo": seal.xid_lo,
        "xid_hi": seal.xid_hi,
        "count": seal.count,
        **hashes,
        "at": exact_text(seal.at),
    }


async def prove(work: UnitOfWork, event_id: UUID) -> dict[str, Any]:
    """Raises NotFound, or NotAllowedNow for an event that is not sealed yet."""
    event = await ledger.event(work, event_id)
    if event is None:
        raise NotFound("There is no such event on the trail.")
    n = (await seals.sealing(work, [event.xid])).get(event.xid)
    checkpoint = await seals.newest_checkpoint(work)
    if n is None or checkpoint is None:
        raise NotAllowedNow("This event is not sealed yet. Sealing takes about a second; try again.")
    seal = (await seals.hashes(work, [n]))[n]
    rows = await ledger.of_a_seal(work, seal.xid_lo, seal.xid_hi)
    place = [row.event_id for row in rows].index(event_id)
    return {
        "format": 1,
        "event": event_as_json(rows[place]),
        "place_in_seal": place,
        "path_in_seal": [step.hex() for step in path_of([entry_of(row) for row in rows], place)],
        "seal": seal_as_json(seal),
        "path_in_checkpoint": [step.hex() for step in await _path_of_seal(work, n, checkpoint.size)],
        "checkpoint": checkpoint_line(checkpoint),
    }


async def _path_of_seal(work: UnitOfWork, n: int, size: int) -> list[bytes]:
    needed = set[int]()

    def note(end: int) -> bytes:
        needed.add(end)
        return b""

    path_in_grown(n - 1, size, note, note)
    stored = await seals.hashes(work, needed)
    return path_in_grown(n - 1, size, lambda end: stored[end].hash, lambda end: stored[end].subtree)
