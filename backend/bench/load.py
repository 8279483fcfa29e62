"""The load, in processes of its own: as fast as answers come (closed loop), or at fixed times whatever the answers do (open loop)."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from backend.bench.wire import Connection, connections
from core.base.heap import keep_for_good

PROCESSES = 2
ACCEPTED = b'"status":"accepted"'
DECIDED = b'"status":"decided"'


@dataclass(frozen=True)
class Plan:
    """`at`: when each request is to be sent, in seconds of `time.time()`; empty = closed loop. `most_s`: nothing new is sent after it."""

    port: int
    requests: Sequence[tuple[int, bytes]]
    """Each with its place among all."""
    connections: int
    begin: float
    at: Sequence[float] = ()
    most_s: float = 60.0


@dataclass(frozen=True)
class Sent:
    """Of each request that was answered: its place among all, and `due` and `answered` in seconds of `time.time()`.

    `accepted`: payments that the answers call accepted or decided.
    """

    place: list[int]
    due: list[float]
    answered: list[float]
    accepted: int
    refused: int


def drive(plan: Plan) -> Sent:
    """Runs in a process of the pool."""
    import uvloop

    keep_for_good()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Driver(plan).run())


class _Driver:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._place: list[int] = []
        self._due: list[float] = []
        self._answered: list[float] = []
        self._accepted = self._refused = 0

    async def run(self) -> Sent:
        opened = await connections(self._plan.port, self._plan.connections)
        try:
            await asyncio.sleep(max(0.0, self._plan.begin - time.time()))
            await (self._open_loop(opened) if self._plan.at else self._closed_loop(opened))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        finally:
            for connection in opened:
                connection.close()
        return Sent(self._place, self._due, self._answered, self._accepted, self._refused)

    async def _closed_loop(self, opened: Sequence[Connection]) -> None:
        waiting = iter(self._plan.requests)
        async with asyncio.TaskGroup() as group:
            for connection in opened:
                group.create_task(self._ask_on(connection, waiting))

    async def _ask_on(self, connection: Connection, waiting: Iterator[tuple[int, bytes]]) -> None:
        until = self._plan.begin + self._plan.most_s
        for place, request in waiting:
            due = time.time()
            if due > until:
                return
            self._note(place, due, *await connection.ask(request))

    async def _open_loop(self, opened: Sequence[Connection]) -> None:
        """A request whose time has come waits for a free connection if it must, and the wait counts."""
        free: asyncio.Queue[Connection] = asyncio.LifoQueue()
        for connection in opened:
            free.put_nowait(connection)

        async def ask(place: int, due: float, request: bytes) -> None:
            connection = await free.get()
            try:
                self._note(place, due, *await connection.ask(request))
            finally:
                free.put_nowait(connection)

        async with asyncio.TaskGroup() as group:
            for due, (place, request) in zip(self._plan.at, self._plan.requests, strict=True):
                if (early := due - time.time()) > 0:
                    await asyncio.sleep(early)
                group.create_task(ask(place, due, request))

    def _note(self, place: int, due: float, status: int, body: bytes) -> None:
        self._place.append(place)
        self._due.append(due)
        self._answered.append(time.time())
        if status < 300:
            self._accepted += body.count(ACCEPTED) + body.count(DECIDED)
        else:
            self._refused += 1


class Generator:
    """Keeps its processes, so that no measure waits for a start."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    async def send(
        self, port: int, requests: Sequence[bytes], *, connections: int, rate: float = 0.0, most_s: float = 60.0
    ) -> Sent:
        """`rate`: requests a second, at equal distances; 0 = closed loop. The processes take turns in the order of the requests."""
        begin, numbered = time.time() + 0.3, list(enumerate(requests))
        plans = [
            Plan(
                port,
                numbered[place::PROCESSES],
                connections // PROCESSES,
                begin,
                [begin + number / rate for number in range(place, len(requests), PROCESSES)] if rate else (),
                most_s,
            )
            for place in range(PROCESSES)
        ]
        loop = asyncio.get_running_loop()
        parts = await asyncio.gather(*(loop.run_in_executor(self._pool, drive, plan) for plan in plans))
        return Sent(
            [place for part in parts for place in part.place],
            [due for part in parts for due in part.due],
            [answered for part in parts for answered in part.answered],
            sum(part.accepted for part in parts),
            sum(part.refused for part in parts),
        )
