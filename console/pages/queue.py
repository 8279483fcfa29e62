"""The live queue of alerts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from litestar import get

from console.access import ConsoleRequest, may, require, resources_of
from console.asked import place_text
from console.shell import Page, is_fragment, render, see_other
from console.views import queue_bar as bar
from console.views import queue_filters as filters
from console.views.queue import DUE_WORDS, alert_row, people_in
from console.views.queue_url import QueueView, Reading, read_query, read_queue_place, read_view
from core.acts.saved_views import MOST_VIEWS
from core.base.clock import to_ms, utc_now
from core.base.errors import InvalidInput
from core.base.terms import Role
from core.infra.postgres import UnitOfWork
from core.stores import people, policy, queue, queue_counts, saved_views
from core.stores.queue import Place, place_of
from core.stores.queue_counts import Facets
from core.stores.queue_filter import Look
from core.tables.casework import Alert, SavedView

PAGE: Final = 50
MOST_SHARED: Final = 30
_PAGING: Final = frozenset({"after", "n"})


@dataclass(frozen=True)
class Asked:
    """What one request wants to see. before: how many rows stand before this page."""

    reading: Reading
    look: Look
    after: Place | None
    before: int

    @property
    def view(self) -> QueueView:
        return self.reading.view


@dataclass(frozen=True)
class _Found:
    alerts: Sequence[Alert]
    facets: Facets
    names: Mapping[UUID, str]
    rules: Mapping[str, str]
    cut: bool
    """The search found more than it looks at."""


async def _find(work: UnitOfWork, asked: Asked) -> _Found:
    wanted = asked.view.wanted
    look, cut = await queue.looked_up(work, wanted, asked.look)
    alerts = await queue.page(work, wanted, look, order=asked.view.order, after=asked.after, limit=PAGE + 1)
    facets = await queue_counts.facets(work, wanted, look)
    in_force = await policy.current_policy(work)
    rules = {rule["code"]: rule["text"] for rule in in_force.rules} if in_force else {}
    return _Found(alerts, facets, await people.names_of(work, people_in(alerts)), rules, cut)


def _readable(rows: Sequence[SavedView]) -> list[tuple[SavedView, QueueView]]:
    """A view that an older version spelt otherwise is left out; it can still be deleted."""
    found = []
    for row in rows:
        try:
            found.append((row, read_query(row.query)))
        except InvalidInput:
            continue
    return found


async def _views(work: UnitOfWork, request: ConsoleRequest, asked: Asked) -> dict[str, Any]:
    me = request.user.user.id
    own = await saved_views.views_of(work, me, MOST_VIEWS)
    shared = await saved_views.shared_views(work, but_of=me, limit=MOST_SHARED)
    saved = _readable([*own, *shared])
    defaults = bar.default_views(resources_of(request).settings.high_value_from)
    every = [*defaults.values(), *(view for _, view in saved)]
    counts = await queue_counts.badges(work, [view.wanted for view in every], asked.look)
    owners = await people.names_of(work, [row.owner_id for row in shared])
    return {
        "views": bar.view_links(defaults, counts[: len(defaults)], asked.view),
        "saved": bar.saved_links(saved, counts[len(defaults) :], owners, asked.view),
    }


async def _too_narrow(work: UnitOfWork, asked: Asked, found: _Found) -> list[filters.Widening]:
    look, _ = await queue.looked_up(work, asked.view.wanted, asked.look)
    without = await queue_counts.without(work, asked.view.wanted, look)
    return filters.widenings(asked.view, without, found.rules)


def _list(asked: Asked, found: _Found) -> dict[str, Any]:
    """The rows, and what stands at their foot."""
    view, shown = asked.view, found.alerts[:PAGE]
    more = ""
    if len(found.alerts) > PAGE:
        last = place_of(shown[-1], view.order)
        more = view.href(after=place_text(last.value, last.id), n=str(asked.before + PAGE))
    return {
        "rows": [alert_row(alert, found.names, asked.look.now) for alert in shown],
        "columns": bar.columns(view),
        "view": view,
        "order_words": bar.ORDERS[view.order],
        "first_page": asked.after is None,
        "on_top": asked.after is None and view.order is queue.Order.NEWEST,
        "more_href": more,
        "more_words": str(PAGE),
        "total": bar.total_words(found.facets),
        "shown": bar.shown_words(asked.before, len(shown), found.facets),
        "matching": found.facets.total,
        "cut": found.cut,
        "due_words": dict(DUE_WORDS.items()),
    }


def _bar(asked: Asked, found: _Found) -> dict[str, Any]:
    view, given = asked.view, asked.reading.given
    amounts = {"least": view.wanted.amount_from, "most": view.wanted.amount_to}
    typed = {name: filters.amount_words(amount) if amount is not None else "" for name, amount in amounts.items()}
    entities = {kind.value: ident for kind, ident in view.wanted.entities}
    return {
        "groups": filters.groups(view, found.facets, found.rules),
        "chips": filters.chips(view, found.rules),
        "clear_href": QueueView(order=view.order, hidden=view.hidden).href(),
        "orders": [(order.value, words, order is view.order) for order, words in bar.ORDERS.items()],
        "given": {"q": view.wanted.words, "customer": "", "merchant": "", **entities, **typed, **given},
        "problems": asked.reading.problems,
        "pairs": view.pairs(),
        "query": view.query(),
    }


def _asked(request: ConsoleRequest, pairs: Sequence[tuple[str, str]]) -> Asked:
    reading = read_view(pair for pair in pairs if pair[0] not in _PAGING)
    paging = dict(pairs)
    before = paging.get("n", "")
    return Asked(
        reading,
        Look(utc_now(), request.user.user.id),
        read_queue_place(paging.get("after", ""), reading.view.order),
        int(before) if before.isascii() and before.isdigit() and len(before) < 7 else 0,
    )


@get(["/", "/queue"], guards=[require(Role.VIEWER)])
async def queue_page(request: ConsoleRequest) -> Page:
    if request.url.path == "/":
        return see_other("/queue")
    pairs: list[tuple[str, str]] = list(request.query_params.multi_items())
    asked, fragment = _asked(request, pairs), is_fragment(request)
    view, problems = asked.view, asked.reading.problems
    if not (fragment or problems or asked.after) and sorted(pairs) != sorted(view.pairs()):
        return see_other(view.href())  # a form's address, in our spelling
    async with resources_of(request).postgres.reading() as work:
        found = await _find(work, asked)
        context = _list(asked, found) | {"widenings": []}
        if not found.alerts:
            context |= {"widenings": await _too_narrow(work, asked, found)}
        if not fragment:
            context |= _bar(asked, found) | await _views(work, request, asked)
    context |= {
        "may_act": may(request.user, Role.ANALYST),
        "chosen": bool(view.pairs()) and view.query() != QueueView(order=view.order, hidden=view.hidden).query(),
        "first_href": view.href(),
        "clear_href": QueueView(order=view.order, hidden=view.hidden).href(),
        "stream_href": view.href("/stream/queue", since=str(to_ms(asked.look.now))),
        "query": view.query(),
    }
    if fragment:
        return render(request, "_queue_more.html" if asked.after else "_queue_body.html", context)
    return render(request, "queue.html", context, status=422 if problems else 200)
