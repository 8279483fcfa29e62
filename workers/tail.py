"""Takes payments and labels into the feature state once more, from a place in the order of acceptance on.

The guard takes each payment once and a label changes nothing the second time, so what is there already costs only time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from core.infra.resources import Resources
from core.stores import casework, commit_order
from core.stores.casework import ArrivedLabel
from core.stores.commit_order import Place
from core.tables.flow import Transaction
from models.features.online import OnlineFeatures
from workers.past import as_taken

BATCH = 2_000
MOST_LABELS = 50_000
OVERLAP = timedelta(minutes=2)
"""Longer than a label is under way from its commit to the feature state."""


@dataclass(frozen=True)
class Tail:
    """Where the state may begin to lack something. labels_from: when the first such label was received. taken: payments so far."""

    place: Place
    labels_from: datetime
    taken: int = 0


async def take_tail(
    resources: Resources, features: OnlineFeatures, tail: Tail, *, settled: bool, imported: bool = False
) -> Tail:
    """Take what was accepted behind `tail`, in that order; returns where to go on. Raises FeaturesUnavailable, Unavailable.

    settled: stop where a transaction that still runs may come to stand. Without it what is taken is all there is, and nobody may go on
    from there. imported: also history that was loaded, which no guard knows: only for a state that has none of it.
    """
    while True:
        async with resources.postgres.reading() as work:
            behind = await commit_order.accepted_behind(work, tail.place, settled=settled, limit=BATCH)
            labels = await casework.labels_since(work, tail.labels_from, limit=MOST_LABELS)
        rows = [row for _, row in behind]
        last = len(rows) < BATCH
        kept = [row for row in rows if imported or not row.imported]
        taken, labels_from = _in_order(kept, labels, all_labels=last)
        await features.backfill([as_taken(item) for item in taken], remember=True)
        place = behind[-1][0] if behind else tail.place
        tail = Tail(place, max(tail.labels_from, labels_from), tail.taken + len(kept))
        if last:
            return tail


def _in_order(
    rows: Sequence[Transaction], labels: Sequence[ArrivedLabel], *, all_labels: bool
) -> tuple[list[Transaction | ArrivedLabel], datetime]:
    """A label stands before the first payment that was accepted after it, as in `walk_past`. Also the moment up to which labels are in."""
    waiting = list(reversed(labels))
    arrival = datetime.min.replace(tzinfo=UTC)
    taken: list[Transaction | ArrivedLabel] = []
    for row in rows:
        arrival = max(arrival, row.accepted_at)
        while waiting and waiting[-1].label.received_at <= arrival:
            taken.append(waiting.pop())
        taken.append(row)
    if all_labels:
        taken += reversed(waiting)
        arrival = labels[-1].label.received_at if labels else arrival
    return taken, arrival
