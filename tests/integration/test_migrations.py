"""The migrations make exactly the schema that the tables describe."""

import asyncio
from uuid import uuid4

import asyncpg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlmodel import SQLModel

from backend.migrations import _config, migrate, schema_state
from core.infra.resources import Resources
from core.stores import policy
from tests import servers
from tests.servers import Server


async def test_nothing_differs_between_migrations_and_tables(resources: Resources) -> None:
    async with resources.postgres.engine.connect() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), SQLModel.metadata)
        )
    named = [d for d in differences if "alembic_version" not in str(d)]
    assert named == []


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
    name = f"test_{uuid4().hex[:12]}"
    url = servers.with_database(postgres_server.url, name)
    await servers.run_sql(postgres_server.url, f"CREATE DATABASE {name}")
    try:
        await asyncio.to_thread(command.upgrade, _config(url), "0001")
        await servers.run_sql(url, MODELS)
        await asyncio.to_thread(migrate, url)
        connection = await asyncpg.connect(url)
        try:
            found = await connection.fetch("SELECT id, stage, refusals, replaced FROM model")
        finally:
            await connection.close()
    finally:
        await servers.run_sql(postgres_server.url, f"DROP DATABASE {name} WITH (FORCE)")
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
