"""`/v1/decisions`: every decision of a source, in commit order, behind a cursor that never skips a row."""

from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.params import FromQuery

from backend.api.openapi import ExportOperation
from backend.api.shapes import decision_json
from backend.auth import Caller, source_key
from core.acts.audit import Actor, Event, record
from core.base.errors import InvalidInput
from core.base.terms import Action, ActorType
from core.infra.resources import Resources
from core.stores import flow
from core.stores.flow import DecisionCursor

MAX_LIMIT = 5000


def _cursor(after: str) -> DecisionCursor:
    try:
        return DecisionCursor.parse(after) if after else DecisionCursor()
    except ValueError:
        raise InvalidInput("`after` is not a cursor of this export") from None


def _limit(limit: int) -> int:
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput(f"`limit` is 1 to {MAX_LIMIT}")
    return limit


@get("/", guards=[source_key], operation_class=ExportOperation)
async def export_decisions(
    request: Request[Any, Any, Any],
    after: FromQuery[str] = "",
    limit: FromQuery[int] = 1000,
) -> Response[bytes]:
    """NDJSON, one decision a line with its cursor; `Ronda-Next-Cursor` is where to go on, also when nothing came."""
    caller: Caller = request.auth
    resources: Resources = request.app.state.resources
    cursor = _cursor(after)
    async with resources.postgres.unit_of_work() as work:
        found = await flow.decisions_after(work, caller.source_id, cursor, _limit(limit))
        if found:
            actor = Actor(ActorType.API_KEY, caller.key_prefix)
            detail = {"count": len(found), "after": after, "last": str(found[-1][0])}
            await record(work, Event(actor, Action.DECISIONS_EXPORT, "source_key", caller.key_prefix, detail))
    lines = [
        msgspec.json.encode(
            {"cursor": str(place), "transaction_id": ident, "source": caller.source_id, **decision_json(row)}
        )
        for place, row, ident in found
    ]
    following = str(found[-1][0]) if found else after
    body = b"".join(line + b"\n" for line in lines)
    return Response(body, media_type="application/x-ndjson", headers={"Ronda-Next-Cursor": following})
