"""From score and rule hits to one outcome. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.base.terms import FeaturesStatus, Outcome
from core.rules.engine import RuleHit

_SEVERITY = {outcome: place for place, outcome in enumerate(Outcome)}


@dataclass(frozen=True)
class Thresholds:
    """Calibrated scores in [0, 1]: from `review` on a person looks, from `decline` on the payment is declined."""

    review: float
    decline: float


def outcome_of(score: float | None, thresholds: Thresholds, hits: Sequence[RuleHit], status: FeaturesStatus) -> Outcome:
    """The most severe of what score and rules ask for. Without features or without a model nothing is approved."""
    asked = [hit.outcome for hit in hits]
    if status is FeaturesStatus.DEGRADED or score is None:
        asked.append(Outcome.REVIEW)
    if score is not None and score >= thresholds.decline:
        asked.append(Outcome.DECLINE)
    elif score is not None and score >= thresholds.review:
        asked.append(Outcome.REVIEW)
    return max(asked, key=_SEVERITY.__getitem__, default=Outcome.APPROVE)
