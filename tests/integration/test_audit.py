"""The audit trail cannot be changed by the application, and a change by anybody else is found and located."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.acts import audit
from core.acts.audit import Event, system
from core.acts.audit_verify import Verification, verify
from core.base.settings import Settings
from core.base.terms import Action
from core.infra.resources import Resources
from core.infra.signing import CHECKPOINTS, keys_of
from tests.servers import run_sql
from workers.seal import connect_sealer


async def record_some(resources: Resources, count: int = 3) -> None:
    async with resources.postgres.unit_of_work() as work:
        events = [Event(system("test"), Action.SOURCE_ADD, "source", f"s{n}", {"é": [n]}) for n in range(count)]
        await audit.record(work, *events)


async def verified(resources: Resources) -> Verification:
    async with resources.postgres.reading() as work:
        return await verify(work, keys_of(resources.settings, CHECKPOINTS), None)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_event SET actor_id = 'somebody'",
        "DELETE FROM audit_event",
        "TRUNCATE audit_event",
        "INSERT INTO audit_event (id, event_id, actor_type, actor_id, action, subject_type, subject_id, result, detail, "
        "written_at, leaf) OVERRIDING SYSTEM VALUE VALUES (1, gen_random_uuid(), 'system', 'x', 'x', 'x', 'x', 'done', '{}', "
        "now(), '\\x00')",
        "INSERT INTO audit_event (at, event_id, actor_type, actor_id, action, subject_type, subject_id, result, detail, "
        "written_at, leaf) VALUES (now(), gen_random_uuid(), 'system', 'x', 'x', 'x', 'x', 'done', '{}', now(), '\\x00')",
        "UPDATE decision SET outcome = 'approve'",
        "DELETE FROM label",
        'DELETE FROM "transaction"',
        "INSERT INTO audit_event (xid, event_id, actor_type, actor_id, action, subject_type, subject_id, result, detail, "
        "written_at, leaf) VALUES ('7', gen_random_uuid(), 'system', 'x', 'x', 'x', 'x', 'done', '{}', now(), '\\x00')",
        "INSERT INTO audit_seal VALUES (1, '0', '9', 1, '\\x00', '\\x00', '\\x00', '\\x00', now())",
        "INSERT INTO audit_checkpoint VALUES (1, '\\x00', now(), 'x', '\\x00')",
        "DELETE FROM audit_seal",
        "UPDATE audit_checkpoint SET size = 0",
        "ALTER TABLE audit_event DISABLE TRIGGER ALL",
        "DROP TABLE audit_event",
        "CREATE TABLE mine (id int)",
    ],
)
async def test_the_application_may_not(resources: Resources, statement: str) -> None:
    await record_some(resources)
    with pytest.raises(DBAPIError, match=r"permission denied|must be owner|append-only"):
        async with resources.postgres.unit_of_work() as work:
            await work.run(text(statement))


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO audit_event (event_id, actor_type, actor_id, action, subject_type, subject_id, result, detail, written_at, "
        "leaf) VALUES (gen_random_uuid(), 'system', 'x', 'x', 'x', 'x', 'done', '{}', now(), '\\x00')",
        "UPDATE audit_seal SET count = 0",
        "DELETE FROM audit_checkpoint",
        "TRUNCATE audit_seal",
        "SELECT FROM app_user",
        "INSERT INTO label (id) VALUES (gen_random_uuid())",
    ],
)
async def test_the_sealer_may_not(settings: Settings, statement: str) -> None:
    sealer = connect_sealer(settings)
    try:
        with pytest.raises(DBAPIError, match="permission denied"):
            async with sealer.unit_of_work() as work:
                await work.run(text(statement))
    finally:
        await sealer.close()


async def test_even_the_owner_is_stopped_by_the_trigger(resources: Resources, postgres_url: str) -> None:
    await record_some(resources)
    tables = ("audit_event", "audit_seal", "audit_checkpoint")
    for statement in (f"{verb} {table}" for table in tables for verb in ("DELETE FROM", "TRUNCATE")):
        with pytest.raises(Exception, match="append-only"):
            await run_sql(postgres_url, statement)
    for statement in ("UPDATE audit_event SET actor_id = 'x'", "DELETE FROM audit_event", "TRUNCATE audit_event"):
        with pytest.raises(Exception, match="append-only"):
            await run_sql(postgres_url, statement)


async def test_a_clean_trail_verifies(resources: Resources) -> None:
    await record_some(resources, 20)
    found = await verified(resources)
    assert found.events >= 20
    assert found.faults == []


@pytest.mark.parametrize(
    "change",
    [
        "actor_id = 'somebody'",
        "action = 'label.record'",
        "subject_id = 'other'",
        "detail = '{}'",
        "result = 'refused'",
        "written_at = written_at + interval '1 ms'",
        "at = at - interval '1 hour'",
        "leaf = '\\x00'",
    ],
)
async def test_an_altered_event_is_named(resources: Resources, postgres_url: str, change: str) -> None:
    await record_some(resources, 5)
    async with resources.postgres.reading() as work:
        victim: Any = (await work.run(text("SELECT max(id) - 2 FROM audit_event"))).scalar_one()
    disable, enable = (f"ALTER TABLE audit_event {verb} TRIGGER append_only" for verb in ("DISABLE", "ENABLE"))
    saved = "CREATE TABLE IF NOT EXISTS saved AS SELECT * FROM audit_event WHERE false"
    keep = f"INSERT INTO saved SELECT * FROM audit_event WHERE id = {victim}"
    await run_sql(postgres_url, saved, keep, disable, f"UPDATE audit_event SET {change} WHERE id = {victim}", enable)
    try:
        assert {(fault.what, fault.number) for fault in (await verified(resources)).faults} == {("event", victim)}
    finally:
        columns = "actor_id, action, subject_id, detail, result, written_at, at, leaf"
        restore = f"UPDATE audit_event e SET ({columns}) = (SELECT {columns} FROM saved s WHERE s.id = e.id) WHERE id = {victim}"
        await run_sql(postgres_url, disable, restore, enable)
