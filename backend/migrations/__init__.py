"""The database schema, moved forward by Alembic."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import create_async_engine

from backend.migrations.logins import make_logins
from core.base.errors import Unavailable


@dataclass(frozen=True)
class SchemaState:
    """`database` is None on an empty database. later: a version was here that knows more than this one. Migrations only add, so that both
    work on what it made.
    """

    database: str | None
    newest: str
    later: bool = False

    @property
    def current(self) -> bool:
        return self.database == self.newest


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["url"] = make_url(url).set(drivername="postgresql+asyncpg")
    return config


def migrate(url: str, logins: Mapping[str, str] | None = None) -> SchemaState:
    """Bring the schema to the newest revision; one of a later version stays. Blocking; needs the right to create tables and roles.

    `logins`: those that are to be there as well, with their passwords.

    Must not be called on a running event loop (use asyncio.to_thread).
    """
    newest = ScriptDirectory.from_config(_config(url)).get_current_head()
    assert newest is not None
    try:
        reached = _upgraded(url, newest)
        if logins:
            asyncio.run(make_logins(url, logins))
    except (OperationalError, InterfaceError, OSError) as error:
        raise Unavailable("PostgreSQL does not answer, or refuses this user", server="postgres") from error
    return reached


def _upgraded(url: str, newest: str) -> SchemaState:
    try:
        command.upgrade(_config(url), "head")
    except CommandError as error:
        if not isinstance(error.__cause__, ResolutionError):
            raise
        return SchemaState(error.__cause__.argument, newest, later=True)
    return SchemaState(newest, newest)


async def schema_state(url: str) -> SchemaState:
    """Where the database is and where it should be."""
    config = _config(url)
    scripts = ScriptDirectory.from_config(config)
    newest = scripts.get_current_head()
    assert newest is not None
    engine = create_async_engine(config.attributes["url"])
    try:
        async with engine.connect() as connection:
            found = await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
    except (OperationalError, InterfaceError, OSError) as error:
        raise Unavailable("PostgreSQL does not answer", server="postgres") from error
    finally:
        await engine.dispose()
    known = {script.revision for script in scripts.walk_revisions()}
    return SchemaState(found, newest, later=found is not None and found not in known)
