"""A small server that speaks the ingest API over real HTTP on loopback, remembers what came in which order, and misbehaves on demand."""

import asyncio
import json
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from litestar import Litestar, Request, Response, get, post
from litestar.exceptions import NotAuthorizedException
from litestar.types import ASGIApp, Receive, Scope, Send

KEY = "rk_test.secret"
MOST_ITEMS = 1000


@dataclass
class SmallApi:
    """`log`: ("payment" | "label", body) as they were taken. `faults`: one is used up by each POST, None = behave.

    "busy" and "overloaded" refuse before anything is taken; "drop" takes the items and cuts the line instead of answering.
    """

    score: Callable[[dict[str, Any]], float | None] = lambda body: float(body["amount"]) / 1000
    decides: bool = True
    jitter_s: float = 0.0
    faults: list[str | None] = field(default_factory=list)
    retry_after: str = "0"
    log: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    payments: dict[str, dict[str, Any]] = field(default_factory=dict)
    labels: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    batches: list[int] = field(default_factory=list)
    url: str = ""

    def take_payment(self, body: dict[str, Any]) -> dict[str, Any]:
        known = self.payments.get(body["id"])
        if known is not None:
            return {"id": body["id"], "status": "replayed" if known == body else "conflict"}
        if body["currency"] == "XXX":
            error = {
                "detail": "not accepted: currency",
                "errors": [{"field": "currency", "message": "no such currency"}],
            }
            return {"status": "invalid", "error": error}
        self.payments[body["id"]] = body
        self.log.append(("payment", body))
        return {"id": body["id"], "status": "accepted"}

    def take_label(self, body: dict[str, Any]) -> dict[str, Any]:
        key = (body["transaction_id"], body["reported_at"])
        if body["transaction_id"] not in self.payments:
            return {"transaction_id": body["transaction_id"], "status": "unknown_transaction"}
        status = "replayed" if key in self.labels else "recorded"
        self.labels[key] = body
        self.log.append(("label", body))
        return {"transaction_id": body["transaction_id"], "status": status}

    def decisions(self, after: int, limit: int) -> list[dict[str, Any]]:
        rows = []
        for number, body in enumerate(self.payments.values() if self.decides else (), start=1):
            score = self.score(body)
            outcome = "approve" if score is None or score < 0.5 else "review" if score < 0.9 else "decline"
            rows.append(
                {"cursor": str(number), "transaction_id": body["id"], "source": "test", "version": 1, "outcome": outcome,
                 "score": score, "decided_at": body["occurred_at"], "reasons": []}
            )  # fmt: skip
        return rows[after : after + limit]

    def app(self) -> Litestar:
        @post("/v1/transactions/batch", status_code=200)
        async def batch(request: Request[Any, Any, Any]) -> dict[str, Any]:
            items = [json.loads(line) for line in (await request.body()).splitlines()]
            assert 1 <= len(items) <= MOST_ITEMS
            self.batches.append(len(items))
            await asyncio.sleep(random.random() * self.jitter_s)
            return {"results": [self.take_payment(item) for item in items]}

        @post("/v1/labels", status_code=200)
        async def labels(request: Request[Any, Any, Any]) -> dict[str, Any]:
            items = json.loads(await request.body())
            assert 1 <= len(items) <= MOST_ITEMS
            await asyncio.sleep(random.random() * self.jitter_s)
            return {"results": [self.take_label(item) for item in items]}

        @post("/v1/transactions", status_code=202)
        async def single(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
            result = self.take_payment(json.loads(await request.body()))
            replayed = {"Idempotent-Replayed": "true"} if result["status"] == "replayed" else {}
            return Response(result, headers=replayed)

        @get("/v1/decisions")
        async def decisions(request: Request[Any, Any, Any]) -> Response[bytes]:
            after = request.query_params.get("after", "0")
            rows = self.decisions(int(after), int(request.query_params.get("limit", 1000)))
            body = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
            following = rows[-1]["cursor"] if rows else after
            return Response(body, media_type="application/x-ndjson", headers={"Ronda-Next-Cursor": following})

        return Litestar([batch, labels, single, decisions], before_request=_check_key, middleware=[self._misbehave])

    def _misbehave(self, app: ASGIApp) -> ASGIApp:
        async def faulty(scope: Scope, receive: Receive, send: Send) -> None:
            wanted = scope["type"] == "http" and scope["method"] == "POST" and self.faults
            fault = self.faults.pop(0) if wanted else None
            if fault is None:
                await app(scope, receive, send)
            elif fault == "drop":
                await app(scope, receive, _swallow)
                await _cut(send)
            else:
                status = {"busy": 429, "overloaded": 503}[fault]
                response = Response({"detail": "later"}, status_code=status, headers={"Retry-After": self.retry_after})
                await response.to_asgi_response(None, Request(scope, receive, send))(scope, receive, send)

        return faulty


async def _check_key(request: Request[Any, Any, Any]) -> None:
    if request.headers.get("authorization") != f"Bearer {KEY}":
        raise NotAuthorizedException("this key is not known")


async def _swallow(_message: Any) -> None:
    """The answer gets lost."""


async def _cut(send: Send) -> None:
    """Promise more bytes than come: uvicorn closes the connection."""
    headers = [(b"content-length", b"100"), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})  # type: ignore[arg-type, typeddict-item]
    await send({"type": "http.response.body", "body": b"{", "more_body": False})


@asynccontextmanager
async def serving(api: SmallApi, port: int = 0) -> AsyncIterator[SmallApi]:
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(128)
        api.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        config = uvicorn.Config(api.app(), log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        running = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield api
        finally:
            server.should_exit = True
            await running
