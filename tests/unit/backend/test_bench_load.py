"""The load of the bench against a small real server: what is counted, and from when."""

import asyncio
import pickle
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from backend.bench.load import Plan, Sent, drive
from backend.bench.wire import request_bytes
from core.base.errors import Unavailable

STALL_S = 0.4
STALLED = 5
EVERY_S = 0.02


@asynccontextmanager
async def server(*, stall_at: int = -1, status: int = 202, hang_up_at: int = -1) -> AsyncIterator[int]:
    """Answers one request after the other, whichever connection it comes on; the port."""
    turn, seen = asyncio.Lock(), 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                async with turn:
                    seen += 1
                    if seen == hang_up_at:
                        return
                    await asyncio.sleep(STALL_S if seen == stall_at else 0)
                body = b'{"status":"accepted"}'
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body)))
                await asyncio.sleep(0.001)  # an answer in two pieces
                writer.write(body)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


def numbered(count: int) -> list[tuple[int, bytes]]:
    body = request_bytes("/", b'{"id": 1}', key="k", content_type="application/json")
    return [(place, body) for place in range(count)]


async def sent(port: int, count: int, *, paced: bool, most_s: float = 60.0) -> Sent:
    begin = time.time() + 0.1
    at = [begin + place * EVERY_S for place in range(count)] if paced else ()
    return await asyncio.to_thread(drive, Plan(port, numbered(count), 4, begin, at, most_s))


async def test_a_stall_is_counted_by_every_request_that_was_due_in_it() -> None:
    """A client that waited for the slow answer before it sent the next one would show a single slow one."""
    async with server(stall_at=STALLED) as port:
        found = await sent(port, 30, paced=True)
    waits = {place: answered - due for place, due, answered in zip(found.place, found.due, found.answered, strict=True)}
    assert sorted(waits) == list(range(30))
    for behind in range(10):
        assert waits[STALLED - 1 + behind] >= STALL_S - behind * EVERY_S - 0.03
    assert min(waits.values()) < STALL_S


async def test_as_fast_as_answers_come_sends_each_request_once_and_stops_in_time() -> None:
    async with server() as port:
        found = await sent(port, 200, paced=False)
        assert sorted(found.place) == list(range(200))
        assert (found.accepted, found.refused) == (200, 0)
        cut = await sent(port, 100_000, paced=False, most_s=0.2)
        assert 0 < len(cut.place) < 100_000
        assert max(cut.due) - min(cut.due) < 0.5


async def test_what_is_not_a_success_is_refused_whatever_it_says() -> None:
    async with server(status=503) as port:
        found = await sent(port, 10, paced=False)
    assert (found.accepted, found.refused) == (0, 10)


async def test_a_server_that_hangs_up_is_an_error_and_no_silence() -> None:
    async with server(hang_up_at=3) as port:
        with pytest.raises(Unavailable, match="closed a connection") as raised:
            await sent(port, 10, paced=False)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)  # it comes from another process
