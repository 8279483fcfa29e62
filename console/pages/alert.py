"""One alert on one screen."""

from typing import Any
from uuid import UUID

from litestar import get
from litestar.params import FromPath
from redis.exceptions import RedisError

from console.access import ConsoleRequest, require, resources_of
from console.desk import desk_of
from console.shell import Page, is_fragment, render
from console.views import alert as views
from console.views.similar import similar
from core.acts.audit import Event, record
from core.base.clock import utc_now
from core.base.errors import NotFound
from core.base.terms import Action, EntityKind, Role
from core.infra.postgres import UnitOfWork
from core.infra.resources import Resources
from core.stores import casework, evidence, flow, people
from core.tables.casework import Alert
from models.scoring.similar import FARTHEST, MOST_CANDIDATES, NEAREST

RECENT = 12
_LOOKED_ONCE_S = 3600
_SHARED = (EntityKind.CARD, EntityKind.DEVICE, EntityKind.IP, EntityKind.CUSTOMER, EntityKind.MERCHANT)
"""Most telling first: an alert that shares several is listed under the first."""


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


async def _evidence(work: UnitOfWork, alert: Alert) -> dict[str, Any]:
    now = utc_now()
    payment = await flow.transaction(work, alert.transaction_uid)
    assert payment is not None  # alerts reference it
    decision = await flow.latest_decision(work, payment.uid)
    recent = await flow.recent_payments(
        work, EntityKind.CUSTOMER, payment.customer_id, before=payment.occurred_at, limit=RECENT
    )
    related = await casework.related_alerts(work, payment, _SHARED)
    labels = await casework.labels_by_transaction(work, [row.uid for row, _ in recent])
    names = await people.names_of(work, views.people_in([found.alert for found in related]))
    return views.evidence(alert, payment, decision, recent, labels, related, names, now)


async def _alert(work: UnitOfWork, alert_id: UUID) -> Alert:
    found = await casework.alert(work, alert_id)
    if found is None:
        raise NotFound("There is no such alert.")
    return found


@get("/alerts/{alert_id:uuid}", guards=[require(Role.VIEWER)])
async def alert_page(request: ConsoleRequest, alert_id: FromPath[UUID]) -> Page:
    resources = resources_of(request)
    async with resources.postgres.reading() as work:
        alert = await _alert(work, alert_id)
        if is_fragment(request):
            return render(request, "_desk.html", await desk_of(work, request, alert))
        context = {**await desk_of(work, request, alert), **await _evidence(work, alert)}
    await _note_look(resources, request, alert)
    return render(request, "alert.html", context)


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
