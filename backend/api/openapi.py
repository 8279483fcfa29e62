"""What `/schema` says about bodies that handlers read raw, and about their problems."""

from dataclasses import dataclass
from typing import Any

from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIResponse, Operation, Reference, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from pydantic import BaseModel

from backend.intake import LabelBody, TransactionBody
from core.base.terms import FeaturesStatus, Outcome

PROBLEM = Schema(
    title="Problem",
    description="RFC 9457 problem details; `code` is stable, further members are facts",
    type=OpenAPIType.OBJECT,
    properties={
        "type": Schema(type=OpenAPIType.STRING),
        "title": Schema(type=OpenAPIType.STRING),
        "status": Schema(type=OpenAPIType.INTEGER),
        "detail": Schema(type=OpenAPIType.STRING),
        "code": Schema(type=OpenAPIType.STRING),
        "instance": Schema(type=OpenAPIType.STRING),
        "errors": Schema(type=OpenAPIType.ARRAY, items=Schema(type=OpenAPIType.OBJECT)),
    },
)
DECISION = Schema(
    title="Decision",
    description="What Ronda answers for a transaction; null until it is decided",
    type=OpenAPIType.OBJECT,
    properties={
        "version": Schema(
            type=OpenAPIType.INTEGER, description="2 = decided again, after a first time without features"
        ),
        "outcome": Schema(type=OpenAPIType.STRING, enum=[outcome.value for outcome in Outcome]),
        "score": Schema(
            type=OpenAPIType.NUMBER, description="Calibrated probability of fraud, or null without a model"
        ),
        "anomaly": Schema(
            type=OpenAPIType.NUMBER,
            description="Share of training payments that were less unusual, 0 to 1, whatever the score; or null",
        ),
        "reasons": Schema(type=OpenAPIType.ARRAY, items=Schema(type=OpenAPIType.OBJECT)),
        "rule_hits": Schema(
            type=OpenAPIType.ARRAY,
            items=Schema(type=OpenAPIType.OBJECT),
            description="{code, text, outcome}; of a list entry also list, entity, entity_id and entry",
        ),
        "model": Schema(type=OpenAPIType.STRING),
        "policy_version": Schema(type=OpenAPIType.INTEGER),
        "features_status": Schema(type=OpenAPIType.STRING, enum=[status.value for status in FeaturesStatus]),
        "decided_at": Schema(type=OpenAPIType.STRING),
    },
)
_DECIDED = Schema(type=OpenAPIType.OBJECT, properties={"decision": DECISION})
_NAMES = {
    "400": "The body is not JSON",
    "401": "The key is missing, unknown or revoked",
    "404": "There is no such thing",
    "409": "This id was posted before with another body",
    "413": "The body or the batch is too large",
    "415": "Another content type is needed",
    "422": "A field is wrong; `errors` names each",
    "429": "Too many payments wait for their decision; nothing was accepted, repeat after `Retry-After` seconds",
    "503": "Nothing was accepted; repeat after `Retry-After` seconds",
}
_TRANSACTION_EXAMPLE = {
    "id": "pay_10293",
    "occurred_at": "2026-01-31T09:30:00Z",
    "amount": "129.90",
    "currency": "EUR",
    "customer_id": "cus_4711",
    "merchant_id": "mer_42",
    "device_id": "dev_9",
}


class _Keywords(Schema):
    """A JSON schema that pydantic made, passed through as it is."""

    def __init__(self, schema: dict[str, Any]) -> None:
        super().__init__()
        self._schema = schema

    def to_schema(self) -> dict[str, Any]:
        return self._schema


def _schema_of(model: type[BaseModel]) -> Schema:
    return _Keywords(model.model_json_schema())


def _body(schema: Schema, example: Any, *, lines: bool = False) -> RequestBody:
    examples: dict[str, Example | Reference] = {"usual": Example(value=example)}
    content = {"application/json": OpenAPIMediaType(schema=schema, examples=examples)}
    if lines:
        content["application/x-ndjson"] = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))
    return RequestBody(required=True, content=content)


def _responses(good: dict[str, str], *bad: str, schema: Schema | None = None) -> dict[str, OpenAPIResponse | Reference]:
    answer = {"application/json": OpenAPIMediaType(schema=schema or Schema(type=OpenAPIType.OBJECT))}
    refusal = {"application/problem+json": OpenAPIMediaType(schema=PROBLEM)}
    return {
        **{status: OpenAPIResponse(description=words, content=answer) for status, words in good.items()},
        **{status: OpenAPIResponse(description=_NAMES[status], content=refusal) for status in bad},
    }


@dataclass
class PostOperation(Operation):
    def __post_init__(self) -> None:
        self.security = [{"bearer": []}]
        self.request_body = _body(_schema_of(TransactionBody), _TRANSACTION_EXAMPLE)
        good = {"200": "The decision (`Prefer: wait=<seconds>`, at most 10)", "202": "Accepted; it will be decided"}
        self.responses = _responses(good, "400", "401", "409", "413", "415", "422", "429", "503", schema=_DECIDED)


@dataclass
class BatchOperation(Operation):
    def __post_init__(self) -> None:
        self.security = [{"bearer": []}]
        items = Schema(type=OpenAPIType.ARRAY, items=_schema_of(TransactionBody), max_items=1000)
        self.request_body = _body(items, [_TRANSACTION_EXAMPLE], lines=True)
        self.responses = _responses({"200": "One result per item, in order"}, "400", "401", "413", "415", "429", "503")


@dataclass
class LookupOperation(Operation):
    def __post_init__(self) -> None:
        self.security = [{"bearer": []}]
        good = {"200": "The transaction, its decision and its labels"}
        self.responses = _responses(good, "401", "404", "503", schema=_DECIDED)


@dataclass
class ExportOperation(Operation):
    def __post_init__(self) -> None:
        self.security = [{"bearer": []}]
        lines = {"application/x-ndjson": OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))}
        good = {"200": OpenAPIResponse(description="Decisions in commit order, one a line", content=lines)}
        self.responses = {**good, **_responses({}, "401", "422", "503")}


@dataclass
class LabelsOperation(Operation):
    def __post_init__(self) -> None:
        self.security = [{"bearer": []}]
        items = Schema(type=OpenAPIType.ARRAY, items=_schema_of(LabelBody), max_items=1000)
        example = {
            "transaction_id": "pay_10293",
            "label": "fraud",
            "source": "chargeback",
            "reported_at": "2026-02-10T00:00:00Z",
        }
        self.request_body = _body(items, [example], lines=True)
        self.responses = _responses({"200": "One result per item, in order"}, "400", "401", "413", "415", "503")
