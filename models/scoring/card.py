"""The model card: what a model is for, how good it is and where it is not, as Markdown. Pure Python, so that the console may use it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Json = Mapping[str, Any]

_FIGURES: Final = (
    ("average_precision", "Average precision", ".3f"),
    ("roc_auc", "ROC AUC", ".4f"),
    ("card_precision_100", "Card precision at 100 a day", ".3f"),
    ("recall_at_review", "Frauds caught at the review threshold", ".1%"),
    ("precision_at_review", "Alerts that are fraud", ".1%"),
    ("alerts_per_day", "Alerts a day", ",.1f"),
    ("calibration_ratio", "Frauds expected for each that came", ".2f"),
    ("brier", "Brier score (lower is better)", ".5f"),
    ("ece", "Expected calibration error (lower is better)", ".5f"),
)
_USE: Final = """Ranks payments by the probability that they are fraud, so that people look at the riskiest first and the most certain ones
are declined. It serves the payments of the organisation whose labels it learned from, together with rules and with people who decide.

Not meant for: payments of another organisation, country or product without training again; decisions about a person's credit or
account; refusing a customer for good without a person looking."""
_LIMITS: Final = """- It knows the frauds of its past. A new pattern is seen only as far as it is unusual.
- Labels come late and are not all right: a payment nobody complained about in time counts as legitimate.
- Figures come from the test slice above, a stretch of time just after what was learned. They fade with time.
- Intervals resample customers. They do not hold the uncertainty of another season or another kind of fraud.
- Amounts are added up in hundredths of whatever currency a payment had, without conversion.
- Small segments have wide intervals; segments with too few frauds have no figures of their own.
- If the data is synthetic or a public simulated set, the figures compare models and promise nothing for real payments."""
_WEEKLY: Final = (
    ("average_precision", ".3f"),
    ("roc_auc", ".4f"),
    ("card_precision_100", ".3f"),
    ("calibration_ratio", ".2f"),
    ("brier", ".5f"),
)


def model_card(model_id: str, metrics: Json, lineage: Json, *, stage: str, trained_at: str | None = None) -> str:
    """metrics: the report JSON, of this or an earlier version: what it lacks is left out. trained_at: as it shall be shown."""
    parts = [
        f"# Model card: {_cell(model_id)}",
        "\n".join(_heading(metrics, lineage, stage, trained_at)),
        "## Intended use\n\n" + _USE,
        "## Data and lineage\n\n" + "\n".join(_lineage(lineage)),
        "## Figures\n\n" + _figures(metrics),
        _section("Stability over weeks", _weeks(metrics.get("weeks") or [])),
        _section("Segments", _segments(metrics.get("segments") or [])),
        _section("Calibration", _calibration(metrics)),
        _section("Thresholds and costs", _costs(metrics)),
        _section("What it looks at", _features(metrics)),
        _section("Checks", _checks(metrics.get("gates") or [])),
        "## Limits\n\n" + _LIMITS,
        "## How to reproduce\n\n" + _reproduce(lineage),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _heading(metrics: Json, lineage: Json, stage: str, trained_at: str | None) -> Iterator[str]:
    yield f"- Stage: {_cell(stage)}"
    if trained_at:
        yield f"- Trained: {_cell(trained_at)}"
    catalogue = _cell(lineage.get("catalogue_version", "unknown"))
    yield f"- Gradient-boosted trees, scikit-learn {_cell(_version(lineage))}; feature catalogue {catalogue}"
    used = metrics.get("features")
    if used:
        yield f"- Features used: {used['used']} of {used['catalogue']}"


def _version(lineage: Json) -> Any:
    libraries = lineage.get("libraries")
    known = libraries.get("scikit-learn") if isinstance(libraries, Mapping) else None
    return known or lineage.get("scikit_learn", "unknown")


def _figures(metrics: Json) -> str:
    champion, gain, intervals = (metrics.get(name) or {} for name in ("champion", "gain", "intervals"))
    rows = []
    for name, title, form in _FIGURES:
        if metrics.get(name) is None:
            continue
        row = [title, format(metrics[name], form), _interval(intervals.get(name), form)]
        if champion:
            theirs = format(champion[name], form) if champion.get(name) is not None else ""
            row += [
                theirs,
                _interval(gain.get("calibration" if name == "calibration_ratio" else name), ".4f", signed=True),
            ]
        rows.append(row)
    heads = [
        "figure",
        "value",
        "95 % interval",
        *(["champion", "gain over it (positive is better)"] if champion else []),
    ]
    counts = f"{metrics.get('payments', 0):,} payments with {metrics.get('frauds', 0):,} frauds in the test slice. "
    return counts + "Intervals: bootstrap by customer.\n\n" + _table(heads, rows)


def _weeks(weeks: Sequence[Json]) -> str:
    if not weeks:
        return ""
    rows = [
        [str(week["from"])[:10], f"{week['payments']:,}", f"{week['frauds']:,}", *(_or_dash(week.get(n), f) for n, f in _WEEKLY)]
        for week in weeks
    ]  # fmt: skip
    return _table(["from", "payments", "frauds", "AP", "AUC", "CP@100", "expected / came", "Brier"], rows)


def _segments(segments: Sequence[Json]) -> str:
    rows = [
        [
            one["by"].replace("_", " "), one["name"], f"{one['payments']:,}", f"{one['frauds']:,}",
            _or_dash(one.get("average_precision"), ".3f"), _or_dash(one.get("calibration_ratio"), ".2f"),
            _or_dash(one.get("recall_at_review"), ".1%"), _interval(one.get("gain"), ".3f", signed=True),
        ]
        for one in segments
    ]  # fmt: skip
    heads = ["by", "part", "payments", "frauds", "AP", "expected / came", "caught", "gain over the champion"]
    return _table(heads, rows) if rows else ""


def _calibration(metrics: Json) -> str:
    bins = metrics.get("reliability")
    if not bins:
        return ""
    rows = [[f"{mean:.4f}", f"{rate:.4f}", f"{int(count):,}"] for mean, rate, count in bins]
    return "Payments in groups that each expect as many frauds.\n\n" + _table(
        ["mean score", "fraud rate", "payments"], rows
    )


def _costs(metrics: Json) -> str:
    thresholds = metrics.get("thresholds")
    if not thresholds:
        return ""
    lines = [
        f"- Reviewed from a probability of {thresholds['review']:.4f}; "
        + ("nothing is declined" if thresholds["decline"] >= 1 else f"declined from {thresholds['decline']:.4f}")
    ]
    costs = metrics.get("costs")
    if costs:
        money = costs.get("currency") or "the payments' currencies"
        chosen, cheapest = costs["chosen"], costs.get("cheapest")
        lines += [
            f"- Prices, in {_cell(money)}: {_money(costs['review_cost'])} for an alert, {costs.get('lost_share', 1):.0%} of a missed "
            f"fraud, {costs.get('friction_share', 0):.0%} of a genuine payment that is declined",
            f"- Over the test slice: {_money(chosen['cost'])} at the chosen threshold ({int(chosen['alerts']):,} alerts, frauds worth "
            f"{_money(chosen['fraud_value_caught'])} caught); {_money(costs['nothing'])} if everything were approved",
        ]
        if cheapest:
            lines.append(
                f"- The cheapest threshold at these prices is {cheapest['threshold']:.4f}: {_money(cheapest['cost'])} with "
                f"{int(cheapest['alerts']):,} alerts"
            )
    return "\n".join(lines)


def _features(metrics: Json) -> str:
    rows = [[f"`{name}`", f"{strength:.3f}"] for name, strength in metrics.get("top_features") or []]
    if not rows:
        return ""
    dropped = metrics.get("dropped_features") or []
    note = f"\n\nLeft out of the training: {len(dropped)} features that told nothing." if dropped else ""
    return _table(["feature", "mean contribution (log-odds)"], rows) + note


def _checks(gates: Sequence[Json]) -> str:
    return "\n".join(
        f"- {'passed' if one['passed'] else '**failed**'}: {one['name'].replace('_', ' ')}. {_cell(one['detail'])}"
        for one in gates
    )


def _lineage(values: Json, depth: int = 0) -> Iterator[str]:
    """Nested bullets; long lists by their length."""
    for name, value in values.items():
        title = "  " * depth + f"- {_cell(name).replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield title + (":" if value else ": none")
            yield from _lineage(value, depth + 1)
        elif isinstance(value, (list, tuple)):
            yield f"{title}: " + (
                "; ".join(_entry(one) for one in value) if len(value) <= 12 else f"{len(value)} entries"
            )
        else:
            yield f"{title}: {_cell('none' if value is None else value)}"


def _entry(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{_cell(name).replace('_', ' ')} {_cell(part)}" for name, part in value.items())
    return _cell(value)


def _reproduce(lineage: Json) -> str:
    options = lineage.get("options")
    seed = options.get("seed", "unknown") if isinstance(options, Mapping) else "unknown"
    return "\n".join(
        [
            f"1. Check out code version {_cell(lineage.get('code_version', 'of the training'))} and install `requirements.lock`.",
            "2. Restore the database as of the training; `ronda features check` shows that the features come out the same.",
            f"3. `ronda train` with the options above (seed {_cell(seed)}). Training is deterministic: the same payments (SHA-256 "
            f"`{_cell(lineage.get('dataset_sha256', 'unknown'))}`) give the same trees.",
            "4. On a file of labelled payments, `ronda evaluate FILE --protocol handbook` judges the same training week by week.",
        ]
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: Any) -> str:
    """Names may come out of payments: nothing in them may become a column, a line or HTML."""
    plain = " ".join(str(value).split())
    return plain.replace("\\", "\\\\").replace("|", "\\|").replace("<", "\\<").replace("[", "\\[")


def _interval(found: Sequence[float] | None, form: str, *, signed: bool = False) -> str:
    if not found:
        return ""
    sign = "+" if signed else ""
    return f"{found[0]:{sign}{form}} to {found[1]:{sign}{form}}"


def _or_dash(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _money(hundredths: float) -> str:
    return f"{hundredths / 100:,.2f}"
