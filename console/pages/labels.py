"""What payments turned out to be: the history of labels, where sources disagree, and what a late truth overturned."""

from typing import Any, Final
from uuid import UUID

from litestar import get
from litestar.params import FromQuery

from console.access import ConsoleRequest, require, resources_of
from console.asked import place_text, read_days, read_place
from console.i18n import gettext as _
from console.shell import Page, is_fragment, render
from console.views import labels as views
from console.views.audit import user_ids
from console.views.words import LABEL_SOURCES, LABELS
from core.base.clock import utc_now
from core.base.errors import InvalidInput
from core.base.terms import Label, LabelSource, Role
from core.infra.postgres import UnitOfWork
from core.stores import flow, labels, people
from core.stores.labels import LabelFilter, Which

PAGE: Final = 50


def _chosen(show: str, source: str, label: str, by: str, since: str, until: str) -> LabelFilter:
    if show not in set(Which):
        raise InvalidInput(_("There is no such choice of labels."))
    if source and source not in set(LabelSource):
        raise InvalidInput(_("There is no such source of labels."))
    if label and label not in set(Label):
        raise InvalidInput(_("There is no such label."))
    begins, ends = read_days(since, until)
    return LabelFilter(Which(show), source, label, by.strip()[:200], begins, ends)


@get("/labels", guards=[require(Role.VIEWER)])
async def labels_page(
    request: ConsoleRequest,
    show: FromQuery[str] = Which.REPORTED.value,
    source: FromQuery[str] = "",
    label: FromQuery[str] = "",
    by: FromQuery[str] = "",
    since: FromQuery[str] = "",
    until: FromQuery[str] = "",
    after: FromQuery[str] = "",
) -> Page:
    chosen, place = _chosen(show, source, label, by, since, until), read_place(after)
    given = {"show": show, "source": source, "label": label, "by": by, "since": since, "until": until}
    async with resources_of(request).postgres.reading() as work:
        found = await labels.find(work, chosen, after=place, limit=PAGE + 1)
        rows = await _entries(work, found.ids)
        users = await people.users(work)
    further = place_text(*found.further) if found.further else ""
    context: dict[str, Any] = {
        "rows": rows,
        "given": given,
        "show": show,
        "tabs": [
            (which.value, words, views.labels_href(**{**given, "show": which.value}))
            for which, words in views.WHICH.items()
        ],
        "sources": [(known.value, words) for known, words in LABEL_SOURCES.items() if known is not LabelSource.IMPORT],
        "labels": [(known.value, words) for known, words in LABELS.items()],
        "people": [(str(user.id), user.name, user.email) for user in users],
        "narrowed": any((source, label, by, since, until)),
        "clear_href": views.labels_href(show=show),
        "more_href": views.labels_href(**given, after=further) if further else "",
        "full": len(rows) == PAGE,
    }
    fragment = is_fragment(request) and after
    return render(request, "_labels_more.html" if fragment else "labels.html", context)


async def _entries(work: UnitOfWork, ids: list[UUID]) -> list[views.LabelEntry]:
    if not ids:
        return []
    rows, now = await labels.by_id(work, ids), utc_now()
    uids = list({row.transaction_uid for row in rows})
    payments = {payment.uid: payment for payment in await flow.transactions(work, uids)}
    about: dict[UUID, list[Any]] = {}
    for said in await labels.about(work, uids):
        about.setdefault(said.transaction_uid, []).append(said)
    alerts = await labels.alerts_about(work, uids)
    everyone = [*rows, *(one for said in about.values() for one in said)]
    names = await people.names_of(work, user_ids((one.actor_type, one.actor_id) for one in everyone))
    return [
        views.label_entry(
            row,
            payments[row.transaction_uid],
            alerts.get(row.transaction_uid),
            about.get(row.transaction_uid, []),
            names,
            now,
        )
        for row in rows
    ]
