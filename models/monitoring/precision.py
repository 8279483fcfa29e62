"""How often an alert is right: by the reason that raised it, and how often the analysts' labels were borne out later."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from scipy.stats import binomtest

from core.base.terms import Label

RULES: Final = "rules"
"""In place of a reason where no feature raised the score: a rule asked for the look."""


def wilson(hits: int, of: int, confidence: float = 0.95) -> list[float] | None:
    """[low, high] of a share (Wilson 1927): stays inside 0 to 1 and holds for few and for extreme ones. None of nothing."""
    if of == 0:
        return None
    found = binomtest(hits, of).proportion_ci(confidence, method="wilson")
    return [float(found.low), float(found.high)]


@dataclass(frozen=True)
class JudgedAlert:
    """reason: code of the group that raised the score most, or RULES. label: what counts now. analyst: what the analyst said.

    told_later: `label` is a customer's or a chargeback's. presumed: nobody said anything for so long that it passes for legitimate.
    """

    reason: str
    label: Label | None
    analyst: Label | None
    told_later: bool
    presumed: bool = False


def share(hits: int, of: int) -> dict[str, Any]:
    return {"share": hits / of if of else None, "interval": wilson(hits, of)}


def precision(alerts: Sequence[JudgedAlert]) -> dict[str, Any]:
    """{alerts, labelled, presumed, frauds, precision, interval}; precision is of those labelled or presumed legitimate. Where only
    chargebacks speak, the labelled alone would all be frauds. Any other alert that nobody labelled, or is sure of, says nothing.
    """
    said = Counter(alert.label for alert in alerts)
    presumed = sum(alert.presumed for alert in alerts)
    frauds, labelled = said[Label.FRAUD], said[Label.FRAUD] + said[Label.LEGITIMATE]
    found = share(frauds, labelled + presumed)
    return {
        "alerts": len(alerts),
        "labelled": labelled,
        "presumed": presumed,
        "frauds": frauds,
        "precision": found["share"],
        "interval": found["interval"],
    }


def by_reason(alerts: Iterable[JudgedAlert]) -> list[dict[str, Any]]:
    """`precision` of each reason's alerts, with `reason`; most alerts first."""
    groups: dict[str, list[JudgedAlert]] = defaultdict(list)
    for alert in alerts:
        groups[alert.reason].append(alert)
    found = [{"reason": reason, **precision(group)} for reason, group in groups.items()]
    return sorted(found, key=lambda one: (-one["alerts"], one["reason"]))


def agreement(alerts: Iterable[JudgedAlert]) -> dict[str, Any]:
    """Where an analyst said fraud or legitimate, and a customer or a chargeback said one of them later: did they agree?

    said: of each of the analysts' two answers, how many were borne out.
    """
    settled = (Label.FRAUD, Label.LEGITIMATE)
    pairs = [
        (alert.analyst, alert.label)
        for alert in alerts
        if alert.told_later and alert.analyst in settled and alert.label in settled
    ]
    agreed = sum(said == truth for said, truth in pairs)
    return {"payments": len(pairs), "agreed": agreed, **share(agreed, len(pairs)), "said": _said(pairs)}


def _said(pairs: Sequence[tuple[Label | None, Label | None]]) -> list[dict[str, Any]]:
    found = []
    for label in (Label.FRAUD, Label.LEGITIMATE):
        truths = [truth for said, truth in pairs if said is label]
        confirmed = sum(truth is label for truth in truths)
        found.append(
            {
                "label": label.value,
                "payments": len(truths),
                "confirmed": confirmed,
                **share(confirmed, len(truths)),
            }
        )
    return found
