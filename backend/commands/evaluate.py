"""evaluate FILE..."""

from pathlib import Path
from typing import Annotated, Any

import typer

from backend.commands.common import MODEL, Json, show_json
from backend.evaluation.options import HELP, EvaluationOptions, Features, Protocol, Trees

_DEFAULTS: dict[str, Any] = {field.name: field.default for field in EvaluationOptions.__dataclass_fields__.values()}
_WIDEST = 400


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=MODEL)(evaluate)


def _option(name: str, *flags: str, **more: Any) -> Any:
    return typer.Option(*flags, help=HELP[name], **more)


def evaluate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help=HELP["files"], exists=True, dir_okay=False)],
    protocol: Annotated[Protocol, _option("protocol")] = _DEFAULTS["protocol"],
    train_days: Annotated[
        int | None, _option("train_days", show_default="28 (handbook), 90 (monthly), all (split)")
    ] = None,
    delay_days: Annotated[int, _option("delay_days")] = _DEFAULTS["delay_days"],
    warm_up_days: Annotated[int, _option("warm_up_days")] = _DEFAULTS["warm_up_days"],
    since: Annotated[str | None, _option("since", metavar="DAY", show_default="the judged file's first")] = None,
    until: Annotated[str | None, _option("until", metavar="DAY", show_default="the end")] = None,
    features: Annotated[Features, _option("features")] = _DEFAULTS["features"],
    trees: Annotated[Trees, _option("trees")] = _DEFAULTS["trees"],
    gain: Annotated[bool, _option("gain", "--gain")] = _DEFAULTS["gain"],
    intervals: Annotated[bool, _option("intervals", "--intervals")] = _DEFAULTS["intervals"],
    seed: Annotated[int, _option("seed")] = _DEFAULTS["seed"],
    threads: Annotated[int, _option("threads")] = _DEFAULTS["threads"],
    columns: Annotated[list[str] | None, _option("columns", "--map", metavar="FIELD=COLUMN")] = None,
    currency: Annotated[str, _option("currency")] = _DEFAULTS["currency"],
    timezone: Annotated[str, _option("timezone")] = _DEFAULTS["timezone"],
    as_json: Json = False,
) -> None:
    """How good is the default model on a file of labelled payments? It learns before each test period only what was known by then."""
    from backend.replay.mapping import parse_map
    from backend.replay.options import parse_moment

    options = EvaluationOptions(
        files=tuple(files),
        protocol=protocol,
        train_days=train_days,
        delay_days=delay_days,
        warm_up_days=warm_up_days,
        since=parse_moment(since, timezone) if since else None,
        until=parse_moment(until, timezone) if until else None,
        features=features,
        trees=trees,
        gain=gain,
        intervals=intervals,
        seed=seed,
        threads=threads,
        columns=parse_map(columns or []),
        currency=currency,
        timezone=timezone,
    )
    _run(options, as_json)


def _run(options: EvaluationOptions, as_json: bool) -> None:
    from rich.console import Console
    from rich.measure import Measurement

    from backend.evaluation.answer import NOTE
    from backend.evaluation.running import evaluate as run

    answer = run(options, Console(stderr=True, highlight=False, soft_wrap=True))
    if as_json:
        show_json(answer.as_json())
        return
    table = answer.as_table()
    console = Console(highlight=False)
    wide = Measurement.get(console, console.options.update(width=_WIDEST), table).maximum
    console.width = max(console.width, wide)  # figures are never cut short
    console.print(table)
    for note in [*answer.notes, NOTE]:
        console.print(note, markup=False, soft_wrap=True)
    console.print(
        f"{answer.payments:,} payments, {answer.seconds:.0f} s, of which features {answer.replay_seconds:.0f} s"
    )
