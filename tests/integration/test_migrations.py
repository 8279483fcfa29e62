"""The migrations make exactly the schema that the tables describe."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

from backend.migrations import _config, migrate, schema_state
from core.infra.resources import Resources
from core.stores import policy
from tests import servers
from tests.servers import Server
from workers.runner import JobContext
from workers.schedule import make_partitions


@asynccontextmanager
async def database_at(server: Server, revision: str) -> AsyncIterator[str]:
    """The URL of a database as an older version left it."""
    name = f"test_{uuid4().hex[:12]}"
    url = servers.with_database(server.url, name)
    await servers.run_sql(server.url, f"CREATE DATABASE {name}")
    try:
        await asyncio.to_thread(command.upgrade, _config(url), revision)
        yield url
    finally:
        await servers.run_sql(server.url, f"DROP DATABASE {name} WITH (FORCE)")


async def test_nothing_differs_between_migrations_and_tables(resources: Resources) -> None:
    async with resources.postgres.engine.connect() as connection:
        partitions = set(await connection.scalars(text("SELECT inhrelid::regclass::text FROM pg_inherits")))

        def ours(item: Any, name: str | None, kind: str, _reflected: bool, _to: Any) -> bool:
            if (
                kind == "foreign_key_constraint"
            ):  # PostgreSQL lists a reference once more for each partition it may point into
                return item.elements[0].target_fullname.split(".")[0] not in partitions
            return kind != "table" or name not in {"alembic_version", *partitions}

        def differences(sync: Connection) -> list[Any]:
            return compare_metadata(MigrationContext.configure(sync, opts={"include_object": ours}), SQLModel.metadata)

        assert await connection.run_sync(differences) == []
    assert any(name.startswith("transaction_2") for name in partitions)


async def test_migrating_again_changes_nothing(resources: Resources, postgres_url: str) -> None:
    assert (await asyncio.to_thread(migrate, postgres_url)).current
    assert (await schema_state(postgres_url)).current
    async with resources.postgres.reading() as work:
        first = await policy.current_policy(work)
    assert first is not None
    assert (first.version, first.published_by) == (1, "system:migrate")


MODELS = """
INSERT INTO model (id, artifact_sha, artifact_size, stage, catalogue_version, metrics, trained_at, requested_by, promoted_at)
VALUES ('first', 'a', 1, 'retired', 1, '{}', now(), 'user:a', now() - interval '9 days'),
       ('second', 'b', 1, 'retired', 1, '{}', now(), 'user:a', now() - interval '5 days'),
       ('third', 'c', 1, 'champion', 1, '{}', now(), 'user:a', now() - interval '3 days'),
       ('again', 'd', 1, 'retired', 1, '{}', now(), 'user:a', now() - interval '1 day'),
       ('good', 'e', 1, 'challenger', 1, '{"gates": [{"name": "x", "passed": true, "detail": "fine"}]}', now(), 'user:a', NULL),
       ('plain', 'f', 1, 'challenger', 1, '{}', now(), 'user:a', NULL),
       ('bad', 'g', 1, 'challenger', 1, '{"gates": [{"name": "x", "passed": true, "detail": "fine"},
           {"name": "y", "passed": false, "detail": "worse"}, {"name": "z", "passed": false, "detail": "leaks"}]}', now(), 'user:a', NULL)
"""


async def test_models_of_the_first_schema_find_their_stages(postgres_server: Server) -> None:
    async with database_at(postgres_server, "0001") as url:
        await servers.run_sql(url, MODELS)
        await asyncio.to_thread(migrate, url)
        connection = await asyncpg.connect(url)
        try:
            found = await connection.fetch("SELECT id, stage, refusals, replaced FROM model")
        finally:
            await connection.close()
    assert {row["id"]: (row["stage"], row["refusals"], row["replaced"]) for row in found} == {
        "first": ("retired", "[]", None),
        "second": ("retired", "[]", None),
        "third": ("champion", "[]", "second"),
        "again": ("retired", "[]", None),
        "good": ("candidate", "[]", None),
        "plain": ("candidate", "[]", None),
        "bad": ("refused", '["worse", "leaks"]', None),
    }


async def test_a_shadow_score_is_never_changed(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        for statement in ("UPDATE shadow_score SET score = 0", "DELETE FROM shadow_score", "TRUNCATE shadow_score"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
                await connection.execute(statement)
    finally:
        await connection.close()


OLD_ROWS = """
INSERT INTO source (id, name, created_at) VALUES ('shop', 'shop', now());
INSERT INTO transaction
    (uid, source_id, transaction_id, body_sha, occurred_at, accepted_at, amount_minor, currency, customer_id, imported, xid)
VALUES ('01900000-0000-7000-8000-000000000001', 'shop', 'a', '\\x01', now(), now(), 1, 'EUR', 'c', false, '7'),
       ('01a20000-0000-7000-8000-000000000002', 'shop', 'b', '\\x02', now(), now(), 2, 'EUR', 'c', false, '8');
INSERT INTO decision
    (transaction_uid, version, outcome, rule_hits, policy_version, catalogue_version, features, features_status, decided_at, xid)
VALUES ('01900000-0000-7000-8000-000000000001', 1, 'review', '[{"code": "testing", "text": "x", "outcome": "review"}]', 1, 1, '{}',
        'complete', now(), '9');
INSERT INTO alert (id, transaction_uid, status, outcome, expected_loss_minor, amount_minor, currency, customer_id, top_reason, occurred_at,
    opened_at, version)
VALUES ('01900000-0000-7000-8000-000000000003', '01900000-0000-7000-8000-000000000001', 'open', 'review', 1, 1, 'EUR', 'c', 'x', now(),
    now(), 1)
"""


async def test_rows_of_an_older_schema_move_into_their_months(postgres_server: Server) -> None:
    async with database_at(postgres_server, "0003") as url:
        await servers.run_sql(url, OLD_ROWS)
        await asyncio.to_thread(migrate, url)
        connection = await asyncpg.connect(url)
        try:
            rows = await connection.fetch(
                "SELECT tableoid::regclass::text AS kept, xid::text FROM transaction ORDER BY uid"
            )
            assert [tuple(row) for row in rows] == [("transaction_2024_06", "7"), ("transaction_2026_11", "8")]
            keys = await connection.fetch(
                "SELECT transaction_id, source_id, body_sha FROM transaction_key ORDER BY transaction_id"
            )
            assert [tuple(row) for row in keys] == [("a", "shop", b"\1"), ("b", "shop", b"\2")]
            assert await connection.fetchval("SELECT tableoid::regclass::text FROM decision") == "decision_2024_06"
            alert = await connection.fetchrow("SELECT *, due_at - opened_at AS given FROM alert")
            assert (alert["transaction_id"], alert["reason_code"], alert["given"]) == (
                "a",
                "testing",
                timedelta(hours=2),
            )
            with pytest.raises(asyncpg.ForeignKeyViolationError):
                await connection.execute("UPDATE alert SET transaction_uid = gen_random_uuid()")
        finally:
            await connection.close()


async def test_the_application_makes_the_next_months_and_nothing_else(resources: Resources, postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        newest = await connection.fetchval("SELECT max(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'decision'::regclass "
                                           "AND inhrelid::regclass::text < 'decision_o'")  # fmt: skip
        await connection.execute(f"DROP TABLE {newest}")
        context = JobContext(resources, asyncio.Event())
        assert await make_partitions(context) == 1
        assert await make_partitions(context) == 0
        event = await connection.fetchrow("SELECT actor_id, detail FROM audit_event WHERE action = 'partitions.make'")
        assert (event["actor_id"], event["detail"]) == ("schedule", '{"made":1,"months_ahead":3}')
        for table in (newest, newest.replace("decision", "transaction"), "decision_other", "transaction_key_0"):
            async with resources.postgres.engine.connect() as ours:
                with pytest.raises(DBAPIError, match="permission denied"):
                    await ours.execute(text(f"INSERT INTO {table} SELECT * FROM {table}"))
        others = ("transaction_other", "decision_other", "audit_event_other", "transaction_key_0")
        for table in (newest, "transaction", "transaction_key", *others):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
                await connection.execute(f"DELETE FROM {table}")
        await connection.execute("BEGIN; LOCK TABLE decision IN ACCESS SHARE MODE")
        await connection.execute(f"DROP TABLE {newest}")
        assert await make_partitions(context) == 0
        await connection.execute("ROLLBACK")
        assert await make_partitions(context) == 0
    finally:
        await connection.close()


TOLD = """
INSERT INTO source (id, name, created_at) VALUES ('shop', 'shop', now());
INSERT INTO transaction
    (uid, source_id, transaction_id, occurred_at, accepted_at, amount_minor, currency, customer_id, imported)
SELECT uid, 'shop', uid::text, now(), now(), 1, 'EUR', 'c', false FROM unnest(CAST('{uids}' AS uuid[])) AS uid;
INSERT INTO decision
    (transaction_uid, version, outcome, rule_hits, policy_version, catalogue_version, features, features_status, decided_at, reasons)
SELECT uid, 1, 'review', '[]', 1, 2, '{{}}', 'complete', now(),
    '[{{"text": "less", "features": [{{"name": "hour"}}]}}, {{"text": "most", "features": [{{"name": "amount"}}]}}]'
FROM unnest(CAST('{uids}' AS uuid[])) AS uid;
INSERT INTO alert
    (id, transaction_uid, status, outcome, expected_loss_minor, amount_minor, currency, customer_id, top_reason, reason_vector,
     occurred_at, opened_at, version)
SELECT uid, uid, status, 'review', 1, 1, 'EUR', 'c', top_reason, reason_vector, now(), now(), 1
FROM (VALUES {alerts}) AS known (uid, status, top_reason, reason_vector)
"""


async def test_alerts_that_wait_get_what_their_reason_is_told_from(postgres_server: Server) -> None:
    known = [
        ("open", "most", "'{1}'"),
        ("closed", "most", "'{1}'"),
        ("claimed", "a rule", "'{1}'"),
        ("open", "most", "NULL"),
    ]
    uids = [UUID(int=number) for number in range(1, len(known) + 1)]
    alerts = ", ".join(
        f"(CAST('{uid}' AS uuid), '{status}', '{reason}', CAST({vector} AS real[]))"
        for uid, (status, reason, vector) in zip(uids, known, strict=True)
    )
    async with database_at(postgres_server, "0015") as url:
        await servers.run_sql(url, TOLD.format(uids="{" + ",".join(map(str, uids)) + "}", alerts=alerts))
        await asyncio.to_thread(migrate, url)
        connection = await asyncpg.connect(url)
        try:
            found = await connection.fetch("SELECT reason_features FROM alert ORDER BY id")
        finally:
            await connection.close()
    assert [row["reason_features"] for row in found] == ['[{"name": "amount"}]', None, None, None]
