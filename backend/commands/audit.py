"""audit verify, audit export."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.commands.common import CHECK, DataDir, Json, settings_beside, show, show_json, with_resources
from backend.commands.people import by_command_line
from core.base.errors import InvalidInput

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
    from core.acts.audit_verify import verify
    from core.infra.anchor import read_lines

    lines = read_lines(anchor) if anchor else None
    with _progress("reading the audit trail") as report:
        async with resources.postgres.reading() as work:
            return await verify(work, keys, lines, lambda so_far: report(so_far.done / max(so_far.all, 1)))


@contextmanager
def _progress(words: str) -> Iterator[Callable[[float], None]]:
    """On stderr. What is reported is the share that is done."""
    from rich.console import Console

    from backend.display import Display, Step

    with Display(Console(stderr=True, highlight=False)).progress() as steps:
        yield lambda share: steps.at(Step(share, words))
        steps.done()


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


@audit.command("export")
def audit_export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is new or empty.")],
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Events entered from then on (RFC 3339).")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Events entered before then.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Write a copy of the trail that an auditor checks without us: `python DIR/verify.py`, offline, with nothing but Python.

    Seals are exported whole, so a few events around the span come along. The export itself goes on the trail.
    """
    from core.acts.audit_bundle.writing import Bundle, Span, export

    settings = settings_beside(data_dir)
    keys, span = trusted_keys(settings), Span(_moment("since", since), _moment("until", until))

    async def write(resources: "Resources") -> Bundle:
        with _progress("writing events") as report:
            return await export(
                resources.postgres,
                keys,
                folder.expanduser().absolute(),
                span,
                anchor=settings.anchor_file,
                by=by_command_line(),
                report=report,
            )

    bundle = with_resources(data_dir, write)
    if as_json:
        show_json(vars(bundle))
        return
    show(
        f"{bundle.events:,} events, {bundle.first_at} to {bundle.last_at}, under seals {bundle.first_seal} to {bundle.last_seal}"
    )
    show(f"manifest.json has SHA-256 {bundle.manifest_sha256}; that is on the trail")
    show(f"check it with: python {bundle.folder}/verify.py")


def _moment(option: str, value: str | None) -> datetime | None:
    """Raises InvalidInput."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidInput(f"--{option} must be a time with its zone, such as 2026-01-31T09:30:00Z")
    return moment
