"""Whose an alert is: take the next, claim, keep, release, hand over; and notes. Each answers with the desk as it is then."""

from datetime import timedelta
from uuid import UUID

from litestar import get, post
from litestar.params import FromPath, URLEncodedBody

from console.access import ConsoleRequest, require, resources_of
from console.desk import (
    Form,
    Hands,
    carry_out,
    go,
    last_undo,
    last_view,
    remember_view,
    take,
    version_of,
)
from console.shell import Page, is_fragment, render, see_other
from console.views import desk as views
from core.acts import casework as acts
from core.base.clock import utc_now
from core.base.errors import InvalidInput
from core.base.ids import UserId
from core.base.terms import Role
from core.infra.postgres import UnitOfWork
from core.stores import queue_counts
from core.stores.queue_filter import AlertFilter, Look, Standing
from core.tables.casework import Alert


@post("/queue/next", guards=[require(Role.ANALYST)], status_code=200)
async def take_next(request: ConsoleRequest, data: URLEncodedBody[dict[str, str]]) -> Page:
    """Of the view that the form names, and from then on of that one; without a name, of the last one."""
    view = data.get("view", last_view(request))
    taken = await take(request, view)
    page = go(request, f"/alerts/{taken.id}" if taken else "/queue/done")
    return remember_view(page, view, secure=resources_of(request).settings.secure_cookies)


@get("/queue/done", guards=[require(Role.VIEWER)])
async def nothing_left(request: ConsoleRequest) -> Page:
    """No alert is open; what colleagues have claimed may still come back."""
    async with resources_of(request).postgres.reading() as work:
        look = Look(utc_now(), request.user.user.id)
        asked = [AlertFilter(standing=Standing.OPEN), AlertFilter(standing=Standing.CLAIMED)]
        still_open, claimed = await queue_counts.badges(work, asked, look)
        undo = await last_undo(work, request.user.user.id)
    return render(
        request, "done.html", {"claimed": claimed, "open": still_open, "undo": undo, "narrow": bool(last_view(request))}
    )


@post("/alerts/{alert_id:uuid}/claim", guards=[require(Role.ANALYST)], status_code=200)
async def claim(request: ConsoleRequest, alert_id: FromPath[UUID], data: URLEncodedBody[dict[str, str]]) -> Page:
    async def act(work: UnitOfWork, me: Hands) -> None:
        version = _maybe_version(data)
        await acts.claim(work, me.redis, me.alert_id, me.user_id, lease=me.lease, by=me.actor, version=version)

    return await carry_out(request, alert_id, act, data)


@post("/alerts/{alert_id:uuid}/keep", guards=[require(Role.ANALYST)], status_code=200)
async def keep(request: ConsoleRequest, alert_id: FromPath[UUID]) -> Page:
    """The open page says that somebody is still at it."""

    async def act(work: UnitOfWork, me: Hands) -> Alert:
        return await acts.keep_claim(work, me.alert_id, me.user_id, lease=me.lease)

    async def lease(alert: Alert) -> Page:
        if not is_fragment(request):
            return see_other(f"/alerts/{alert_id}")
        desk = views.desk(alert, [], [], [], {}, me=request.user.user.id, now=utc_now())
        return render(request, "_lease.html", {"desk": desk})

    return await carry_out(request, alert_id, act, then=lease)


@post("/alerts/{alert_id:uuid}/release", guards=[require(Role.ANALYST)], status_code=200)
async def release(request: ConsoleRequest, alert_id: FromPath[UUID], data: URLEncodedBody[dict[str, str]]) -> Page:
    async def act(work: UnitOfWork, me: Hands) -> None:
        await acts.release(work, me.redis, me.alert_id, me.user_id, by=me.actor, version=_maybe_version(data))

    return await carry_out(request, alert_id, act, data)


@post("/alerts/{alert_id:uuid}/hand-over", guards=[require(Role.ANALYST)], status_code=200)
async def hand_over(request: ConsoleRequest, alert_id: FromPath[UUID], data: URLEncodedBody[dict[str, str]]) -> Page:
    async def act(work: UnitOfWork, me: Hands) -> None:
        await acts.hand_over(
            work,
            me.redis,
            me.alert_id,
            me.user_id,
            to=_person(data.get("to", "")),
            lease=timedelta(hours=me.resources.settings.hand_over_lease_hours),
            by=me.actor,
            version=version_of(data.get("version", "")),
            note=data.get("note"),
        )

    return await carry_out(request, alert_id, act, data)


@post("/alerts/{alert_id:uuid}/notes", guards=[require(Role.ANALYST)], status_code=200)
async def add_note(request: ConsoleRequest, alert_id: FromPath[UUID], data: URLEncodedBody[dict[str, str]]) -> Page:
    body = data.get("note", "")

    async def act(work: UnitOfWork, me: Hands) -> None:
        await acts.add_note(work, me.redis, me.alert_id, me.user_id, body=body, by=me.actor)

    return await carry_out(request, alert_id, act, {"remark": body})


def _maybe_version(data: Form) -> int | None:
    return version_of(data["version"]) if data.get("version") else None


def _person(text: str) -> UserId:
    try:
        return UserId(UUID(text))
    except ValueError:
        raise InvalidInput("choose the colleague") from None
