"""What monitoring last saw of a model, in words. core.tables.policy.ModelWatch says what the JSON holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from console.i18n import gettext as _
from console.i18n import ngettext, reader
from console.views.curves import arrival, day, weekly
from console.views.features import title_of
from console.views.figures import spread, written
from console.views.plots import Plot
from console.views.recorded import retold
from console.views.words import LABELS, Moment, compact, count, moment, number, percent, span
from core.base.clock import rfc3339
from core.base.terms import Label
from core.tables.policy import ModelWatch
from models.features.catalogue import LANGUAGES

DRIFT_SHOWN: Final = 10
"""Features shown at once besides those that moved."""


@dataclass(frozen=True)
class DriftRow:
    title: str
    psi: str
    ks: str
    chance: str
    unknown_before: str
    unknown_now: str
    moved: bool
    since: str


@dataclass(frozen=True)
class PrecisionRow:
    reason: str
    alerts: str
    labelled: str
    presumed: str
    frauds: str
    precision: str
    interval: str


@dataclass(frozen=True)
class LiveWeek:
    week: str
    payments: str
    frauds: str
    average_precision: str
    interval: str
    precision: str
    calibration: str


@dataclass(frozen=True)
class Proposal:
    reasons: list[str]
    asked: bool
    """The monitor asked for the training itself."""
    held_back: str
    answered: bool
    """A training was asked for after this was proposed."""
    href: str
    measured: Moment
    watch: str
    """Id of the look that found them."""


@dataclass(frozen=True)
class Watch:
    measured: Moment
    window: str
    notes: list[str]
    proposal: Proposal | None
    score: DriftRow | None
    drift: list[DriftRow]
    more_drift: list[DriftRow]
    """Features that did not move, beyond the first few."""
    drift_sentence: str
    arrival: Plot | None
    arrival_sentence: str
    precision: list[PrecisionRow]
    agreement: str
    performance: Plot | None
    performance_sentence: str
    decayed: bool
    weeks: list[LiveWeek]


def watch(row: ModelWatch, now: datetime, last_asked: datetime | None = None) -> Watch:
    """`last_asked`: when the newest training was asked for."""
    figures: Mapping[str, Any] = row.figures
    drift = [_drift(found) for found in figures.get("drift") or []]
    moved = [found for found in drift if found.moved]
    still = [found for found in drift if not found.moved]
    labels, judged = figures.get("labels") or {}, figures.get("performance") or {}
    return Watch(
        measured=moment(row.measured_at, now),
        window=_window(row.window_from, row.window_until),
        notes=[_sentence(retold(note)) for note in figures.get("notes") or []],
        proposal=proposal(row, now, last_asked),
        score=_drift({**figures["score"], "feature": "score"}) if figures.get("score") else None,
        drift=[*moved, *still[:DRIFT_SHOWN]],
        more_drift=still[DRIFT_SHOWN:],
        drift_sentence=_drift_sentence(figures, len(moved), len(drift)),
        arrival=arrival(labels.get("curve") or []),
        arrival_sentence=_arrival_sentence(labels),
        precision=_precision(figures.get("precision")),
        agreement=_agreement(figures.get("precision")),
        performance=_performance(judged),
        performance_sentence=_performance_sentence(judged),
        decayed=bool(judged.get("decayed")),
        weeks=[_week(week) for week in judged.get("weeks") or []],
    )


def proposal(row: ModelWatch, now: datetime, last_asked: datetime | None) -> Proposal | None:
    if not row.proposal:
        return None
    return Proposal(
        reasons=[_sentence(retold(reason["text"])) for reason in row.proposal["reasons"]],
        asked=bool(row.proposal.get("training")),
        held_back=_sentence(retold(row.proposal.get("held_back") or "")),
        answered=last_asked is not None and last_asked > row.measured_at,
        href=f"/models/{row.model_id}#monitoring",
        measured=moment(row.measured_at, now),
        watch=str(row.id),
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def _window(start: datetime | None, end: datetime | None) -> str:
    return span(day(rfc3339(start)), day(rfc3339(end))) if start and end else ""


def _drift(found: Mapping[str, Any]) -> DriftRow:
    return DriftRow(
        title=_("Score") if found["feature"] == "score" else title_of(found["feature"]),
        psi=number(found["psi"], 3),
        ks=number(found["ks"], 3),
        chance=percent(found["p"], 1),
        unknown_before=percent(found["share_unknown_before"], 1),
        unknown_now=percent(found["share_unknown_now"], 1),
        moved=bool(found["moved"]),
        since=day(found["since"]) if found.get("since") else "",
    )


def _drift_sentence(figures: Mapping[str, Any], moved: int, features: int) -> str:
    if not features:
        return ""
    told = ngettext(
        "%(moved)s feature of %(features)s has moved, in %(payments)s payments against those the model was judged on.",
        "%(moved)s features of %(features)s have moved, in %(payments)s payments against those the model was judged on.",
        moved,
        moved=count(moved),
        features=count(features),
        payments=count(figures.get("payments") or 0),
    )
    return " ".join((told, _("Moved: a PSI of 0.25 or more, and more than chance explains.")))


def _arrival_sentence(labels: Mapping[str, Any]) -> str:
    if not labels:
        return ""
    old = labels.get("old_enough_days")
    enough = _("Payments are judged once they are %(days)s days old.", days=compact(old)) if old is not None else ""
    if not labels.get("measured") or labels.get("half_days") is None:
        assumed = _("Too few frauds to measure it: the usual label delay is assumed.")
        return f"{assumed} {enough}".rstrip()
    told = _(
        "Half of the frauds are known %(days)s days after the payment, of %(frauds)s known frauds.",
        days=compact(round(labels["half_days"], 1)),
        frauds=count(labels["frauds"]),
    )
    return f"{told} {enough}".rstrip()


def _precision(found: Mapping[str, Any] | None) -> list[PrecisionRow]:
    if not found:
        return []
    rows = [{**found["all"], "reason": ""}, *found["by_reason"]]
    return [
        PrecisionRow(
            reason=_reason(row["reason"]) or _("All alerts"),
            alerts=count(row["alerts"]),
            labelled=count(row["labelled"]),
            presumed=count(row.get("presumed", 0)),
            frauds=count(row["frauds"]),
            precision=written(row["precision"], "percent"),
            interval=spread(row["interval"], "percent"),
        )
        for row in rows
    ]


def _reason(code: str) -> str:
    if code == "rules":
        return _("Rules")
    return _sentence(LANGUAGES[reader().language].GROUPS.get(code, code.replace("_", " "))).rstrip(".")


def _agreement(found: Mapping[str, Any] | None) -> str:
    agreement: Mapping[str, Any] = (found or {}).get("agreement") or {}
    if not agreement.get("payments"):
        return _("No customer and no chargeback has spoken yet of a payment that an analyst labelled.")
    said = ", ".join(
        _(
            "%(label)s %(confirmed)s of %(payments)s times",
            label=LABELS[Label(one["label"])].lower(),
            confirmed=count(one["confirmed"]),
            payments=count(one["payments"]),
        )
        for one in agreement["said"]
        if one["payments"]
    )
    return _(
        "Customers and chargebacks later bore out %(share)s of %(payments)s analysts’ labels (%(interval)s): %(said)s.",
        share=percent(agreement["share"], 1),
        payments=count(agreement["payments"]),
        interval=spread(agreement["interval"], "percent"),
        said=said,
    )


def _performance(judged: Mapping[str, Any]) -> Plot | None:
    weeks: Sequence[Mapping[str, Any]] = judged.get("weeks") or []
    lines = (
        ("average_precision", _("Average precision"), "champion"),
        ("precision", _("Alerts that were fraud"), "challenger"),
    )
    then = (judged.get("training") or {}).get("average_precision")
    return weekly(_("Week by week"), weeks, lines, "interval", (_("Average precision when it was judged"), then))


def _performance_sentence(judged: Mapping[str, Any]) -> str:
    then, recent = judged.get("training"), judged.get("recent")
    if not then or not recent or recent.get("average_precision") is None:
        return _("Too few payments are old enough, or too few of them were fraud, to judge the model again.")
    told = _(
        "Average precision %(now)s in payments from %(start)s to %(end)s; %(before)s when it was judged.",
        now=_with_interval(recent),
        start=day(recent["from"]),
        end=day(recent["until"]),
        before=_with_interval(then),
    )
    if not judged.get("decayed"):
        return " ".join((told, _("No decay beyond chance.")))
    since = judged.get("since")
    decayed = _("It has decayed, in every week since %(week)s.", week=day(since)) if since else _("It has decayed.")
    return f"{told} {decayed}"


def _with_interval(found: Mapping[str, Any]) -> str:
    interval = spread(found["interval"], "number") or _("no interval")
    return f"{number(found['average_precision'])} ({interval})"


def _week(week: Mapping[str, Any]) -> LiveWeek:
    return LiveWeek(
        week=span(day(week["from"]), day(week["until"])),
        payments=count(week["payments"]),
        frauds=count(week["frauds"]),
        average_precision=_("too few frauds")
        if week.get("average_precision") is None
        else number(week["average_precision"]),
        interval=spread(week.get("interval"), "number"),
        precision="" if week.get("precision") is None else percent(week["precision"], 1),
        calibration="" if week.get("calibration_ratio") is None else number(week["calibration_ratio"], 2),
    )
