"""What analysts do at an alert: claim, release, decide, note. Each answers with the desk as it is then."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from litestar import post
from litestar.params import FromPath, URLEncodedBody

from console.access import ConsoleRequest, require, resources_of
from console.desk import desk_of
from console.shell import Page, is_fragment, render, see_other
from console.views import desk as views
from console.views.queue import alert_row
from core.acts import casework as acts
from core.base.clock import utc_now
from core.base.errors import InvalidInput, NotAllowedNow, NotFound, RondaError, StaleVersion
from core.base.ids import AlertId, UserId
from core.base.terms import Label, Role
from core.infra.postgres import UnitOfWork
from core.infra.resources import Resources
from core.stores import casework, ledger, people
from core.stores.ledger import AuditFilter
from core.tables.casework import Alert


async def _alert(work: UnitOfWork, alert_id: UUID) -> Alert:
    found = await casework.alert(work, alert_id)
    if found is None:
        raise NotFound("There is no such alert.")
    return found


async def _panel(
    request: ConsoleRequest, alert_id: UUID, problem: str = "", status: int = 200, draft: str = ""
) -> Page:
    async with resources_of(request).postgres.reading() as work:
        alert = await _alert(work, alert_id)
        context = await desk_of(work, request, alert, problem=problem, draft=draft)
    return render(request, "_desk.html", context, status=status)


async def _alone(request: ConsoleRequest, alert_id: UUID, problem: str, status: int, draft: str) -> Page:
    """For a plain form: the desk on a page of its own."""
    async with resources_of(request).postgres.reading() as work:
        alert = await _alert(work, alert_id)
        context = await desk_of(work, request, alert, problem=problem, draft=draft)
    context["alert"] = alert_row(alert, {}, utc_now())
    return render(request, "desk.html", context, status=status)


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
    show = _panel if is_fragment(request) else _alone
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
