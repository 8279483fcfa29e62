"""First users, sources and keys: what a fresh installation needs before anybody can sign in."""

import secrets
from datetime import datetime
from pathlib import Path

import msgspec
from pwdlib import PasswordHash

from backend.embedded_process import write_private
from core.acts import people
from core.acts.audit import system
from core.base.clock import utc_now
from core.base.errors import NotFound
from core.base.terms import Role
from core.infra.postgres import Postgres, UnitOfWork
from core.stores import people as people_store

BY = system("launcher")


class SignIn(msgspec.Struct, frozen=True):
    email: str
    role: Role
    password: str


class DemoSecrets(msgspec.Struct, frozen=True):
    """The demo's passwords and API key, kept in the data directory (mode 0600) so that every start can show them."""

    users: list[SignIn]
    key: str
    made_at: datetime
    """Its synthetic history ends here."""


DEMO_USERS = (("analyst@localhost", Role.ANALYST), ("lead@localhost", Role.LEAD), ("admin@localhost", Role.ADMIN))
"""An analyst, and two who may ask for a training and promote: four eyes need both."""


def new_password() -> str:
    return secrets.token_urlsafe(12)


def secrets_path(data_dir: Path) -> Path:
    return data_dir / "demo-secrets.json"


def read_demo_secrets(data_dir: Path) -> DemoSecrets:
    """Raises NotFound."""
    try:
        return msgspec.json.decode(secrets_path(data_dir).read_bytes(), type=DemoSecrets)
    except (OSError, msgspec.DecodeError) as error:
        raise NotFound(f"there is no demo in {data_dir}: `ronda demo` makes one") from error


async def first_admin(postgres: Postgres) -> SignIn | None:
    """The first user of an empty installation, or None when there are users already. The password is stored as a hash only."""
    async with postgres.unit_of_work() as work:
        if await people_store.count_users(work):
            return None
        admin = SignIn("admin@localhost", Role.ADMIN, new_password())
        await _add(work, admin)
    return admin


async def demo_secrets(postgres: Postgres, data_dir: Path) -> DemoSecrets | None:
    """The demo's users, source and key: made on the first start, read back on the next ones.

    None when this database has users of its own whose passwords we cannot know.
    """
    from backend.synthetic import SOURCE  # brings numpy, which only the demo needs

    path = secrets_path(data_dir)
    async with postgres.unit_of_work() as work:
        if await people_store.count_users(work):
            return read_demo_secrets(data_dir) if path.exists() else None
        users = [SignIn(email, role, new_password()) for email, role in DEMO_USERS]
        for user in users:
            await _add(work, user)
        await people.add_source(work, SOURCE, "Synthetic payments of the demo", by=BY)
        made = DemoSecrets(users, await people.add_key(work, SOURCE, by=BY), utc_now())
        write_private(path, msgspec.json.encode(made).decode())  # before the commit: a password nobody knows is no use
    return made


async def _add(work: UnitOfWork, user: SignIn) -> None:
    hasher = PasswordHash.recommended()
    name = user.role.value.capitalize()
    await people.add_user(work, hasher, email=user.email, name=name, role=user.role, password=user.password, by=BY)
