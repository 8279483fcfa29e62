"""From score and rule hits to one outcome. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.base.terms import FeaturesStatus, Outcome
from core.rules.engine import RuleHit
from core.rules.lists import allowed

_SEVERITY = {outcome: place for place, outcome in enumerate(Outcome)}


@dataclass(frozen=True)
class Thresholds:
    """Calibrated scores in [0, 1]: from `review` on a person looks, from `decline` on the payment is declined."""

    review: float
    decline: float


def outcome_of(score: float | None, thresholds: Thresholds, hits: Sequence[RuleHit], status: FeaturesStatus) -> Outcome:
    """The most severe of what score, rules and lists ask for. Without features, or by the model's absence alone, nothing is approved.

    An entity on the allow list takes precedence over score, watch list and rules that ask for review, but not over a denied entity or a
    rule that asks for decline. Without features it does not help: a rule that would ask for decline may not have been able to hit.
    """
    asked = [hit.outcome for hit in hits]
    if allowed(hits) and status is FeaturesStatus.COMPLETE and Outcome.DECLINE not in asked:
        return Outcome.APPROVE
    if status is FeaturesStatus.DEGRADED or score is None:
        asked.append(Outcome.REVIEW)
    if score is not None and score >= thresholds.decline:
        asked.append(Outcome.DECLINE)
    elif score is not None and score >= thresholds.review:
        asked.append(Outcome.REVIEW)
    return max(asked, key=_SEVERITY.__getitem__, default=Outcome.APPROVE)
