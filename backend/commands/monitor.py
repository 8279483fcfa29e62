"""monitor."""

from typing import TYPE_CHECKING, Any

import typer

from backend.commands.common import MODEL, DataDir, Json, logs_to_stderr, settings_of, show, show_json, with_resources
from backend.commands.people import by_command_line, show_rows

if TYPE_CHECKING:
    from core.infra.resources import Resources
    from core.tables.policy import ModelWatch

SHOWN = 15
"""Features in the table; `--json` has all of them."""


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=MODEL)(monitor)


def monitor(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Look at the champion now: drift, label arrival, alert precision, performance, and whether a training is proposed."""
    from workers.monitor import watch_champion

    async def watch(resources: "Resources") -> "ModelWatch":
        return await watch_champion(resources, by=by_command_line())

    logs_to_stderr(settings_of(data_dir), "cli")
    found = with_resources(data_dir, watch)
    if as_json:
        show_json(
            {
                "model": found.model_id,
                "measured_at": found.measured_at,
                "from": found.window_from,
                "until": found.window_until,
                "figures": found.figures,
                "proposal": found.proposal,
            }
        )
        return
    _show(found)


def _show(watch: "ModelWatch") -> None:
    figures = watch.figures
    span = f", payments of {watch.window_from:%Y-%m-%d} to {watch.window_until:%Y-%m-%d}" if watch.window_from else ""
    show(f"champion {watch.model_id}{span}")
    if figures["score"]:
        _table(
            "drift",
            [_drift("score", figures["score"]), *(_drift(one["feature"], one) for one in figures["drift"][:SHOWN])],
        )
    if figures["labels"]["measured"]:
        _table("frauds known by the payment's age", _arrival(figures["labels"]))
    if figures["precision"]:
        _table("alert precision", _precision(figures["precision"]))
    if figures["performance"]:
        _table("performance", _performance(figures["performance"]))
    for note in figures["notes"]:
        show(f"\n{note}")
    show("\n" + _proposed(watch.proposal))


def _table(title: str, rows: list[dict[str, str]]) -> None:
    show(f"\n{title}")
    show_rows(rows, as_json=False)


def _drift(name: str, one: dict[str, Any]) -> dict[str, str]:
    return {
        "feature": name,
        "PSI": f"{one['psi']:.3f}",
        "KS": f"{one['ks']:.3f}",
        "p": f"{one['p']:.1e}",
        "unknown before": f"{one['share_unknown_before']:.1%}",
        "now": f"{one['share_unknown_now']:.1%}",
        "": ("moved" + (f" since {one['since']}" if one["since"] else "")) if one["moved"] else "",
    }


def _arrival(labels: dict[str, Any]) -> list[dict[str, str]]:
    rows = [{"age": f"{days:g} days", "known": f"{known:.0%}"} for days, known in labels["curve"]]
    return [*rows, {"age": f"{labels['old_enough_days']} days", "known": "taken for old enough"}]


def _precision(precision: dict[str, Any]) -> list[dict[str, str]]:
    rows = [("every alert", precision["all"]), *((one["reason"], one) for one in precision["by_reason"])]
    return [
        {
            "reason": reason,
            "alerts": f"{one['alerts']:,}",
            "labelled": f"{one['labelled']:,}",
            "silent, so legitimate": f"{one['presumed']:,}",
            "fraud": _share(one["precision"], one["interval"]),
        }
        for reason, one in rows
    ] + [
        {
            "reason": f"analysts said {said['label']}, told later",
            "alerts": "",
            "labelled": f"{said['payments']:,}",
            "silent, so legitimate": "",
            "fraud": f"borne out {_share(said['share'], said['interval'])}",
        }
        for said in precision["agreement"]["said"]
    ]


def _performance(performance: dict[str, Any]) -> list[dict[str, str]]:
    rows = [("when judged", performance["training"])]
    rows += [(f"week of {week['from'][:10]}", week) for week in performance["weeks"]]
    rows += [(f"since {performance['recent']['from'][:10]}", performance["recent"])] if performance["recent"] else []
    return [
        {
            "": title,
            "payments": _count(one.get("payments")),
            "frauds": _count(one.get("frauds")),
            "average precision": _figure(one["average_precision"], one["interval"]),
            "alerts that were fraud": _share(one["precision"], one["precision_interval"]),
        }
        for title, one in rows
    ]


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _figure(value: float | None, bounds: list[float] | None) -> str:
    return "" if value is None else f"{value:.3f}" + (f" [{bounds[0]:.3f}, {bounds[1]:.3f}]" if bounds else "")


def _share(value: float | None, bounds: list[float] | None) -> str:
    return "" if value is None else f"{value:.0%}" + (f" [{bounds[0]:.0%}, {bounds[1]:.0%}]" if bounds else "")


def _proposed(proposal: dict[str, Any] | None) -> str:
    if proposal is None:
        return "no training is proposed"
    lines = ["a training is proposed:", *(f"  - {reason['text']}" for reason in proposal["reasons"])]
    if proposal["training"]:
        lines.append(f"  it is asked for: run {proposal['training']}")
    elif proposal["held_back"]:
        lines.append(f"  not asked for: {proposal['held_back']}")
    else:
        lines.append("  ask for it with: ronda train --by EMAIL")
    return "\n".join(lines)
