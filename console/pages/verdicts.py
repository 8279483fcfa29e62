"""Deciding an alert, taking that back, and opening a closed one again. Each answers with the desk as it is then."""

from datetime import timedelta
from uuid import UUID

from litestar import post
from litestar.params import FromPath, URLEncodedBody

from console.access import ConsoleRequest, require, resources_of
from console.desk import (
    ADVANCE_COOKIE,
    Form,
    Hands,
    after,
    alert_of_address,
    carry_out,
    go,
    last_view,
    remember,
    take,
    version_of,
)
from console.shell import Page
from console.views.verdicts import DISPOSITION_REASONS, entry_end
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
    onward = data.get("advance") == "on"

    async def act(work: UnitOfWork, me: Hands) -> None:
        label, reason = _label_and_reason(data)
        await verdicts.decide(
            work,
            me.redis,
            me.alert_id,
            me.user_id,
            ruling=Ruling(label, reason, data.get("note", "").strip() or None, await _entry(work, alert_id, data)),
            version=version_of(data.get("version", "")),
            window=timedelta(seconds=me.resources.settings.undo_window_s),
            by=me.actor,
        )

    async def decided(_: None) -> Page:
        page = await _onward(request) if onward else await after(request, alert_id)
        secure = resources_of(request).settings.secure_cookies
        return remember(page, ADVANCE_COOKIE, "on" if onward else "off", secure=secure)

    return await carry_out(request, alert_id, act, data, decided)


async def _onward(request: ConsoleRequest) -> Page:
    taken = await take(request, last_view(request))
    return go(request, f"/alerts/{taken.id}" if taken else "/queue/done")


@post("/alerts/{alert_id:uuid}/undo", guards=[require(Role.ANALYST)], status_code=200)
async def undo(request: ConsoleRequest, alert_id: FromPath[UUID]) -> Page:
    async def act(work: UnitOfWork, me: Hands) -> None:
        await verdicts.undo(work, me.redis, me.alert_id, me.user_id, lease=me.lease, by=me.actor)

    return await carry_out(request, alert_id, act)


@post("/alerts/{alert_id:uuid}/reopen", guards=[require(Role.ANALYST)], status_code=200)
async def reopen(request: ConsoleRequest, alert_id: FromPath[UUID], data: URLEncodedBody[dict[str, str]]) -> Page:
    async def act(work: UnitOfWork, me: Hands) -> None:
        version = version_of(data.get("version", ""))
        await verdicts.reopen(work, me.redis, me.alert_id, me.user_id, version=version, lease=me.lease, by=me.actor)

    return await carry_out(request, alert_id, act, data)


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
    words, note = DISPOSITION_REASONS[_label_and_reason(data)[1]], " ".join(data.get("note", "").split())[:200]
    return NewEntry(entity_list, kind, ident, f"{words}: {note}" if note else words, ends, AlertId(alert_id))
