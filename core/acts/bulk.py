"""One act on many alerts. Each alert succeeds or is refused by itself; a chunk of them is one unit of work, with an event for each."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from core.acts.audit import Actor
from core.acts.casework import check_can_claim, check_can_release, claim_locked, release_locked, same_version
from core.acts.verdicts import Hand, Ruling, check_can_close, check_can_undo, close, take_back
from core.base.clock import utc_now
from core.base.errors import InvalidInput, NotAllowedNow, NotFound, RondaError
from core.base.ids import UserId, new_uuid
from core.infra.postgres import Postgres, UnitOfWork
from core.infra.redis import Redis
from core.stores import casework, verdicts
from core.tables.casework import Alert

MOST: Final = 1000
CHUNK: Final = 50


class BulkAct(StrEnum):
    """What can be done with many alerts at once."""

    CLAIM = "claim"
    RELEASE = "release"
    DECIDE = "decide"


@dataclass(frozen=True)
class Chosen:
    """An alert, at the version that was seen; None = whatever it is now."""

    alert_id: UUID
    version: int | None = None


@dataclass(frozen=True)
class Outcome:
    """alert: as it was then; None when there is none of that id. problem: why nothing was done to it."""

    alert_id: UUID
    alert: Alert | None
    problem: RondaError | None = None


@dataclass(frozen=True)
class Doer:
    """On whose behalf, with what."""

    postgres: Postgres
    redis: Redis
    user_id: UserId
    by: Actor


Check = Callable[[Alert], None]
"""Raises a RondaError when the act is not possible."""
Act = Callable[[UnitOfWork, Sequence[Alert]], Awaitable[Sequence[Alert]]]
"""On locked alerts that were checked; those it was really done to."""


def possible(act: BulkAct, alert: Alert, user_id: UUID) -> None:
    """Raises NotAllowedNow."""
    if act is BulkAct.CLAIM:
        check_can_claim(alert, user_id, utc_now())
    elif act is BulkAct.RELEASE:
        check_can_release(alert, user_id)
    else:
        check_can_close(alert, user_id, utc_now())


async def claim_all(doer: Doer, chosen: Sequence[Chosen], *, lease: timedelta) -> list[Outcome]:
    async def act(work: UnitOfWork, alerts: Sequence[Alert]) -> Sequence[Alert]:
        await claim_locked(work, doer.redis, alerts, doer.user_id, until=utc_now() + lease, by=doer.by)
        return alerts

    return await _each(doer, chosen, lambda alert: possible(BulkAct.CLAIM, alert, doer.user_id), act)


async def release_all(doer: Doer, chosen: Sequence[Chosen]) -> list[Outcome]:
    async def act(work: UnitOfWork, alerts: Sequence[Alert]) -> Sequence[Alert]:
        await release_locked(work, doer.redis, alerts, by=doer.by)
        return alerts

    return await _each(doer, chosen, lambda alert: possible(BulkAct.RELEASE, alert, doer.user_id), act)


async def decide_all(
    doer: Doer, chosen: Sequence[Chosen], ruling: Ruling, *, window: timedelta
) -> tuple[UUID, list[Outcome]]:
    """Also the batch's id, by which it can be undone within `window` of each chunk."""
    batch_id = new_uuid()

    async def act(work: UnitOfWork, alerts: Sequence[Alert]) -> Sequence[Alert]:
        await close(work, doer.redis, alerts, ruling, Hand(doer.user_id, doer.by, utc_now(), window, batch_id))
        return alerts

    return batch_id, await _each(doer, chosen, lambda alert: possible(BulkAct.DECIDE, alert, doer.user_id), act)


async def undo_all(doer: Doer, batch_id: UUID, *, lease: timedelta) -> list[Outcome]:
    """Take a batch of one's own decisions back, each that still can be. Raises NotFound."""
    async with doer.postgres.reading() as work:
        batch = {verdict.alert_id: verdict for verdict in await verdicts.of_batch(work, batch_id, MOST)}
    if not batch:
        raise NotFound("there are no such decisions")

    def check(alert: Alert) -> None:
        check_can_undo(alert, batch[alert.id], doer.user_id, utc_now())

    async def act(work: UnitOfWork, alerts: Sequence[Alert]) -> Sequence[Alert]:
        standing = await verdicts.standing(work, [alert.id for alert in alerts])
        now = {verdict.id for verdict in standing.values()}
        closed = [(alert, batch[alert.id]) for alert in alerts if batch[alert.id].id in now]
        return await take_back(work, doer.redis, closed, doer.user_id, lease=lease, by=doer.by)

    return await _each(doer, [Chosen(alert_id) for alert_id in batch], check, act)


async def _each(doer: Doer, chosen: Sequence[Chosen], check: Check, act: Act) -> list[Outcome]:
    """In the order of the ids. Raises InvalidInput for too many or none."""
    seen = {one.alert_id: one.version for one in chosen}
    if not 1 <= len(seen) <= MOST:
        raise InvalidInput(f"choose 1 to {MOST:,} alerts")
    ids, found = sorted(seen), []
    for start in range(0, len(ids), CHUNK):
        async with doer.postgres.unit_of_work() as work:
            found += await _chunk(work, {ident: seen[ident] for ident in ids[start : start + CHUNK]}, check, act)
    return found


async def _chunk(work: UnitOfWork, seen: dict[UUID, int | None], check: Check, act: Act) -> list[Outcome]:
    locked = {alert.id: alert for alert in await casework.alerts_for_update(work, list(seen))}
    problems: dict[UUID, RondaError] = {ident: NotFound("there is no such alert") for ident in seen.keys() - locked}
    ready = []
    for ident, alert in locked.items():
        try:
            check(alert)
            same_version(alert, seen[ident])
            ready.append(alert)
        except RondaError as error:
            problems[ident] = error
    done = {alert.id for alert in await act(work, ready)} if ready else set()
    problems |= {alert.id: NotAllowedNow("it was too late") for alert in ready if alert.id not in done}
    return [Outcome(ident, locked.get(ident), problems.get(ident)) for ident in seen]
