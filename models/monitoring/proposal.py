"""Is it time to train again? Reasons in words, with the figures behind them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from models.monitoring.decay import LEAST_FALL
from models.monitoring.drift import Drift

LEAST_WEIGHT: Final = 0.2
"""Of what the model's leading features weigh together; moved features that weigh less are no reason by themselves."""
MISSING: Final = 0.2
"""So much more of the payments without a value: that is a source that stopped sending it, not a population that changed."""
LEAST_ALERTS: Final = 50
_NAMED: Final = 3
CODES: Final = ("unknown_values", "score_drift", "feature_drift", "performance", "alert_precision")


@dataclass(frozen=True)
class Findings:
    """What a watch measured. None = not measured.

    drift: of each feature by its name. since: first day (YYYY-MM-DD) of the last ones in a row on which it had moved, where it has.
    top_features: the report's, [name, mean strength], strongest first. performance: `decay.performance`'s.
    """

    score: Drift | None
    drift: Mapping[str, Drift]
    since: Mapping[str, str]
    top_features: Sequence[Sequence[Any]]
    performance: Mapping[str, Any] | None


SCORE: Final = "score"
"""The score's name in `Findings.since`."""


def reasons(found: Findings) -> list[dict[str, Any]]:
    """[{code, text, ...facts}]; empty when nothing speaks for a training."""
    return [*_unknown_values(found), *_score_drift(found), *_feature_drift(found), *_performance(found)]


def held_back(why: Sequence[Mapping[str, Any]]) -> str | None:
    """Why a training must not be asked for without a person, in words."""
    if any(reason["code"] == "unknown_values" for reason in why):
        return "values are missing that used to be there: look at the sources first, or the training learns the gap"
    return None


def _unknown_values(found: Findings) -> Iterator[dict[str, Any]]:
    missing = [name for name in found.drift if _went_missing(found.drift[name])]
    if missing:
        worst = max(missing, key=lambda name: found.drift[name].unknown_now - found.drift[name].unknown_before)
        drift = found.drift[worst]
        yield {
            "code": "unknown_values",
            "text": f"{_listed(missing)}: no value in {drift.unknown_now:.0%} of the payments{_since(found, worst)}, "
            f"in {drift.unknown_before:.0%} when the model was judged",
            "features": missing,
        }


def _went_missing(drift: Drift) -> bool:
    return drift.moved and drift.unknown_now - drift.unknown_before >= MISSING


def _score_drift(found: Findings) -> Iterator[dict[str, Any]]:
    if found.score and found.score.moved:
        yield {
            "code": "score_drift",
            "text": f"the scores have moved: PSI {found.score.psi:.2f}{_since(found, SCORE)}",
            **_facts(found.score),
            "since": found.since.get(SCORE),
        }


def _feature_drift(found: Findings) -> Iterator[dict[str, Any]]:
    whole = sum(strength for _, strength in found.top_features)
    moved = [
        (name, strength)
        for name, strength in found.top_features
        if name in found.drift and found.drift[name].moved and not _went_missing(found.drift[name])
    ]
    weight = sum(strength for _, strength in moved) / whole if whole else 0.0
    if weight >= LEAST_WEIGHT:
        names = [name for name, _ in moved]
        strongest = max(names, key=lambda name: found.drift[name].psi)
        yield {
            "code": "feature_drift",
            "text": f"features the model leans on have moved: {_listed(names)}; {strongest} the most with PSI "
            f"{found.drift[strongest].psi:.2f}{_since(found, strongest)}",
            "features": [{"feature": name, **_facts(found.drift[name])} for name in names],
            "weight": weight,
        }


def _performance(found: Findings) -> Iterator[dict[str, Any]]:
    measured = found.performance
    recent = measured["recent"] if measured else None
    if not measured or not recent:
        return
    then = measured["training"]
    spell = {"from": recent["from"], "until": recent["until"]}
    if measured["decayed"]:
        yield {
            "code": "performance",
            "text": f"average precision fell from {_figure(then['average_precision'], then['interval'])} when the model was judged to "
            f"{_figure(recent['average_precision'], recent['interval'])} in payments from {_day(recent['from'])}"
            + (f", lower in every week since {_day(measured['since'])}" if measured["since"] else ""),
            "before": then["average_precision"],
            "before_interval": then["interval"],
            "now": recent["average_precision"],
            "now_interval": recent["interval"],
            "since": measured["since"],
            **spell,
        }
    if _alerts_worse(then, recent):
        yield {
            "code": "alert_precision",
            "text": f"fewer alerts are right: {_figure(recent['precision'], recent['precision_interval'])} of them were fraud, "
            f"{_figure(then['precision'], then['precision_interval'])} when the model was judged",
            "before": then["precision"],
            "before_interval": then["precision_interval"],
            "now": recent["precision"],
            "now_interval": recent["precision_interval"],
            **spell,
        }


def _alerts_worse(then: Mapping[str, Any], recent: Mapping[str, Any]) -> bool:
    before, now = then["precision_interval"], recent["precision_interval"]
    if not before or not now or recent["alerts"] < LEAST_ALERTS:
        return False
    return bool(now[1] < before[0] and then["precision"] - recent["precision"] >= LEAST_FALL)


def _facts(drift: Drift) -> dict[str, Any]:
    return asdict(drift)


def _since(found: Findings, name: str) -> str:
    return f" since {found.since[name]}" if name in found.since else ""


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _figure(value: float, bounds: Sequence[float] | None) -> str:
    return f"{value:.3f}" + (f" [{bounds[0]:.3f}, {bounds[1]:.3f}]" if bounds else "")


def _day(moment: str) -> str:
    return moment[:10]
