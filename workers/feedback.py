"""Takes labels into the entities' history, for the label-delayed features."""

from typing import cast

from core.contracts.messages import LabelsRecorded
from core.contracts.topology import LABELS
from core.infra.bus import Delivery
from models.features.online import OnlineFeatures
from workers.handling import consume, read
from workers.runner import JobContext

MESSAGES_AT_ONCE = 50


async def feedback(context: JobContext) -> None:
    features = OnlineFeatures(context.resources.redis)

    async def handle(deliveries: list[Delivery]) -> None:
        readable = await read(deliveries, LabelsRecorded)
        labels = [label for _, message in readable for label in cast(LabelsRecorded, message).labels]
        await features.record_labels(labels)
        for delivery, _ in readable:
            await delivery.ack()

    await consume(context, [LABELS], handle, most=MESSAGES_AT_ONCE)
