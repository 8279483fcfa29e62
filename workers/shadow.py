"""What the shadows would have answered: stored beside the decisions, in the same commit, acted on by nobody."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from core.base.terms import FeaturesStatus
from core.rules.outcome import outcome_of
from models.features.vector import FloatMatrix
from workers.lineup import Shadow
from workers.verdicts import Verdict


def shadow_rows(
    shadows: Sequence[Shadow], verdicts: Sequence[Verdict], matrix: FloatMatrix, new: Collection[UUID], now: datetime
) -> list[dict[str, Any]]:
    """Rows for the payments in `new` that were decided with their features. `matrix` holds the verdicts' vectors."""
    places = [
        place
        for place, verdict in enumerate(verdicts)
        if verdict.payment.uid in new and verdict.status is FeaturesStatus.COMPLETE
    ]
    if not places or not shadows:
        return []
    rows = []
    for shadow in shadows:
        probabilities = shadow.model.scorer.score(matrix[places]).probability.tolist()
        for place, probability in zip(places, probabilities, strict=True):
            verdict = verdicts[place]
            outcome = outcome_of(probability, shadow.thresholds, verdict.hits, verdict.status)
            rows.append(
                {
                    "model_id": shadow.model.id,
                    "transaction_uid": verdict.payment.uid,
                    "score": probability,
                    "outcome": outcome.value,
                    "scored_at": now,
                }
            )
    return rows
