"""PostgreSQL is put back to an older copy of its files, and Redis, the anchor file and the sources know more than it does.

The copy is a cold one of the cluster's folder, as a base backup is. What was lost is told by the commands an operator types, made up for by
them, and never hidden.
"""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from backend.embedded import account_for, postgres_binaries
from backend.ingest import Acceptance, Ingest
from backend.migrations import migrate
from core.acts import people
from core.acts.audit import system
from core.acts.audit_seals import checkpoint_line
from core.base.errors import NotAllowedNow
from core.base.terms import Label
from core.infra.anchor import append_line
from core.infra.resources import Resources
from core.infra.signing import CHECKPOINTS, keys_of
from core.stores import seals
from core.stores.accepting import Arrival
from tests import servers
from tests.faults import model
from tests.faults.conftest import Note
from tests.faults.payments_at_work import SOURCE, Stream, ledger, private, say, settled, taken
from tests.integration.test_model_commands import ronda
from tests.jobs import running
from tests.servers import Server
from workers.seal import connect_sealer, seal_all

JOBS = ("score", "relay", "rescore", "feedback", "seal")
KEPT, LOST, PER_S = 60, 20, 100.0
TEST = system("test")


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[Server]:
    """One of our own, whose files may be exchanged."""
    async with servers.running_server(servers.start_postgres, tmp_path / "restored") as server:
        await asyncio.to_thread(migrate, server.url)
        yield server


@pytest.fixture
async def resources(
    postgres: Server, valkey_url: str, rabbit_server: Server, tmp_path: Path
) -> AsyncIterator[Resources]:
    async with private(
        postgres.url, valkey_url, rabbit_server.url, tmp_path / "ronda", shards=1, feature_timeout_ms=5000
    ) as resources:
        async with resources.postgres.unit_of_work() as work:
            await people.add_source(work, SOURCE, "Faults", TEST)
        await model.promote(resources)
        yield resources


@asynccontextmanager
async def at_work(resources: Resources) -> AsyncIterator[Ingest]:
    """Ronda runs, and when it ends everything is decided and sealed, and its newest checkpoint anchored."""
    ingest = Ingest(resources)
    ingest.start()
    async with running(resources, *JOBS):
        yield ingest
        await settled(resources, 60)
        await anchored(resources)
    await ingest.stop()


async def anchored(resources: Resources) -> None:
    async with asyncio.timeout(30):
        while True:
            async with resources.postgres.reading() as work:
                newest, waiting = await seals.newest_checkpoint(work), await seals.oldest_unsealed(work)
            if newest and waiting.id is None:
                break
            await asyncio.sleep(0.1)
    assert resources.settings.anchor_file
    append_line(resources.settings.anchor_file, checkpoint_line(newest))


async def newest_seal(resources: Resources) -> int:
    async with resources.postgres.reading() as work:
        newest = await seals.newest(work)
    return newest.n if newest else 0


async def label_fraud(resources: Resources, ident: str) -> None:
    """Once everything is decided, and until it has arrived: then there is one order only."""
    await settled(resources, 60)
    await taken(resources, await say(resources, ident, Label.FRAUD))


async def swapped(server: Server, to: str, kept: str) -> None:
    """The cluster's folder becomes `kept`, a copy of the one named `to` takes its place, owners and all."""
    home = server.data_dir / "postgres"

    def exchange() -> None:
        if to == "cluster":
            subprocess.run(["cp", "-a", home / "cluster", home / kept], check=True)
        else:
            (home / "cluster").rename(home / kept)
            subprocess.run(["cp", "-a", home / to, home / "cluster"], check=True)

    await server.restart(server.stop, exchange)


@pytest.mark.timeout(300)
async def test_an_older_copy_is_put_back(postgres: Server, resources: Resources, note: Note) -> None:
    anchor = resources.settings.anchor_file
    assert anchor
    async with at_work(resources) as ingest:
        stream = Stream(ingest, seed=1)
        await stream.send(KEPT, PER_S)
        await label_fraud(resources, "1-1")
    last = await newest_seal(resources)
    await swapped(postgres, "cluster", "backup")
    async with at_work(resources) as ingest:
        lost = [stream.arrival() for _ in range(LOST)]
        for arrival in lost:
            await ingest.accept([arrival], "key")
        await label_fraud(resources, "1-2")
    gone = await newest_seal(resources)
    assert gone > last
    await swapped(postgres, "backup", "of the future")

    # What is lost is told: by Redis and by the anchor.
    checked = await ronda(resources, "features", "check")
    assert f"Redis is ahead: {LOST} payments in it are not in PostgreSQL" in checked.out
    assert checked.code == 1
    verified = await ronda(resources, "audit", "verify", "--json")
    [fault] = json.loads(verified.out)["faults"]
    assert (verified.code, fault["what"], fault["number"]) == (1, "seal", last + 1)
    assert f"seals {last + 1} to {gone} are missing" in fault["why"]

    # The operator repairs the features and begins a new anchor file; the old one remembers.
    rebuilt = await ronda(resources, "features", "rebuild")
    assert (rebuilt.code, f"{KEPT:,} payments" in rebuilt.out) == (0, True), rebuilt
    remembers = anchor.rename(anchor.with_name("anchor-before-the-restore.txt"))

    async with at_work(resources) as ingest:
        again = Stream(ingest, seed=2)
        statuses = {answer.status for each in lost for answer in await ingest.accept([repeated(each, again)], "key")}
        await label_fraud(resources, "1-3")
        await again.send(LOST, PER_S)
    assert statuses == {Acceptance.ACCEPTED}, "what was lost is new to it"
    checked, verified = await ronda(resources, "features", "check"), await ronda(resources, "audit", "verify")
    assert (checked.code, verified.code) == (0, 0), (checked, verified)
    found = await ledger(resources)
    note(f"put back by {LOST} payments and {gone - last} seals: {found.words()}")
    assert found.accepted == found.decided == KEPT + 2 * LOST
    assert found.differing == 0

    # It does not forget that there was another history, however far this one has come.
    verified = await ronda(resources, "audit", "verify", "--anchor", str(remembers))
    assert verified.code == 1
    assert "restored from an older copy" in verified.out


@pytest.mark.timeout(300)
async def test_a_dump_is_put_back_into_another_cluster(
    resources: Resources, rabbit_server: Server, valkey_url: str, tmp_path: Path, note: Note, long_faults: bool
) -> None:
    """Its transaction ids begin again below those that are sealed, and order nothing any more: the operator moves them on."""
    if not long_faults:
        pytest.skip("a part of --faults long")
    await servers.run_sql(resources.settings.database_url.get_secret_value(), MANY_TRANSACTIONS)
    async with at_work(resources) as ingest:
        await Stream(ingest, seed=1).send(KEPT, PER_S)
    async with servers.running_server(servers.start_postgres, tmp_path / "another") as server:
        await asyncio.to_thread(copy, resources.settings.database_url.get_secret_value(), server.url, tmp_path)
        async with private(
            server.url, valkey_url, rabbit_server.url, tmp_path / "ronda", shards=1, feature_timeout_ms=5000
        ) as restored:
            sealer = connect_sealer(restored.settings)
            with pytest.raises(NotAllowedNow, match="restored from a dump"):
                await seal_all(sealer, keys_of(restored.settings, CHECKPOINTS))
            await sealer.close()
            await server.restart(server.stop, lambda: next_epoch(server))
            async with at_work(restored) as ingest:
                await Stream(ingest, seed=2).send(LOST, PER_S)
            for words in (("features", "check"), ("audit", "verify")):
                ran = await ronda(restored, *words)
                assert ran.code == 0, ran
            found = await ledger(restored)
            note(found.words())
            assert found.accepted == found.decided == KEPT + LOST
            assert found.differing == 0


MANY_TRANSACTIONS = "DO $$ BEGIN FOR i IN 1..20000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
"""More than putting a dump back takes: the database has lived a while."""


def next_epoch(server: Server) -> None:
    """As docs/deploy.md says, by the account that owns the files."""
    cluster, binaries = server.data_dir / "postgres" / "cluster", postgres_binaries()
    account = account_for(cluster, binaries)
    prefix = account.prefix(signal.SIGTERM) if account else []
    subprocess.run([*prefix, binaries / "pg_resetwal", "-e", "1", cluster], check=True)


def copy(url: str, to: str, folder: Path) -> None:
    """Roles and all; each server keeps its password."""
    binaries, dump = postgres_binaries(), folder / "dump.sql"
    with dump.open("wb") as file:
        command = [binaries / "pg_dumpall", "--no-role-passwords", "-d", url]
        subprocess.run(command, env=password_of(url), stdout=file, check=True)
    command = [binaries / "psql", "-q", "-d", to, "-f", dump]
    subprocess.run(command, env=password_of(to), capture_output=True, check=True)


def password_of(url: str) -> dict[str, str]:
    """For tools that connect more than once."""
    return {**os.environ, "PGPASSWORD": unquote(urlsplit(url).password or "")}


def repeated(lost: Arrival, stream: Stream) -> Arrival:
    """The source, which has its 202, sends the same again when it is asked to: another arrival of the same key."""
    new = stream.arrival()
    again = type(new.payment)(**{**{name: getattr(lost.payment, name) for name in SAME}, "uid": new.payment.uid})
    return Arrival(again, lost.body_sha)


SAME = (
    "source_id", "transaction_id", "occurred_at_ms", "accepted_at_ms", "amount_minor", "currency", "customer_id", "card_id",
    "merchant_id", "merchant_category", "device_id", "ip",
)  # fmt: skip
