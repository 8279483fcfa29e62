"""Putting entities on lists and taking them off: one unit of work, audit and bell each. The actor's role is looked up here."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from ipaddress import ip_address
from typing import Any, Final
from uuid import UUID

from core.acts.audit import Actor, Event, record
from core.base.cards import looks_like_card_number
from core.base.clock import rfc3339, utc_now
from core.base.errors import Forbidden, InvalidInput, NotAllowedNow, NotFound
from core.base.ids import AlertId, UserId, new_uuid
from core.base.terms import Action, ActorType, EntityKind, EntityList, Role
from core.contracts.topology import BELL_LISTS
from core.infra.postgres import UnitOfWork
from core.infra.redis import Redis, ring
from core.stores import lists, people
from core.tables.policy import ListEntry

MOST_LIVE: Final = 50_000
"""Every scorer keeps all of them in memory."""
MAX_REASON: Final = 300
SNOOZE_AT_MOST: Final = timedelta(days=90)
ANALYST_AT_MOST: Final = timedelta(days=30)
"""How far ahead an analyst may allow or deny; longer, or without an end, is for a lead."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_BY_LEADS: Final = frozenset({EntityList.ALLOW, EntityList.DENY})
_LONGEST_ID: Final = {
    EntityKind.CUSTOMER: 64,
    EntityKind.MERCHANT: 64,
    EntityKind.CARD: 128,
    EntityKind.DEVICE: 128,
    EntityKind.IP: 64,
}


@dataclass(frozen=True)
class NewEntry:
    """expires_at: None = until somebody ends it, which snooze does not take. alert_id: the alert it is added from."""

    list: EntityList
    kind: EntityKind
    entity_id: str
    reason: str
    expires_at: datetime | None
    alert_id: AlertId | None = None


async def add_entry(work: UnitOfWork, redis: Redis, entry: NewEntry, *, by: Actor) -> ListEntry:
    """Raises InvalidInput, Forbidden when the actor's role does not reach so far, NotAllowedNow when it is on that list already."""
    now, entry = utc_now(), _cleaned(entry)
    _check_expiry(entry.list, entry.expires_at, now)
    await _check_role(work, entry.list, entry.expires_at, now, by)
    await lists.lock(work)
    await _make_way(work, entry, now)
    if await lists.count_live(work, now) >= MOST_LIVE:
        raise NotAllowedNow("the lists are full; end entries that are no longer needed")
    row = ListEntry(
        id=new_uuid(),
        list=entry.list.value,
        kind=entry.kind.value,
        entity_id=entry.entity_id,
        reason=entry.reason,
        created_by=str(by),
        created_at=now,
        expires_at=entry.expires_at,
        alert_id=entry.alert_id,
        change=0,
    )
    detail = {
        **_named(row),
        "reason": row.reason,
        "expires_at": _moment(row.expires_at),
        **({"alert": str(entry.alert_id)} if entry.alert_id else {}),
    }
    return await _changed(work, redis, row, Event(by, Action.LIST_ADD, "list_entry", str(row.id), detail))


async def extend_entry(
    work: UnitOfWork, redis: Redis, entry_id: UUID, expires_at: datetime | None, *, by: Actor
) -> ListEntry:
    """Set a live entry's expiry anew, later or sooner. Raises NotFound, NotAllowedNow, InvalidInput, Forbidden."""
    row, now = await _live_one(work, entry_id), utc_now()
    entity_list, before = EntityList(row.list), row.expires_at
    _check_expiry(entity_list, expires_at, now)
    await _check_role(work, entity_list, before, now, by)
    await _check_role(work, entity_list, expires_at, now, by)
    row.expires_at = expires_at
    detail = {**_named(row), "before": _moment(before), "expires_at": _moment(expires_at)}
    return await _changed(work, redis, row, Event(by, Action.LIST_EXTEND, "list_entry", str(row.id), detail))


async def end_entry(work: UnitOfWork, redis: Redis, entry_id: UUID, *, by: Actor) -> ListEntry:
    """Raises NotFound, NotAllowedNow when it has ended, Forbidden when its expiry is one that only a lead may set."""
    row, now = await _live_one(work, entry_id), utc_now()
    await _check_role(work, EntityList(row.list), row.expires_at, now, by)
    row.ended_at, row.ended_by = now, str(by)
    return await _changed(work, redis, row, Event(by, Action.LIST_END, "list_entry", str(row.id), _named(row)))


def reaches(role: Role, entity_list: EntityList, expires_at: datetime | None, now: datetime) -> bool:
    """Whether somebody of this role may add, extend or end such an entry."""
    if role is Role.VIEWER:
        return False
    if role is not Role.ANALYST or entity_list not in _BY_LEADS:
        return True
    return expires_at is not None and expires_at <= now + ANALYST_AT_MOST


def named_entity(kind: EntityKind, ident: str) -> str:
    """An entity's id as payments carry it. Raises InvalidInput."""
    if not ident.strip() or len(ident) > _LONGEST_ID[kind] or _CONTROL.search(ident):
        raise _invalid("entity_id", f"an id has 1 to {_LONGEST_ID[kind]} printable characters")
    if looks_like_card_number(ident):
        raise _invalid("entity_id", "this looks like a card number; lists hold the token that payments carry")
    if kind is not EntityKind.IP:
        return ident
    try:
        return str(ip_address(ident))
    except ValueError:
        raise _invalid("entity_id", "this is not an IP address") from None


def _cleaned(entry: NewEntry) -> NewEntry:
    reason = " ".join(entry.reason.split())
    if not reason or len(reason) > MAX_REASON or not reason.isprintable():
        raise _invalid("reason", f"say why in 1 to {MAX_REASON} characters")
    if looks_like_card_number(reason):
        raise _invalid("reason", "a reason must not hold a card number")
    return replace(entry, entity_id=named_entity(entry.kind, entry.entity_id), reason=reason)


def _check_expiry(entity_list: EntityList, expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and expires_at <= now:
        raise _invalid("expires_at", "the expiry lies in the past")
    if entity_list is EntityList.SNOOZE and (expires_at is None or expires_at > now + SNOOZE_AT_MOST):
        raise _invalid("expires_at", f"snooze ends within {SNOOZE_AT_MOST.days} days")


async def _check_role(
    work: UnitOfWork, entity_list: EntityList, expires_at: datetime | None, now: datetime, by: Actor
) -> None:
    """Processes have no role: what they do, somebody configured."""
    if by.type is not ActorType.USER:
        return
    user = await people.user(work, UserId(UUID(by.id)))
    if user is None or user.disabled_at or not reaches(Role(user.role), entity_list, expires_at, now):
        raise Forbidden(f"allow and deny for more than {ANALYST_AT_MOST.days} days, or without an end, need a lead")


async def _make_way(work: UnitOfWork, entry: NewEntry, now: datetime) -> None:
    """An entry that ran out is ended as of its expiry; one that still holds is in the way."""
    old = await lists.unended(work, entry.list, entry.kind, entry.entity_id)
    if old is None:
        return
    if old.expires_at is None or old.expires_at > now:
        raise NotAllowedNow(f"this {entry.kind.value} is on the {entry.list.value} list already", entry=str(old.id))
    old.ended_at, old.change = old.expires_at, await lists.last_change(work) + 1
    await lists.save(work, old)


async def _live_one(work: UnitOfWork, entry_id: UUID) -> ListEntry:
    await lists.lock(work)
    row = await lists.entry(work, entry_id)
    if row is None:
        raise NotFound("there is no such list entry")
    if row.ended_at or (row.expires_at and row.expires_at <= utc_now()):
        raise NotAllowedNow("this entry has ended already")
    return row


async def _changed(work: UnitOfWork, redis: Redis, row: ListEntry, event: Event) -> ListEntry:
    row.change = await lists.last_change(work) + 1
    await lists.save(work, row)
    await record(work, event)
    work.after_commit.append(partial(ring, redis, BELL_LISTS, [str(row.id)]))
    return row


def _named(row: ListEntry) -> dict[str, Any]:
    return {"list": row.list, "entity": row.kind, "entity_id": row.entity_id}


def _moment(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None


def _invalid(field: str, message: str) -> InvalidInput:
    return InvalidInput(message, errors=[{"field": field, "message": message}])
