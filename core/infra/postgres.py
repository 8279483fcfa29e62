"""PostgreSQL: the unit of work, and the only place that commits."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import asyncpg
from sqlalchemy import CursorResult, Executable, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from core.base.errors import Unavailable

AWAY = {
    "25006": "read only: a standby, or a primary that was replaced",
    "53100": "the disk is full",
    "53200": "out of memory",
    "53300": "too many connections",
    "57P01": "shut down by an administrator",
    "57P02": "another process of the server crashed",
    "57P03": "starting up or shutting down",
}
"""SQLSTATEs that say nothing about the statement: the same one may work in a moment."""

COPY_WITHIN_S = 3600.0
IDLE_S = 10
"""A transaction that does nothing for longer is ended by the server: it holds back what others could clean up."""

AfterCommit = Callable[[], Awaitable[None]]


class Work(Protocol):
    """A transaction, for stores and acts that need no table objects."""

    async def fetch(self, sql: str, /, *values: Any) -> Sequence[Sequence[Any]]:
        """The rows of one statement, whose parameters are $1, $2, ..."""


@dataclass
class UnitOfWork:
    """One transaction: state, audit events and outbox rows share it. Stores and acts take it as first argument."""

    session: AsyncSession
    after_commit: list[AfterCommit] = field(default_factory=list)
    """Doorbells, rung once the commit holds. They are hints: a failure is the bell's own to swallow."""

    async def run(
        self, statement: Executable, values: Mapping[str, Any] | None = None
    ) -> CursorResult[*tuple[Any, ...]]:
        """Execute SQL that loads no table objects, inside this unit of work."""
        return await (await self.session.connection()).execute(statement, values)

    async def fetch(self, sql: str, /, *values: Any) -> Sequence[Sequence[Any]]:
        """Implements Work."""
        result = await (await self.session.connection()).exec_driver_sql(sql, values)
        return result.all() if result.returns_rows else []

    async def copy(self, sql: str, /, *values: Any, take: Callable[[bytes], None]) -> None:
        """Hands over what a query finds in the binary form of COPY, in pieces that end anywhere. The server waits while one is taken."""

        async def output(piece: bytes) -> None:
            take(piece)

        await self.fetch("SELECT")  # SQLAlchemy begins the transaction with the first statement that it sees
        raw = await (await self.session.connection()).get_raw_connection()
        connection: Any = raw.driver_connection
        try:
            await connection.copy_from_query(sql, *values, output=output, format="binary", timeout=COPY_WITHIN_S)
        except (asyncpg.InterfaceError, asyncpg.PostgresError, OSError) as error:
            raise _away(error) or error from error


@dataclass
class Bundle:
    """A Work that keeps statements, to be sent as one by `Line.at_once`: of the answers nobody can know anything yet, so each is empty.

    Every parameter is cast in its statement, and every statement writes without a WITH of its own.
    """

    statements: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)

    async def fetch(self, sql: str, /, *values: Any) -> Sequence[Sequence[Any]]:
        """Implements Work."""
        self.statements.append((sql, values))
        return ()

    def as_one(self, rows: int) -> tuple[str, list[Any]]:
        """SQL and its parameters: it fails with 22P02 when the first statement returns not `rows` rows."""
        parts: list[str] = []
        given: list[Any] = []
        for place, (sql, values) in enumerate(self.statements):
            parts.append(f"s{place} AS ({_shifted(sql, len(given))})")
            given += values
        number = f"CAST(${len(given) + 1} AS bigint)"
        counted = "SELECT count(*) AS n FROM s0"
        check = f"CASE n WHEN {number} THEN true ELSE CAST(n || ' of ' || {number} || ' rows are new' AS boolean) END"
        return f"WITH {', '.join(parts)} SELECT {check} FROM ({counted}) AS counted", [*given, rows]  # noqa: S608 - own SQL


def _shifted(sql: str, by: int) -> str:
    """Its parameters' numbers raised."""
    return re.sub(r"\$(\d+)", lambda found: f"${int(found[1]) + by}", sql) if by else sql


class Line:
    """A connection of its owner's, for short transactions by the hundred a second, one at a time.

    It is asyncpg as it is: around a transaction of four statements SQLAlchemy takes five times the CPU that they take. Opened at the
    first use, and anew after a failure.
    """

    def __init__(self, open_connection: Callable[[], Awaitable[asyncpg.Connection]]) -> None:
        self._open = open_connection
        self._connection: asyncpg.Connection | None = None
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[Work]:
        """Commits when the block ends well, rolls back otherwise. Raises Unavailable when the server is away."""
        async with self._connected() as connection, connection.transaction():
            yield connection

    async def at_once(self, bundle: Bundle, *, rows: int) -> bool:
        """A bundle as a transaction of its own, in one round trip where `unit_of_work` takes one for each statement and two more.

        All of it is committed; or nothing, and the answer is False, because its first statement did not return `rows` rows.
        Raises Unavailable when the server is away.
        """
        sql, values = bundle.as_one(rows)
        async with self._connected() as connection:
            try:
                await connection.fetch(sql, *values)
            except asyncpg.InvalidTextRepresentationError:
                return False
            return True

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection]:
        async with self._turn:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await self._open()
                yield self._connection
            except BaseException as error:
                self.close()
                raise _away(error) or error from error

    def close(self) -> None:
        if self._connection:
            self._connection.terminate()
        self._connection = None


def _away(error: BaseException) -> Unavailable | None:
    """What asyncpg's error means when it says nothing about the statement."""
    if isinstance(error, asyncpg.InterfaceError | OSError):
        return Unavailable("PostgreSQL does not answer", server="postgres")
    if isinstance(error, asyncpg.PostgresError) and (error.sqlstate in AWAY or error.sqlstate[:2] == "08"):
        return Unavailable("PostgreSQL does not take work now", server="postgres")
    return None


@dataclass(frozen=True)
class Postgres:
    engine: AsyncEngine
    line: Callable[[], Line]
    """Makes one."""

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[UnitOfWork]:
        """Commits when the block ends well, rolls back otherwise. Raises Unavailable when the server is away."""
        try:
            async with AsyncSession(self.engine, expire_on_commit=False, autoflush=False) as session:
                work = UnitOfWork(session)
                yield work
                await session.commit()
        except (OperationalError, InterfaceError, PoolTimeout, OSError) as error:
            raise Unavailable("PostgreSQL does not answer", server="postgres") from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise Unavailable("PostgreSQL closed the connection", server="postgres") from error
            if getattr(error.orig, "sqlstate", None) in AWAY:
                raise Unavailable("PostgreSQL does not take work now", server="postgres") from error
            raise
        for ring in work.after_commit:
            await ring()

    @asynccontextmanager
    async def reading(self, *, idle_s: int = IDLE_S) -> AsyncIterator[UnitOfWork]:
        """A read-only transaction of one snapshot: what a page shows goes together, and the server refuses writes.

        idle_s: the server ends it when so much lies between two statements.
        """
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        async with self.unit_of_work() as work:
            await work.session.connection(execution_options=options)
            if idle_s != IDLE_S:
                await work.run(text(f"SET LOCAL idle_in_transaction_session_timeout = '{idle_s}s'"))
            yield work

    async def answers(self, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s), self.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except (DBAPIError, PoolTimeout, OSError):  # TimeoutError is an OSError
            return False
        return True

    async def close(self) -> None:
        await self.engine.dispose()


def connect_postgres(url: str, *, role: str | None, pool: int, application: str) -> Postgres:
    """`role`: taken on by every connection at its start, so that a process holds no more rights than it needs."""
    settings = {"application_name": f"ronda-{application}", "idle_in_transaction_session_timeout": f"{IDLE_S}s"}
    if role:
        settings["role"] = role
    parsed = make_url(url).set(drivername="postgresql+asyncpg")
    options = {"server_settings": settings, "timeout": 5, "command_timeout": 60}
    engine = create_async_engine(
        parsed, pool_size=pool, max_overflow=2, pool_timeout=5, pool_pre_ping=True, connect_args=options
    )
    _, address = engine.dialect.create_connect_args(parsed)
    return Postgres(engine, lambda: Line(partial(asyncpg.connect, **address, **options)))
