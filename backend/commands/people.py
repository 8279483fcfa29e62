"""user add|list, source add|list, key add|list|revoke."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from backend.commands.common import PEOPLE, DataDir, Json, show, show_json, with_resources
from core.base.terms import Role

if TYPE_CHECKING:
    from core.acts.audit import Actor
    from core.infra.resources import Resources

user = typer.Typer(help="People who may sign in to the console.", no_args_is_help=True)
source = typer.Typer(help="Systems that post transactions.", no_args_is_help=True)
key = typer.Typer(help="API keys of sources.", no_args_is_help=True)

SHOWN = 500


def register(app: typer.Typer) -> None:
    app.add_typer(user, name="user", rich_help_panel=PEOPLE)
    app.add_typer(source, name="source", rich_help_panel=PEOPLE)
    app.add_typer(key, name="key", rich_help_panel=PEOPLE)


def by_command_line() -> "Actor":
    """Who the audit trail names: somebody with the right to run commands on this machine."""
    from core.acts.audit import system

    return system("cli")


@user.command("add")
def user_add(
    email: Annotated[str, typer.Argument(help="What they sign in with.")],
    role: Annotated[
        Role, typer.Option(help="What they may do; each role may do all that the ones before it may.")
    ] = Role.ANALYST,
    name: Annotated[str, typer.Option(help="As colleagues see them.", show_default="the e-mail address")] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input instead of making one.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Add a person. Prints a random password once, unless one is given."""
    from pwdlib import PasswordHash

    from backend.accounts import new_password
    from core.acts import people

    password = sys.stdin.readline().rstrip("\n") if password_stdin else new_password()
    hasher = PasswordHash.recommended()

    async def add(resources: "Resources") -> str:
        async with resources.postgres.unit_of_work() as work:
            added = await people.add_user(
                work, hasher, email=email, name=name, role=role, password=password, by=by_command_line()
            )
        return added.email

    added = with_resources(data_dir, add)
    shown = None if password_stdin else password
    if as_json:
        show_json({"email": added, "role": role.value, "password": shown})
    else:
        show(f"{added} may sign in as {role.value}" + (f"; password (shown once): {shown}" if shown else ""))


@user.command("list")
def user_list(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Who may sign in."""
    from core.stores import people

    async def read(resources: "Resources") -> list[dict[str, str]]:
        async with resources.postgres.reading() as work:
            rows = await people.users(work, SHOWN)
        return [
            {
                "email": row.email,
                "name": row.name,
                "role": row.role,
                "state": "disabled" if row.disabled_at else "active",
            }
            for row in rows
        ]

    show_rows(with_resources(data_dir, read), as_json)


@source.command("add")
def source_add(
    source_id: Annotated[str, typer.Argument(metavar="ID", help="Short name: a-z, 0-9 and -.")],
    name: Annotated[str, typer.Option(help="As people see it.", show_default="the id")] = "",
    data_dir: DataDir = None,
) -> None:
    """Add a source. Adding one that exists changes nothing."""
    from core.acts import people

    async def add(resources: "Resources") -> str:
        async with resources.postgres.unit_of_work() as work:
            return (await people.add_source(work, source_id, name, by=by_command_line())).id

    show(f"source {with_resources(data_dir, add)} may post transactions; give it a key: ronda key add {source_id}")


@key.command("add")
def key_add(
    source_id: Annotated[str, typer.Argument(metavar="SOURCE", help="The source's id.")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a key for a source. It is printed once and stored as a hash."""
    from core.acts import people

    async def add(resources: "Resources") -> str:
        async with resources.postgres.unit_of_work() as work:
            return await people.add_key(work, source_id, by=by_command_line())

    made = with_resources(data_dir, add)
    if as_json:
        show_json({"source": source_id, "key": made})
    else:
        show(made)


@key.command("list")
def key_list(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Every key by its prefix; secrets are not stored."""
    from core.base.clock import rfc3339
    from core.stores import people

    async def read(resources: "Resources") -> list[dict[str, str]]:
        async with resources.postgres.reading() as work:
            rows = await people.keys(work, SHOWN)
        return [
            {
                "prefix": row.prefix,
                "source": row.source_id,
                "made": rfc3339(row.created_at),
                "state": "revoked" if row.revoked_at else "live",
            }
            for row in rows
        ]

    show_rows(with_resources(data_dir, read), as_json)


@key.command("revoke")
def key_revoke(
    prefix: Annotated[str, typer.Argument(help="The key's prefix, as `ronda key list` shows it.")],
    data_dir: DataDir = None,
) -> None:
    """Make a key useless, within seconds."""
    from core.acts import people

    async def revoke(resources: "Resources") -> None:
        async with resources.postgres.unit_of_work() as work:
            await people.revoke_key(work, prefix.partition(".")[0], by=by_command_line())

    with_resources(data_dir, revoke)
    show(f"{prefix} is revoked")


def show_rows(rows: list[dict[str, str]], as_json: bool) -> None:
    if as_json:
        show_json(rows)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*(rows[0] if rows else ()), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row.values())
    Console().print(table if rows else "none")
