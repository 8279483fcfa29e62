"""Search over all transactions, and one transaction."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from litestar import get
from litestar.params import FromPath, FromQuery

from console.access import ConsoleRequest, require, resources_of
from console.asked import place_text, read_place
from console.i18n import gettext as _
from console.shell import Page, is_fragment, render
from console.views import evidence, payments
from console.views import search as views
from core.base.clock import utc_now
from core.base.errors import NotFound
from core.base.terms import Role
from core.stores import casework, flow, searching
from core.stores.searching import Found, Named, TransactionPlace

PAGE = 50


@get("/transactions", guards=[require(Role.VIEWER)])
async def transactions_page(request: ConsoleRequest, after: FromQuery[str] = "") -> Page:
    search, now = views.read_search(dict(request.query_params.items())), utc_now()
    place = read_place(after)
    found, shown, rows = Found([]), [], []
    named: Named | None = None
    if not search.problems:
        async with resources_of(request).postgres.reading() as work:
            named = await searching.named(work, search.given["q"]) if search.given["q"] else None
            found = await searching.search_transactions(
                work,
                replace(search.wanted, named=named),
                after=TransactionPlace(*place) if place else None,
                limit=PAGE + 1,
            )
            shown = list(found.rows[:PAGE])
            labels = await casework.labels_by_transaction(work, [row.uid for row, _decision in shown])
        rows = [
            payments.payment_row(row, decision, now, label=labels[row.uid].label if row.uid in labels else "")
            for row, decision in shown
        ]
    last = TransactionPlace(shown[-1][0].occurred_at, shown[-1][0].uid) if len(found.rows) > PAGE else found.edge
    more = place_text(last.occurred_at, last.uid) if last else ""
    cut = found.edge is not None and len(found.rows) <= PAGE
    context: dict[str, Any] = {
        **views.search_context(search, named),
        "rows": rows,
        "more_href": search.href(after=more) if more else "",
        "searched": views.searched_words(found.edge.occurred_at) if cut and found.edge else "",
    }
    fragment = is_fragment(request) and after
    status = 422 if search.problems else 200
    return render(request, "_transactions_more.html" if fragment else "transactions.html", context, status=status)


@get("/transactions/{uid:uuid}", guards=[require(Role.VIEWER)])
async def transaction_page(request: ConsoleRequest, uid: FromPath[UUID]) -> Page:
    now = utc_now()
    async with resources_of(request).postgres.reading() as work:
        row = await flow.transaction(work, uid)
        if row is None:
            raise NotFound(_("There is no such transaction."))
        decision = await flow.latest_decision(work, uid)
        labels = await casework.labels_of(work, uid)
        alert = await casework.alert_of(work, uid)
    context = {
        "payment": evidence.payment(row, now),
        "judgement": evidence.judgement(decision, row, now) if decision else None,
        "imported": row.imported,
        "labels": [payments.label_row(label, now) for label in labels],
        "alert_href": f"/alerts/{alert.id}" if alert else "",
        "timeline_href": f"/audit?subject_type=transaction&subject_id={uid}",
    }
    return render(request, "transaction.html", context)
