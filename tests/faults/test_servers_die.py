"""The broker and the database die, hang, refuse work, lose their data and come back under load."""

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest

from core.base.clock import utc_now
from core.base.errors import Unavailable
from core.contracts.topology import score_queue
from tests import servers
from tests.faults.checker import rows
from tests.faults.client import CUT, payments
from tests.faults.conftest import Profile, Run
from tests.faults.system import frozen
from tests.servers import Server, lose_everything, rabbitmqctl
from workers.reconcile import reconcile_once

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


ALARMS = {
    "memory": (("set_vm_memory_high_watermark", "absolute", "1"), ("set_vm_memory_high_watermark", "0.4")),
    "disk": (("set_disk_free_limit", "1000000GB"), ("set_disk_free_limit", "100MB")),
}
"""How an alarm is brought about, and how it ends."""


async def unsent(run: Run) -> int:
    return int((await rows(run.resources, "SELECT count(*) AS n FROM outbox WHERE sent_at IS NULL"))[0].n)


async def undecided(run: Run) -> int:
    query = (
        "SELECT count(*) AS n FROM transaction t WHERE source_id = :source "
        "AND NOT EXISTS (SELECT FROM decision WHERE transaction_uid = t.uid)"
    )
    return int((await rows(run.resources, query, source=run.source))[0].n)


@pytest.mark.timeout(600)
async def test_the_broker_blocks_its_publishers(run: Run, rabbit_server: Server, profile: Profile, seed: int) -> None:
    for kind in ["memory", "disk"][: profile.of(1, 2)]:
        begin, end = ALARMS[kind]
        async with traffic(run, kind, seed):
            await rabbitmqctl(rabbit_server, *begin)
            run.system.faults[f"{kind} alarm"] += 1
            try:
                await asyncio.sleep(profile.of(5, 30))
                waiting = await unsent(run)
            finally:
                await rabbitmqctl(rabbit_server, *end)
            await decided_again(run, within_s=30)
        assert waiting > PER_SECOND, "the alarm was not felt"
    await run.settle(seed)
    assert run.ledger.share(202) >= 0.999, "accepting must not need the broker"


@pytest.mark.timeout(600)
async def test_the_broker_loses_all_its_data(run: Run, rabbit_server: Server, profile: Profile, seed: int) -> None:
    """Everything was confirmed and nothing scored yet. The processes that go on make the queues again, and the reconciler fills them."""
    await asyncio.gather(*(scorer.stop() for scorer in run.system.scorers))
    bodies = payments("wiped", profile.of(150, 2000), CUSTOMERS, seed)
    assert set(await run.client.post_all(bodies, 200)) == {202}
    async with asyncio.timeout(30):
        while await unsent(run):
            await asyncio.sleep(0.1)
    await rabbit_server.restart(rabbit_server.kill, lambda: lose_everything(rabbit_server))
    run.system.faults["broker's data lost"] += 1
    await queues_are_there(run, within_s=30)
    for scorer in run.system.scorers:
        scorer.start()
    await asyncio.sleep(2)
    assert await undecided(run) == len(bodies), "nothing was lost: the test shows nothing"
    async with asyncio.timeout(120):
        while await undecided(run):
            await reconcile_once(run.resources, utc_now() + timedelta(minutes=2))
            await asyncio.sleep(0.2)
    await decided_again(run, within_s=30)
    await run.settle(seed)


async def queues_are_there(run: Run, within_s: float) -> None:
    async with asyncio.timeout(within_s):
        for shard in range(run.system.settings.shards):
            while True:
                with suppress(Unavailable):
                    await run.resources.bus.depth(score_queue(shard))
                    break
                await asyncio.sleep(0.1)


@pytest.mark.timeout(600)
async def test_the_database_takes_no_writes(run: Run, postgres_server: Server, profile: Profile, seed: int) -> None:
    """As a server that is no primary any more; it is restarted meanwhile. Scorers hold payments that they cannot decide."""
    returned, url = run.system.logs("batch goes back"), postgres_server.url
    for _ in range(profile.of(1, 3)):
        async with traffic(run, f"refused{len(run.ledger.answers)}-", seed):
            for scorer in run.system.scorers:
                scorer.send(signal.SIGSTOP)
            await asyncio.sleep(0.5)
            await servers.run_sql(url, *READ_ONLY)
            run.system.faults["read only"] += 1
            waiting = await undecided(run)
            for scorer in run.system.scorers:
                scorer.send(signal.SIGCONT)
            await asyncio.sleep(1.5)
            await postgres_server.restart(postgres_server.stop)
            run.system.faults["fast restart"] += 1
            await asyncio.sleep(profile.of(1, 10))
            await servers.run_sql(url, *READ_WRITE)
            await decided_again(run, within_s=15)
        assert waiting > 0, "nobody held anything: the test shows nothing"
    found = await run.settle(seed)
    assert set(run.ledger.attempts) <= {202, 503, CUT}
    assert 503 in run.ledger.attempts, "no write was refused: the test shows nothing"
    assert run.ledger.hasty == 0
    assert found.acknowledged == found.sent
    assert run.system.logs("a batch waits for a server") > 0
    assert run.system.logs("batch goes back") == returned, "an outage was held against messages"


READ_ONLY = ("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
READ_WRITE = ("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")


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
