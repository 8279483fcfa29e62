"""The logins that processes connect with. Each may take on the roles it needs; none owns anything, so none can step out of them."""

import hashlib
import hmac
import os
import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Final

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from backend.migrations.rights import APP_ROLE, SCORER_ROLE, SEALER_ROLE
from core.base.errors import InvalidInput

WEB, SCORER, JOBS, ADMIN = "ronda_web", "ronda_scorer", "ronda_jobs", "ronda_admin"
LOGINS: Final[Mapping[str, tuple[str, ...]]] = {
    WEB: (APP_ROLE,),
    SCORER: (SCORER_ROLE,),
    JOBS: (APP_ROLE, SEALER_ROLE),
    ADMIN: (APP_ROLE,),
}
"""`seal` is one of the jobs. `ronda_admin`: for commands that people type."""
ROLES: Final = frozenset({APP_ROLE, SCORER_ROLE, SEALER_ROLE})
_ROUNDS: Final = 4096


def read_logins(words: str) -> dict[str, str]:
    """`name:password`, with spaces or commas between. Raises InvalidInput."""
    found: dict[str, str] = {}
    for word in re.split(r"[\s,]+", words.strip()) if words.strip() else ():
        name, _, password = word.partition(":")
        if name not in LOGINS or not re.fullmatch(r"[A-Za-z0-9_-]{16,}", password):
            raise InvalidInput(
                f"RONDA_DATABASE_LOGINS: name:password, each of {', '.join(LOGINS)} at most once, the password at least "
                "16 letters and digits"
            )
        found[name] = password
    return found


def derived_logins(url: str) -> dict[str, str]:
    """For a private server: passwords that come from the owner's, which cannot be told from them."""
    secret = (make_url(url).password or "").encode()
    return {name: hmac.digest(secret, name.encode(), "sha256").hex() for name in LOGINS}


def as_login(url: str, name: str, password: str) -> str:
    return make_url(url).set(username=name, password=password).render_as_string(hide_password=False)


async def make_logins(url: str, passwords: Mapping[str, str]) -> None:
    """Or give those that are there these passwords. `url` is the owner's, who may make roles."""
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"))
    try:
        async with engine.begin() as connection:
            for name, password in passwords.items():
                found = await connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": name})
                verb = "ALTER" if found.first() else "CREATE"
                await connection.exec_driver_sql(f"{verb} ROLE {name} LOGIN PASSWORD '{_verifier(password)}'")
                await connection.execute(text(f"GRANT {', '.join(LOGINS[name])} TO {name}"))
                await connection.execute(text(f"REVOKE {', '.join(ROLES - {*LOGINS[name]})} FROM {name}"))
    finally:
        await engine.dispose()


def _verifier(password: str) -> str:
    """What PostgreSQL stores of a password (SCRAM-SHA-256, RFC 5803): made here, the password is in no log of its statements."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ROUNDS)
    client, server = (hmac.digest(salted, word, "sha256") for word in (b"Client Key", b"Server Key"))
    stored = hashlib.sha256(client).digest()
    return f"SCRAM-SHA-256${_ROUNDS}:{_text(salt)}${_text(stored)}:{_text(server)}"


def _text(value: bytes) -> str:
    return b64encode(value).decode()
