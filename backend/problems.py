"""The one place that turns errors into HTTP: problem+json for programs, a page or fragment for browsers."""

from http import HTTPStatus
from typing import Any
from uuid import uuid4

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from console.errors import render_error
from core.base.errors import Kind, RondaError

log = structlog.get_logger()
_STATUS = {
    Kind.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Kind.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Kind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Kind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Kind.CONFLICT: HTTPStatus.CONFLICT,
    Kind.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Kind.UNSUPPORTED: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Kind.TOO_MANY: HTTPStatus.TOO_MANY_REQUESTS,
    Kind.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}
_BY_CODE = {"malformed_body": HTTPStatus.BAD_REQUEST}
API_PATHS = ("/v1/", "/health/", "/metrics", "/schema")


def status_of(error: RondaError) -> HTTPStatus:
    return _BY_CODE.get(error.code) or _STATUS[error.kind]


def problem(error: RondaError) -> dict[str, Any]:
    """RFC 9457 members; `code` is stable, `detail` is a sentence, facts are extensions."""
    status = status_of(error)
    facts = {name: value for name, value in error.facts.items() if name != "retry_after_s"}
    return {
        "type": f"urn:ronda:problem:{error.code}",
        "title": status.phrase,
        "status": int(status),
        "detail": error.detail,
        "code": error.code,
        **facts,
    }


def _answer(request: Request[Any, Any, Any], body: dict[str, Any], headers: dict[str, str]) -> Response[Any]:
    if not request.url.path.startswith(API_PATHS):
        response = render_error(request, body["status"], body["code"], body["detail"])
        response.headers.update(headers)
        return response
    return Response(
        msgspec.json.encode({**body, "instance": request.url.path}),
        status_code=body["status"],
        media_type="application/problem+json",
        headers=headers,
    )


def on_ronda_error(request: Request[Any, Any, Any], error: RondaError) -> Response[Any]:
    headers: dict[str, str] = {}
    if error.kind in (Kind.UNAVAILABLE, Kind.TOO_MANY):
        headers["Retry-After"] = str(error.facts.get("retry_after_s", 1))
    if error.kind is Kind.UNAUTHENTICATED and request.url.path.startswith(API_PATHS):
        headers["WWW-Authenticate"] = "Bearer"
    return _answer(request, problem(error), headers)


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """The framework's own refusals: unknown path, wrong method, body too large."""
    status = HTTPStatus(error.status_code)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return on_surprise(request, error)
    code = status.name.lower()
    body = {
        "type": f"urn:ronda:problem:{code}",
        "title": status.phrase,
        "status": int(status),
        "detail": error.detail or status.phrase,
        "code": code,
    }
    return _answer(request, body, dict(error.headers or {}))


def on_surprise(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """A bug: the caller gets an id to quote, the log gets the trace."""
    incident = uuid4().hex[:12]
    log.error("unhandled error", incident=incident, path=request.url.path, exc_info=error)
    body = {
        "type": "urn:ronda:problem:internal",
        "title": "Internal Server Error",
        "status": 500,
        "detail": f"Something went wrong on our side. Quote incident {incident}.",
        "code": "internal",
    }
    return _answer(request, body, {})


EXCEPTION_HANDLERS: dict[int | type[Exception], Any] = {
    RondaError: on_ronda_error,
    HTTPException: on_http_exception,
    Exception: on_surprise,
}
