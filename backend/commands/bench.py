"""bench, and the processes it starts."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from backend.bench.options import MOST_SECONDS
from backend.choices import BusChoice
from backend.commands.common import CHECK, Json, logs_to_stderr, settings_of, show_json
from core.base.errors import InvalidInput


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=CHECK)(bench)
    app.command(rich_help_panel=CHECK)(bench_pages)
    app.command("bench-part", hidden=True)(bench_part)
    app.command("bench-echo", hidden=True)(bench_echo)
    app.command("bench-stages", hidden=True)(bench_stages)


def bench(
    bus: Annotated[BusChoice, typer.Option(help="What carries messages: auto = RabbitMQ where it is installed.")] = (
        BusChoice.AUTO
    ),
    seconds: Annotated[float, typer.Option(min=0.5, max=MOST_SECONDS, help="About how long each measure sends.")] = 5.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the synthetic payments.")] = 7,
    growth: Annotated[bool, typer.Option("--growth", help="Also with more scorers, entities and rows; takes long.")] = (
        False
    ),
    entities: Annotated[int, typer.Option(min=1000, help="How many customers --growth spreads payments over.")] = (
        1_000_000
    ),
    rows: Annotated[int, typer.Option(min=1000, help="How many transactions --growth stores.")] = 5_000_000,
    as_json: Json = False,
) -> None:
    """Measure the whole pipeline on servers of its own: rates, latencies, the limit of each stage, what audit and SHAP cost.

    It takes two to four minutes, longer on a busy machine, and leaves nothing behind. bench/README.md explains each figure.
    """
    from rich.console import Console

    from backend.bench.options import BenchOptions
    from backend.bench.report import show
    from backend.bench.running import bench as run
    from backend.display import Display

    options = BenchOptions(bus=bus, seconds=seconds, seed=seed, growth=growth, entities=entities, rows=rows)
    display = Display(Console(stderr=True, highlight=False, soft_wrap=True))
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # a polite stop also stops the servers and removes their folder
    result = asyncio.run(run(options, display))
    if as_json:
        show_json(result.as_json())
    else:
        show(result)
    if result.counts.lost or result.counts.doubled or result.counts.refused:
        sys.exit(1)


def bench_pages(
    rows: Annotated[int, typer.Option(min=1000, help="How many transactions there are.")] = 1_000_000,
    alerts: Annotated[int, typer.Option(min=100, help="How many of them are alerts.")] = 100_000,
    open_alerts: Annotated[int, typer.Option("--open", min=1, help="How many of those are open.")] = 10_000,
    requests: Annotated[int, typer.Option(min=10, help="How often each page is asked for.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Of the synthetic payments.")] = 7,
    as_json: Json = False,
) -> None:
    """Measure the console's pages on servers of its own, with a million transactions and a hundred thousand alerts to show.

    It takes about fifteen minutes and leaves nothing behind. The exit code is 1 when a page is slower than its limit.
    """
    from rich.console import Console

    from backend.bench.pages import PagesOptions, show
    from backend.bench.pages import bench_pages as run
    from backend.display import Display

    if not open_alerts <= alerts <= rows:
        raise InvalidInput("there can be no more alerts than transactions, and no more open ones than alerts")
    options = PagesOptions(rows=rows, alerts=alerts, open_alerts=open_alerts, requests=requests, seed=seed)
    display = Display(Console(stderr=True, highlight=False, soft_wrap=True))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    result = asyncio.run(run(options, display))
    if as_json:
        show_json(result.as_json())
    else:
        show(result)
    if result.too_slow():
        sys.exit(1)


def bench_part(
    command: list[str],
    trace: Annotated[Path, typer.Option()],
) -> None:
    """The bench's child: `ronda COMMAND` with clocks inside, and with parts that can be left out."""
    from backend.bench.probe import prepare
    from backend.cli import app

    prepare(command, trace)
    app(command, prog_name="ronda")


def bench_echo(fd: Annotated[int, typer.Option()], bare: Annotated[bool, typer.Option("--bare")] = False) -> None:
    """The bench's child: a server that does nothing."""
    from backend.bench.echo import serve_echo

    serve_echo(fd, bare=bare)


def bench_stages(
    seconds: Annotated[float, typer.Option()],
    seed: Annotated[int, typer.Option()],
    source: Annotated[str, typer.Option()],
) -> None:
    """The bench's child: each stage alone. JSON on stdout."""
    from backend.bench.stages import measure

    settings = settings_of()
    logs_to_stderr(settings, "bench")
    show_json(asyncio.run(measure(settings, source, seconds, seed)))
