"""The broker and the database die, hang and come back under load."""

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tests.faults.checker import rows
from tests.faults.client import CUT, payments
from tests.faults.conftest import Profile, Run
from tests.faults.system import frozen
from tests.servers import Server

PER_SECOND, CUSTOMERS = 50, 7


@asynccontextmanager
async def traffic(run: Run, name: str, seed: int) -> AsyncIterator[None]:
    """Payments while the block runs, of few customers: what a server's absence holds up must be scored in its turn all the same."""
    over = asyncio.Event()

    async def post_until_over() -> None:
        for number in itertools.count():
            if over.is_set():
                return
            await run.client.post_all(payments(f"{name}{number}", PER_SECOND, CUSTOMERS, seed), PER_SECOND)

    posting = asyncio.create_task(post_until_over())
    try:
        await asyncio.sleep(1)
        yield
    finally:
        over.set()
        await posting


async def decided_again(run: Run, within_s: float) -> None:
    """Until a payment posted now is decided."""
    [body] = payments(f"now-{len(run.ledger.answers)}", 1, 1, 0)
    await run.client.post_all([body], PER_SECOND)
    query = (
        "SELECT 1 FROM decision d JOIN transaction t ON t.uid = d.transaction_uid "
        "WHERE t.source_id = :source AND t.transaction_id = :ident"
    )
    async with asyncio.timeout(within_s):
        while not await rows(run.resources, query, source=run.source, ident=body["id"]):
            await asyncio.sleep(0.1)


async def killed(server: Server, run: Run) -> None:
    run.system.faults[f"kill -9 {server.running.name}"] += 1
    await server.restart_after_kill()


async def stopped_at_once(server: Server, run: Run) -> None:
    """PostgreSQL's immediate shutdown: no checkpoint, recovery at the next start."""
    run.system.faults["immediate stop"] += 1
    server.running.process.send_signal(signal.SIGQUIT)
    await server.running.wait()
    await server.start()


async def froze(server: Server, run: Run, seconds: float) -> None:
    run.system.faults[f"SIGSTOP {server.running.name} {seconds:g} s"] += 1
    async with frozen(server.running):
        await asyncio.sleep(seconds)


@pytest.mark.timeout(600)
async def test_the_broker_dies_and_hangs(run: Run, rabbit_server: Server, profile: Profile, seed: int) -> None:
    async with traffic(run, "broker", seed):
        for _ in range(profile.of(1, 5)):
            await killed(rabbit_server, run)
            await decided_again(run, within_s=30)
        for _ in range(profile.of(1, 2)):
            await froze(rabbit_server, run, profile.of(6, 20))
            await decided_again(run, within_s=30)
    await run.settle(seed)
    assert run.ledger.share(202) >= 0.999, "accepting must not need the broker"


@pytest.mark.timeout(600)
async def test_the_database_dies_and_hangs(run: Run, postgres_server: Server, profile: Profile, seed: int) -> None:
    faults: list[Callable[[], Awaitable[None]]] = [
        *[lambda: killed(postgres_server, run)] * profile.of(2, 5),
        lambda: stopped_at_once(postgres_server, run),
        lambda: froze(postgres_server, run, profile.of(3, 10)),
    ]
    async with traffic(run, "database", seed):
        for fault in faults:
            await fault()
            await decided_again(run, within_s=15)
    found = await run.settle(seed)
    assert set(run.ledger.attempts) <= {202, 503, CUT}
    assert 503 in run.ledger.attempts, "the database was never missed: the test shows nothing"
    assert run.ledger.hasty == 0
    assert found.acknowledged == found.sent


@pytest.mark.timeout(600)
async def test_every_process_is_replaced_under_load(run: Run, profile: Profile, seed: int) -> None:
    """As a deployment does it: one after the other is told to stop and started again."""
    if not profile.long:
        pytest.skip("a part of --faults long")
    async with traffic(run, "replaced", seed):
        for process in run.system.processes:
            run.system.faults["SIGTERM"] += 1
            stopped = process.running
            process.send(signal.SIGTERM)
            assert stopped is not None
            assert await asyncio.wait_for(stopped.wait(), 30) in (0, -signal.SIGTERM), process.name
            if process is run.system.web:
                await run.system.answers()
    await run.settle(seed)
    assert set(run.ledger.attempts) <= {202, 503, CUT}
