"""Server-sent events: the live queue, one alert, the models page.

Never a redirect and never a 204, which the client would answer with requests without pause: without a session it is 401.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from types import FrameType
from typing import Any, Final
from uuid import UUID

from litestar import Litestar, get
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from console.access import ConsoleRequest, require, who
from console.hub import MODELS, QUEUE, Hub, Listener, alert_topic
from console.views.queue_url import read_view
from core.base.clock import from_ms, utc_now
from core.base.errors import RondaError
from core.base.terms import Role

_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@asynccontextmanager
async def live_updates(app: Litestar) -> AsyncIterator[None]:
    """Lifespan of the hub; `app.state.resources` must be there already."""
    assert app.template_engine is not None
    hub = Hub(app.state.resources, app.template_engine.engine)
    app.state.console_hub = hub
    hub.start()
    with _told_to_stop(hub.end_streams):
        try:
            yield
        finally:
            await hub.close()


@contextmanager
def _told_to_stop(callback: Callable[[], None]) -> Iterator[None]:
    """Calls back on SIGTERM and SIGINT, before whoever handled them so far.

    A server waits for its open answers before it runs its own shutdown, so a stream must hear of it earlier.
    Off the main thread, where no handler can be set, this does nothing.
    """
    loop = asyncio.get_running_loop()
    before: dict[signal.Signals, Any] = {}

    def handler(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(callback)
        before[signal.Signals(number)](number, frame)

    with suppress(ValueError):
        for number in (signal.SIGTERM, signal.SIGINT):
            found = signal.getsignal(number)
            if callable(found):
                before[number] = found
                signal.signal(number, handler)
    try:
        yield
    finally:
        for number, found in before.items():
            signal.signal(number, found)


def _milliseconds(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 15 else None


async def _stream(request: ConsoleRequest, listener: Listener) -> Stream:
    hub: Hub = request.app.state.console_hub
    await hub.open(listener, _milliseconds(request.headers.get("last-event-id", "")))

    async def still_allowed() -> bool:
        """Without keeping the session alive: a stream ends with the session it began under."""
        try:
            found = await who(request, touch=False)
        except RondaError:
            return True  # PostgreSQL is away: there is nothing to show, and the next tick asks again
        return found is not None and found.user.id == listener.user_id

    return Stream(hub.messages(listener, still_allowed), media_type="text/event-stream", headers=_HEADERS)


def _since(text: str) -> datetime:
    """When the page was rendered, in epoch milliseconds."""
    found = _milliseconds(text)
    return utc_now() if found is None else from_ms(found)


@get("/stream/queue", guards=[require(Role.VIEWER)])
async def queue_stream(request: ConsoleRequest, since: FromQuery[str] = "") -> Stream:
    """The rest of the address is the view's own."""
    wanted = read_view(request.query_params.multi_items()).view.wanted
    return await _stream(request, Listener(QUEUE, request.user.user.id, _since(since), wanted))


@get("/stream/alerts/{alert_id:uuid}", guards=[require(Role.VIEWER)])
async def alert_stream(request: ConsoleRequest, alert_id: FromPath[UUID]) -> Stream:
    return await _stream(request, Listener(alert_topic(alert_id), request.user.user.id, utc_now()))


@get("/stream/models", guards=[require(Role.VIEWER)])
async def models_stream(request: ConsoleRequest) -> Stream:
    return await _stream(request, Listener(MODELS, request.user.user.id, utc_now()))
