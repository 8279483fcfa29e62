"""Queues and dead letters, as data. Both buses build exactly this.

Every queue has one routing key: its own name. A message a consumer rejects goes to DEAD with its queue and reason.
"""

from dataclasses import dataclass
from typing import Final

DEAD: Final = "dead"
SUSPECT: Final = "suspect"
LABELS: Final = "labels"
TRAINING: Final = "training"


@dataclass(frozen=True)
class Queue:
    """`single_active`: at most one consumer takes from it at a time, so its messages are handled in order.
    `delivery_limit`: a message returned more often than that is dead-lettered.
    """

    name: str
    single_active: bool = False
    delivery_limit: int = 5


def score_queue(shard: int) -> str:
    return f"score.{shard}"


def queues(shards: int) -> tuple[Queue, ...]:
    """Every queue of the system; DEAD is the only one without a dead-letter target."""
    scores = tuple(Queue(score_queue(shard), single_active=True) for shard in range(shards))
    return (
        *scores,
        Queue(LABELS, single_active=True),
        Queue(TRAINING, single_active=True, delivery_limit=2),
        # The lane counts its attempts itself: a delivery that comes back was not always tried.
        Queue(SUSPECT, delivery_limit=100),
        Queue(DEAD),
    )


# Doorbells: Redis channels that carry ids only. Postgres is read again by whoever hears one.
BELL_DECIDED: Final = "ronda:decided"
"""JSON list of transaction uids whose decision was committed."""
BELL_ALERTS: Final = "ronda:alerts"
"""JSON list of alert ids that were opened or changed."""
BELL_MODELS: Final = "ronda:models"
"""A model or policy changed: read the champion again."""
BELL_LISTS: Final = "ronda:lists"
"""A list entry was added, changed or ended: read what changed since."""
BELL_RUNS: Final = "ronda:runs"
"""A training run moved on; carries its id."""
BELLS: Final = (BELL_DECIDED, BELL_ALERTS, BELL_MODELS, BELL_LISTS, BELL_RUNS)
