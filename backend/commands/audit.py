"""audit verify, audit export."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.commands.common import CHECK, DataDir, Json, settings_beside, show, show_json, with_resources

if TYPE_CHECKING:
    from core.acts.audit_verify import Fault, Verification
    from core.base.settings import Settings
    from core.infra.resources import Resources
    from core.infra.signing import Keys

audit = typer.Typer(help="The audit trail: is it whole, and a copy for an auditor.", no_args_is_help=True)
SHOWN = 50


def register(app: typer.Typer) -> None:
    app.add_typer(audit, name="audit", rich_help_panel=CHECK)


def trusted_keys(settings: "Settings") -> "Keys":
    """Raises InvalidInput when there is no key to check a checkpoint with."""
    from core.base.errors import InvalidInput
    from core.infra.signing import CHECKPOINTS, keys_of

    keys = keys_of(settings, CHECKPOINTS)
    if not keys.trusted:
        raise InvalidInput("there is no key to check the checkpoints with: set RONDA_AUDIT_TRUSTED_KEYS")
    return keys


@audit.command("verify")
def audit_verify(
    anchor: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="A copy of the anchor file.", show_default="<data dir>/audit-anchor.txt"
        ),
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Hash every event again and compare all of them with the seals, the signed checkpoints and the anchor file.

    Names what was edited, removed, added or moved. Exit code 1 when there is any such thing. It proves tampering, it does not prevent it;
    an event can be rewritten unseen until it is sealed, a second after its commit.
    """
    settings = settings_beside(data_dir)
    keys, file = trusted_keys(settings), anchor or settings.anchor_file
    found = with_resources(data_dir, lambda resources: _read(resources, keys, file))
    if as_json:
        show_json(_as_json(found))
    else:
        _show(found, file)
    sys.exit(1 if found.faults else 0)


async def _read(resources: "Resources", keys: "Keys", anchor: Path | None) -> "Verification":
    from rich.console import Console

    from backend.display import Display, Step
    from core.acts.audit_verify import verify
    from core.infra.anchor import read_lines

    lines = read_lines(anchor) if anchor else None
    with Display(Console(stderr=True, highlight=False)).progress() as steps:
        async with resources.postgres.reading() as work:
            return await verify(
                work,
                keys,
                lines,
                lambda so_far: steps.at(Step(so_far.done / max(so_far.all, 1), "reading the audit trail")),
            )


def _as_json(found: "Verification") -> dict[str, Any]:
    return {
        "whole": not found.faults,
        "events": found.events,
        "seals": found.seals,
        "unsealed": found.unsealed,
        "anchors": found.anchors,
        "faults": [vars(fault) for fault in found.faults],
    }


def _show(found: "Verification", file: Path | None) -> None:
    show(f"{found.events:,} events, {found.seals:,} seals, {found.unsealed:,} events not sealed yet")
    if found.anchors is None:
        show(
            f"no anchor file{f' at {file}' if file else ''}: whether the newest seals were removed was not checked (--anchor FILE)"
        )
    else:
        show(f"{found.anchors:,} anchored checkpoints compared")
    show("everything reads as it was written" if not found.faults else f"{len(found.faults):,} findings:")
    for fault in found.faults[:SHOWN]:
        show(f"  {_place(fault)}: {fault.why}")
    if len(found.faults) > SHOWN:
        show(f"  and {len(found.faults) - SHOWN:,} more (--json has all of them)")


def _place(fault: "Fault") -> str:
    return f"{fault.what} {fault.number}" + (f" in seal {fault.seal}" if fault.seal is not None else "")
