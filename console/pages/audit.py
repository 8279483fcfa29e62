"""The audit trail: filters, keyset paging, one subject's timeline, how sealing stands, and each event's proof."""

import json
from typing import Any
from uuid import UUID

from litestar import MediaType, Response, get
from litestar.params import FromPath, FromQuery

from console.access import ConsoleRequest, require, resources_of
from console.shell import Page, is_fragment, render
from console.views.audit import ACTIONS, ACTOR_TYPES, audit_row, sealing, trail_href, user_ids
from core.acts.audit_proof import prove
from core.base.clock import utc_now
from core.base.errors import InvalidInput
from core.base.terms import Action, ActorType, Role
from core.stores import ledger, people, seals
from core.stores.ledger import AuditFilter

PAGE = 50


def _before(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidInput("This link to a further page is damaged. Go back to the first page.")
    return int(text)


def _chosen(action: str, actor_type: str, actor_id: str, subject_type: str, subject_id: str) -> AuditFilter:
    if action and action not in set(Action):
        raise InvalidInput(f"The trail knows no act {action!r}.")
    if actor_type and actor_type not in set(ActorType):
        raise InvalidInput(f"The trail knows no actor type {actor_type!r}.")
    return AuditFilter(action, actor_type, actor_id.strip(), subject_type.strip(), subject_id.strip())


@get("/audit", guards=[require(Role.LEAD)])
async def audit_page(
    request: ConsoleRequest,
    action: FromQuery[str] = "",
    actor_type: FromQuery[str] = "",
    actor_id: FromQuery[str] = "",
    subject_type: FromQuery[str] = "",
    subject_id: FromQuery[str] = "",
    before: FromQuery[str] = "",
) -> Page:
    chosen, below, now = _chosen(action, actor_type, actor_id, subject_type, subject_id), _before(before), utc_now()
    async with resources_of(request).postgres.reading() as work:
        events = await ledger.page(work, chosen, before_id=below, limit=PAGE + 1)
        users = await people.users(work)
        names = await people.names_of(work, user_ids((event.actor_type, event.actor_id) for event in events))
        sealed = await seals.sealing(work, [event.xid for event in events])
        state = sealing(
            await seals.newest(work), await seals.newest_checkpoint(work), await seals.oldest_unsealed(work), now
        )
    shown = events[:PAGE]
    more = str(shown[-1].id) if len(events) > PAGE else ""
    context: dict[str, Any] = {
        "rows": [audit_row(event, names, now, sealed) for event in shown],
        "chosen": vars(chosen),
        "sealing": state,
        "narrowed": any(vars(chosen).values()),
        "subject": f"{chosen.subject_type.replace('_', ' ')} {chosen.subject_id}" if chosen.subject_id else "",
        "actions": [(known.value, words) for known, words in ACTIONS.items()],
        "actor_types": [(known.value, words) for known, words in ACTOR_TYPES.items()],
        "people": [(str(user.id), user.name, user.email) for user in users],
        "more_href": trail_href(chosen, before=more) if more else "",
    }
    fragment = is_fragment(request) and before
    return render(request, "_audit_more.html" if fragment else "audit.html", context)


@get("/audit/{event_id:uuid}/proof", guards=[require(Role.LEAD)])
async def audit_proof(request: ConsoleRequest, event_id: FromPath[UUID]) -> Response[str]:
    """To keep, and to check with `verify.py` of an export: `python verify.py proof.json`."""
    async with resources_of(request).postgres.reading() as work:
        proof = await prove(work, event_id)
    name = f"proof-{proof['event']['id']}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(json.dumps(proof, indent=1, ensure_ascii=False), media_type=MediaType.JSON, headers=headers)
