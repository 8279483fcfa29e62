"""`/v1/labels`: the feed for chargebacks and other late truths. Idempotent."""

from typing import Any

from litestar import Request, post

from backend.api.bodies import batch_items
from backend.api.openapi import LabelsOperation
from backend.auth import Caller, source_key
from backend.intake import LabelBody, parse_label
from backend.problems import problem
from core.acts import labels
from core.acts.audit import Actor
from core.base.errors import RondaError
from core.base.ids import TransactionId
from core.base.terms import ActorType
from core.infra.resources import Resources


def _input(body: LabelBody) -> labels.LabelInput:
    return labels.LabelInput(TransactionId(body.transaction_id), body.label, body.source, body.reported_at, body.note)


def _parsed(item: bytes) -> LabelBody | RondaError:
    try:
        return parse_label(item)
    except RondaError as error:
        return error


@post("/", guards=[source_key], status_code=200, operation_class=LabelsOperation)
async def post_labels(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Take up to 1,000 labels: one result per item, in order; the same statement twice is recorded once."""
    caller: Caller = request.auth
    resources: Resources = request.app.state.resources
    parsed = [_parsed(item) for item in await batch_items(request)]
    inputs = [_input(item) for item in parsed if isinstance(item, LabelBody)]
    actor = Actor(ActorType.API_KEY, caller.key_prefix)
    async with resources.postgres.unit_of_work() as work:
        recorded = await labels.record_labels(work, caller.source_id, inputs, by=actor)
    answers = iter(recorded)
    return {"results": [_result(item, answers) for item in parsed]}


def _result(item: LabelBody | RondaError, answers: Any) -> dict[str, Any]:
    if isinstance(item, RondaError):
        return {"status": "invalid", "error": problem(item)}
    answer: labels.LabelResult = next(answers)
    return {"transaction_id": answer.transaction_id, "status": answer.status}
