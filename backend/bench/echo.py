"""Two servers that do nothing: what the load alone can reach, and what the web stack alone can."""

import asyncio
import socket
from typing import Any

_ANSWER = b'{"id":"1","status":"accepted"}'
_BARE = b"HTTP/1.1 202 Accepted\r\ncontent-length: %d\r\n\r\n" % len(_ANSWER) + _ANSWER


class _Bare(asyncio.Protocol):
    """Answers every request at once; reads no more of it than where it ends."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        length = int(self._buffer.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if len(self._buffer) >= end + 4 + length:
            self._buffer = b""
            self._transport.write(_BARE)  # type: ignore[attr-defined]


async def _bare_for_ever(listening: socket.socket) -> None:
    server = await asyncio.get_running_loop().create_server(_Bare, sock=listening)
    await server.serve_forever()


def serve_echo(descriptor: int, *, bare: bool) -> None:
    """Until it is killed. Not bare: uvicorn and Litestar as Ronda uses them, with a handler that parses JSON."""
    import uvloop

    listening = socket.socket(fileno=descriptor)
    if bare:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_bare_for_ever(listening))
        return
    import uvicorn
    from litestar import Litestar, Request, Response, post

    @post("/v1/transactions")
    async def echo(request: Request[Any, Any, Any]) -> Response[Any]:
        body = await request.json()
        return Response({"id": body["id"], "status": "accepted"}, status_code=202)

    config = uvicorn.Config(
        Litestar([echo], openapi_config=None), loop="uvloop", http="httptools", access_log=False, log_level="warning"
    )
    uvicorn.Server(config).run(sockets=[listening])
