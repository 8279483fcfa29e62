"""The desk beside an alert: what it shows, read for whichever page or fragment carries it, and how an act answers."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

from litestar.datastructures import Cookie
from litestar.response import Response

from console.access import Connection, ConsoleRequest, may, resources_of
from console.shell import Page, is_fragment, render, see_other
from console.views import desk as views
from console.views import verdicts as verdict_views
from console.views.queue import alert_row
from console.views.queue_url import read_query
from core.acts import casework as acts
from core.acts.audit import Actor
from core.base.clock import utc_now
from core.base.errors import Forbidden, InvalidInput, NotAllowedNow, NotFound, RondaError, StaleVersion
from core.base.ids import AlertId, UserId
from core.base.terms import AlertStatus, Role
from core.infra.postgres import UnitOfWork
from core.infra.redis import Redis
from core.infra.resources import Resources
from core.stores import casework, flow, ledger, people, verdicts
from core.stores.ledger import AuditFilter
from core.tables.casework import Alert, Verdict
from core.tables.ledger import AuditEvent

HISTORY: Final = 50
TYPED: Final = ("note", "remark", "label", "reason", "list", "entity", "ends", "to")
"""Fields of the desk's forms that a refusal gives back."""
VIEW_COOKIE: Final = "ronda_view"
MOST_VIEW: Final = 2000
"""A longer one is not remembered: browsers keep no larger cookies."""
ADVANCE_COOKIE: Final = "ronda_advance"
"""Whether this browser goes on to the next alert after a decision."""
REFUSALS: Final = (StaleVersion, NotAllowedNow, InvalidInput, Forbidden)
"""What an act at the desk answers with the desk."""
Form = Mapping[str, str]
NOTHING: Final[Form] = {}
Done = TypeVar("Done")


def advances(connection: Connection) -> bool:
    return connection.cookies.get(ADVANCE_COOKIE) == "on"


async def events_of(work: UnitOfWork, alert: Alert) -> list[AuditEvent]:
    """The alert's and its payment's, newest first each."""
    events: list[AuditEvent] = []
    for subject, ident in (("alert", alert.id), ("transaction", alert.transaction_uid)):
        chosen = AuditFilter(subject_type=subject, subject_id=str(ident))
        events += await ledger.page(work, chosen, before_id=None, limit=HISTORY)
    return events


async def desk_of(
    work: UnitOfWork,
    request: ConsoleRequest,
    alert: Alert,
    *,
    problem: str = "",
    typed: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The context of `_desk.html`. `typed`: what a refused form held; it is not lost."""
    me, now = request.user.user.id, utc_now()
    notes = await casework.notes(work, alert.id)
    labels = await casework.labels_of(work, alert.transaction_uid)
    events = await events_of(work, alert)
    names = await people.names_of(work, views.people_on(alert, notes, events))
    undo = await last_undo(work, me, alert)
    desk = views.desk(alert, notes, labels, events, names, me=me, now=now, undo=undo)
    working = may(request.user, Role.ANALYST)
    kept = {name: (typed or {}).get(name, "") for name in TYPED}
    free = working and not desk.closed and not desk.held_by_other
    forms = await _forms(work, alert, me, kept) if free else {}
    return {
        "desk": desk,
        "may_work": working,
        "problem": problem,
        "typed": kept,
        "advance": advances(request),
        **forms,
    }


async def _forms(work: UnitOfWork, alert: Alert, me: UUID, typed: Mapping[str, str]) -> dict[str, Any]:
    """Choices of the forms."""
    payment = await flow.transaction(work, alert.transaction_uid)
    assert payment is not None  # alerts reference it
    return {
        "label_choices": verdict_views.label_choices(typed["label"]),
        "list_choices": verdict_views.list_choices(typed["list"]),
        "entity_choices": verdict_views.entity_choices(payment, typed["entity"]),
        "end_choices": verdict_views.end_choices(typed["ends"]),
        "colleagues": views.colleagues(await people.analysts(work), me, typed["to"]),
    }


async def last_undo(work: UnitOfWork, user_id: UUID, alert: Alert | None = None) -> views.Undo | None:
    """This person's latest decision, while it can be taken back. `alert`: the one that is looked at."""
    verdict: Verdict | None = await verdicts.latest_of(work, user_id)
    now = utc_now()
    if verdict is None or verdict.undone_at or verdict.undo_until <= now:
        return None
    closed = alert if alert and alert.id == verdict.alert_id else await casework.alert(work, verdict.alert_id)
    if closed is None or closed.status != AlertStatus.CLOSED.value:
        return None
    together = await verdicts.count_of_batch(work, verdict.batch_id) if verdict.batch_id else 1
    return views.undo_of(verdict, closed, alert, now, together=together)


async def alert_of_address(work: UnitOfWork, alert_id: UUID) -> Alert:
    found = await casework.alert(work, alert_id)
    if found is None:
        raise NotFound("There is no such alert.")
    return found


async def _panel(
    request: ConsoleRequest, alert_id: UUID, problem: str = "", status: int = 200, typed: Form = NOTHING
) -> Page:
    async with resources_of(request).postgres.reading() as work:
        alert = await alert_of_address(work, alert_id)
        context = await desk_of(work, request, alert, problem=problem, typed=typed)
    page = render(request, "_desk.html", context, status=status)
    if status != 200:  # also where the form would have replaced less than the desk
        page.headers |= {"HX-Retarget": "#desk", "HX-Reswap": "outerMorph"}
    return page


async def _alone(request: ConsoleRequest, alert_id: UUID, problem: str, status: int, typed: Form) -> Page:
    """For a plain form: the desk on a page of its own."""
    async with resources_of(request).postgres.reading() as work:
        alert = await alert_of_address(work, alert_id)
        context = await desk_of(work, request, alert, problem=problem, typed=typed)
    context["alert"] = alert_row(alert, {}, utc_now())
    return render(request, "desk.html", context, status=status)


async def after(request: ConsoleRequest, alert_id: UUID) -> Page:
    """htmx gets the panel; a plain form is sent back to the page."""
    if is_fragment(request):
        return await _panel(request, alert_id)
    return see_other(f"/alerts/{alert_id}")


def go(request: ConsoleRequest, path: str) -> Page:
    """To another page, also from a fragment."""
    if is_fragment(request):
        return Response("", headers={"HX-Redirect": path})
    return see_other(path)


async def refused(request: ConsoleRequest, alert_id: UUID, error: RondaError, typed: Form) -> Page:
    """The fresh state, what was wrong, and what the analyst had typed."""
    status = {NotAllowedNow: 409, StaleVersion: 409, Forbidden: 403}.get(type(error), 422)
    async with resources_of(request).postgres.reading() as work:
        alert = await alert_of_address(work, alert_id)
        events = await ledger.page(
            work, AuditFilter(subject_type="alert", subject_id=str(alert.id)), before_id=None, limit=10
        )
        names = await people.names_of(work, views.people_on(alert, [], events))
    problem = views.refusal(error, alert, events, names, utc_now())
    show = _panel if is_fragment(request) else _alone
    return await show(request, alert_id, problem, status, typed)


@dataclass(frozen=True)
class Hands:
    """What every act needs."""

    resources: Resources
    alert_id: AlertId
    user_id: UserId
    actor: Actor

    @property
    def redis(self) -> Redis:
        return self.resources.redis

    @property
    def lease(self) -> timedelta:
        return timedelta(minutes=self.resources.settings.claim_lease_minutes)


def hands_of(request: ConsoleRequest, alert_id: UUID) -> Hands:
    return Hands(resources_of(request), AlertId(alert_id), UserId(request.user.user.id), request.user.actor)


async def carry_out(
    request: ConsoleRequest,
    alert_id: UUID,
    act: Callable[[UnitOfWork, Hands], Awaitable[Done]],
    typed: Form = NOTHING,
    then: Callable[[Done], Awaitable[Page]] | None = None,
) -> Page:
    """In one unit of work. Answers with the desk, or with `then` of what came of it; a refusal gives back what was typed."""
    hands = hands_of(request, alert_id)
    try:
        async with hands.resources.postgres.unit_of_work() as work:
            done = await act(work, hands)
    except REFUSALS as error:
        return await refused(request, alert_id, error, typed)
    return await then(done) if then else await after(request, alert_id)


def version_of(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidInput("this form is damaged; reload the page")
    return int(text)


async def take(request: ConsoleRequest, view: str) -> Alert | None:
    """The next alert of a view, which is the query of its address. Raises InvalidInput."""
    resources, wanted = resources_of(request), read_query(view).wanted
    lease = timedelta(minutes=resources.settings.claim_lease_minutes)
    async with resources.postgres.unit_of_work() as work:
        return await acts.take_next(
            work,
            resources.redis,
            UserId(request.user.user.id),
            lease=lease,
            by=request.user.actor,
            wanted=wanted,
        )


def last_view(connection: Connection) -> str:
    """The view whose alerts this browser takes one after the other; empty = all."""
    try:
        view = urlsafe_b64decode(connection.cookies.get(VIEW_COOKIE, "")).decode()
        read_query(view)
    except (ValueError, InvalidInput):
        return ""
    return view


def remember(page: Page, name: str, value: str, *, secure: bool) -> Page:
    """In a cookie, for a year."""
    cookie = Cookie(key=name, value=value, path="/", max_age=31_536_000, samesite="lax", secure=secure)
    page.cookies.append(cookie)
    return page


def remember_view(page: Page, view: str, *, secure: bool) -> Page:
    return remember(
        page, VIEW_COOKIE, urlsafe_b64encode(view.encode()).decode() if len(view) <= MOST_VIEW else "", secure=secure
    )
