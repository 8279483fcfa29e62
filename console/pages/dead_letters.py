"""Dead letters: what no job could handle, sent again or set aside by a person."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.params import FromPath, FromQuery, URLEncodedBody

from console.access import ConsoleRequest, require, resources_of
from console.asked import place_text, read_place
from console.i18n import gettext as _
from console.refusals import told
from console.shell import Page, render, see_other
from console.views import dead_letters as views
from console.views.audit import user_ids
from console.views.words import count
from core.acts import dead_letters as acts
from core.base.clock import utc_now
from core.base.errors import InvalidInput, NotAllowedNow, NotFound
from core.base.terms import DeadLetterState, Role
from core.infra.postgres import UnitOfWork
from core.stores import dead_letters, people
from core.stores.dead_letters import DeadLetterPlace
from core.tables.flow import DeadLetter

PAGE: Final = 50
REASONS: Final = 20
ANY: Final = "any"


def _state(text: str) -> DeadLetterState | None:
    if text == ANY:
        return None
    if text not in set(DeadLetterState):
        raise InvalidInput(_("There is no such state."))
    return DeadLetterState(text)


@get("/dead-letters", guards=[require(Role.LEAD)])
async def dead_letters_page(
    request: ConsoleRequest,
    show: FromQuery[str] = DeadLetterState.WAITING.value,
    reason: FromQuery[str] = "",
    after: FromQuery[str] = "",
    sent: FromQuery[str] = "",
) -> Page:
    """`sent`: how many an act just before has sent again."""
    chosen, place, now = _state(show), read_place(after), utc_now()
    below = DeadLetterPlace(*place) if place else None
    async with resources_of(request).postgres.reading() as work:
        found = await dead_letters.page(work, state=chosen, reason=reason, after=below, limit=PAGE + 1)
        reasons = await dead_letters.waiting_reasons(work, limit=REASONS)
    shown = found[:PAGE]
    more = place_text(shown[-1].died_at, shown[-1].id) if len(found) > PAGE else ""
    waiting = dict(reasons).get(reason, 0)
    context: dict[str, Any] = {
        "rows": [views.letter_row(row, now) for row in shown],
        "tabs": views.tabs(ANY, reason),
        "any_reason_href": views.listing_href(show, ""),
        "show": show,
        "reason": reason,
        "reason_words": views.reason_words(reason),
        "reasons": [(views.reason_words(why), count(number), views.listing_href("", why)) for why, number in reasons],
        "again": min(waiting, acts.MOST_AT_ONCE),
        "of_all": count(waiting) if waiting > acts.MOST_AT_ONCE else "",
        "until": now.isoformat(),
        "said": _("%(sent)s sent again.", sent=count(int(sent)))
        if sent.isascii() and sent.isdigit() and len(sent) < 7
        else "",
        "more_href": views.listing_href(show, reason, more) if more else "",
    }
    return render(request, "dead_letters.html", context)


@get("/dead-letters/{letter_id:uuid}", guards=[require(Role.LEAD)])
async def dead_letter_page(request: ConsoleRequest, letter_id: FromPath[UUID], raw: FromQuery[bool] = False) -> Page:
    return await _detail(request, letter_id, raw=raw)


async def _detail(
    request: ConsoleRequest, letter_id: UUID, *, raw: bool = False, problem: str = "", status: int = 200
) -> Page:
    now = utc_now()
    async with resources_of(request).postgres.reading() as work:
        row = await dead_letters.one(work, letter_id)
        if row is None:
            raise NotFound(_("There is no such dead letter."))
        kind, __, ident = (row.settled_by or "").partition(":")
        names = await people.names_of(work, user_ids([(kind, ident)]))
    letter = views.letter(row, names, now)
    context = {
        "letter": letter,
        "note": row.note or "",
        "raw": views.raw(row.body) if raw else "",
        "problem": f"{problem} {letter.settled}.".strip() if status == 409 and letter.settled else problem,
        "timeline_href": f"/audit?subject_type=dead_letter&subject_id={row.id}",
    }
    return render(request, "dead_letter.html", context, status=status)


async def _carry_out(
    request: ConsoleRequest, letter_id: UUID, act: Callable[[UnitOfWork, DeadLetter], Awaitable[None]]
) -> Page:
    """One act, one commit, then its page again; what cannot be done (any more) is told there."""
    try:
        async with resources_of(request).postgres.unit_of_work() as work:
            row = await dead_letters.one_for_update(work, letter_id)
            await act(work, acts.taken(row))
    except (NotAllowedNow, InvalidInput) as error:
        late = "settled_by" in error.facts
        problem = _("Nothing was done:") if late else told(error.detail)
        status = 409 if isinstance(error, NotAllowedNow) else 422
        return await _detail(request, letter_id, problem=problem, status=status)
    return see_other(f"/dead-letters/{letter_id}")


@post("/dead-letters/{letter_id:uuid}/redrive", guards=[require(Role.LEAD)], status_code=200)
async def redrive(request: ConsoleRequest, letter_id: FromPath[UUID]) -> Page:
    shards = resources_of(request).settings.shards
    return await _carry_out(
        request, letter_id, lambda work, row: acts.redrive(work, row, by=request.user.actor, shards=shards)
    )


@post("/dead-letters/{letter_id:uuid}/discard", guards=[require(Role.LEAD)], status_code=200)
async def discard(request: ConsoleRequest, letter_id: FromPath[UUID], data: URLEncodedBody[dict[str, str]]) -> Page:
    reason = data.get("reason", "")
    return await _carry_out(
        request, letter_id, lambda work, row: acts.discard(work, row, by=request.user.actor, reason=reason)
    )


@post("/dead-letters/redrive", guards=[require(Role.LEAD)], status_code=200)
async def redrive_reason(request: ConsoleRequest, data: URLEncodedBody[dict[str, str]]) -> Page:
    """All of `reason` that the person saw: what died after `until` is left."""
    try:
        until = datetime.fromisoformat(data.get("until", "")).astimezone(UTC)
    except ValueError as error:
        raise InvalidInput(_("This form is damaged. Reload the page and try again.")) from error
    resources = resources_of(request)
    async with resources.postgres.unit_of_work() as work:
        sent = await acts.redrive_reason(
            work, data.get("reason", ""), until=until, by=request.user.actor, shards=resources.settings.shards
        )
    return see_other(f"/dead-letters?sent={sent}")
