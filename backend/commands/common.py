"""What several commands share: settings as this command line sees them, resources, output."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from core.base.errors import InvalidInput

if TYPE_CHECKING:
    from core.base.settings import Settings
    from core.infra.resources import Resources

T = TypeVar("T")

DataDir = Annotated[
    Path | None,
    typer.Option(help="Folder of the private servers, models and logs.", show_default=".ronda, or RONDA_DATA_DIR"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

RUN, MODEL, PEOPLE, CHECK = "Run", "Models and features", "People, sources and keys", "Check"
"""Panels of `ronda --help`."""


def settings_of(data_dir: Path | None = None, **overrides: Any) -> "Settings":
    """Environment variables, overridden by options that were given (not None). Raises InvalidInput."""
    from pydantic import ValidationError

    from core.base.settings import Settings

    given = {name: value for name, value in {**overrides, "data_dir": data_dir}.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise InvalidInput(f"RONDA_{name}: {first['msg']}") from error


def settings_beside(data_dir: Path | None = None) -> "Settings":
    """The same, with the URLs of the Ronda that runs on this data directory where none are set."""
    from backend.instance import with_running_instance

    return with_running_instance(settings_of(data_dir))


def logs_to_stderr(settings: "Settings", process: str) -> None:
    from core.base.telemetry import configure_logs

    configure_logs(settings.log_level.upper(), settings.log_json, process)


def with_resources(data_dir: Path | None, work: Callable[["Resources"], Awaitable[T]]) -> T:
    """Runs `work` on the servers that are set or running beside us."""
    from core.infra.resources import open_resources

    async def run() -> T:
        async with open_resources(settings_beside(data_dir), "cli") as resources:
            return await work(resources)

    return asyncio.run(run())


def show(value: str) -> None:
    sys.stdout.write(value + "\n")


def show_json(value: Any) -> None:
    show(json.dumps(value, indent=2, default=str, ensure_ascii=False))
