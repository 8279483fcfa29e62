"""The views of the queue that people keep: save, rename, share, delete."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.params import FromPath, URLEncodedBody

from console.access import ConsoleRequest, require, resources_of
from console.refusals import told
from console.shell import Page, render, see_other
from console.views.queue_url import QueueView, read_query
from console.views.saved_views import saved_view_row
from core.acts import saved_views as acts
from core.base.clock import utc_now
from core.base.errors import InvalidInput
from core.base.terms import Role
from core.stores import people, policy, saved_views

MOST_SHARED = 100


@dataclass(frozen=True)
class Refused:
    """What was typed, for which view (empty = a new one), and why it could not be. taken: the id of the view that has the name."""

    view_id: str
    name: str
    query: str
    problem: str
    taken: str = ""


async def _page(request: ConsoleRequest, refused: Refused | None = None) -> Page:
    user, now = request.user, utc_now()
    async with resources_of(request).postgres.reading() as work:
        own = await saved_views.views_of(work, user.user.id, acts.MOST_VIEWS)
        shared = await saved_views.shared_views(work, but_of=user.user.id, limit=MOST_SHARED)
        owners = await people.names_of(work, [row.owner_id for row in shared])
        in_force = await policy.current_policy(work)
    rules = {rule["code"]: rule["text"] for rule in in_force.rules} if in_force else {}
    context: dict[str, Any] = {
        "own": [saved_view_row(row, "", rules, now) for row in own],
        "shared": [saved_view_row(row, owners.get(row.owner_id, ""), rules, now) for row in shared],
        "deletable": {str(row.id) for row in shared if acts.may_delete(row, user)},
        "may_share": acts.may_share(user),
        "refused": refused,
        "most": acts.MOST_VIEWS,
    }
    return render(request, "saved_views.html", context, status=422 if refused else 200)


@get("/queue/views", guards=[require(Role.VIEWER)])
async def views_page(request: ConsoleRequest) -> Page:
    return await _page(request)


@post("/queue/views", guards=[require(Role.VIEWER)], status_code=200)
async def save_view(request: ConsoleRequest, data: URLEncodedBody[dict[str, str]]) -> Page:
    name, query = data.get("name", ""), data.get("query", "")
    try:
        view: QueueView = read_query(query)
        async with resources_of(request).postgres.unit_of_work() as work:
            await acts.save(work, name, view.query(), by=request.user, replace=data.get("replace") == "yes")
    except InvalidInput as error:
        return await _page(request, Refused("", name, query, told(error.detail), error.facts.get("taken", "")))
    return see_other(view.href())


@post("/queue/views/{view_id:uuid}/rename", guards=[require(Role.VIEWER)], status_code=200)
async def rename_view(request: ConsoleRequest, view_id: FromPath[UUID], data: URLEncodedBody[dict[str, str]]) -> Page:
    name = data.get("name", "")
    try:
        async with resources_of(request).postgres.unit_of_work() as work:
            await acts.rename(work, view_id, name, by=request.user)
    except InvalidInput as error:
        return await _page(request, Refused(str(view_id), name, "", told(error.detail)))
    return see_other("/queue/views")


@post("/queue/views/{view_id:uuid}/share", guards=[require(Role.ANALYST)], status_code=200)
async def share_view(request: ConsoleRequest, view_id: FromPath[UUID], data: URLEncodedBody[dict[str, str]]) -> Page:
    async with resources_of(request).postgres.unit_of_work() as work:
        await acts.share(work, view_id, data.get("shared") == "yes", by=request.user)
    return see_other("/queue/views")


@post("/queue/views/{view_id:uuid}/delete", guards=[require(Role.VIEWER)], status_code=200)
async def delete_view(request: ConsoleRequest, view_id: FromPath[UUID]) -> Page:
    async with resources_of(request).postgres.unit_of_work() as work:
        await acts.delete(work, view_id, by=request.user)
    return see_other("/queue/views")
