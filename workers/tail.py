"""Takes payments and labels into the feature state once more: from a place in the order of acceptance on, or those that a scorer kept.

The guard takes each payment once and a label changes nothing the second time, so what is there already costs only time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from core.base.clock import from_ms, utc_now
from core.contracts.messages import LabelledPayment, Payment
from core.infra.resources import Resources
from core.stores import casework, commit_order, flow
from core.stores.casework import ArrivedLabel
from core.stores.commit_order import Place
from models.features.online import OnlineFeatures
from workers.past import as_taken

BATCH = 2_000
FEW = 32
"""Payments that a scorer takes in a moment before it decides on: those that came while the last ones here were taken."""
MOST_LABELS = 50_000
OVERLAP = timedelta(minutes=2)
"""Longer than a label is under way from its commit to the feature state."""
UNDER_WAY = timedelta(minutes=8)
"""A label of a payment that was accepted longer ago does not wait for it: others wait behind."""


@dataclass(frozen=True)
class Tail:
    """Where the state may begin to lack something. labels_from: when the first such label was received. taken: payments so far."""

    place: Place
    labels_from: datetime
    taken: int = 0


async def take_tail(resources: Resources, features: OnlineFeatures, tail: Tail, *, settled: bool, gently: bool) -> Tail:
    """For a state that is being built: take what was accepted behind `tail`, also history that was loaded, in that order.

    Returns where to go on. settled: stop where a transaction that still runs may come to stand, and once FEW came meanwhile, or no fewer
    than before: they come as fast as they are taken. Without it what is taken is all there is, and nobody may go on from there.
    gently: as `OnlineFeatures.backfill` has it. Raises FeaturesUnavailable, Unavailable.
    """
    fewest = BATCH
    while True:
        async with resources.postgres.reading() as work:
            behind = await commit_order.accepted_behind(work, tail.place, settled=settled, limit=BATCH)
            labels = await casework.labels_since(work, tail.labels_from, limit=MOST_LABELS)
        count = len(behind)
        last = count < BATCH and not (settled and FEW <= count < fewest)
        fewest = min(fewest, count)
        items, labels_from = _in_order([flow.payment_of(row) for _, row in behind], labels, all_labels=last)
        await features.backfill(items, remember=True, gently=gently)
        place = behind[-1][0] if behind else tail.place
        tail = Tail(place, max(tail.labels_from, labels_from), tail.taken + count)
        if last:
            return tail


async def take_missing(resources: Resources, features: OnlineFeatures, tail: Tail) -> None:
    """For the state in use: take what was posted behind `tail` before this began and is not there, in the order of acceptance.

    Not history that was loaded: no guard tells whether that was taken. Raises FeaturesUnavailable, Unavailable.
    """
    place, labels_from, last = tail.place, tail.labels_from, False
    async with resources.postgres.reading() as work:
        upto, moment = await commit_order.newest(work), utc_now()
    while not last:
        async with resources.postgres.reading() as work:
            behind = await commit_order.posted_behind(work, place, upto=upto, limit=BATCH)
            labels = await casework.labels_since(work, labels_from, until=moment, limit=MOST_LABELS)
        last = len(behind) < BATCH
        # Mostly they are all there: to ask costs a fraction of reading and sending them.
        taken = await features.taken([one.uid for one in behind])
        missing = [one.uid for one, known in zip(behind, taken, strict=True) if not known]
        async with resources.postgres.reading() as work:
            rows = {row.uid: row for row in await flow.transactions(work, missing)} if missing else {}
        items, until = _in_order([flow.payment_of(rows[uid]) for uid in missing], labels, all_labels=last)
        await features.backfill(items, remember=True)
        place, labels_from = behind[-1] if behind else place, max(labels_from, until)


async def take_left_out(
    resources: Resources, features: OnlineFeatures, payments: Sequence[Payment], labels_from: datetime
) -> datetime:
    """Take payments that are missing, in the order of acceptance, with the labels before each; without payments, all labels until now.

    Returns from when on the next labels are to be taken. A label whose own payment is missing, and not among these, is left to who takes
    that one. Raises FeaturesUnavailable, Unavailable.
    """
    until = from_ms(max(payment.accepted_at_ms for payment in payments)) if payments else None
    async with resources.postgres.reading() as work:
        labels = await casework.labels_since(work, labels_from, until=until, limit=MOST_LABELS)
    known = await features.taken([row.label.transaction_uid for row in labels])
    ours, old = {payment.uid for payment in payments}, utc_now() - UNDER_WAY
    possible = [
        row
        for row, taken in zip(labels, known, strict=True)
        if taken or row.transaction.uid in ours or row.transaction.imported or row.transaction.accepted_at < old
    ]
    items, moment = _in_order(payments, possible, all_labels=not payments)
    await features.backfill(items, remember=True)
    return max(labels_from, moment)


def _in_order(
    payments: Sequence[Payment], labels: Sequence[ArrivedLabel], *, all_labels: bool
) -> tuple[list[Payment | LabelledPayment], datetime]:
    """A label stands before the first payment that was accepted after it, as in `walk_past`. Also the moment up to which labels are in."""
    waiting = list(reversed(labels))
    arrival = datetime.min.replace(tzinfo=UTC)
    taken: list[Payment | LabelledPayment] = []
    for payment in payments:
        arrival = max(arrival, from_ms(payment.accepted_at_ms))
        while waiting and waiting[-1].label.received_at <= arrival:
            taken.append(as_taken(waiting.pop()))
        taken.append(payment)
    if all_labels:
        taken += [as_taken(label) for label in reversed(waiting)]
        arrival = labels[-1].label.received_at if labels else arrival
    return taken, arrival
