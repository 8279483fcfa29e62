"""dead-letters list, redrive, discard."""

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from backend.commands.common import RUN, DataDir, Json, show, show_json, with_resources
from backend.commands.people import show_rows
from backend.commands.registry import lead

if TYPE_CHECKING:
    from core.infra.resources import Resources
    from core.tables.flow import DeadLetter

LISTED = 1000

app = typer.Typer(help="Messages no job could handle: look, send again, discard.", no_args_is_help=True)
Ids = Annotated[list[UUID] | None, typer.Argument(metavar="[ID]...", help="Dead letters, as `list` shows them.")]
By = Annotated[str, typer.Option("--by", metavar="EMAIL", help="The person who acts, for the audit trail.")]


def register(root: typer.Typer) -> None:
    root.add_typer(app, name="dead-letters", rich_help_panel=RUN)


@app.command("list")
def list_(
    state: Annotated[str, typer.Option(help="waiting, redriven, discarded or any.")] = "waiting",
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Only those with exactly this reason.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=LISTED)] = 100,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Newest first."""
    from core.base.terms import DeadLetterState
    from core.stores import dead_letters

    if state != "any" and state not in set(DeadLetterState):
        raise typer.BadParameter(f"there is no state {state!r}", param_hint="--state")
    chosen = None if state == "any" else DeadLetterState(state)

    async def read(resources: "Resources") -> "list[DeadLetter]":
        async with resources.postgres.reading() as work:
            return list(await dead_letters.page(work, state=chosen, reason=reason, after=None, limit=limit))

    found = with_resources(data_dir, read)
    if as_json:
        show_json([_plain(row) for row in found])
    else:
        show_rows([_row(row) for row in found], as_json=False)


def _plain(row: "DeadLetter") -> dict[str, Any]:
    """Without the body: it may hold anything."""
    return row.model_dump(exclude={"body"}) | {"bytes": len(row.body)}


def _row(row: "DeadLetter") -> dict[str, str]:
    return {
        "id": str(row.id),
        "died": f"{row.died_at:%Y-%m-%d %H:%M:%S}",
        "queue": row.queue,
        "state": row.state,
        "payment": str(row.transaction_uid or ""),
        "reason": row.reason,
    }


@app.command()
def redrive(
    by: By,
    ids: Ids = None,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Instead of ids: all that wait for exactly this reason.")
    ] = "",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Put messages back into their queues: all of the given ones or, when one cannot be, none."""
    if bool(ids) == bool(reason):
        raise typer.BadParameter("name either dead letters or a --reason")
    from core.acts import dead_letters as acts
    from core.base.clock import utc_now
    from core.stores import dead_letters

    async def act(resources: "Resources") -> int:
        shards = resources.settings.shards
        async with resources.postgres.unit_of_work() as work:
            who = await lead(work, by, "settle dead letters")
            if reason:
                return await acts.redrive_reason(work, reason, until=utc_now(), by=who, shards=shards)
            for one in ids or ():
                row = acts.taken(await dead_letters.one_for_update(work, one))
                await acts.redrive(work, row, by=who, shards=shards)
            return len(ids or ())

    sent = with_resources(data_dir, act)
    if as_json:
        show_json({"redriven": sent})
    else:
        show(f"{sent:,} sent again")


@app.command()
def discard(
    by: By,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; the audit trail keeps it.")],
    ids: Ids = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Set messages aside for good: all of the given ones or, when one cannot be, none."""
    if not ids:
        raise typer.BadParameter("name at least one dead letter")
    from core.acts import dead_letters as acts
    from core.stores import dead_letters

    async def act(resources: "Resources") -> int:
        async with resources.postgres.unit_of_work() as work:
            who = await lead(work, by, "settle dead letters")
            for one in ids:
                row = acts.taken(await dead_letters.one_for_update(work, one))
                await acts.discard(work, row, by=who, reason=reason)
        return len(ids)

    gone = with_resources(data_dir, act)
    if as_json:
        show_json({"discarded": gone})
    else:
        show(f"{gone:,} discarded")
