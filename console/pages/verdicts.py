"""Deciding an alert, taking that back, and opening a closed one again. Each answers with the desk as it is then."""

from datetime import timedelta
from uuid import UUID

from litestar import post
from litestar.params import FromPath, URLEncodedBody

from console.access import ConsoleRequest, require
from console.desk import (
    ADVANCE_COOKIE,
    NOTHING,
    REFUSALS,
    Form,
    after,
    alert_of_address,
    go,
    hands_of,
    last_view,
    refused,
    remember,
    take,
    version_of,
)
from console.shell import Page
from console.views.verdicts import entry_end, reason_words
from core.acts import verdicts
from core.acts.lists import NewEntry
from core.acts.verdicts import Ruling
from core.base.clock import utc_now
from core.base.errors import InvalidInput
from core.base.ids import AlertId
from core.base.terms import DispositionReason, EntityKind, EntityList, Label, Role
from core.infra.postgres import UnitOfWork
from core.stores import flow
from core.stores.flow import ENTITY_COLUMNS


@post("/alerts/{alert_id:uuid}/decide", guards=[require(Role.ANALYST)], status_code=200)
async def decide(request: ConsoleRequest, alert_id: FromPath[UUID], data: URLEncodedBody[dict[str, str]]) -> Page:
    hands, onward = hands_of(request, alert_id), data.get("advance") == "on"
    try:
        label, reason = _label_and_reason(data)
        async with hands.resources.postgres.unit_of_work() as work:
            ruling = Ruling(label, reason, data.get("note", "").strip() or None, await _entry(work, alert_id, data))
            await verdicts.decide(
                work,
                hands.resources.redis,
                hands.alert_id,
                hands.user_id,
                ruling=ruling,
                version=version_of(data.get("version", "")),
                window=timedelta(seconds=hands.resources.settings.undo_window_s),
                by=request.user.actor,
            )
    except REFUSALS as error:
        return await refused(request, alert_id, error, data)
    page = await _onward(request) if onward else await after(request, alert_id)
    return remember(page, ADVANCE_COOKIE, "on" if onward else "off", secure=hands.resources.settings.secure_cookies)


async def _onward(request: ConsoleRequest) -> Page:
    taken = await take(request, last_view(request))
    return go(request, f"/alerts/{taken.id}" if taken else "/queue/done")


@post("/alerts/{alert_id:uuid}/undo", guards=[require(Role.ANALYST)], status_code=200)
async def undo(request: ConsoleRequest, alert_id: FromPath[UUID]) -> Page:
    hands = hands_of(request, alert_id)
    try:
        async with hands.resources.postgres.unit_of_work() as work:
            await verdicts.undo(
                work, hands.resources.redis, hands.alert_id, hands.user_id, lease=hands.lease, by=request.user.actor
            )
    except REFUSALS as error:
        return await refused(request, alert_id, error, NOTHING)
    return await after(request, alert_id)


@post("/alerts/{alert_id:uuid}/reopen", guards=[require(Role.ANALYST)], status_code=200)
async def reopen(request: ConsoleRequest, alert_id: FromPath[UUID], data: URLEncodedBody[dict[str, str]]) -> Page:
    hands = hands_of(request, alert_id)
    try:
        async with hands.resources.postgres.unit_of_work() as work:
            await verdicts.reopen(
                work,
                hands.resources.redis,
                hands.alert_id,
                hands.user_id,
                version=version_of(data.get("version", "")),
                lease=hands.lease,
                by=request.user.actor,
            )
    except REFUSALS as error:
        return await refused(request, alert_id, error, data)
    return await after(request, alert_id)


def _label_and_reason(data: Form) -> tuple[Label, DispositionReason]:
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
    alert = await alert_of_address(work, alert_id)
    payment = await flow.transaction(work, alert.transaction_uid)
    assert payment is not None  # alerts reference it
    try:
        entity_list, kind = EntityList(data["list"]), EntityKind(data.get("entity", ""))
    except ValueError:
        raise InvalidInput("choose what goes onto the list") from None
    ident, ends = getattr(payment, ENTITY_COLUMNS[kind]), entry_end(data.get("ends", ""), utc_now())
    if not ident or ends is None:
        raise InvalidInput("choose what goes onto the list, and for how long")
    words, note = reason_words(_label_and_reason(data)[1]), " ".join(data.get("note", "").split())[:200]
    return NewEntry(entity_list, kind, ident, f"{words}: {note}" if note else words, ends, AlertId(alert_id))
