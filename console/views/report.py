"""The evaluation report of one model. Reports grow: whatever an older model's lacks is left out, never guessed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from console.i18n import gettext as _
from console.i18n import marked
from console.views.costs import Price, cost_note, cost_plot, prices
from console.views.curves import weekly
from console.views.features import title_of
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
from console.views.words import compact, count, not_known, number, percent
from core.tables.policy import Policy, RegisteredModel


@dataclass(frozen=True)
class SearchRow:
    cells: list[str]
    chosen: bool


@dataclass(frozen=True)
class Search:
    sentence: str
    weighting: str
    """Whether frauds weigh more than honest payments; empty when that was not tried."""
    head: list[str]
    rows: list[SearchRow]
    chosen: list[Fact]


@dataclass(frozen=True)
class Alone:
    """What a feature tells by itself."""

    title: str
    roc_auc: str
    share: str
    named: str
    own: bool


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
    alone: list[Alone]
    lineage: list[LineagePart]
    settings: bool
    """Some parts of the lineage are folded."""


def report(model: RegisteredModel, policy: Policy | None, names: Mapping[UUID, str], now: datetime) -> Report:
    metrics: Mapping[str, Any] = model.metrics
    weeks: Sequence[Mapping[str, Any]] = metrics.get("weeks") or []
    card = model_card(model, policy, names, now)
    figures, parts = report_figures(metrics), lineage(model.lineage)
    return Report(
        card=card,
        verdict=verdict(metrics),
        facts=_facts(model, card),
        figures=figures,
        compared=any(figure.champion for figure in figures),
        precision_recall=_precision_recall(metrics),
        reliability=reliability(model.id, metrics["reliability"]) if metrics.get("reliability") else None,
        calibration=_calibration(metrics),
        cost=cost_plot(metrics),
        prices=prices(metrics),
        cost_note=cost_note(metrics),
        stability=weekly(_("Week by week"), weeks, [(key, _(title), kind) for key, title, kind in _WEEKLY]),
        stability_note=stability(weeks),
        weeks=[week_row(week) for week in weeks],
        segments=segments(metrics.get("segments") or []),
        features=top_features(metrics),
        dropped=[title_of(name) for name in metrics.get("dropped_features") or []],
        search=_search(metrics.get("search"), metrics.get("weighting")),
        anomaly=_anomaly(metrics.get("anomaly")),
        latency=_latency(metrics.get("latency")),
        leakage=_leakage(metrics.get("leakage")),
        alone=_alone(metrics.get("leakage")),
        lineage=parts,
        settings=any(part.folded for part in parts),
    )


def verdict(metrics: Mapping[str, Any]) -> str:
    """What a person who reads only one line should know."""
    if metrics.get("recall_at_review") is None or metrics.get("precision_at_review") is None:
        return ""
    alerts = count(round(metrics.get("alerts_per_day") or 0))
    found = _(
        "It finds %(recall_at_review)s of the frauds with %(alerts)s alerts a day, %(precision_at_review)s of which are fraud.",
        recall_at_review=percent(metrics["recall_at_review"]),
        alerts=alerts,
        precision_at_review=percent(metrics["precision_at_review"]),
    )
    gain = (metrics.get("gain") or {}).get("average_precision")
    how = {
        "better": _("It ranks better than the champion"),
        "worse": _("It ranks worse than the champion"),
        "alike": _("No difference to the champion can be told"),
        "": "",
    }[standing(gain)]
    if not how:
        return found
    return _(
        "%(found)s %(how)s: average precision %(gain)s on the same payments.",
        found=found,
        how=how,
        gain=gained(gain, "number"),
    )


def _facts(model: RegisteredModel, card: ModelCard) -> list[Fact]:
    used: Mapping[str, Any] = model.metrics.get("features") or {}
    features = (
        _("%(used)s of %(catalogue)s", used=count(used["used"]), catalogue=count(used["catalogue"]))
        if used
        else not_known()
    )
    return [
        Fact(_("Review from"), card.review_at),
        Fact(_("Decline from"), card.decline_at),
        Fact(
            _("Features used"),
            features,
            _("catalogue %(catalogue_version)s", catalogue_version=model.catalogue_version),
        ),
        Fact(_("Artifact"), card.size, f"SHA-256 {model.artifact_sha[:16]}…"),
        Fact(_("Signed by key"), model.signed_by or _("not signed")),
    ]


def _precision_recall(metrics: Mapping[str, Any]) -> Plot | None:
    own = metrics.get("precision_recall")
    if not own:
        return None
    recall, precision = metrics.get("recall_at_review"), metrics.get("precision_at_review")
    chosen = (recall, precision) if recall is not None and precision is not None else None
    lines = [(_("This model"), "champion", own)]
    champions = champion_figures(metrics).get("precision_recall")
    if champions:
        lines.append((_("The champion on the same payments"), "challenger", champions))
    return precision_recall(lines, chosen)


def _calibration(metrics: Mapping[str, Any]) -> str:
    known = [
        f"{title} {written(metrics[key], kind)}"
        for key, title, kind in (("brier", _("Brier score"), "small"), ("ece", _("calibration error (ECE)"), "small"))
        if metrics.get(key) is not None
    ]
    ratio = metrics.get("calibration_ratio")
    if ratio is not None:
        known.append(_("%(ratio)s frauds expected for each one found", ratio=number(ratio, 2)))
    return ", ".join(known)


_WEEKLY: Final = (
    ("average_precision", marked("Average precision"), "champion"),
    ("card_precision_100", marked("Card precision@100"), "challenger"),
)


_FIRST: Final = ("round", "candidate")
_LAST: Final = ("average_precision", "recall_at_review")


def _search(found: Mapping[str, Any] | None, weighting: Mapping[str, Any] | None) -> Search | None:
    if not found:
        return None
    table: Sequence[Mapping[str, Any]] = found.get("table") or []
    chosen: Mapping[str, Any] = found.get("chosen") or {}
    known = set[str]().union(*table)
    head = [
        *(key for key in _FIRST if key in known),
        *sorted(known - {*_FIRST, *_LAST}),
        *(key for key in _LAST if key in known),
    ]
    rows = [
        SearchRow([plain(row.get(key)) for key in head], bool(chosen) and chosen.items() <= row.items())
        for row in table
    ]
    return Search(
        sentence=_(
            "%(candidates)s settings in %(rounds)s rounds; each round keeps the better ones and tries them on more payments.",
            candidates=count(found["candidates"]),
            rounds=count(found["rounds"]),
        ),
        weighting=_weighting(weighting),
        head=[titled(key) for key in head],
        rows=rows,
        chosen=[Fact(titled(key), plain(value)) for key, value in chosen.items()],
    )


def _weighting(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    tried = ", ".join(
        _(
            "%(fraud_weight)s (recall at review %(recall_at_review)s)",
            fraud_weight=compact(one["fraud_weight"]),
            recall_at_review=percent(one["recall_at_review"], 1),
        )
        for one in found["tried"]
    )
    return _(
        "Weight of a fraud against an honest payment: %(chosen)s; tried: %(tried)s.",
        chosen=compact(found["chosen"]),
        tried=tried,
    )


def _anomaly(found: Mapping[str, Any] | None) -> list[Fact]:
    if not found:
        return []
    return [
        Fact(_("Average precision"), written(found.get("average_precision"), "number")),
        Fact(_("ROC AUC"), written(found.get("roc_auc"), "number")),
    ]


def _latency(found: Mapping[str, Any] | None) -> list[Fact]:
    if not found:
        return []
    return [
        Fact(_("One payment"), _("%(one_row_ms)s ms", one_row_ms=number(found["one_row_ms"], 2))),
        Fact(_("In a batch of 256"), _("%(time)s µs a payment", time=number(found["row_us_at_256"], 0))),
        Fact(_("One explanation"), _("%(explain_ms)s ms", explain_ms=number(found["explain_ms"], 2))),
    ]


def _leakage(found: Mapping[str, Any] | None) -> list[Fact]:
    """Does a feature know the answer before it is known?"""
    if not found:
        return []
    facts = []
    if found.get("features_checked") is not None:
        facts.append(Fact(_("Features checked"), count(found["features_checked"])))
    if found.get("labels_too_early") is not None:
        facts.append(Fact(_("Labels reported before their payment"), count(found["labels_too_early"])))
    return facts


_ALONE: Final = 5


def _alone(found: Mapping[str, Any] | None) -> list[Alone]:
    return [
        Alone(
            title=title_of(one["name"]),
            roc_auc=number(one["roc_auc"]),
            share=percent(one["share"]),
            named=percent(one["recall_when_pure"]),
            own=bool(one["own"]),
        )
        for one in ((found or {}).get("alone") or [])[:_ALONE]
    ]
