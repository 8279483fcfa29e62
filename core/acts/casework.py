"""What analysts do with alerts: take, claim, keep, release, hand over, note. Each = one unit of work + audit + bell."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from core.acts.audit import Actor, Event, record
from core.base.clock import utc_now
from core.base.errors import InvalidInput, NotAllowedNow, NotFound, StaleVersion
from core.base.ids import AlertId, UserId, new_uuid
from core.base.terms import Action, AlertStatus, Role
from core.contracts.topology import BELL_ALERTS
from core.infra.postgres import UnitOfWork
from core.infra.redis import Redis, ring
from core.stores import casework, people, turns
from core.stores.queue_filter import AlertFilter, Look
from core.tables.casework import Alert, Note

MAX_NOTE: Final = 4000
EVERYTHING: Final = AlertFilter()
WORKING_ROLES: Final = frozenset(Role) - {Role.VIEWER}
"""Who may work on alerts."""


async def for_change(work: UnitOfWork, alert_id: UUID) -> Alert:
    """Locked. Raises NotFound."""
    alert = await casework.alert_for_update(work, alert_id)
    if alert is None:
        raise NotFound("there is no such alert")
    return alert


def live_claim(alert: Alert, now: datetime) -> bool:
    """Somebody has it, and the lease runs."""
    live = alert.claim_expires_at is not None and alert.claim_expires_at > now
    return alert.status == AlertStatus.CLAIMED.value and live


def held_by_other(alert: Alert, user_id: UUID, now: datetime) -> bool:
    return live_claim(alert, now) and alert.claimed_by != user_id


def same_version(alert: Alert, version: int | None) -> None:
    """Raises StaleVersion unless `version` is the one the analyst saw; None = whatever it is now."""
    if version is not None and alert.version != version:
        raise StaleVersion("this alert changed while you were looking at it", version=alert.version, seen=version)


async def changed(work: UnitOfWork, redis: Redis, alerts: Sequence[Alert], events: Sequence[Event]) -> None:
    """Store alerts under a new version, one event each, and ring."""
    told = []
    for alert, event in zip(alerts, events, strict=True):
        alert.version += 1
        work.session.add(alert)
        told.append(replace(event, detail={**event.detail, "version": alert.version}))
    await work.session.flush()
    await record(work, *told)
    work.after_commit.append(partial(ring, redis, BELL_ALERTS, [str(alert.id) for alert in alerts]))


async def _changed(work: UnitOfWork, redis: Redis, alert: Alert, event: Event) -> Alert:
    await changed(work, redis, [alert], [event])
    return alert


def give(alert: Alert, user_id: UUID, until: datetime) -> None:
    """It is this person's until then."""
    alert.status, alert.claimed_by, alert.claim_expires_at = AlertStatus.CLAIMED.value, user_id, until


def _let_go(alert: Alert) -> None:
    alert.status, alert.claimed_by, alert.claim_expires_at = AlertStatus.OPEN.value, None, None


async def take_next(
    work: UnitOfWork,
    redis: Redis,
    user_id: UserId,
    *,
    lease: timedelta,
    by: Actor,
    wanted: AlertFilter = EVERYTHING,
) -> Alert | None:
    """Claim the open alert, of those `wanted`, whose turn it is; None when none is open. Two people never get the same one."""
    now = utc_now()
    alert = await turns.next_open(work, wanted, Look(now, user_id))
    if alert is None:
        return None
    give(alert, user_id, now + lease)
    return await _changed(work, redis, alert, Event(by, Action.ALERT_CLAIM, "alert", str(alert.id), {"how": "next"}))


async def claim(
    work: UnitOfWork,
    redis: Redis,
    alert_id: AlertId,
    user_id: UserId,
    *,
    lease: timedelta,
    by: Actor,
    version: int | None = None,
) -> Alert:
    """Take an alert for `lease`; claiming one's own again extends it."""
    alert, now = await for_change(work, alert_id), utc_now()
    check_can_claim(alert, user_id, now)
    same_version(alert, version)
    await claim_locked(work, redis, [alert], user_id, until=now + lease, by=by)
    return alert


def check_can_claim(alert: Alert, user_id: UUID, now: datetime) -> None:
    """Raises NotAllowedNow."""
    if alert.status == AlertStatus.CLOSED.value:
        raise NotAllowedNow("this alert is closed")
    if held_by_other(alert, user_id, now):
        raise NotAllowedNow("a colleague has claimed this alert")


async def claim_locked(
    work: UnitOfWork, redis: Redis, alerts: Sequence[Alert], user_id: UUID, *, until: datetime, by: Actor
) -> None:
    """For alerts that are locked and were checked."""
    for alert in alerts:
        give(alert, user_id, until)
    await changed(work, redis, alerts, [Event(by, Action.ALERT_CLAIM, "alert", str(alert.id)) for alert in alerts])


async def keep_claim(work: UnitOfWork, alert_id: AlertId, user_id: UserId, *, lease: timedelta) -> Alert:
    """Extend one's own claim while it runs: it lasts at least `lease` from now.

    The trail has the claim and its end; that it went on is no event of its own, and no new version of the alert.
    """
    alert, now = await for_change(work, alert_id), utc_now()
    if alert.claimed_by != user_id or not live_claim(alert, now):
        raise NotAllowedNow("your claim has run out")
    assert alert.claim_expires_at is not None  # it is live
    alert.claim_expires_at = max(alert.claim_expires_at, now + lease)
    work.session.add(alert)
    await work.session.flush()
    return alert


async def release(
    work: UnitOfWork, redis: Redis, alert_id: AlertId, user_id: UserId, *, by: Actor, version: int | None = None
) -> Alert:
    """Give one's own claim back."""
    alert = await for_change(work, alert_id)
    check_can_release(alert, user_id)
    same_version(alert, version)
    await release_locked(work, redis, [alert], by=by)
    return alert


def check_can_release(alert: Alert, user_id: UUID) -> None:
    """Raises NotAllowedNow."""
    if alert.status != AlertStatus.CLAIMED.value or alert.claimed_by != user_id:
        raise NotAllowedNow("you have not claimed this alert")


async def release_locked(work: UnitOfWork, redis: Redis, alerts: Sequence[Alert], *, by: Actor) -> None:
    """For alerts that are locked and were checked."""
    for alert in alerts:
        _let_go(alert)
    await changed(work, redis, alerts, [Event(by, Action.ALERT_RELEASE, "alert", str(alert.id)) for alert in alerts])


async def release_expired(work: UnitOfWork, redis: Redis, *, by: Actor, limit: int = 200) -> int:
    """Re-open alerts whose claim ran out; how many."""
    expired = await casework.expired_claims(work, utc_now(), limit)
    events = []
    for alert in expired:
        detail = {"claimed_by": str(alert.claimed_by)}
        events.append(Event(by, Action.ALERT_RELEASE, "alert", str(alert.id), detail))
        _let_go(alert)
    if expired:
        await changed(work, redis, expired, events)
    return len(expired)


async def hand_over(
    work: UnitOfWork,
    redis: Redis,
    alert_id: AlertId,
    user_id: UserId,
    *,
    to: UserId,
    lease: timedelta,
    by: Actor,
    version: int,
    note: str | None = None,
) -> Alert:
    """Give an alert that nobody else has to a colleague, whose claim it is for `lease`."""
    alert, now = await for_change(work, alert_id), utc_now()
    same_version(alert, version)
    check_can_claim(alert, user_id, now)
    colleague = await people.user(work, to)
    if colleague is None or colleague.disabled_at or Role(colleague.role) not in WORKING_ROLES:
        raise InvalidInput("this person may not work on alerts")
    if to == user_id:
        raise InvalidInput("choose a colleague, not yourself")
    if note and note.strip():
        await store_notes(work, [alert], user_id, note, now)
    give(alert, to, now + lease)
    detail = {"to": str(to)}
    return await _changed(work, redis, alert, Event(by, Action.ALERT_HAND_OVER, "alert", str(alert.id), detail))


async def add_note(
    work: UnitOfWork, redis: Redis, alert_id: AlertId, user_id: UserId, *, body: str, by: Actor
) -> Alert:
    alert = await for_change(work, alert_id)
    await store_notes(work, [alert], user_id, body, utc_now())
    await record(work, Event(by, Action.NOTE_ADD, "alert", str(alert.id)))
    work.after_commit.append(partial(ring, redis, BELL_ALERTS, [str(alert.id)]))
    return alert


async def store_notes(work: UnitOfWork, alerts: Sequence[Alert], user_id: UUID, body: str, now: datetime) -> None:
    """The same words at each of them. Raises InvalidInput."""
    words = body.strip()
    if not words or len(words) > MAX_NOTE or "\x00" in words:
        raise InvalidInput(f"a note has 1 to {MAX_NOTE} characters")
    notes = [Note(id=new_uuid(), alert_id=alert.id, author_id=user_id, body=words, written_at=now) for alert in alerts]
    await casework.add_notes(work, notes)
