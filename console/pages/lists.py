"""Lists: what is in force, what runs out soon, what has ended; add, change when it runs out, end."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

from litestar import get, post
from litestar.params import FromPath, FromQuery, URLEncodedBody

from console.access import ConsoleRequest, may, require, resources_of, safe_next
from console.asked import place_text, read_place
from console.i18n import gettext as _
from console.refusals import told
from console.shell import Page, is_fragment, render, see_other
from console.views import lists as views
from console.views.lists import FIELDS, SOON
from core.acts import lists as acts
from core.acts.lists import NewEntry
from core.base.clock import utc_now
from core.base.errors import Forbidden, InvalidInput, NotAllowedNow, RondaError
from core.base.terms import EntityKind, EntityList, Role
from core.stores import lists, people
from core.stores.lists import ListFilter, ListPlace, State
from core.tables.policy import ListEntry

PAGE = 50


def _role(request: ConsoleRequest) -> Role:
    return Role(request.user.user.role)


@get("/lists", guards=[require(Role.VIEWER)])
async def lists_page(
    request: ConsoleRequest,
    show: FromQuery[str] = "",
    q: FromQuery[str] = "",
    after: FromQuery[str] = "",
    said: FromQuery[str] = "",
) -> Page:
    context = await _context(
        request, request.query_params.get("list", ""), show, q.replace("\x00", "").strip()[:200], after
    )
    context |= {
        "form": views.entry_form(_role(request), dict(request.query_params.items())),
        "said": views.SAID.get(said, ""),
    }
    fragment = is_fragment(request) and after
    return render(request, "_lists_more.html" if fragment else "lists.html", context)


async def _context(
    request: ConsoleRequest, name: str = "", show: str = "", words: str = "", after: str = ""
) -> dict[str, Any]:
    try:
        chosen, state = EntityList(name) if name else None, State(show or State.LIVE)
    except ValueError:
        raise InvalidInput(_("There is no such list.")) from None
    now, place = utc_now(), read_place(after)
    wanted = ListFilter(chosen, state, words, now + SOON)
    async with resources_of(request).postgres.reading() as work:
        found = await lists.entries(work, wanted, now, after=ListPlace(*place) if place else None, limit=PAGE + 1)
        counts = await lists.counts(work, now)
        names = await people.names_of(work, views.people_of(found))
    shown = found[:PAGE]
    more = _place(shown[-1], state) if len(found) > PAGE else ""
    query = {"list": chosen or "", "show": show, "q": words}
    return {
        "rows": [views.entry_row(row, names, _role(request), now) for row in shown],
        "tabs": views.list_tabs(counts, chosen, words),
        "states": views.state_tabs(state, chosen, words),
        "query": query,
        "ended": state is State.ENDED,
        "may_add": may(request.user, Role.ANALYST),
        "empty_lists": not any(counts.values()) and state is State.LIVE and not words,
        "periods": views.entry_form(_role(request)).periods,
        "here": views.lists_href(**query),
        "more_href": views.lists_href(**query, after=more) if more else "",
    }


def _place(row: ListEntry, state: State) -> str:
    return place_text(row.expires_at if state is State.SOON and row.expires_at else row.created_at, row.id)


@post("/lists", guards=[require(Role.ANALYST)], status_code=200)
async def add(request: ConsoleRequest, data: URLEncodedBody[dict[str, str]]) -> Page:
    given, resources = {name: data.get(name, "")[:400] for name in FIELDS}, resources_of(request)
    try:
        entry = _entry(given)
        async with resources.postgres.unit_of_work() as work:
            await acts.add_entry(work, resources.redis, entry, by=request.user.actor)
    except (InvalidInput, NotAllowedNow, Forbidden) as error:
        context = await _context(request)
        form = views.entry_form(_role(request), given, _problems(error))
        return render(request, "lists.html", {**context, "form": form, "said": ""}, status=422)
    return _done(given["back"] or views.lists_href(list=entry.list), "list-added")


def _entry(given: Mapping[str, str]) -> NewEntry:
    try:
        entity_list, kind = EntityList(given["list"]), EntityKind(given["kind"])
    except ValueError:
        raise InvalidInput(_("This form is damaged. Reload the page.")) from None
    typed = given["entity_id"] if given["exact"] else given["entity_id"].strip()
    return NewEntry(entity_list, kind, typed, given["reason"], _expiry(given))


def _expiry(given: Mapping[str, str]) -> Any:
    try:
        return views.expiry(given.get("period", ""), given.get("until", ""), utc_now())
    except (ValueError, OverflowError):
        message = _("Say until which day.")
        raise InvalidInput(message, errors=[{"field": "until", "message": message}]) from None


def _problems(error: RondaError) -> dict[str, str]:
    """By field. What the role does not reach is a matter of time, what is there already one of the entity."""
    if isinstance(error, Forbidden):
        return {"expires_at": told(error.detail)}
    if isinstance(error, NotAllowedNow):
        return {"entity_id": told(error.detail)}
    named = error.facts.get("errors") or [{"field": "form", "message": told(error.detail)}]
    return {item["field"]: told(item["message"]) for item in named}


def _sentence(detail: str) -> str:
    return f"{detail[:1].upper()}{detail[1:]}".rstrip(".") + "."


def _done(back: str, said: str) -> Page:
    path = safe_next(back)
    return see_other(f"{path}{'&' if '?' in path else '?'}said={said}")


def _filters(back: str) -> dict[str, str]:
    """Of the list at this address; none for an entity's page, or an address that is not ours."""
    parts = urlsplit(back)
    asked = dict(parse_qsl(parts.query)) if parts.path == "/lists" else {}
    name, show = asked.get("list", ""), asked.get("show", "")
    return {
        "name": name if name in set(EntityList) else "",
        "show": show if show in set(State) else "",
        "words": asked.get("q", ""),
    }


async def _changed(request: ConsoleRequest, back: str, error: RondaError) -> Page:
    """What could not be done, above the list that was looked at, as it is now."""
    context = await _context(request, **_filters(back))
    form = views.entry_form(_role(request))
    context |= {"form": form, "said": "", "problem": told(error.detail), "here": back or "/lists"}
    return render(request, "lists.html", context, status=409 if isinstance(error, NotAllowedNow) else 422)


@post("/lists/{entry_id:uuid}/extend", guards=[require(Role.ANALYST)], status_code=200)
async def extend(request: ConsoleRequest, entry_id: FromPath[UUID], data: URLEncodedBody[dict[str, str]]) -> Page:
    resources, back = resources_of(request), data.get("back", "")
    try:
        expires_at = _expiry(data)
        async with resources.postgres.unit_of_work() as work:
            await acts.extend_entry(work, resources.redis, entry_id, expires_at, by=request.user.actor)
    except (InvalidInput, NotAllowedNow, Forbidden) as error:
        return await _changed(request, back, error)
    return _done(back or "/lists", "list-extended")


@post("/lists/{entry_id:uuid}/end", guards=[require(Role.ANALYST)], status_code=200)
async def end(request: ConsoleRequest, entry_id: FromPath[UUID], data: URLEncodedBody[dict[str, str]]) -> Page:
    resources, back = resources_of(request), data.get("back", "")
    try:
        async with resources.postgres.unit_of_work() as work:
            await acts.end_entry(work, resources.redis, entry_id, by=request.user.actor)
    except (NotAllowedNow, Forbidden) as error:
        return await _changed(request, back, error)
    return _done(back or "/lists", "list-ended")
