"""The migrations make exactly the schema that the tables describe."""

import asyncio

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlmodel import SQLModel

from backend.migrations import migrate, schema_state
from core.infra.resources import Resources
from core.stores import policy


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
