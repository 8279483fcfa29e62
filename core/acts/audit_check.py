"""A person has the trail compared with its seals, a stretch at a time; each stretch is itself on the trail, and the next one follows it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from core.acts.audit import Actor, Event, record
from core.acts.audit_verify import Fault, verify_seals
from core.base.errors import NotAllowedNow
from core.base.terms import Action
from core.infra.postgres import Postgres, UnitOfWork
from core.infra.signing import Keys
from core.stores import ledger, seals
from core.stores.ledger import AuditFilter
from core.tables.ledger import AuditEvent

EVENTS_AT_ONCE: Final = 20_000
"""Hashing more would keep other requests of the process waiting."""
_TOLD: Final = 20
"""Faults that the trail's event names; the rest are counted."""


class Begin(StrEnum):
    """Where a check begins: after the last one, at the first seal, or at a moment."""

    NEXT = "next"
    FIRST = "first"
    SINCE = "since"


@dataclass(frozen=True)
class Checked:
    """A run of checks up to now. from_seal: where it began. events, faults: of the whole run. found: faults in words, the first ones."""

    from_seal: int
    last_seal: int
    events: int
    faults: int
    found: tuple[str, ...]
    at: datetime
    by: tuple[str, str]


async def last_check(work: UnitOfWork) -> Checked | None:
    rows = await ledger.page(work, AuditFilter(action=Action.AUDIT_VERIFY.value), before_id=None, limit=1)
    return _read(rows[0]) if rows else None


def _read(row: AuditEvent) -> Checked:
    detail: Mapping[str, Any] = json.loads(row.detail)
    return Checked(
        from_seal=detail["from_seal"],
        last_seal=detail["last_seal"],
        events=detail["run_events"],
        faults=detail["run_faults"],
        found=tuple(detail["found"]),
        at=row.at,
        by=(row.actor_type, row.actor_id),
    )


async def check_on(postgres: Postgres, keys: Keys, begin: Begin, since: datetime | None, *, by: Actor) -> None:
    """Check the next stretch and record it. Raises NotAllowedNow when there is nothing to check, or no key to check it with."""
    if not keys.trusted:
        raise NotAllowedNow("there is no key to check the checkpoints with: set RONDA_AUDIT_TRUSTED_KEYS")
    async with postgres.reading() as work:
        before = await last_check(work) if begin is Begin.NEXT else None
        first = await _first(work, before, since if begin is Begin.SINCE else None)
        last = await seals.reach(work, first, EVENTS_AT_ONCE) if first else None
        if first is None or last is None:
            none = await seals.newest(work) is None
            nothing = "there is no seal yet" if none else "every seal there is has been checked"
            raise NotAllowedNow(nothing)
        found = await verify_seals(work, keys, first, last)
    faults = [words_of(fault) for fault in found.faults]
    detail = {
        "from_seal": before.from_seal if before else first,
        "first_seal": first,
        "last_seal": last,
        "events": found.events,
        "faults": len(faults),
        "run_events": found.events + (before.events if before else 0),
        "run_faults": len(faults) + (before.faults if before else 0),
        "found": [*(before.found if before else ()), *faults][:_TOLD],
    }
    async with postgres.unit_of_work() as work:
        await record(work, Event(by, Action.AUDIT_VERIFY, "audit_seal", str(last), detail))


async def _first(work: UnitOfWork, before: Checked | None, since: datetime | None) -> int | None:
    if since is not None:
        return await seals.first_since(work, since)
    return before.last_seal + 1 if before else 1


def words_of(fault: Fault) -> str:
    place = f" in seal {fault.seal}" if fault.seal is not None else ""
    return f"{fault.what} {fault.number}{place}: {fault.why}"
