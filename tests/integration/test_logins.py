"""The logins that `ronda migrate` makes: each may do what its process needs, and cannot become more."""

import asyncio

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from backend.migrations import migrate
from backend.migrations.logins import ADMIN, JOBS, LOGINS, ROLES, SCORER, WEB, as_login, derived_logins, read_logins
from backend.migrations.rights import APP_ROLE, SCORER_ROLE
from core.base.errors import InvalidInput
from core.base.settings import Settings
from core.infra.postgres import connect_postgres
from core.stores import flow, seals
from tests.servers import run_sql
from workers.seal import connect_sealer


def passwords(word: str) -> dict[str, str]:
    return {name: f"{word}-{name}-long-enough" for name in LOGINS}


@pytest.fixture
async def logins(postgres_url: str) -> dict[str, str]:
    """URLs."""
    await asyncio.to_thread(migrate, postgres_url, passwords("first"))
    return {name: as_login(postgres_url, name, password) for name, password in passwords("first").items()}


@pytest.mark.parametrize(("name", "role"), [(WEB, APP_ROLE), (SCORER, SCORER_ROLE), (ADMIN, APP_ROLE)])
async def test_a_login_takes_on_its_role_and_no_other(logins: dict[str, str], name: str, role: str) -> None:
    postgres = connect_postgres(logins[name], role=role, pool=1, application="test")
    async with postgres.reading() as work:
        assert await flow.count_transactions(work) == 0
    await postgres.close()
    connection = await asyncpg.connect(logins[name])
    try:
        for statement in (
            *(f"SET ROLE {other}" for other in ROLES - {role}),
            "DELETE FROM audit_event",
            "CREATE TABLE public.mine ()",
            "CREATE ROLE r",
            "INSERT INTO audit_event (xid) VALUES ('1')",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT FROM app_user",
        "SELECT FROM api_key",
        "SELECT FROM user_session",
        "INSERT INTO label DEFAULT VALUES",
        "INSERT INTO policy DEFAULT VALUES",
        "INSERT INTO list_entry DEFAULT VALUES",
        "INSERT INTO transaction DEFAULT VALUES",
        "UPDATE model SET stage = 'champion'",
        "UPDATE alert SET disposition = 'legitimate'",
        "UPDATE decision SET outcome = 'approve'",
        "DELETE FROM outbox",
        "DELETE FROM scoring_trouble",
    ],
)
async def test_a_scorer_decides_and_does_nothing_else(logins: dict[str, str], statement: str) -> None:
    connection = await asyncpg.connect(logins[SCORER])
    try:
        for role in ("", f"SET ROLE {SCORER_ROLE}; "):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(role + statement)
    finally:
        await connection.close()


async def test_the_jobs_can_seal(settings: Settings, logins: dict[str, str]) -> None:
    sealer = connect_sealer(settings.model_copy(update={"database_url": SecretStr(logins[JOBS])}))
    async with sealer.reading() as work:
        assert await seals.newest(work) is None
    await sealer.close()


@pytest.mark.parametrize("schema", ["this", "of_a_later_version"])
async def test_migrating_again_gives_new_passwords(postgres_url: str, logins: dict[str, str], schema: str) -> None:
    if schema == "of_a_later_version":
        await run_sql(postgres_url, "UPDATE alembic_version SET version_num = '9999'")
    await asyncio.to_thread(migrate, postgres_url, passwords("second"))
    await (await asyncpg.connect(as_login(postgres_url, WEB, passwords("second")[WEB]))).close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(logins[WEB])


def test_a_private_servers_passwords_are_of_one_server_and_of_one_login() -> None:
    here, there = (derived_logins(f"postgresql://ronda:{word}@127.0.0.1/x") for word in ("a", "b"))
    assert here.keys() == LOGINS.keys()
    assert len({*here.values(), *there.values()}) == 2 * len(LOGINS)


@pytest.mark.parametrize(
    "words",
    [
        "ronda:0123456789abcdef",
        "ronda_web",
        "ronda_web:short",
        "ronda_web:0123456789abcde'",
        "ronda_web:0123456789abcdef;x",
    ],
)
def test_what_is_no_login_is_refused(words: str) -> None:
    with pytest.raises(InvalidInput, match="RONDA_DATABASE_LOGINS"):
        read_logins(words)


def test_logins_are_read_with_spaces_lines_or_commas_between() -> None:
    words = "ronda_web:0123456789abcdef,\n ronda_jobs:0123456789abcdeg "
    assert read_logins(words) == {WEB: "0123456789abcdef", JOBS: "0123456789abcdeg"}
    assert read_logins("") == {}


def test_a_url_is_anothers_in_nothing_but_login_and_password() -> None:
    url = make_url(as_login("postgresql://ronda:p%40ss@127.0.0.1:5433/x?ssl=require", WEB, "secret"))
    assert (url.username, url.password, url.host, url.port, url.database) == (WEB, "secret", "127.0.0.1", 5433, "x")
    assert url.query == {"ssl": "require"}
