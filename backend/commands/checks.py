"""doctor."""

import asyncio
import sys

import typer

from backend.commands.common import CHECK, DataDir, Json, settings_beside, show_json


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=CHECK)(doctor)


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
