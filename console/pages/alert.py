"""One alert on one screen, and what an analyst does with it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.params import FromPath, URLEncodedBody
from redis.exceptions import RedisError

from console.access import ConsoleRequest, may, require, resources_of
from console.shell import Page, is_fragment, render, see_other
from console.views import alert as views
from console.views.similar import similar
from core.acts import casework as acts
from core.acts.audit import Event, record
from core.base.clock import utc_now
from core.base.errors import InvalidInput, NotAllowedNow, NotFound, RondaError, StaleVersion
from core.base.ids import AlertId, UserId
from core.base.terms import Action, EntityKind, Label, Role
from core.infra.postgres import UnitOfWork
from core.infra.resources import Resources
from core.stores import casework, evidence, flow, ledger, people
from core.stores.ledger import AuditFilter
from core.tables.casework import Alert
from models.scoring.similar import FARTHEST, MOST_CANDIDATES, NEAREST

RECENT = 12
HISTORY = 50
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


async def _desk(work: UnitOfWork, request: ConsoleRequest, alert: Alert, problem: str = "") -> dict[str, Any]:
    """What the work panel shows: state, notes, labels and history."""
    notes = await casework.notes(work, alert.id)
    labels = await casework.labels_of(work, alert.transaction_uid)
    events = [
        *await ledger.page(
            work, AuditFilter(subject_type="alert", subject_id=str(alert.id)), before_id=None, limit=HISTORY
        ),
        *await ledger.page(
            work,
            AuditFilter(subject_type="transaction", subject_id=str(alert.transaction_uid)),
            before_id=None,
            limit=HISTORY,
        ),
    ]
    names = await people.names_of(work, views.people_on(alert, notes, events))
    desk = views.desk(alert, notes, labels, events, names, me=request.user.user.id, now=utc_now())
    return {"desk": desk, "may_work": may(request.user, Role.ANALYST), "problem": problem, "draft": ""}


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
            return render(request, "_desk.html", await _desk(work, request, alert))
    await _note_look(resources, request, alert)
    return await _whole(request, alert_id)


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


async def _whole(
    request: ConsoleRequest, alert_id: UUID, problem: str = "", status: int = 200, draft: str = ""
) -> Page:
    async with resources_of(request).postgres.reading() as work:
        alert = await _alert(work, alert_id)
        context = {**await _desk(work, request, alert, problem), **await _evidence(work, alert), "draft": draft}
    return render(request, "alert.html", context, status=status)


async def _panel(
    request: ConsoleRequest, alert_id: UUID, problem: str = "", status: int = 200, draft: str = ""
) -> Page:
    async with resources_of(request).postgres.reading() as work:
        alert = await _alert(work, alert_id)
        context = {**await _desk(work, request, alert, problem), "draft": draft}
    return render(request, "_desk.html", context, status=status)


async def _after(request: ConsoleRequest, alert_id: UUID) -> Page:
    """htmx gets the panel; a plain form is sent back to the page."""
    if is_fragment(request):
        return await _panel(request, alert_id)
    return see_other(f"/alerts/{alert_id}")


async def _refused(request: ConsoleRequest, alert_id: UUID, error: RondaError, draft: str) -> Page:
    """The fresh state, what was wrong, and what the analyst had typed."""
    status = 409 if isinstance(error, (StaleVersion, NotAllowedNow)) else 422
    async with resources_of(request).postgres.reading() as work:
        alert = await _alert(work, alert_id)
        events = await ledger.page(
            work, AuditFilter(subject_type="alert", subject_id=str(alert.id)), before_id=None, limit=10
        )
        names = await people.names_of(work, views.people_on(alert, [], events))
    problem = views.refusal(error, alert, events, names, utc_now())
    show = _panel if is_fragment(request) else _whole
    return await show(request, alert_id, problem, status, draft)


@dataclass(frozen=True)
class Hands:
    """What every act needs."""

    resources: Resources
    alert_id: AlertId
    user_id: UserId


def _hands(request: ConsoleRequest, alert_id: UUID) -> Hands:
    return Hands(resources_of(request), AlertId(alert_id), UserId(request.user.user.id))


@post("/alerts/{alert_id:uuid}/claim", guards=[require(Role.ANALYST)], status_code=200)
async def claim(request: ConsoleRequest, alert_id: FromPath[UUID]) -> Page:
    hands = _hands(request, alert_id)
    lease = timedelta(minutes=hands.resources.settings.claim_lease_minutes)
    try:
        async with hands.resources.postgres.unit_of_work() as work:
            await acts.claim(
                work, hands.resources.redis, hands.alert_id, hands.user_id, lease=lease, by=request.user.actor
            )
    except NotAllowedNow as error:
        return await _refused(request, alert_id, error, "")
    return await _after(request, alert_id)


@post("/alerts/{alert_id:uuid}/release", guards=[require(Role.ANALYST)], status_code=200)
async def release(request: ConsoleRequest, alert_id: FromPath[UUID]) -> Page:
    hands = _hands(request, alert_id)
    try:
        async with hands.resources.postgres.unit_of_work() as work:
            await acts.release(work, hands.resources.redis, hands.alert_id, hands.user_id, by=request.user.actor)
    except NotAllowedNow as error:
        return await _refused(request, alert_id, error, "")
    return await _after(request, alert_id)


@post("/alerts/{alert_id:uuid}/decide", guards=[require(Role.ANALYST)], status_code=200)
async def decide(request: ConsoleRequest, alert_id: FromPath[UUID], data: URLEncodedBody[dict[str, str]]) -> Page:
    hands, note = _hands(request, alert_id), data.get("note", "")
    try:
        label, version = _label(data.get("label", "")), _version(data.get("version", ""))
        async with hands.resources.postgres.unit_of_work() as work:
            await acts.decide(
                work,
                hands.resources.redis,
                hands.alert_id,
                hands.user_id,
                label=label,
                note=note.strip() or None,
                version=version,
                by=request.user.actor,
            )
    except (StaleVersion, NotAllowedNow, InvalidInput) as error:
        return await _refused(request, alert_id, error, note)
    return await _after(request, alert_id)


def _label(text: str) -> Label:
    try:
        return Label(text)
    except ValueError:
        raise InvalidInput("Choose fraud, legitimate or unsure.") from None


def _version(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidInput("This form is damaged. Reload the page.")
    return int(text)


@post("/alerts/{alert_id:uuid}/notes", guards=[require(Role.ANALYST)], status_code=200)
async def add_note(request: ConsoleRequest, alert_id: FromPath[UUID], data: URLEncodedBody[dict[str, str]]) -> Page:
    hands, body = _hands(request, alert_id), data.get("note", "")
    try:
        async with hands.resources.postgres.unit_of_work() as work:
            await acts.add_note(
                work, hands.resources.redis, hands.alert_id, hands.user_id, body=body, by=request.user.actor
            )
    except InvalidInput as error:
        return await _refused(request, alert_id, error, body)
    return await _after(request, alert_id)
