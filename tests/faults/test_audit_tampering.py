"""Eleven ways to falsify the audit trail, twenty random places each, by somebody who may do anything in the database.

Every one must be found, and where it was done must be named. The attacks run on the real database, as its superuser with the triggers
off, each in a transaction that is rolled back afterwards. Seed, count and time are printed.
"""

import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from core.acts import audit
from core.acts.audit import Event, recomputed_leaf, system
from core.acts.audit_bundle import verify as auditor
from core.acts.audit_proof import prove, seal_as_json
from core.acts.audit_seals import checkpoint_line, entry_of, peaks_at, seal_hash, signed_checkpoint
from core.acts.audit_verify import Verification, verify
from core.base.clock import utc_now
from core.base.ids import new_uuid
from core.base.merkle import node, root_of
from core.base.settings import Settings
from core.base.terms import Action
from core.infra.postgres import Postgres, UnitOfWork, connect_postgres
from core.infra.signing import CHECKPOINTS, KeyPair, Keys
from core.stores import ledger, seals
from core.stores.ledger import SealableEvent
from core.tables.ledger import AuditSeal
from tests.faults.conftest import Note
from workers.seal import connect_sealer, seal_all

SEED = 20_261_124
PLACES = 20
SEALS = 24


@dataclass(frozen=True)
class Log:
    """A sealed trail as it was written. `anchor`: the checkpoint of the newest seal, kept elsewhere."""

    superuser: Postgres
    keys: Keys
    seals: Sequence[AuditSeal]
    events: dict[int, list[SealableEvent]]
    """By seal."""
    anchor: Sequence[str]


@dataclass
class Attack:
    """What an attack works with. It returns the findings of which one must be the first that the verifier names."""

    work: UnitOfWork
    log: Log
    chance: random.Random
    anchor: list[str]

    async def sql(self, statement: str, **values: Any) -> Any:
        return await self.work.run(text(statement), values)

    def seal(self, *, least: int = 1) -> AuditSeal:
        return self.chance.choice([seal for seal in self.log.seals if seal.count >= least])

    def event(self, seal: AuditSeal) -> SealableEvent:
        return self.chance.choice(self.log.events[seal.n])


Places = set[tuple[str, int]]
COLUMNS = ", ".join(SealableEvent._fields)
COPY = (
    f"INSERT INTO audit_event ({COLUMNS}) OVERRIDING SYSTEM VALUE VALUES (:id, CAST(CAST(:xid AS text) AS xid8), :at, :event_id, "
    ":actor_type, :actor_id, :action, :subject_type, :subject_id, :result, :detail, :written_at, :leaf)"
)


async def write(attack: Attack, row: SealableEvent) -> None:
    await attack.sql(COPY, **(row._asdict() | {"xid": str(row.xid)}))


def relabelled(row: SealableEvent, **changes: Any) -> SealableEvent:
    """With a leaf that fits: an insider knows how it is made."""
    changed = row._replace(**changes)
    return changed._replace(leaf=recomputed_leaf(changed))


async def edit(attack: Attack) -> Places:
    seal = attack.seal()
    row = attack.event(seal)
    column, value = attack.chance.choice(
        [
            ("actor_id", "somebody"), ("action", "label.record"), ("subject_id", "other"), ("detail", "{}"),
            ("result", "refused"), ("actor_type", "user"), ("subject_type", "alert"), ("event_id", new_uuid()),
            ("written_at", row.written_at + timedelta(microseconds=1)), ("at", row.at + timedelta(microseconds=1)),
        ]
    )  # fmt: skip
    changed = row._replace(**{column: value})
    leaf = recomputed_leaf(changed) if attack.chance.random() < 0.5 else row.leaf
    await attack.sql(
        f"UPDATE audit_event SET {column} = :value, leaf = :leaf WHERE id = :id", value=value, leaf=leaf, id=row.id
    )
    return {("event", row.id), ("seal", seal.n)}


async def delete(attack: Attack) -> Places:
    seal = attack.seal()
    await attack.sql("DELETE FROM audit_event WHERE id = :id", id=attack.event(seal).id)
    return {("seal", seal.n)}


async def insert(attack: Attack) -> Places:
    seal = attack.seal()
    row = attack.event(seal)
    await write(attack, relabelled(row, id=10**9, event_id=new_uuid(), actor_id="somebody"))
    return {("seal", seal.n)}


async def swap(attack: Attack) -> Places:
    seal = attack.seal(least=2)
    one, other = attack.chance.sample(attack.log.events[seal.n], 2)
    await attack.sql("DELETE FROM audit_event WHERE id IN (:one, :other)", one=one.id, other=other.id)
    await write(attack, one._replace(id=other.id, xid=other.xid, at=other.at))
    await write(attack, other._replace(id=one.id, xid=one.xid, at=one.at))
    return {("seal", seal.n)}


async def duplicate_leaf(attack: Attack) -> Places:
    """The last event of an odd level twice, and the seal's count made to fit."""
    seal = attack.chance.choice([seal for seal in attack.log.seals if seal.count % 2])
    await attack.sql("ALTER TABLE audit_event DROP CONSTRAINT audit_event_pkey")
    await attack.sql("ALTER TABLE audit_event DROP CONSTRAINT IF EXISTS audit_event_event_id_key")
    await write(attack, attack.log.events[seal.n][-1])
    longer = AuditSeal(**seal.model_dump() | {"count": seal.count + 1})
    await attack.sql(
        "UPDATE audit_seal SET count = :count, hash = :hash WHERE n = :n",
        n=seal.n,
        count=longer.count,
        hash=seal_hash(longer),
    )
    return {("seal", seal.n)}


async def forged_xid(attack: Attack) -> Places:
    seal, other = attack.chance.sample(list(attack.log.seals), 2)
    xid = attack.event(other).xid
    await attack.sql(
        "UPDATE audit_event SET xid = CAST(CAST(:xid AS text) AS xid8) WHERE id = :id",
        xid=str(xid),
        id=attack.event(seal).id,
    )
    return {("seal", min(seal.n, other.n))}


async def truncated_tail(attack: Attack) -> Places:
    """Events, seals and checkpoints from a place on: what is left fits together. The anchor remembers."""
    kept = attack.chance.randrange(1, SEALS)
    await attack.sql("DELETE FROM audit_event WHERE xid >= (SELECT xid_lo FROM audit_seal WHERE n = :n)", n=kept + 1)
    await attack.sql("DELETE FROM audit_seal WHERE n > :n", n=kept)
    await attack.sql("DELETE FROM audit_checkpoint WHERE size > :n", n=kept)
    return {("seal", kept + 1)}


async def signed_again(attack: Attack) -> Places:
    """An event is rewritten, and everything over it made anew and signed: with a key that is not the sealer's."""
    first = attack.seal()
    victim = attack.event(first)
    await attack.sql("DELETE FROM audit_event WHERE id = :id", id=victim.id)
    await write(attack, relabelled(victim, actor_id="somebody"))
    forger = Keys(KeyPair.new().private, (), use=CHECKPOINTS)
    peaks = await peaks_at(attack.work, first.n - 1)
    prev = first.prev
    await attack.sql("DELETE FROM audit_seal WHERE n >= :n", n=first.n)
    await attack.sql("DELETE FROM audit_checkpoint WHERE size >= :n", n=first.n)
    attack.work.session.expunge_all()
    for seal in attack.log.seals[first.n - 1 :]:
        rows = await ledger.of_a_seal(attack.work, seal.xid_lo, seal.xid_hi)
        forged = AuditSeal(**seal.model_dump() | {"root": root_of([entry_of(row) for row in rows]), "prev": prev})
        forged.hash = prev = seal_hash(forged)
        forged.subtree = peaks.append(forged.hash)
        await seals.append(attack.work, forged, signed_checkpoint(forger, seal.n, peaks.root(), seal.at))
    return {("checkpoint", first.n)}


async def two_roots(attack: Attack) -> Places:
    """The sealer itself told somebody else another root for the same size."""
    size, now = attack.seal().n, utc_now()
    attack.anchor.insert(0, checkpoint_line(signed_checkpoint(attack.log.keys, size, attack.chance.randbytes(32), now)))
    return {("anchor", size)}


ATTACKS: list[Callable[[Attack], Awaitable[Places]]] = [
    edit, delete, insert, swap, duplicate_leaf, forged_xid, truncated_tail, signed_again, two_roots,
]  # fmt: skip


@pytest.fixture(scope="module")
async def log(postgres_url: str) -> AsyncIterator[Log]:
    settings = Settings(database_url=SecretStr(postgres_url))
    keys, chance = Keys(KeyPair.new().private, (), use=CHECKPOINTS), random.Random(SEED)
    writer, superuser = (
        connect_postgres(postgres_url, role=role, pool=1, application="test") for role in (settings.database_role, None)
    )
    sealer = connect_sealer(settings)
    made: list[AuditSeal] = []
    for place in range(SEALS):
        for _ in range(chance.randrange(1, 4)):
            async with writer.unit_of_work() as work:
                subjects = [f"s{place}-{n}" for n in range(chance.randrange(1, 5))]
                await audit.record(
                    work,
                    *(Event(system("test"), Action.SOURCE_ADD, "source", each, {"é": [each]}) for each in subjects),
                )
        made += await seal_all(sealer, keys)
    async with superuser.reading() as work:
        by_seal = {seal.n: await ledger.of_a_seal(work, seal.xid_lo, seal.xid_hi) for seal in made}
        newest = await seals.newest_checkpoint(work)
    assert newest is not None
    assert len(made) == newest.size == SEALS
    yield Log(superuser, keys, made, by_seal, [checkpoint_line(newest)])
    for each in (writer, sealer, superuser):
        await each.close()


class Undo(Exception):
    pass


@asynccontextmanager
async def undone(postgres: Postgres) -> AsyncIterator[UnitOfWork]:
    """A transaction with the triggers off that leaves nothing behind."""
    try:
        async with postgres.unit_of_work() as work:
            await work.run(text("SET LOCAL session_replication_role = replica"))
            yield work
            raise Undo
    except Undo:
        pass


async def read(log: Log, work: UnitOfWork, anchor: Sequence[str]) -> Verification:
    work.session.expunge_all()
    return await verify(work, log.keys, anchor)


async def test_a_clean_trail_has_no_findings(log: Log) -> None:
    for _ in range(PLACES):
        async with undone(log.superuser) as work:
            found = await read(log, work, log.anchor)
            assert (found.faults, found.seals, found.anchors) == ([], SEALS, 1)
            assert found.events == sum(seal.count for seal in log.seals)


@pytest.mark.parametrize("falsify", ATTACKS, ids=lambda attack: attack.__name__)
async def test_every_tampering_is_found_and_located(
    log: Log, falsify: Callable[[Attack], Awaitable[Places]], note: Note
) -> None:
    chance, started = random.Random(f"{SEED} {falsify.__name__}"), time.monotonic()
    located = 0
    for place in range(PLACES):
        async with undone(log.superuser) as work:
            attack = Attack(work, log, chance, list(log.anchor))
            expected = await falsify(attack)
            found = await read(log, work, attack.anchor)
            assert found.faults, f"place {place} of {falsify.__name__} was not found"
            first = found.faults[0]
            assert (first.what, first.number) in expected, f"place {place}: {found.faults}"
            located += 1
    note(f"seed {SEED}: {located} of {PLACES} found and located in {time.monotonic() - started:.1f} s")


async def wrong_index(log: Log, chance: random.Random, proof: dict[str, Any]) -> None:
    """A true path, for another place in the seal or another seal."""
    if proof["seal"]["count"] > 1 and chance.random() < 0.5:
        places = [place for place in range(-1, proof["seal"]["count"] + 1) if place != proof["place_in_seal"]]
        proof["place_in_seal"] = chance.choice(places)
    else:
        other = chance.choice([seal for seal in log.seals if seal.n != proof["seal"]["n"]])
        proof["seal"] = seal_as_json(other)


async def node_as_leaf(log: Log, chance: random.Random, proof: dict[str, Any]) -> None:
    """The node above an event is shown as if it were an event's own hash, and the path begins above it."""
    row = log.events[proof["seal"]["n"]][proof["place_in_seal"]]
    above = node(entry_of(row), bytes.fromhex(proof["path_in_seal"].pop(0)))
    proof["event"]["leaf"] = above.hex()
    proof["seal"]["count"] = (proof["seal"]["count"] + 1) // 2
    proof["place_in_seal"] //= 2


@pytest.mark.parametrize("falsify", [wrong_index, node_as_leaf], ids=lambda attack: attack.__name__)
async def test_every_false_proof_is_refused(
    log: Log, falsify: Callable[..., Awaitable[None]], note: Note, tmp_path: Path
) -> None:
    chance, located, file = random.Random(f"{SEED} {falsify.__name__}"), 0, tmp_path / "proof.json"
    for _ in range(PLACES):
        seal = chance.choice([seal for seal in log.seals if seal.count > 1])
        event = chance.choice(log.events[seal.n])
        async with log.superuser.reading() as work:
            proof = await prove(work, event.event_id)
        file.write_text(json.dumps(proof))
        auditor.check_proof(file, log.keys.public, None)
        await falsify(log, chance, proof)
        file.write_text(json.dumps(proof))
        with pytest.raises(auditor.Found, match=rf"event {event.id}:|seal \d+:|the proof"):
            auditor.check_proof(file, log.keys.public, None)
        located += 1
    note(f"seed {SEED}: {located} of {PLACES} refused")
