"""demo, up, serve, work, migrate, replay, test."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.choices import BusChoice, FaultProfile
from backend.commands.common import RUN, DataDir, logs_to_stderr, settings_beside, settings_of, show

if TYPE_CHECKING:
    from core.base.settings import Settings

Host = Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1, or RONDA_HOST")]
Port = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Port of API and console.", show_default="8080, or RONDA_PORT")
]
Bus = Annotated[BusChoice, typer.Option(help="What carries messages: auto = RabbitMQ where it is installed.")]


def register(app: typer.Typer) -> None:
    for command in (demo, up, serve, work, migrate):
        app.command(rich_help_panel=RUN)(command)
    app.command("test", rich_help_panel=RUN)(run_tests)
    app.command("first-run", hidden=True)(first_run)
    app.command("stream", hidden=True)(stream)


def demo(
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    bus: Bus = BusChoice.AUTO,
    stream: Annotated[bool, typer.Option(help="Send synthetic payments for as long as it runs.")] = True,
    rate: Annotated[float, typer.Option(min=0.1, max=500, help="Synthetic payments a second.")] = 5.0,
) -> None:
    """Everything on this machine, with synthetic history, a first model and a stream of synthetic payments.

    Nothing has to be installed or set. Started again, it goes on with the same data. Ctrl+C stops all of it.
    """
    _launch(settings_of(data_dir, host=host, port=port), bus=bus, demo=True, stream=stream, rate=rate)


def up(host: Host = None, port: Port = None, data_dir: DataDir = None, bus: Bus = BusChoice.AUTO) -> None:
    """Everything on this machine, empty, for your own payments.

    PostgreSQL, Valkey and the bus are started here too, unless RONDA_DATABASE_URL, RONDA_REDIS_URL or RONDA_BUS_URL names one.
    """
    _launch(settings_of(data_dir, host=host, port=port), bus=bus)


def _launch(settings: "Settings", **options: Any) -> None:
    from backend.launcher import launch
    from backend.machine import LaunchOptions

    sys.exit(launch(LaunchOptions(settings, **options)))


def serve(
    host: Host = None,
    port: Port = None,
    fd: Annotated[int | None, typer.Option(hidden=True, help="A listening socket inherited from the launcher.")] = None,
) -> None:
    """The web process: ingest API and console."""
    from backend.serving import serve_forever

    settings = settings_of(host=host, port=port)
    logs_to_stderr(settings, "web")
    serve_forever(settings, fd)


def work(
    jobs: Annotated[
        list[str] | None, typer.Argument(metavar="[JOB]...", help="Which jobs; none = all of them.")
    ] = None,
    list_jobs: Annotated[bool, typer.Option("--list", help="Print the jobs there are.")] = False,
) -> None:
    """A worker process: runs jobs until it is told to stop."""
    from workers import roster, runner

    if list_jobs:
        show("\n".join(roster.NAMES))
        return
    unknown = [name for name in jobs or () if name not in roster.JOBS]
    if unknown:
        raise typer.BadParameter(f"there is no job {unknown[0]!r}; there are: {', '.join(roster.NAMES)}")
    settings = settings_of()
    logs_to_stderr(settings, "-".join(jobs or ["all"])[:40])
    with asyncio.Runner(loop_factory=_fast_loop()) as running:
        running.run(runner.run(settings, runner.chosen(roster.JOBS, jobs or ())))


def _fast_loop() -> Any:
    import uvloop

    return uvloop.new_event_loop


def migrate(data_dir: DataDir = None) -> None:
    """Bring the database's schema to this version. Safe to repeat; the schema of a later version stays as it is."""
    from backend.migrations import migrate as migrate_database
    from backend.migrations.logins import read_logins
    from core.base.errors import InvalidInput

    settings = settings_beside(data_dir)
    url, logins = settings.database_url.get_secret_value(), read_logins(settings.database_logins.get_secret_value())
    if not url:
        raise InvalidInput("RONDA_DATABASE_URL is not set (`ronda up` migrates its own database)")
    schema = migrate_database(url, logins)
    show(f"the schema is at {schema.database}" + (", of a later version, and stays" if schema.later else ""))


def run_tests(
    only: Annotated[list[str] | None, typer.Option("--only", "-k", metavar="STAGE", help="Only these stages.")] = None,
    faults: Annotated[
        FaultProfile, typer.Option(help="How long the fault tests go on; CI runs the short ones.")
    ] = FaultProfile.SHORT,
    pytest_options: Annotated[
        list[str] | None, typer.Argument(metavar="[-- PYTEST_OPTIONS]", help="Handed to pytest.")
    ] = None,
) -> None:
    """Install what the tests need, then run every check: what CI runs."""
    from backend.testing import run_stages

    sys.exit(run_stages(only or (), pytest_options or (), faults=faults))


def first_run(days: int | None = None) -> None:
    """The launcher's child: synthetic history and a first model. Progress as JSON lines on stdout."""
    import msgspec

    from backend.first_run import DAYS
    from backend.first_run import first_run as run

    settings = settings_of()
    logs_to_stderr(settings, "first-run")

    def tell(step: Any) -> None:
        sys.stdout.write(msgspec.json.encode(step).decode() + "\n")
        sys.stdout.flush()

    asyncio.run(run(settings, tell, days or DAYS))


def stream(rate: float = 5.0) -> None:
    """The launcher's child: synthetic payments to the API."""
    from backend.streaming import stream_until_stopped

    settings = settings_of()
    logs_to_stderr(settings, "stream")
    asyncio.run(stream_until_stopped(settings, rate))
