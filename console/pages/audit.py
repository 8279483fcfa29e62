"""The audit trail: filters, keyset paging, one object's timeline, how sealing stands and how far it was checked, each event's proof."""

import json
from typing import Any, Final
from uuid import UUID

from litestar import MediaType, Response, get
from litestar.params import FromPath, FromQuery

from console.access import ConsoleRequest, require, resources_of
from console.i18n import gettext as _
from console.shell import Page, is_fragment, render
from console.trail import read_asked, with_payment
from console.views.audit import (
    ACTIONS,
    ACTOR_TYPES,
    RESULTS,
    audit_row,
    object_word,
    page_of,
    sealing,
    trail_href,
    user_ids,
)
from console.views.trail import check_state, timeline
from core.acts.audit_check import last_check
from core.acts.audit_proof import prove
from core.base.clock import utc_now
from core.base.errors import InvalidInput
from core.base.terms import Role
from core.infra.postgres import UnitOfWork
from core.stores import ledger, people, seals

PAGE: Final = 50


def _before(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidInput(_("This link to a further page is damaged. Go back to the first page."))
    return int(text)


@get("/audit", guards=[require(Role.LEAD)])
async def audit_page(request: ConsoleRequest, before: FromQuery[str] = "") -> Page:
    asked, below, now = read_asked(dict(request.query_params.items())), _before(before), utc_now()
    async with resources_of(request).postgres.reading() as work:
        events = await ledger.page(work, await with_payment(work, asked), before_id=below, limit=PAGE + 1)
        users = await people.users(work)
        names = await people.names_of(work, user_ids((event.actor_type, event.actor_id) for event in events))
        sealed = await seals.sealing(work, [event.xid for event in events])
        state = {} if asked.subject or below else await _state(work)
    shown = events[:PAGE]
    more = str(shown[-1].id) if len(events) > PAGE else ""
    context: dict[str, Any] = {
        "rows": [audit_row(event, names, now, sealed) for event in shown],
        "days": timeline(shown, names, now, sealed, asked.subject) if asked.subject else [],
        "given": asked.given,
        "narrowed": any(asked.given.values()),
        "subject": asked.subject,
        "subject_word": object_word(asked.subject[0]) if asked.subject else "",
        "subject_href": page_of(*asked.subject) if asked.subject else "",
        "actions": [(known.value, words) for known, words in ACTIONS.items()],
        "actor_types": [(known.value, words) for known, words in ACTOR_TYPES.items()],
        "results": [(known.value, words) for known, words in RESULTS.items()],
        "people": [(str(user.id), user.name, user.email) for user in users],
        "more_href": trail_href(asked.given, before=more) if more else "",
        **state,
    }
    if is_fragment(request) and before:
        return render(request, "_timeline_more.html" if asked.subject else "_audit_more.html", context)
    return render(request, "trail_of.html" if asked.subject else "audit.html", context)


async def _state(work: UnitOfWork) -> dict[str, Any]:
    now, newest, checked = utc_now(), await seals.newest(work), await last_check(work)
    names = await people.names_of(work, user_ids([checked.by])) if checked else {}
    return {
        "sealing": sealing(newest, await seals.newest_checkpoint(work), await seals.oldest_unsealed(work), now),
        "check": check_state(checked, newest, names, now),
    }


@get("/audit/{event_id:uuid}/proof", guards=[require(Role.LEAD)])
async def audit_proof(request: ConsoleRequest, event_id: FromPath[UUID]) -> Response[str]:
    """To keep, and to check with `verify.py` of an export: `python verify.py proof.json`."""
    async with resources_of(request).postgres.reading() as work:
        proof = await prove(work, event_id)
    name = f"proof-{proof['event']['id']}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(json.dumps(proof, indent=1, ensure_ascii=False), media_type=MediaType.JSON, headers=headers)
