"""A line: short transactions on a connection of one's own, which is opened anew when it was lost."""

import asyncio
from collections.abc import Iterator
from uuid import UUID, uuid4

import asyncpg
import pytest

from backend.embedded_process import free_port
from core.base.clock import utc_now
from core.base.errors import Unavailable
from core.infra.postgres import Bundle, Line, Work, connect_postgres
from core.infra.resources import Resources
from core.stores import flow
from core.stores.recordset import insert_rows
from core.tables.flow import OutboxMessage


@pytest.fixture
def line(resources: Resources) -> Iterator[Line]:
    line = resources.postgres.line()
    yield line
    line.close()


async def stored(resources: Resources, ident: UUID) -> bool:
    async with resources.postgres.reading() as work:
        return bool(await work.fetch("SELECT 1 FROM outbox WHERE id = $1", ident))


async def add(work: Work, ident: UUID) -> None:
    now = utc_now()
    row = {"id": ident, "queue": "nowhere", "body": b"\x00\xff", "created_at": now, "next_at": now}
    await flow.add_outbox(work, [row])


async def test_it_commits_and_stores_bytes_as_they_are(resources: Resources, line: Line) -> None:
    ident = uuid4()
    async with line.unit_of_work() as work:
        await add(work, ident)
        [[body]] = await work.fetch("SELECT body FROM outbox WHERE id = $1", ident)
        await flow.mark_sent(work, [ident], utc_now())
    assert body == b"\x00\xff"
    assert await stored(resources, ident)


async def test_nothing_stays_of_a_block_that_fails(resources: Resources, line: Line) -> None:
    ident = uuid4()

    async def fail() -> None:
        async with line.unit_of_work() as work:
            await add(work, ident)
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert not await stored(resources, ident)


async def test_a_connection_that_was_ended_is_opened_anew(postgres_url: str, line: Line) -> None:
    async def end(pid: int) -> None:
        connection = await asyncpg.connect(postgres_url)
        await connection.fetch("SELECT pg_terminate_backend($1)", pid)
        await connection.close()

    async def pid(*, ended_within: bool = False) -> int:
        async with line.unit_of_work() as work:
            [[pid]] = await work.fetch("SELECT pg_backend_pid()")
            if ended_within:
                await end(pid)
                await work.fetch("SELECT 1")
        return int(pid)

    with pytest.raises(Unavailable):
        await pid(ended_within=True)
    first = await pid()
    assert await pid() == first
    await end(first)
    await asyncio.sleep(0.2)  # between two transactions nobody needs to notice
    assert await pid() != first


async def test_a_server_that_takes_no_work_is_away(line: Line) -> None:
    async def write() -> None:
        async with line.unit_of_work() as work:
            await work.fetch("SET TRANSACTION READ ONLY")
            await add(work, uuid4())

    with pytest.raises(Unavailable):
        await write()


async def test_a_server_that_is_not_there_is_away() -> None:
    postgres = connect_postgres(f"postgresql://x@127.0.0.1:{free_port()}/x", role=None, pool=1, application="test")
    with pytest.raises(Unavailable):
        async with postgres.line().unit_of_work():
            pytest.fail("nobody is there")


async def test_transactions_wait_for_one_another(line: Line) -> None:
    async def one() -> None:
        async with line.unit_of_work() as work:
            await work.fetch("SELECT pg_sleep(0.01)")

    await asyncio.gather(*(one() for _ in range(5)))


TAIL = "ON CONFLICT (id) DO NOTHING RETURNING id"


def outbox_rows(*idents: UUID) -> list[dict[str, object]]:
    now = utc_now()
    return [{"id": ident, "queue": "nowhere", "body": b"\x00", "created_at": now, "next_at": now} for ident in idents]


async def bundle_of(*parts: list[dict[str, object]]) -> Bundle:
    bundle = Bundle()
    for part in parts:
        await insert_rows(bundle, OutboxMessage, [{**row, "attempts": 0} for row in part], tail=TAIL)
    return bundle


async def test_a_bundle_is_committed_as_one(resources: Resources, line: Line) -> None:
    first, second, third = uuid4(), uuid4(), uuid4()
    assert await line.at_once(await bundle_of(outbox_rows(first, second), outbox_rows(third)), rows=2)
    assert all([await stored(resources, ident) for ident in (first, second, third)])


async def test_nothing_stays_of_a_bundle_that_is_not_all_new(resources: Resources, line: Line) -> None:
    old, new, other = uuid4(), uuid4(), uuid4()
    async with line.unit_of_work() as work:
        await add(work, old)
        [[pid]] = await work.fetch("SELECT pg_backend_pid()")
    assert not await line.at_once(await bundle_of(outbox_rows(old, new), outbox_rows(other)), rows=2)
    assert not await stored(resources, new)
    assert not await stored(resources, other)
    async with line.unit_of_work() as work:
        assert await work.fetch("SELECT pg_backend_pid()") == [(pid,)], "the connection is still good"


async def test_a_bundle_for_a_server_that_takes_no_work_raises(resources: Resources, line: Line) -> None:
    ident = uuid4()
    async with line.unit_of_work() as work:
        await work.fetch("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    with pytest.raises(Unavailable):
        await line.at_once(await bundle_of(outbox_rows(ident)), rows=1)
    assert await line.at_once(await bundle_of(outbox_rows(ident)), rows=1), "over a new connection"
