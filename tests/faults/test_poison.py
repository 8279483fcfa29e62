"""Poison among honest payments, on both buses: exactly the poison dies, and everybody gets an answer."""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

import pytest
from sqlalchemy import text

from backend.embedded_process import tethered
from core.base.ids import new_uuid
from core.contracts.messages import LabelsRecorded, Payment, ScoreBatch, encode
from core.contracts.topology import DEAD, SUSPECT, score_queue
from core.infra.bus import Outgoing
from core.infra.resources import Resources
from core.stores import dead_letters
from tests.faults.conftest import Note
from tests.poison import accept, payments
from workers.bury import bury
from workers.runner import JobContext

SHORT, LONG = (300, 2, 6), (5_000, 20, 50)
"""Messages, crashing payments and unreadable messages among them."""
A_MESSAGE = 50
WITHIN_S = 180.0
SEED = 20


@dataclass(frozen=True)
class Account:
    """What became of it all. lost: accepted and neither decided nor on its way. doubled: decided or alerted more than once."""

    accepted: int
    decided: int
    unscored: int
    dead: int
    lost: int
    doubled: int


@asynccontextmanager
async def scorer(resources: Resources) -> AsyncIterator[list[int]]:
    """Exit codes of the scorers that died so far."""
    settings = resources.settings
    environment = {
        "RONDA_DATABASE_URL": settings.database_url.get_secret_value(),
        "RONDA_REDIS_URL": settings.redis_url.get_secret_value(),
        "RONDA_BUS_URL": settings.bus_url.get_secret_value(),
        "RONDA_DATA_DIR": str(settings.data_dir),
        "RONDA_SHARDS": str(settings.shards),
    }
    command = (*tethered(signal.SIGKILL), sys.executable, "-m", "tests.faults.poisoned")
    process = await asyncio.create_subprocess_exec(
        *command, env=os.environ | environment, stdout=asyncio.subprocess.PIPE
    )
    deaths: list[int] = []

    async def count() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            deaths.append(int(line))  # noqa: PERF401 - read by the test meanwhile

    counting = asyncio.create_task(count())
    try:
        yield deaths
    finally:
        process.terminate()
        await process.wait()
        await counting


@asynccontextmanager
async def burying(resources: Resources) -> AsyncIterator[None]:
    context = JobContext(resources, asyncio.Event())
    task = asyncio.create_task(bury(context))
    try:
        yield
    finally:
        context.stopping.set()
        await task


def unreadable(luck: random.Random, number: int) -> bytes:
    """Noise, a message cut short, and one that belongs elsewhere."""
    whole = encode(ScoreBatch(shard=0, payments=payments(1)))
    return [luck.randbytes(200), whole[: luck.randrange(len(whole))], encode(LabelsRecorded(labels=[]))][number % 3]


async def account(resources: Resources, sent: Sequence[Payment]) -> Account:
    statement = text(
        "SELECT count(*), count(*) FILTER (WHERE d > 0), count(*) FILTER (WHERE absent), "
        "count(*) FILTER (WHERE d > 1 OR a > 1) FROM (SELECT "
        "(SELECT count(*) FROM decision WHERE transaction_uid = t.uid) AS d, "
        "(SELECT count(*) FROM alert WHERE transaction_uid = t.uid) AS a, "
        "EXISTS (SELECT FROM decision WHERE transaction_uid = t.uid AND features_status = 'absent') AS absent "
        "FROM transaction t WHERE uid = ANY(:uids)) AS counted"
    )
    async with resources.postgres.reading() as work:
        found = (await work.run(statement, {"uids": [one.uid for one in sent]})).one()
        dead = await dead_letters.count_waiting(work)
    accepted, decided, unscored, doubled = found
    return Account(accepted, decided, unscored, dead, len(sent) - decided, doubled)


async def quiet(resources: Resources) -> bool:
    names = [*(score_queue(shard) for shard in range(resources.settings.shards)), SUSPECT, DEAD]
    return not any([await resources.bus.depth(name) for name in names])


@pytest.mark.timeout(400)
async def test_exactly_the_poison_dies(on_bus: Resources, note: Note, long_faults: bool) -> None:
    luck = random.Random(SEED)
    messages, crashers, unreadables = LONG if long_faults else SHORT
    count = messages - unreadables
    sent = payments(count, set(luck.sample(range(count), crashers)))
    batches = [sent[start : start + A_MESSAGE] for start in range(0, count, A_MESSAGE)]
    async with on_bus.postgres.reading() as work:
        before = await dead_letters.count_waiting(work)
    noise = [
        Outgoing(score_queue(number % on_bus.settings.shards), str(new_uuid()), unreadable(luck, number))
        for number in range(unreadables)
    ]
    half = len(batches) // 2
    await accept(on_bus, batches[:half])
    await on_bus.bus.publish(noise)
    await accept(on_bus, batches[half:])
    began = time.monotonic()
    async with burying(on_bus), scorer(on_bus) as deaths, asyncio.timeout(WITHIN_S):
        while True:
            found = await account(on_bus, sent)
            if not found.lost and found.dead - before >= crashers + unreadables and await quiet(on_bus):
                break
            await asyncio.sleep(0.5)
        # Long enough for a message that an acknowledgement missed to come back and be stored a second time.
        await asyncio.sleep(2.0)
        found = await account(on_bus, sent)
    ledger = asdict(found) | {"dead": found.dead - before, "deaths of the scorer": len(deaths)}
    words = ", ".join(f"{name} {number:,}" for name, number in ledger.items())
    note(f"seed {SEED}: {words}; {time.monotonic() - began:.1f} s")
    assert found == Account(count, count, crashers, before + crashers + unreadables, lost=0, doubled=0)
    assert deaths.count(9) >= 3 * crashers
