"""The evaluation report of one model. Reports grow: whatever an older model's lacks is left out, never guessed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from console.views.curves import cost_curve, weekly
from console.views.evidence import title_of
from console.views.figures import (
    ReportFigure,
    champion_figures,
    gained,
    report_figures,
    standing,
    written,
)
from console.views.lineage import Fact, LineagePart, lineage, plain, titled
from console.views.models import ModelCard, TopFeature, model_card, top_features
from console.views.plots import Plot, precision_recall, reliability
from console.views.slices import SegmentGroup, WeekRow, segments, stability, week_row
from console.views.words import NOT_KNOWN, count, number, percent, worth
from core.tables.policy import Policy, RegisteredModel


@dataclass(frozen=True)
class Price:
    """A point of the cost curve, in words."""

    title: str
    threshold: str
    cost: str
    alerts: str
    caught: str


@dataclass(frozen=True)
class SearchRow:
    cells: list[str]
    chosen: bool


@dataclass(frozen=True)
class Search:
    sentence: str
    head: list[str]
    rows: list[SearchRow]
    chosen: list[Fact]


@dataclass(frozen=True)
class Report:
    card: ModelCard
    verdict: str
    """The report in two sentences; empty when there are no figures."""
    facts: list[Fact]
    figures: list[ReportFigure]
    compared: bool
    """Some figure stands beside the champion's."""
    precision_recall: Plot | None
    reliability: Plot | None
    calibration: str
    cost: Plot | None
    prices: list[Price]
    cost_note: str
    stability: Plot | None
    stability_note: str
    weeks: list[WeekRow]
    segments: list[SegmentGroup]
    features: list[TopFeature]
    dropped: list[str]
    search: Search | None
    anomaly: list[Fact]
    latency: list[Fact]
    leakage: list[Fact]
    lineage: list[LineagePart]


def report(model: RegisteredModel, policy: Policy | None, names: Mapping[UUID, str], now: datetime) -> Report:
    metrics: Mapping[str, Any] = model.metrics
    weeks: Sequence[Mapping[str, Any]] = metrics.get("weeks") or []
    card = model_card(model, policy, names, now)
    figures = report_figures(metrics)
    return Report(
        card=card,
        verdict=verdict(metrics),
        facts=_facts(model, card),
        figures=figures,
        compared=any(figure.champion for figure in figures),
        precision_recall=_precision_recall(metrics),
        reliability=reliability(model.id, metrics["reliability"]) if metrics.get("reliability") else None,
        calibration=_calibration(metrics),
        cost=_cost(metrics),
        prices=_prices(metrics),
        cost_note=_cost_note(metrics),
        stability=weekly("Week by week", weeks, _WEEKLY),
        stability_note=stability(weeks),
        weeks=[week_row(week) for week in weeks],
        segments=segments(metrics.get("segments") or []),
        features=top_features(metrics),
        dropped=[title_of(name) for name in metrics.get("dropped_features") or []],
        search=_search(metrics.get("search")),
        anomaly=_anomaly(metrics.get("anomaly")),
        latency=_latency(metrics.get("latency")),
        leakage=_leakage(metrics.get("leakage")),
        lineage=lineage(model.lineage),
    )


def verdict(metrics: Mapping[str, Any]) -> str:
    """What a person who reads only one line should know."""
    if metrics.get("recall_at_review") is None or metrics.get("precision_at_review") is None:
        return ""
    alerts = count(round(metrics.get("alerts_per_day") or 0))
    found = (
        f"It finds {percent(metrics['recall_at_review'])} of the frauds with {alerts} alerts a day, "
        f"{percent(metrics['precision_at_review'])} of which are fraud."
    )
    gain = (metrics.get("gain") or {}).get("average_precision")
    how = {
        "better": "It ranks better than the champion",
        "worse": "It ranks worse than the champion",
        "alike": "No difference to the champion can be told",
        "": "",
    }[standing(gain)]
    if not how:
        return found
    return f"{found} {how}: average precision {gained(gain, 'number')} on the same payments."


def _facts(model: RegisteredModel, card: ModelCard) -> list[Fact]:
    used: Mapping[str, Any] = model.metrics.get("features") or {}
    features = f"{count(used['used'])} of {count(used['catalogue'])}" if used else NOT_KNOWN
    return [
        Fact("Review from", card.review_at),
        Fact("Decline from", card.decline_at),
        Fact("Features used", features, f"catalogue {model.catalogue_version}"),
        Fact("Artifact", card.size, f"SHA-256 {model.artifact_sha[:16]}…"),
        Fact("Signed by key", model.signed_by or "not signed"),
    ]


def _precision_recall(metrics: Mapping[str, Any]) -> Plot | None:
    own = metrics.get("precision_recall")
    if not own:
        return None
    recall, precision = metrics.get("recall_at_review"), metrics.get("precision_at_review")
    chosen = (recall, precision) if recall is not None and precision is not None else None
    lines = [("This model", "champion", own)]
    champions = champion_figures(metrics).get("precision_recall")
    if champions:
        lines.append(("The champion on the same payments", "challenger", champions))
    return precision_recall(lines, chosen)


def _calibration(metrics: Mapping[str, Any]) -> str:
    known = [
        f"{title} {written(metrics[key], kind)}"
        for key, title, kind in (("brier", "Brier score", "small"), ("ece", "calibration error (ECE)", "small"))
        if metrics.get(key) is not None
    ]
    ratio = metrics.get("calibration_ratio")
    if ratio is not None:
        known.append(f"{number(ratio, 2)} frauds expected for each one found")
    return ", ".join(known)


def _costs(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = metrics.get("costs") or {}
    return found


def _cost(metrics: Mapping[str, Any]) -> Plot | None:
    costs = _costs(metrics)
    own: Mapping[str, Any] = metrics.get("thresholds") or {}
    chosen = {name: own.get(name) for name in ("review", "decline")}
    return cost_curve(metrics.get("cost_curve") or [], costs.get("currency"), costs.get("nothing"), chosen)


def _prices(metrics: Mapping[str, Any]) -> list[Price]:
    costs = _costs(metrics)
    currency = costs.get("currency")
    points = (("At the chosen threshold", costs.get("chosen")), ("At the cheapest", costs.get("cheapest")))
    rows = [
        Price(
            title,
            percent(point["threshold"], 1),
            worth(point["cost"], currency),
            count(round(point["alerts"])),
            worth(point["fraud_value_caught"], currency),
        )
        for title, point in points
        if point
    ]
    if costs.get("nothing") is not None:
        rows.append(Price("Approving everything", "none", worth(costs["nothing"], currency), "0", worth(0, currency)))
    return rows


def _cost_note(metrics: Mapping[str, Any]) -> str:
    costs = _costs(metrics)
    if not costs:
        return ""
    currency = costs.get("currency")
    parts = [f"An alert costs {_exact(costs['review_cost'], currency)} to look at"]
    if costs.get("lost_share") is not None:
        parts.append(f"a missed fraud {percent(costs['lost_share'])} of its amount")
    if costs.get("friction_share") is not None:
        parts.append(f"a declined honest payment {percent(costs['friction_share'])} of its amount")
    note = ", ".join(parts) + "."
    return note if currency else f"{note} Amounts of different currencies are added as plain numbers."


def _exact(hundredths: float, currency: str | None) -> str:
    return f"{hundredths / 100:,.2f} {currency or ''}".rstrip()


_WEEKLY: Final = (
    ("average_precision", "Average precision", "champion"),
    ("card_precision_100", "Card precision@100", "challenger"),
)


def _search(found: Mapping[str, Any] | None) -> Search | None:
    if not found:
        return None
    table: Sequence[Mapping[str, Any]] = found.get("table") or []
    chosen: Mapping[str, Any] = found.get("chosen") or {}
    head = list(dict.fromkeys(key for row in table for key in row))
    rows = [
        SearchRow([plain(row.get(key)) for key in head], bool(chosen) and chosen.items() <= row.items())
        for row in table
    ]
    return Search(
        sentence=f"{count(found['candidates'])} settings in {count(found['rounds'])} rounds; each round keeps the better ones and "
        f"tries them on more payments.",
        head=[titled(key) for key in head],
        rows=rows,
        chosen=[Fact(titled(key), plain(value)) for key, value in chosen.items()],
    )


def _anomaly(found: Mapping[str, Any] | None) -> list[Fact]:
    if not found:
        return []
    return [
        Fact("Average precision", written(found.get("average_precision"), "number")),
        Fact("ROC AUC", written(found.get("roc_auc"), "number")),
    ]


def _latency(found: Mapping[str, Any] | None) -> list[Fact]:
    if not found:
        return []
    return [
        Fact("One payment", f"{number(found['one_row_ms'], 2)} ms"),
        Fact("In a batch of 256", f"{number(found['row_us_at_256'], 0)} µs a payment"),
        Fact("One explanation", f"{number(found['explain_ms'], 2)} ms"),
    ]


def _leakage(found: Mapping[str, Any] | None) -> list[Fact]:
    """Does a feature know the answer before it is known?"""
    if not found:
        return []
    facts = []
    if found.get("features_checked") is not None:
        facts.append(Fact("Features checked", count(found["features_checked"])))
    if found.get("labels_too_early") is not None:
        facts.append(Fact("Labels reported before their payment", count(found["labels_too_early"])))
    facts += [
        Fact(title_of(one["name"]), f"ROC AUC {number(one['roc_auc'])} alone", f"{percent(one['share'])} of the score")
        for one in found.get("alone") or []
    ]
    return facts
