"""What analysts do at an alert: claim, keep, release, hand over, decide, undo, note. Each answers with the desk as it is then."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from litestar import get, post
from litestar.datastructures import Cookie
from litestar.params import FromPath, URLEncodedBody
from litestar.response import Response

from console.access import ConsoleRequest, require, resources_of
from console.desk import ADVANCE_COOKIE, desk_of, last_undo
from console.shell import Page, is_fragment, render, see_other
from console.views import desk as views
from console.views.queue import alert_row
from console.views.verdicts import entry_end, reason_words
from core.acts import casework as acts
from core.acts import verdicts
from core.acts.lists import NewEntry
from core.acts.verdicts import Ruling
from core.base.clock import utc_now
from core.base.errors import Forbidden, InvalidInput, NotAllowedNow, NotFound, RondaError, StaleVersion
from core.base.ids import AlertId, UserId
from core.base.terms import AlertStatus, DispositionReason, EntityKind, EntityList, Label, Role
from core.infra.postgres import UnitOfWork
from core.infra.resources import Resources
from core.stores import casework, flow, ledger, people
from core.stores.flow import ENTITY_COLUMNS
from core.stores.ledger import AuditFilter
from core.tables.casework import Alert

REFUSALS = (StaleVersion, NotAllowedNow, InvalidInput, Forbidden)
Form = Mapping[str, str]
NOTHING: Form = {}


async def _alert(work: UnitOfWork, alert_id: UUID) -> Alert:
    found = await casework.alert(work, alert_id)
    if found is None:
        raise NotFound("There is no such alert.")
    return found


async def _panel(
    request: ConsoleRequest, alert_id: UUID, problem: str = "", status: int = 200, typed: Form = NOTHING
) -> Page:
    async with resources_of(request).postgres.reading() as work:
        alert = await _alert(work, alert_id)
        context = await desk_of(work, request, alert, problem=problem, typed=typed)
    page = render(request, "_desk.html", context, status=status)
    if status != 200:  # also where the form would have replaced less than the desk
        page.headers |= {"HX-Retarget": "#desk", "HX-Reswap": "outerMorph"}
    return page


async def _alone(request: ConsoleRequest, alert_id: UUID, problem: str, status: int, typed: Form) -> Page:
    """For a plain form: the desk on a page of its own."""
    async with resources_of(request).postgres.reading() as work:
        alert = await _alert(work, alert_id)
        context = await desk_of(work, request, alert, problem=problem, typed=typed)
    context["alert"] = alert_row(alert, {}, utc_now())
    return render(request, "desk.html", context, status=status)


async def _after(request: ConsoleRequest, alert_id: UUID) -> Page:
    """htmx gets the panel; a plain form is sent back to the page."""
    if is_fragment(request):
        return await _panel(request, alert_id)
    return see_other(f"/alerts/{alert_id}")


def _go(request: ConsoleRequest, path: str) -> Page:
    """To another page, also from a fragment."""
    if is_fragment(request):
        return Response("", headers={"HX-Redirect": path})
    return see_other(path)


async def _refused(request: ConsoleRequest, alert_id: UUID, error: RondaError, typed: Form) -> Page:
    """The fresh state, what was wrong, and what the analyst had typed."""
    status = {NotAllowedNow: 409, StaleVersion: 409, Forbidden: 403}.get(type(error), 422)
    async with resources_of(request).postgres.reading() as work:
        alert = await _alert(work, alert_id)
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

    @property
    def lease(self) -> timedelta:
        return timedelta(minutes=self.resources.settings.claim_lease_minutes)


def _hands(request: ConsoleRequest, alert_id: UUID) -> Hands:
    return Hands(resources_of(request), AlertId(alert_id), UserId(request.user.user.id))


@post("/queue/next", guards=[require(Role.ANALYST)], status_code=200)
async def take_next(request: ConsoleRequest) -> Page:
    taken = await _take(request)
    return _go(request, f"/alerts/{taken.id}") if taken else _go(request, "/queue/done")


@get("/queue/done", guards=[require(Role.VIEWER)])
async def nothing_left(request: ConsoleRequest) -> Page:
    """No alert is open; what colleagues have claimed may still come back."""
    async with resources_of(request).postgres.reading() as work:
        counts = await casework.alert_counts(work)
        undo = await last_undo(work, request.user.user.id)
    claimed = counts[AlertStatus.CLAIMED]
    return render(request, "done.html", {"claimed": claimed, "open": counts[AlertStatus.OPEN], "undo": undo})


async def _take(request: ConsoleRequest) -> Alert | None:
    resources = resources_of(request)
    lease = timedelta(minutes=resources.settings.claim_lease_minutes)
    async with resources.postgres.unit_of_work() as work:
        return await acts.take_next(
            work, resources.redis, UserId(request.user.user.id), lease=lease, by=request.user.actor
        )


@post("/alerts/{alert_id:uuid}/claim", guards=[require(Role.ANALYST)], status_code=200)
async def claim(request: ConsoleRequest, alert_id: FromPath[UUID], data: URLEncodedBody[dict[str, str]]) -> Page:
    hands = _hands(request, alert_id)
    try:
        async with hands.resources.postgres.unit_of_work() as work:
            await acts.claim(
                work,
                hands.resources.redis,
                hands.alert_id,
                hands.user_id,
                lease=hands.lease,
                by=request.user.actor,
                version=_maybe_version(data),
            )
    except REFUSALS as error:
        return await _refused(request, alert_id, error, data)
    return await _after(request, alert_id)


@post("/alerts/{alert_id:uuid}/keep", guards=[require(Role.ANALYST)], status_code=200)
async def keep(request: ConsoleRequest, alert_id: FromPath[UUID]) -> Page:
    """The open page says that somebody is still at it."""
    hands = _hands(request, alert_id)
    try:
        async with hands.resources.postgres.unit_of_work() as work:
            alert = await acts.keep_claim(work, hands.alert_id, hands.user_id, lease=hands.lease)
    except REFUSALS as error:
        return await _refused(request, alert_id, error, NOTHING)
    if not is_fragment(request):
        return see_other(f"/alerts/{alert_id}")
    desk = views.desk(alert, [], [], [], {}, me=hands.user_id, now=utc_now())
    return render(request, "_lease.html", {"desk": desk})


@post("/alerts/{alert_id:uuid}/release", guards=[require(Role.ANALYST)], status_code=200)
async def release(request: ConsoleRequest, alert_id: FromPath[UUID], data: URLEncodedBody[dict[str, str]]) -> Page:
    hands = _hands(request, alert_id)
    try:
        async with hands.resources.postgres.unit_of_work() as work:
            await acts.release(
                work,
                hands.resources.redis,
                hands.alert_id,
                hands.user_id,
                by=request.user.actor,
                version=_maybe_version(data),
            )
    except REFUSALS as error:
        return await _refused(request, alert_id, error, data)
    return await _after(request, alert_id)


@post("/alerts/{alert_id:uuid}/hand-over", guards=[require(Role.ANALYST)], status_code=200)
async def hand_over(request: ConsoleRequest, alert_id: FromPath[UUID], data: URLEncodedBody[dict[str, str]]) -> Page:
    hands = _hands(request, alert_id)
    try:
        async with hands.resources.postgres.unit_of_work() as work:
            await acts.hand_over(
                work,
                hands.resources.redis,
                hands.alert_id,
                hands.user_id,
                to=_person(data.get("to", "")),
                lease=timedelta(hours=hands.resources.settings.hand_over_lease_hours),
                by=request.user.actor,
                version=_version(data.get("version", "")),
                note=data.get("note"),
            )
    except REFUSALS as error:
        return await _refused(request, alert_id, error, data)
    return await _after(request, alert_id)


@post("/alerts/{alert_id:uuid}/decide", guards=[require(Role.ANALYST)], status_code=200)
async def decide(request: ConsoleRequest, alert_id: FromPath[UUID], data: URLEncodedBody[dict[str, str]]) -> Page:
    hands, onward = _hands(request, alert_id), data.get("advance") == "on"
    try:
        label, reason = label_and_reason(data)
        async with hands.resources.postgres.unit_of_work() as work:
            ruling = Ruling(label, reason, data.get("note", "").strip() or None, await _entry(work, alert_id, data))
            await verdicts.decide(
                work,
                hands.resources.redis,
                hands.alert_id,
                hands.user_id,
                ruling=ruling,
                version=_version(data.get("version", "")),
                window=timedelta(seconds=hands.resources.settings.undo_window_s),
                by=request.user.actor,
            )
    except REFUSALS as error:
        return await _refused(request, alert_id, error, data)
    page = await _onward(request) if onward else await _after(request, alert_id)
    return _remembering(page, onward, secure=hands.resources.settings.secure_cookies)


async def _onward(request: ConsoleRequest) -> Page:
    taken = await _take(request)
    return _go(request, f"/alerts/{taken.id}" if taken else "/queue/done")


def _remembering(page: Page, onward: bool, *, secure: bool) -> Page:
    cookie = Cookie(
        key=ADVANCE_COOKIE,
        value="on" if onward else "off",
        path="/",
        max_age=31_536_000,
        samesite="lax",
        secure=secure,
    )
    page.cookies.append(cookie)
    return page


@post("/alerts/{alert_id:uuid}/undo", guards=[require(Role.ANALYST)], status_code=200)
async def undo(request: ConsoleRequest, alert_id: FromPath[UUID]) -> Page:
    hands = _hands(request, alert_id)
    try:
        async with hands.resources.postgres.unit_of_work() as work:
            await verdicts.undo(
                work, hands.resources.redis, hands.alert_id, hands.user_id, lease=hands.lease, by=request.user.actor
            )
    except REFUSALS as error:
        return await _refused(request, alert_id, error, NOTHING)
    return await _after(request, alert_id)


@post("/alerts/{alert_id:uuid}/notes", guards=[require(Role.ANALYST)], status_code=200)
async def add_note(request: ConsoleRequest, alert_id: FromPath[UUID], data: URLEncodedBody[dict[str, str]]) -> Page:
    hands, body = _hands(request, alert_id), data.get("note", "")
    try:
        async with hands.resources.postgres.unit_of_work() as work:
            await acts.add_note(
                work, hands.resources.redis, hands.alert_id, hands.user_id, body=body, by=request.user.actor
            )
    except InvalidInput as error:
        return await _refused(request, alert_id, error, {"remark": body})
    return await _after(request, alert_id)


def label_and_reason(data: Form) -> tuple[Label, DispositionReason]:
    """Raises InvalidInput."""
    try:
        label = Label(data.get("label", ""))
    except ValueError:
        raise InvalidInput("choose fraud, legitimate or unsure") from None
    try:
        return label, DispositionReason(data.get("reason", ""))
    except ValueError:
        raise InvalidInput("choose the reason too") from None


async def _entry(work: UnitOfWork, alert_id: UUID, data: Form) -> NewEntry | None:
    """What goes onto a list with the decision. Raises InvalidInput."""
    if not data.get("list"):
        return None
    alert = await _alert(work, alert_id)
    payment = await flow.transaction(work, alert.transaction_uid)
    assert payment is not None  # alerts reference it
    try:
        entity_list, kind = EntityList(data["list"]), EntityKind(data.get("entity", ""))
    except ValueError:
        raise InvalidInput("choose what goes onto the list") from None
    ident, ends = getattr(payment, ENTITY_COLUMNS[kind]), entry_end(data.get("ends", ""), utc_now())
    if not ident or ends is None:
        raise InvalidInput("choose what goes onto the list, and for how long")
    words, note = reason_words(label_and_reason(data)[1]), " ".join(data.get("note", "").split())[:200]
    return NewEntry(entity_list, kind, ident, f"{words}: {note}" if note else words, ends, AlertId(alert_id))


def _version(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidInput("this form is damaged; reload the page")
    return int(text)


def _maybe_version(data: Form) -> int | None:
    return _version(data["version"]) if data.get("version") else None


def _person(text: str) -> UserId:
    try:
        return UserId(UUID(text))
    except ValueError:
        raise InvalidInput("choose the colleague") from None
