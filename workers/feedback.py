"""Takes labels into the entities' history, for the label-delayed features."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, cast

from core.base.clock import utc_now
from core.base.errors import Kind, RondaError
from core.base.terms import FeaturesStatus
from core.contracts.messages import LabelledPayment, LabelsRecorded
from core.contracts.topology import LABELS
from core.infra.bus import Delivery
from core.infra.resources import Resources
from core.stores import flow
from core.tables.flow import Transaction
from models.features.online import OnlineFeatures
from workers.handling import consume, read
from workers.runner import JobContext

MESSAGES_AT_ONCE = 50
UNDER_WAY: Final = timedelta(minutes=8)
"""A label of a payment that was accepted longer ago does not wait for it: others wait behind."""
LOOK_S, LOOKS = 0.1, 30


class PaymentUnderWay(RondaError):
    """A label's payment is not part of the feature state yet: whether its amount was usual could not be told."""

    kind, code = Kind.UNAVAILABLE, "payment_under_way"


async def feedback(context: JobContext) -> None:
    features = OnlineFeatures(context.resources.redis)

    async def handle(deliveries: list[Delivery]) -> None:
        readable = await read(deliveries, LabelsRecorded)
        labels = [label for _, message in readable for label in cast(LabelsRecorded, message).labels]
        await _after_their_payments(context.resources, features, labels)
        await features.record_labels(labels)
        for delivery, _ in readable:
            await delivery.ack()

    await consume(context, [LABELS], handle, most=MESSAGES_AT_ONCE)


async def _after_their_payments(
    resources: Resources, features: OnlineFeatures, labels: Sequence[LabelledPayment]
) -> None:
    """Wait until the labelled payments were taken. Raises PaymentUnderWay, FeaturesUnavailable, Unavailable."""
    for _ in range(LOOKS):
        if not await _under_way(resources, features, labels):
            return
        await asyncio.sleep(LOOK_S)
    raise PaymentUnderWay("a labelled payment is not part of the feature state yet")


async def _under_way(
    resources: Resources, features: OnlineFeatures, labels: Sequence[LabelledPayment]
) -> list[Transaction]:
    await features.prepare()
    uids = list({label.transaction_uid for label in labels})
    missing = [uid for uid, taken in zip(uids, await features.taken(uids), strict=True) if not taken]
    if not missing:
        return []
    async with resources.postgres.reading() as work:
        rows = await flow.transactions(work, missing)
        decisions = await flow.latest_decisions(work, missing)
    given_up = {uid for uid, decision in decisions.items() if decision.features_status == FeaturesStatus.ABSENT.value}
    recent = utc_now() - UNDER_WAY
    return [row for row in rows if row.accepted_at > recent and not row.imported and row.uid not in given_up]
