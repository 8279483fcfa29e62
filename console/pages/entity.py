"""The page of a customer, card, merchant, device or IP address: what is known of it, its payments, alerts, links and list entries."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from litestar import get
from litestar.params import FromPath, FromQuery

from console.access import ConsoleRequest, may, require, resources_of
from console.asked import place_text, read_place
from console.i18n import gettext as _
from console.shell import Page, is_fragment, render
from console.views import entity as views
from console.views import lists as list_views
from console.views.entity import Known
from console.views.payments import PaymentRow, payment_row
from console.views.queue import alert_row, people_in
from console.views.words import ENTITIES, count, entity_href, entity_id_of
from core.base.clock import utc_now
from core.base.errors import NotFound
from core.base.terms import EntityKind, EntityList, Role
from core.infra.postgres import UnitOfWork
from core.stores import casework, entities, lists, people, searching
from core.stores.searching import TransactionFilter, TransactionPlace

PAGE = 25
ALERTS = 8
ENTRIES = 12


def _kind(name: str) -> EntityKind:
    try:
        return EntityKind(name)
    except ValueError:
        raise NotFound(_("There is no such kind of entity.")) from None


def _written_id(request: ConsoleRequest) -> str:
    """From the path as it was sent: decoded, a slash of the id would be one of the path. Empty for what no id can be."""
    raw: bytes = request.scope["raw_path"]
    parts = raw.decode("ascii", "replace").split("?")[0].split("/", 3)
    found = entity_id_of(parts[3]) if len(parts) > 3 else request.query_params.get("id", "")
    return "" if "\x00" in found else found


@get(["/entities/{kind:str}", "/entities/{kind:str}/{rest:path}"], guards=[require(Role.VIEWER)])
async def entity_page(
    request: ConsoleRequest, kind: FromPath[str], after: FromQuery[str] = "", said: FromQuery[str] = ""
) -> Page:
    """An id may hold any character, also a slash."""
    chosen, entity_id, now = _kind(kind), _written_id(request), utc_now()
    href = entity_href(chosen, entity_id)
    async with resources_of(request).postgres.reading() as work:
        rows, more = await _history(work, chosen, entity_id, after, now)
        context: dict[str, Any] = {"rows": rows, "more_href": f"{href}?{urlencode({'after': more})}" if more else ""}
        if after and is_fragment(request):
            return render(request, "_entity_more.html", context)
        context |= await _known(work, request, chosen, entity_id, now)
    title, icon = ENTITIES[chosen]
    context |= {
        "kind": chosen.value,
        "title": title,
        "symbol": icon,
        "id": entity_id,
        "here": href,
        "first_href": href if after else "",
        "search_href": f"/transactions?{urlencode({chosen.value: entity_id})}",
        "may_add": may(request.user, Role.ANALYST),
        "form": _form(request, chosen, entity_id, href),
        "said": list_views.SAID.get(said, ""),
    }
    return render(request, "entity.html", context)


def _form(request: ConsoleRequest, kind: EntityKind, entity_id: str, href: str) -> list_views.EntryForm:
    given = {"kind": kind.value, "entity_id": entity_id, "back": href, "list": EntityList.WATCH.value}
    return list_views.entry_form(Role(request.user.user.role), given)


async def _history(
    work: UnitOfWork, kind: EntityKind, entity_id: str, after: str, now: datetime
) -> tuple[list[PaymentRow], str]:
    """A page of its payments, and the place where the next one begins."""
    place = read_place(after)
    wanted = TransactionFilter(entities={kind: entity_id})
    answer = await searching.search_transactions(
        work, wanted, after=TransactionPlace(*place) if place else None, limit=PAGE + 1
    )
    found = answer.rows
    shown = found[:PAGE]
    labels = await casework.labels_by_transaction(work, [row.uid for row, _decision in shown])
    rows = [
        payment_row(row, decision, now, label=labels[row.uid].label if row.uid in labels else "")
        for row, decision in shown
    ]
    return rows, place_text(shown[-1][0].occurred_at, shown[-1][0].uid) if len(found) > PAGE else ""


async def _known(
    work: UnitOfWork, request: ConsoleRequest, kind: EntityKind, entity_id: str, now: datetime
) -> dict[str, Any]:
    """Raises NotFound when nothing is."""
    payments = await entities.latest_payments(work, kind, entity_id)
    entries = await lists.entries_of(work, kind, entity_id, ENTRIES)
    if not payments and not entries:
        raise NotFound(_("Nothing is known of this id: no payment names it, and it was never on a list."))
    uids = [payment.uid for payment in payments]
    alerts = await entities.alerts_of(work, kind, entity_id, ALERTS)
    names = await people.names_of(work, [*list_views.people_of(entries), *people_in(alerts)])
    known = Known(
        kind=kind,
        id=entity_id,
        payments=payments,
        first_seen=await entities.first_seen(work, kind, entity_id) if payments else None,
        labels=await casework.labels_by_transaction(work, uids),
        alerts=await entities.alert_counts_on(work, uids),
        users=await _users(work, kind, views.linked(payments, kind)),
    )
    role = Role(request.user.user.role)
    listed = [list_views.entry_row(row, names, role, now) for row in entries]
    return {
        "figures": views.figures(known, now),
        "bounded": views.bounded_words(known),
        "activity": views.activity(known),
        "groups": views.link_groups(known),
        "links_note": views.links_note(),
        "alerts": [alert_row(alert, names, now) for alert in alerts],
        "alerts_count": count(sum(known.alerts.values())),
        "live": [row for row in listed if not row.ended],
        "past": [row for row in listed if row.ended],
    }


async def _users(work: UnitOfWork, kind: EntityKind, linked: Any) -> dict[tuple[EntityKind, str], int]:
    """Asked for what is shown only."""
    found: dict[tuple[EntityKind, str], int] = {}
    for other in views.SHARED_KINDS:
        if other is not kind and kind is not EntityKind.MERCHANT:
            shown = [ident for ident, _number in linked[other].most_common(views.LINKS_SHOWN)]
            users = await entities.users_of(work, other, shown)
            found |= {(other, ident): customers for ident, customers in users.items()}
    return found
