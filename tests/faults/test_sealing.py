"""Eight writers whose transactions last up to 300 ms and roll back one time in ten, and a sealer beside them: every event that stays is
sealed exactly once.
"""

import asyncio
import random
from collections import Counter
from uuid import uuid4

import pytest
from alembic import command
from pydantic import SecretStr

from backend.migrations import _config, migrate
from core.acts import audit
from core.acts.audit import Event, system
from core.acts.audit_seals import seal_next
from core.acts.audit_verify import verify
from core.base.settings import Settings
from core.base.terms import Action
from core.infra.postgres import Postgres, connect_postgres
from core.infra.signing import CHECKPOINTS, KeyPair, Keys
from core.stores import ledger, seals
from tests import servers
from tests.faults.conftest import Note
from tests.servers import Server
from workers.seal import connect_sealer, seal_all

SEED = 18
WRITERS = 8
SECONDS = 10.0


class RolledBack(Exception):
    pass


async def write(postgres: Postgres, writer: int, until: float, written: Counter[str]) -> None:
    """Several events a transaction, the time spread between them, so that ids of one transaction lie between those of others."""
    chance, number = random.Random(SEED * 100 + writer), 0
    now = asyncio.get_running_loop().time
    while now() < until:
        subjects = [f"{writer}-{number}-{part}" for part in range(chance.randrange(1, 4))]
        number += 1
        pause = chance.uniform(0, 0.3) / len(subjects)
        try:
            async with postgres.unit_of_work() as work:
                for subject in subjects:
                    await audit.record(work, Event(system("test"), Action.SOURCE_ADD, "source", subject))
                    await asyncio.sleep(pause)
                if chance.random() < 0.1:
                    raise RolledBack
        except RolledBack:
            continue
        written.update(subjects)


async def test_every_event_is_sealed_exactly_once(postgres_url: str, note: Note) -> None:
    keys = Keys(KeyPair.new().private, (), use=CHECKPOINTS)
    application = connect_postgres(postgres_url, role="ronda_app", pool=WRITERS + 1, application="test")
    sealers = [connect_sealer(Settings(database_url=SecretStr(postgres_url))) for _ in range(2)]
    written, until = Counter[str](), asyncio.get_running_loop().time() + SECONDS
    writers = asyncio.gather(*(write(application, writer, until, written) for writer in range(WRITERS)))
    while not writers.done():
        await asyncio.gather(*(seal_all(sealer, keys) for sealer in sealers))
        await asyncio.sleep(0.02)
    await writers
    await seal_all(sealers[0], keys)

    sealed = Counter[str]()
    async with application.reading() as work:
        last = await seals.newest(work)
        assert last is not None
        async for seal, _ in seals.walk(work, until=last.n):
            rows = await ledger.of_a_seal(work, seal.xid_lo, seal.xid_hi)
            assert len(rows) == seal.count
            sealed.update(row.subject_id for row in rows)
        found = await verify(work, keys, None)
    for postgres in (application, *sealers):
        await postgres.close()
    missed, doubled = written - sealed, sealed - written
    note(f"seed {SEED}: {written.total():,} events, {last.n} seals, {missed.total()} missed, {doubled.total()} doubled")
    assert (missed, doubled, found.faults, found.unsealed) == (Counter(), Counter(), [], 0)
    assert written.total() > 200


async def test_writers_who_never_rest_do_not_keep_the_sealer_in_one_round(postgres_url: str) -> None:
    keys = Keys(KeyPair.new().private, (), use=CHECKPOINTS)
    application = connect_postgres(postgres_url, role="ronda_app", pool=2, application="test")
    sealer = connect_sealer(Settings(database_url=SecretStr(postgres_url)))
    resting = asyncio.Event()

    async def write_on() -> None:
        while not resting.is_set():
            async with application.unit_of_work() as work:
                await audit.record(work, Event(system("test"), Action.SOURCE_ADD, "source", "again"))

    writing = asyncio.create_task(write_on())
    rounds = []
    for _ in range(5):
        await asyncio.sleep(0.1)
        rounds.append(await asyncio.wait_for(seal_all(sealer, keys), 10))
    resting.set()
    await writing
    await seal_all(sealer, keys)
    for postgres in (application, sealer):
        await postgres.close()
    assert [len(made) for made in rounds] == [1] * 5
    assert min(made[0].count for made in rounds) > 1


@pytest.mark.parametrize("most", [1, 3, 1000])
async def test_a_backlog_is_sealed_in_pieces_and_no_transaction_is_cut(postgres_url: str, most: int) -> None:
    keys = Keys(KeyPair.new().private, (), use=CHECKPOINTS)
    application = connect_postgres(postgres_url, role="ronda_app", pool=2, application="test")
    sealer = connect_sealer(Settings(database_url=SecretStr(postgres_url)))
    for number, count in enumerate([2, 5, 1, 1, 4]):
        async with application.unit_of_work() as work:
            events = [Event(system("test"), Action.SOURCE_ADD, "source", f"b{number}-{n}") for n in range(count)]
            await audit.record(work, *events)
    counts = []
    while True:
        async with sealer.unit_of_work() as work:
            sealed = await seal_next(work, keys, most=most)
        if sealed is None:
            break
        counts.append(sealed.count)
    await application.close()
    await sealer.close()
    assert counts == {1: [2, 5, 1, 1, 4], 3: [2, 5, 2, 4], 1000: [13]}[most]


async def test_a_sealed_trail_stays_whole_when_it_is_moved_into_months(postgres_server: Server) -> None:
    name = f"test_{uuid4().hex[:12]}"
    url = servers.with_database(postgres_server.url, name)
    keys = Keys(KeyPair.new().private, (), use=CHECKPOINTS)
    await servers.run_sql(postgres_server.url, f"CREATE DATABASE {name}")
    application = connect_postgres(url, role="ronda_app", pool=1, application="test")
    sealer = connect_sealer(Settings(database_url=SecretStr(url)))
    try:
        await asyncio.to_thread(command.upgrade, _config(url), "0006")
        for part in ("before", "after"):
            async with application.unit_of_work() as work:
                await audit.record(work, *(Event(system("test"), Action.SOURCE_ADD, "source", part) for _ in range(5)))
            await seal_all(sealer, keys)
            await asyncio.to_thread(migrate, url)
            await sealer.close()
            await application.close()
        async with application.reading() as work:
            found = await verify(work, keys, None)
            ids = [row.id async for row in ledger.in_commit_order(work)]
    finally:
        await application.close()
        await sealer.close()
        await servers.run_sql(postgres_server.url, f"DROP DATABASE {name} WITH (FORCE)")
    assert (found.faults, found.seals, ids) == ([], 2, list(range(1, 11)))
