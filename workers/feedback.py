"""Takes labels into the entities' history, for the label-delayed features."""

import asyncio
from collections.abc import Sequence
from typing import cast

from core.base.clock import utc_now
from core.base.errors import Kind, RondaError
from core.base.terms import FeaturesStatus
from core.contracts.messages import LabelledPayment, LabelsRecorded
from core.contracts.topology import LABELS
from core.infra.bus import Delivery
from core.infra.resources import Resources
from core.stores import flow, rescoring
from core.tables.flow import Transaction
from models.features.online import OnlineFeatures
from workers.handling import consume, read
from workers.runner import JobContext
from workers.tail import UNDER_WAY

MESSAGES_AT_ONCE = 50
LOOK_S, LOOKS = 0.1, 30


class PaymentUnderWay(RondaError):
    """A label's payment is not part of the feature state yet: whether its amount was usual could not be told. Or one before it is not."""

    kind, code = Kind.UNAVAILABLE, "payment_under_way"


async def feedback(context: JobContext) -> None:
    features = OnlineFeatures(context.resources.redis)

    async def handle(deliveries: list[Delivery]) -> None:
        readable = await read(deliveries, LabelsRecorded)
        labels = [label for _, message in readable for label in cast(LabelsRecorded, message).labels]
        await take_labels(context.resources, features, labels)
        for delivery, _ in readable:
            await delivery.ack()

    await consume(context, [LABELS], handle, most=MESSAGES_AT_ONCE)


async def take_labels(resources: Resources, features: OnlineFeatures, labels: Sequence[LabelledPayment]) -> None:
    """After the labelled payments, and after those that were left out. Raises PaymentUnderWay, FeaturesUnavailable, Unavailable."""
    for _ in range(LOOKS):
        if not await _under_way(resources, features, labels):
            return await features.record_labels(labels)
        await asyncio.sleep(LOOK_S)
    raise PaymentUnderWay("a payment before the labels is not part of the feature state yet")


async def _under_way(
    resources: Resources, features: OnlineFeatures, labels: Sequence[LabelledPayment]
) -> Sequence[Transaction]:
    """Labelled payments, and payments that were decided without features, that are not part of the state yet. A scorer takes the latter
    together with the labels that came after them, in order: a label that is taken before that would count for payments before it.
    """
    await features.prepare()
    recent, uids = utc_now() - UNDER_WAY, {label.transaction_uid for label in labels}
    async with resources.postgres.reading() as work:
        left_out = await rescoring.degraded(work, since=recent, limit=rescoring.MOST)
    if len(left_out) == rescoring.MOST:
        return left_out  # what comes behind these was not looked at
    uids |= {row.uid for row in left_out}
    asked = list(uids)
    missing = [uid for uid, taken in zip(asked, await features.taken(asked), strict=True) if not taken]
    if not missing:
        return []
    async with resources.postgres.reading() as work:
        rows = await flow.transactions(work, missing)
        decisions = await flow.latest_decisions(work, missing)
    given_up = {uid for uid, decision in decisions.items() if decision.features_status == FeaturesStatus.ABSENT.value}
    return [row for row in rows if row.accepted_at > recent and not row.imported and row.uid not in given_up]
