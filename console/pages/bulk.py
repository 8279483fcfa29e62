"""One act on many alerts: first what it would do, then doing it, and taking it back."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from litestar import post
from litestar.datastructures import FormMultiDict
from litestar.params import FromPath

from console.access import ConsoleRequest, require, resources_of
from console.i18n import gettext as _
from console.shell import Page, render
from console.views import bulk as views
from console.views import desk as desk_views
from console.views.queue_url import QueueView, read_query
from console.views.verdicts import label_choices, said
from core.acts import bulk as acts
from core.acts.bulk import MOST, BulkAct, Chosen, Doer, Outcome
from core.acts.verdicts import Ruling
from core.base.clock import utc_now
from core.base.errors import InvalidInput, NotAllowedNow, NotFound, RondaError
from core.base.ids import UserId
from core.base.terms import DispositionReason, Label, Role
from core.infra.postgres import UnitOfWork
from core.stores import casework, queue, verdicts
from core.stores.queue_filter import Look


def _act(form: FormMultiDict) -> BulkAct:
    try:
        return BulkAct(form.get("act", ""))
    except ValueError:
        raise InvalidInput("Choose what is to be done: claim, release or decide.") from None


def _chosen(form: FormMultiDict) -> list[Chosen]:
    """From fields `alert`, each an id or an id and the version that was seen: `<id>:<version>`."""
    found = []
    for text in form.getall("alert", []):
        ident, _, version = str(text).partition(":")
        try:
            found.append(Chosen(UUID(ident), int(version) if version else None))
        except ValueError:
            raise InvalidInput("This form is damaged. Go back to the queue and choose again.") from None
    return found


def _doer(request: ConsoleRequest) -> Doer:
    resources = resources_of(request)
    return Doer(resources.postgres, resources.redis, UserId(request.user.user.id), request.user.actor)


async def _looked_at(work: UnitOfWork, act: BulkAct, chosen: Sequence[Chosen], me: UUID) -> list[Outcome]:
    """What would become of each, in the order they were chosen."""
    found = {alert.id: alert for alert in await casework.alerts_by_id(work, [one.alert_id for one in chosen])}
    outcomes = []
    for ident in dict.fromkeys(one.alert_id for one in chosen):
        alert = found.get(ident)
        problem: RondaError | None = None if alert else NotFound("there is no such alert")
        try:
            if alert:
                acts.possible(act, alert, me)
        except NotAllowedNow as error:
            problem = error
        outcomes.append(Outcome(ident, alert, problem))
    return outcomes


@post("/queue/bulk/preview", guards=[require(Role.ANALYST)], status_code=200)
async def bulk_preview(request: ConsoleRequest) -> Page:
    form = await request.form()
    act, chosen = _act(form), _chosen(form)
    if form.get("matching"):
        chosen = await _matching(request, form)
    return await _preview(request, act, chosen, form)


def _view(form: FormMultiDict) -> QueueView:
    """The view of the queue in which was chosen. Raises InvalidInput."""
    return read_query(str(form.get("view", "")))


async def _matching(request: ConsoleRequest, form: FormMultiDict) -> list[Chosen]:
    """Everything the view shows, whether it was on the page or not; one more than an act takes, when there are more."""
    view, look = _view(form), Look(utc_now(), request.user.user.id)
    async with resources_of(request).postgres.reading() as work:
        ids = await queue.selected_ids(work, view.wanted, look, order=view.order, limit=MOST + 1)
    return [Chosen(ident) for ident in ids]


async def _preview(
    request: ConsoleRequest, act: BulkAct, chosen: Sequence[Chosen], form: FormMultiDict, problem: str = ""
) -> Page:
    if not chosen:
        raise InvalidInput(_("Choose alerts in the queue, then say what is to be done with them."))
    more, chosen = len(chosen) > MOST, chosen[:MOST]
    async with resources_of(request).postgres.reading() as work:
        outcomes = await _looked_at(work, act, chosen, request.user.user.id)
    able = [outcome.alert for outcome in outcomes if outcome.alert and not outcome.problem]
    context: dict[str, Any] = {
        "act": act.value,
        "title": views.title(act, len(able)),
        "able": [f"{alert.id}:{alert.version}" for alert in able],
        "sums": views.sums(able),
        "why_not": views.why_not([outcome.problem for outcome in outcomes if outcome.problem]),
        "refused": [views.row(outcome) for outcome in outcomes if outcome.problem],
        "rows": [views.row(outcome) for outcome in outcomes if not outcome.problem][: views.MOST_ROWS],
        "label_choices": label_choices(str(form.get("label", ""))),
        "note": str(form.get("note", "")),
        "problem": problem,
        "first_only": views.first_only(MOST) if more else "",
        "view": _view(form).query(),
        "back_href": _view(form).href(),
    }
    return render(request, "bulk.html", context, status=422 if problem else 200)


def _ruling(form: FormMultiDict) -> Ruling:
    """Raises InvalidInput."""
    try:
        label, reason = Label(form.get("label", "")), DispositionReason(form.get("reason", ""))
    except ValueError:
        raise InvalidInput("choose a label and the reason for it") from None
    return Ruling(label, reason, str(form.get("note", "")).strip() or None)


@post("/queue/bulk", guards=[require(Role.ANALYST)], status_code=200)
async def bulk(request: ConsoleRequest) -> Page:
    form = await request.form()
    act, chosen, doer, settings = _act(form), _chosen(form), _doer(request), resources_of(request).settings
    batch_id: UUID | None = None
    try:
        if act is BulkAct.CLAIM:
            lease = timedelta(minutes=settings.claim_lease_minutes)
            outcomes = await acts.claim_all(doer, chosen, lease=lease)
        elif act is BulkAct.RELEASE:
            outcomes = await acts.release_all(doer, chosen)
        else:
            window = timedelta(seconds=settings.bulk_undo_window_s)
            batch_id, outcomes = await acts.decide_all(doer, chosen, _ruling(form), window=window)
    except InvalidInput as error:
        return await _preview(request, act, chosen, form, desk_views.sentence(error))
    return await _result(request, act, outcomes, batch_id, _view(form).href())


@post("/queue/bulk/{batch_id:uuid}/undo", guards=[require(Role.ANALYST)], status_code=200)
async def bulk_undo(request: ConsoleRequest, batch_id: FromPath[UUID]) -> Page:
    lease = timedelta(minutes=resources_of(request).settings.claim_lease_minutes)
    outcomes = await acts.undo_all(_doer(request), batch_id, lease=lease)
    return await _result(request, None, outcomes, None, "/queue")


async def _result(
    request: ConsoleRequest, act: BulkAct | None, outcomes: Sequence[Outcome], batch_id: UUID | None, back_href: str
) -> Page:
    undo, decided = None, ""
    if batch_id:
        async with resources_of(request).postgres.reading() as work:
            batch = await verdicts.of_batch(work, batch_id, MOST)
            closed = await casework.alert(work, batch[0].alert_id) if batch else None
        if batch:  # the first chunk's window ends first
            first = min(batch, key=lambda verdict: verdict.undo_until)
            undo = desk_views.undo_of(first, closed, None, utc_now(), together=len(batch))
            decided = said(first.label, first.reason)
    context = {"result": views.result(act, outcomes), "undo": undo, "decided": decided, "back_href": back_href}
    return render(request, "bulk_result.html", context, status=200)
