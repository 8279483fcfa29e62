"""A case on paper: payment, evidence, reasons, notes, history, and where its audit trail can be checked."""

from typing import Any
from uuid import UUID

from litestar import get
from litestar.params import FromPath

from console.access import ConsoleRequest, require, resources_of
from console.desk import events_of
from console.shell import Page, render
from console.views import desk as desk_views
from console.views import dossier as views
from console.views.evidence import judgement, payment
from console.views.normal import normal
from console.views.queue import alert_row
from console.views.words import moment
from core.acts.audit import Event, record
from core.base.clock import utc_now
from core.base.errors import NotFound
from core.base.terms import Action, Role
from core.infra.postgres import UnitOfWork
from core.stores import casework, flow, people, seals, surroundings
from core.tables.casework import Alert


@get("/alerts/{alert_id:uuid}/dossier", guards=[require(Role.VIEWER)])
async def dossier_page(request: ConsoleRequest, alert_id: FromPath[UUID]) -> Page:
    """Taking it is an event of the alert, written first: so the paper names its own."""
    resources = resources_of(request)
    async with resources.postgres.reading() as work:
        alert = await casework.alert(work, alert_id)
    if alert is None:
        raise NotFound("There is no such alert.")
    async with resources.postgres.unit_of_work() as work:
        await record(work, Event(request.user.actor, Action.ALERT_DOSSIER, "alert", str(alert.id)))
    async with resources.postgres.reading() as work:
        context = await _context(work, request, alert)
    return render(request, "dossier.html", context)


async def _context(work: UnitOfWork, request: ConsoleRequest, alert: Alert) -> dict[str, Any]:
    now, me = utc_now(), request.user.user
    row = await flow.transaction(work, alert.transaction_uid)
    assert row is not None  # alerts reference it
    decision = await flow.latest_decision(work, row.uid)
    notes, labels = await casework.notes(work, alert.id), await casework.labels_of(work, row.uid)
    events = await events_of(work, alert)
    names = await people.names_of(work, desk_views.people_on(alert, notes, events))
    sealed = await seals.sealing(work, [event.xid for event in events])
    return {
        "alert": alert_row(alert, names, now),
        "payment": payment(row, now),
        "judgement": judgement(decision, row, now) if decision else None,
        "normal": normal(row, await surroundings.earlier_payments(work, row), now),
        "desk": desk_views.desk(alert, notes, labels, events, names, me=me.id, now=now),
        "history": views.history(events, names, sealed, now),
        "reference": views.reference(await seals.newest_checkpoint(work), now),
        "made": moment(now, now),
        "me": f"{me.name} ({me.email})",
    }
