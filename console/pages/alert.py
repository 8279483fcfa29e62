"""One alert on one screen."""

from typing import Any
from uuid import UUID

from litestar import get
from litestar.params import FromPath, FromQuery
from redis.exceptions import RedisError

from console.access import ConsoleRequest, require, resources_of
from console.desk import desk_of
from console.i18n import gettext as _
from console.shell import Page, is_fragment, render
from console.surroundings import timeline_of
from console.views.evidence import judgement, payment
from console.views.links import links
from console.views.normal import normal
from console.views.queue import alert_row, alert_title, people_in
from console.views.record import raw_records
from console.views.similar import similar
from console.views.timeline import FIRST_RANGE
from core.acts.audit import Event, record
from core.base.clock import utc_now
from core.base.errors import NotFound
from core.base.terms import Action, Role
from core.infra.postgres import UnitOfWork
from core.infra.resources import Resources
from core.stores import casework, evidence, flow, people, surroundings
from core.tables.casework import Alert
from core.tables.flow import Transaction
from models.scoring.similar import FARTHEST, MOST_CANDIDATES, NEAREST

_LOOKED_ONCE_S = 3600


async def _note_look(resources: Resources, request: ConsoleRequest, alert: Alert) -> None:
    """Looking is audited, once an hour for a person and an alert. Without Redis it is audited each time."""
    user = request.user
    key = f"ronda:looked:{user.user.id}:{alert.id}"
    try:
        first = await resources.redis.set(key, b"1", nx=True, ex=_LOOKED_ONCE_S)
    except (RedisError, OSError):
        first = True
    if first:
        async with resources.postgres.unit_of_work() as work:
            await record(work, Event(user.actor, Action.ALERT_VIEW, "alert", str(alert.id)))


async def _evidence(work: UnitOfWork, alert: Alert, chosen: str) -> dict[str, Any]:
    now, row = utc_now(), await _payment(work, alert)
    decision = await flow.latest_decision(work, row.uid)
    earlier = await surroundings.earlier_payments(work, row)
    linked = await surroundings.linked_alerts(work, row)
    labels = await casework.labels_by_transaction(work, [link.alert.transaction_uid for link in linked])
    names = await people.names_of(work, people_in([alert, *(link.alert for link in linked)]))
    return {
        "alert": alert_row(alert, names, now),
        "payment": payment(row, now),
        "judgement": judgement(decision, row, now) if decision else None,
        "normal": normal(row, earlier, now),
        "links": links(row, linked, labels, names, now),
        "timeline": await timeline_of(work, alert, row, decision, chosen, now),
        "title": alert_title(alert, chosen),
    }


async def _payment(work: UnitOfWork, alert: Alert) -> Transaction:
    row = await flow.transaction(work, alert.transaction_uid)
    assert row is not None  # alerts reference it
    return row


async def _alert(work: UnitOfWork, alert_id: UUID) -> Alert:
    found = await casework.alert(work, alert_id)
    if found is None:
        raise NotFound(_("There is no such alert."))
    return found


@get("/alerts/{alert_id:uuid}", guards=[require(Role.VIEWER)])
async def alert_page(request: ConsoleRequest, alert_id: FromPath[UUID], range: FromQuery[str] = FIRST_RANGE) -> Page:
    resources = resources_of(request)
    async with resources.postgres.reading() as work:
        alert = await _alert(work, alert_id)
        if is_fragment(request):
            return render(request, "_desk.html", await desk_of(work, request, alert))
        context = {**await desk_of(work, request, alert), **await _evidence(work, alert, range)}
    await _note_look(resources, request, alert)
    return render(request, "alert.html", context)


@get("/alerts/{alert_id:uuid}/timeline", guards=[require(Role.VIEWER)])
async def timeline_page(request: ConsoleRequest, alert_id: FromPath[UUID], range: FromQuery[str] = FIRST_RANGE) -> Page:
    async with resources_of(request).postgres.reading() as work:
        alert = await _alert(work, alert_id)
        row = await _payment(work, alert)
        decision = await flow.latest_decision(work, row.uid)
        shown = await timeline_of(work, alert, row, decision, range, utc_now())
    context = {"timeline": shown, "alert_id": str(alert.id), "title": alert_title(alert, range)}
    return render(request, "_timeline_part.html" if is_fragment(request) else "timeline.html", context)


@get("/alerts/{alert_id:uuid}/similar", guards=[require(Role.VIEWER)])
async def similar_page(request: ConsoleRequest, alert_id: FromPath[UUID]) -> Page:
    """For a closed alert, what was known of others when it was closed."""
    now = utc_now()
    async with resources_of(request).postgres.reading() as work:
        alert = await _alert(work, alert_id)
        found = await evidence.similar_alerts(
            work,
            alert,
            as_of=alert.closed_at or now,
            candidates=MOST_CANDIDATES,
            limit=NEAREST,
            within=FARTHEST,
        )
        alerts = await casework.alerts_by_id(work, [near.alert_id for near in found])
    context = similar(alert, found, {other.id: other for other in alerts}, now)
    return render(request, "_similar.html" if is_fragment(request) else "similar.html", context)


@get("/alerts/{alert_id:uuid}/record", guards=[require(Role.VIEWER)])
async def record_page(request: ConsoleRequest, alert_id: FromPath[UUID]) -> Page:
    """Everything stored about it, as it is stored."""
    async with resources_of(request).postgres.reading() as work:
        alert = await _alert(work, alert_id)
        row = await _payment(work, alert)
        decision = await flow.latest_decision(work, row.uid)
    await _note_look(resources_of(request), request, alert)
    context = {"alert_id": str(alert.id), "records": raw_records(alert, row, decision)}
    return render(request, "record.html", context)
