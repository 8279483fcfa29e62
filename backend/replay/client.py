"""The public HTTP API as a client sees it: every call waits out back-pressure and lost connections, then repeats the same ids."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx2
import msgspec
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_delay,
    wait_exponential,
    wait_random,
)

from core.base.errors import BadApiKey, Forbidden, InvalidInput, Unavailable

BUSY = frozenset({429, 500, 502, 503, 504})
MAX_RETRY_AFTER_S = 30.0
_TIMEOUT = httpx2.Timeout(30.0, connect=5.0)
_backoff = wait_exponential(multiplier=0.1, max=5.0) + wait_random(0.0, 0.1)

T = TypeVar("T")


class Problem(msgspec.Struct, frozen=True):
    """What a reader needs of an RFC 9457 problem."""

    title: str = ""
    detail: str = ""
    code: str = ""
    errors: list[dict[str, Any]] = []

    def __str__(self) -> str:
        named = "; ".join(f"{one.get('field', '?')}: {one.get('message', '?')}" for one in self.errors[:3])
        return named or self.detail or self.title or self.code or "no reason given"


class Item(msgspec.Struct, frozen=True):
    """One payment's fate: accepted, replayed, conflict or invalid."""

    status: str
    error: Problem | None = None


class LabelItem(msgspec.Struct, frozen=True):
    """One label's fate: recorded, replayed, unknown_transaction or invalid."""

    status: str
    error: Problem | None = None


class DecisionRow(msgspec.Struct, frozen=True):
    transaction_id: str
    outcome: str
    version: int
    score: float | None = None
    source: str = ""


@dataclass(frozen=True)
class DecisionPage:
    """`cursor` continues after the last row; it is the one asked with when there were none."""

    rows: list[DecisionRow]
    cursor: str


class _Items(msgspec.Struct):
    results: list[Item]


class _LabelItems(msgspec.Struct):
    results: list[LabelItem]


class _Busy(Exception):
    """The API asks to come back later."""

    def __init__(self, words: str, retry_after_s: float | None) -> None:
        super().__init__(words)
        self.retry_after_s = retry_after_s


_json = msgspec.json.Encoder()
_row_decoder = msgspec.json.Decoder(DecisionRow)


def _pause_s(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, _Busy) and error.retry_after_s is not None:
        return min(error.retry_after_s, MAX_RETRY_AFTER_S)
    return _backoff(state)


@dataclass
class Api:
    """Made by `open_api`. `patience_s`: how long one call is repeated before Unavailable is raised."""

    http: httpx2.AsyncClient
    patience_s: float
    repeats: int = field(default=0, init=False)
    """Requests that had to be sent again."""

    async def post_payments(self, bodies: Sequence[dict[str, Any]]) -> list[Item]:
        """One result each, in order."""
        headers = {"content-type": "application/x-ndjson"}
        response = await self._send("POST", "/v1/transactions/batch", _json.encode_lines(bodies), headers)
        return self._decoded(response, _Items).results

    async def post_payment(self, body: dict[str, Any]) -> bool:
        """Whether the payment was new. Raises InvalidInput when the API refuses it."""
        response = await self._send(
            "POST", "/v1/transactions", _json.encode(body), {"content-type": "application/json"}
        )
        return response.headers.get("idempotent-replayed") != "true"

    async def post_labels(self, labels: Sequence[dict[str, Any]]) -> list[LabelItem]:
        """One result each, in order."""
        headers = {"content-type": "application/json"}
        response = await self._send("POST", "/v1/labels", _json.encode(labels), headers)
        return self._decoded(response, _LabelItems).results

    async def decisions(self, after: str, limit: int) -> DecisionPage:
        """Decisions in the order they were committed; `after`: a cursor, "" = from the first."""
        query: dict[str, str | int] = {"limit": limit} | ({"after": after} if after else {})
        response = await self._send("GET", "/v1/decisions", None, {}, query)
        try:
            rows = [_row_decoder.decode(line) for line in response.content.splitlines()]
        except msgspec.DecodeError as error:
            raise self._foreign(error) from error
        return DecisionPage(rows, response.headers.get("ronda-next-cursor", after))

    async def _send(
        self,
        method: str,
        path: str,
        content: bytes | None,
        headers: dict[str, str],
        query: dict[str, str | int] | None = None,
    ) -> httpx2.Response:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type((httpx2.TransportError, _Busy)),
            wait=_pause_s,
            stop=stop_after_delay(self.patience_s),
            reraise=True,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    self.repeats += attempt.retry_state.attempt_number > 1
                    answer = await self.http.request(method, path, content=content, headers=headers, params=query)
                    return self._checked(answer)
        except httpx2.TransportError as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(f"the API at {self.http.base_url} does not answer ({reason})") from error
        except _Busy as error:
            raise Unavailable(f"the API at {self.http.base_url} is too busy: {error}") from error
        raise AssertionError("a retry loop ends with an answer or an error")

    def _checked(self, answer: httpx2.Response) -> httpx2.Response:
        status = answer.status_code
        if status < 300:
            return answer
        if status in BUSY:
            raise _Busy(f"{status} {_problem(answer)}", _retry_after(answer))
        where = f"the API at {self.http.base_url}"
        if status == 401:
            raise BadApiKey(f"{where} does not accept this key (--key)")
        if status == 403:
            raise Forbidden(f"{where} refuses this key: {_problem(answer)}")
        raise InvalidInput(f"{where} answered {status} to {answer.request.url.path}: {_problem(answer)}")

    def _decoded(self, answer: httpx2.Response, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except msgspec.DecodeError as error:
            raise self._foreign(error) from error

    def _foreign(self, error: msgspec.DecodeError) -> InvalidInput:
        return InvalidInput(f"what answers at {self.http.base_url} does not speak Ronda's API: {error}")


@asynccontextmanager
async def open_api(url: str, key: str, *, connections: int, patience_s: float) -> AsyncIterator[Api]:
    """Raises InvalidInput for an address that is none. Nothing is sent yet."""
    try:
        http = httpx2.AsyncClient(
            base_url=url,
            headers={"authorization": f"Bearer {key}"},
            timeout=_TIMEOUT,
            limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
        )
    except (httpx2.InvalidURL, UnicodeEncodeError) as error:
        raise InvalidInput(f"{url!r} with this key cannot be asked: {error}") from error
    async with http:
        if http.base_url.scheme not in ("http", "https") or not http.base_url.host:
            raise InvalidInput(f"{url!r} is not the address of an API (http://host:port)")
        yield Api(http, patience_s)


def _problem(answer: httpx2.Response) -> str:
    try:
        return str(msgspec.json.decode(answer.content, type=Problem))
    except msgspec.DecodeError:
        return answer.reason_phrase


def _retry_after(answer: httpx2.Response) -> float | None:
    try:
        return max(0.0, float(answer.headers.get("retry-after", "")))
    except ValueError:
        return None
