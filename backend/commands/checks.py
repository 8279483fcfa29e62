"""doctor, audit verify."""

import asyncio
import sys
from typing import TYPE_CHECKING

import typer

from backend.commands.common import CHECK, DataDir, Json, settings_beside, show, show_json, with_resources

if TYPE_CHECKING:
    from core.acts.audit import Verification
    from core.infra.resources import Resources

audit = typer.Typer(help="The audit trail.", no_args_is_help=True)
SHOWN = 50


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=CHECK)(doctor)
    app.add_typer(audit, name="audit", rich_help_panel=CHECK)


def doctor(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Say what is installed, reachable, migrated, loaded and lagging, and what to do. Exit code 1 when something is not well."""
    from backend.doctor import examine, report_table

    findings = asyncio.run(examine(settings_beside(data_dir)))
    healthy = all(finding.state.fine for finding in findings)
    if as_json:
        show_json({"healthy": healthy, "findings": [finding.as_json() for finding in findings]})
    else:
        from rich.console import Console

        Console().print(report_table(findings))
    sys.exit(0 if healthy else 1)


@audit.command("verify")
def audit_verify(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Hash every event of the trail again and name those that were altered. Exit code 1 when there are any.

    It finds edited events. Until sealing exists it cannot find events that were removed, or rewritten together with their hash.
    """
    from core.acts.audit import verify

    async def read(resources: "Resources") -> "Verification":
        async with resources.postgres.reading() as work:
            return await verify(work)

    found = with_resources(data_dir, read)
    if as_json:
        bad = [{"id": event.id, "why": event.why} for event in found.bad]
        show_json({"events": found.events, "whole": not bad, "bad": bad})
    else:
        show(f"{found.events:,} events checked, {len(found.bad):,} of them bad")
        for event in found.bad[:SHOWN]:
            show(f"  event {event.id}: {event.why}")
    sys.exit(1 if found.bad else 0)
