"""The command line. Commands parse, call a function of their own module and print; libraries are imported when a command needs them."""

import sys

import typer

from backend.commands import (
    audit,
    bench,
    checks,
    dead_letters,
    evaluate,
    model,
    monitor,
    people,
    registry,
    replay,
    running,
)
from core.base.errors import RondaError

app = typer.Typer(
    name="ronda",
    help="Real-time fraud detection that an analyst can check.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
running.register(app)
replay.register(app)
model.register(app)
registry.register(app)
monitor.register(app)
evaluate.register(app)
people.register(app)
checks.register(app)
dead_letters.register(app)
audit.register(app)
bench.register(app)


def main() -> None:
    """Exit codes: 0 done, 1 it could not be done (one line says why), 2 wrong usage, 130 interrupted."""
    try:
        app(prog_name="ronda")
    except RondaError as error:
        sys.stderr.write(f"ronda: {error.detail}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
