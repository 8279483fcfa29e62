"""`/v1/transactions`: post one, post many, look one up."""

import asyncio
import re
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from backend.api.bodies import JSON, batch_items, json_body
from backend.api.openapi import BatchOperation, LookupOperation, PostOperation
from backend.api.shapes import decision_json, features_json, labels_json, transaction_json
from backend.auth import Caller, source_key
from backend.backlog import Backlog
from backend.ingest import Acceptance, Accepted, Ingest
from backend.intake import parse_transaction
from backend.problems import problem
from backend.waiting import DecisionWaiters
from core.base.clock import utc_now
from core.base.errors import IdempotencyConflict, NotFound, RondaError
from core.base.ids import TransactionId
from core.infra.resources import Resources
from core.stores import accepting, casework, flow
from core.stores.accepting import Arrival
from core.tables.flow import Decision

MAX_WAIT_S = 10.0
_json = msgspec.json.Encoder()
_WAIT = re.compile(r"\bwait\s*=\s*(\d{1,3}(?:\.\d+)?)", re.IGNORECASE)
_CONFLICT = "this id was posted before with another body; the first one stands"


@dataclass(frozen=True)
class _Desk:
    """What a handler needs, from the application's state."""

    ingest: Ingest
    backlog: Backlog
    waiters: DecisionWaiters
    resources: Resources
    caller: Caller


def _desk(request: Request[Any, Any, Any]) -> _Desk:
    state = request.app.state
    return _Desk(state.ingest, state.backlog, state.waiters, state.resources, request.auth)


def wait_seconds(prefer: str) -> float:
    """Seconds asked for by `Prefer: wait=<s>`, at most 10; 0 = do not wait."""
    found = _WAIT.search(prefer)
    return min(float(found[1]), MAX_WAIT_S) if found else 0.0


@post("/", guards=[source_key], operation_class=PostOperation)
async def post_transaction(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Accept one transaction. It is safe to repeat: the same id with the same body gives the same answer."""
    desk = _desk(request)
    desk.backlog.admit()
    arrival = parse_transaction(await json_body(request), desk.caller.source_id, utc_now())
    seconds = wait_seconds(request.headers.get("prefer", ""))
    if not desk.backlog.decides_within(seconds):
        seconds = 0.0
    uid = arrival.payment.uid
    if seconds:
        desk.waiters.expect(uid)
    try:
        [accepted] = await desk.ingest.accept([arrival], desk.caller.key_prefix)
        if accepted.status is Acceptance.CONFLICT:
            raise IdempotencyConflict(_CONFLICT, id=arrival.payment.transaction_id)
        decision = await _decision(desk, accepted, seconds)
    finally:
        desk.waiters.forget(uid)
    return _accepted(arrival, accepted, decision, seconds)


async def _decision(desk: _Desk, accepted: Accepted, seconds: float) -> Decision | None:
    if not seconds:
        return None
    if accepted.status is Acceptance.ACCEPTED:
        decision = await desk.waiters.decision(accepted.uid, seconds)
        if decision:
            return decision
    async with desk.resources.postgres.reading() as work:
        return await flow.latest_decision(work, accepted.uid)


def _accepted(arrival: Arrival, accepted: Accepted, decision: Decision | None, seconds: float) -> ASGIResponse:
    headers = {"Location": f"/v1/transactions/{arrival.payment.transaction_id}"}
    if accepted.status is Acceptance.REPLAYED:
        headers["Idempotent-Replayed"] = "true"
    if seconds:
        headers["Preference-Applied"] = f"wait={seconds:g}"
    ident = arrival.payment.transaction_id
    body: dict[str, Any] = {"id": ident, "status": "accepted"}
    if decision:
        body |= {"status": "decided", "decision": decision_json(decision)}
    status = 200 if decision else 202
    return ASGIResponse(body=_json.encode(body), status_code=status, headers=headers, media_type=JSON)


@post("/batch", guards=[source_key], status_code=200, operation_class=BatchOperation)
async def post_batch(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Accept up to 1,000 transactions: one result per item, in order. A bad item does not spoil the others."""
    desk, now = _desk(request), utc_now()
    desk.backlog.admit()
    parsed: list[Arrival | RondaError] = []
    for place, item in enumerate(await batch_items(request)):
        if place % 100 == 99:
            await asyncio.sleep(0)  # a big batch must not hold up the single posts
        try:
            parsed.append(parse_transaction(item, desk.caller.source_id, now))
        except RondaError as error:
            parsed.append(error)
    good = [item for item in parsed if isinstance(item, Arrival)]
    answers = iter(await desk.ingest.accept(good, desk.caller.key_prefix) if good else [])
    return {"results": [_result(item, next(answers) if isinstance(item, Arrival) else None) for item in parsed]}


def _result(item: Arrival | RondaError, accepted: Accepted | None) -> dict[str, Any]:
    if isinstance(item, RondaError) or accepted is None:
        assert isinstance(item, RondaError)
        return {"status": "invalid", "error": problem(item)}
    ident = item.payment.transaction_id
    if accepted.status is Acceptance.CONFLICT:
        error = problem(IdempotencyConflict(_CONFLICT, id=ident))
        return {"id": ident, "status": accepted.status.value, "error": error}
    return {"id": ident, "status": accepted.status.value}


@get("/{transaction_id:str}", guards=[source_key], operation_class=LookupOperation)
async def look_up(request: Request[Any, Any, Any], transaction_id: FromPath[str]) -> dict[str, Any]:
    """The transaction, its decision with feature values, and its labels."""
    desk = _desk(request)
    async with desk.resources.postgres.reading() as work:
        row = await accepting.transaction_by_key(work, desk.caller.source_id, TransactionId(transaction_id))
        if row is None:
            raise NotFound(f"there is no transaction {transaction_id} of this source")
        decision = await flow.latest_decision(work, row.uid)
        labels = await casework.labels_of(work, row.uid)
    decided = {**decision_json(decision), "features": features_json(decision)} if decision else None
    status = "decided" if decision else "imported" if row.imported else "accepted"
    return {
        "id": row.transaction_id,
        "status": status,
        "transaction": transaction_json(row),
        "decision": decided,
        "labels": labels_json(labels),
    }
