"""replay FILE."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.commands.common import RUN, DataDir, Json, settings_beside, show_json
from backend.replay.options import HELP, ReplayOptions, parse_duration, parse_moment
from core.base.errors import InvalidInput
from core.base.terms import LabelSource

_DEFAULTS: dict[str, Any] = {field.name: field.default for field in ReplayOptions.__dataclass_fields__.values()}


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=RUN)(replay)


def _option(name: str, *flags: str, **more: Any) -> Any:
    return typer.Option(*flags, help=HELP[name], **more)


def replay(
    file: Annotated[Path, typer.Argument(help=HELP["file"], exists=True, dir_okay=False)],
    url: Annotated[str | None, _option("url", show_default="the Ronda that runs here")] = None,
    key: Annotated[
        str | None, typer.Option(envvar="RONDA_KEY", help=HELP["key"], show_default="the demo's, beside a demo")
    ] = None,
    source: Annotated[str | None, _option("source")] = None,
    columns: Annotated[list[str] | None, _option("columns", "--map", metavar="FIELD=COLUMN")] = None,
    currency: Annotated[str, _option("currency")] = _DEFAULTS["currency"],
    timezone: Annotated[str, _option("timezone")] = _DEFAULTS["timezone"],
    since: Annotated[str | None, _option("since", "--from", metavar="TIME")] = None,
    until: Annotated[str | None, _option("until", "--to", metavar="TIME")] = None,
    limit: Annotated[int | None, _option("limit")] = None,
    rate: Annotated[float | None, _option("rate")] = None,
    batch: Annotated[int, _option("batch")] = _DEFAULTS["batch"],
    concurrency: Annotated[int, _option("concurrency")] = _DEFAULTS["concurrency"],
    max_undecided: Annotated[int, _option("max_undecided")] = _DEFAULTS["max_undecided"],
    labels: Annotated[bool, _option("labels")] = _DEFAULTS["labels"],
    label_delay: Annotated[str, _option("label_delay", metavar="DURATION")] = "7d",
    label_source: Annotated[LabelSource, _option("label_source")] = _DEFAULTS["label_source"],
    wait_decisions: Annotated[bool, _option("wait_decisions")] = _DEFAULTS["wait_decisions"],
    wait_s: Annotated[float, _option("wait_s")] = _DEFAULTS["wait_s"],
    judge_since: Annotated[str | None, _option("judge_since", "--judge-from", metavar="TIME")] = None,
    patience_s: Annotated[float, _option("patience_s")] = _DEFAULTS["patience_s"],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Drive the API with a file of payments, in the order they happened, and judge the decisions against its labels."""
    address, api_key = _target(url, key, data_dir)
    options = ReplayOptions(
        file=file,
        url=address,
        key=api_key,
        source=source,
        columns=_columns(columns or []),
        currency=currency,
        timezone=timezone,
        since=parse_moment(since, timezone) if since else None,
        until=parse_moment(until, timezone) if until else None,
        limit=limit,
        rate=rate,
        batch=batch,
        concurrency=concurrency,
        max_undecided=max_undecided,
        labels=labels,
        label_delay=parse_duration(label_delay),
        label_source=label_source,
        wait_decisions=wait_decisions,
        wait_s=wait_s,
        judge_since=parse_moment(judge_since, timezone) if judge_since else None,
        patience_s=patience_s,
    )
    _run(options, as_json)


def _columns(chosen: list[str]) -> dict[str, str]:
    from backend.replay.mapping import parse_map

    return parse_map(chosen)


def _target(url: str | None, key: str | None, data_dir: Path | None) -> tuple[str, str]:
    """Address and key; what is not given is taken from the Ronda that runs here. Raises InvalidInput."""
    from backend.accounts import read_demo_secrets, secrets_path
    from backend.instance import RunFile, local_url

    settings = settings_beside(data_dir)
    if url is None and RunFile.read(settings.data_dir) is None:
        raise InvalidInput("no Ronda runs here: start one, or say which with --url and --key")
    if key is None and url is None and secrets_path(settings.data_dir).exists():
        key = read_demo_secrets(settings.data_dir).key
    if key is None:
        raise InvalidInput("an API key is needed: --key, or RONDA_KEY (`ronda key add SOURCE` makes one)")
    return url or local_url(settings), key


def _run(options: ReplayOptions, as_json: bool) -> None:
    from rich.console import Console

    from backend.replay.running import replay as run

    report = asyncio.run(run(options, Console(stderr=True)))
    if as_json:
        show_json(report.as_json())
    else:
        Console().print(report.as_table())
    undecided = report.decisions.undecided if report.decisions else 0
    sys.exit(1 if undecided or report.invalid or report.unreadable else 0)
