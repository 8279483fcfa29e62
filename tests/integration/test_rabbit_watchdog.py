"""A RabbitMQ consumer that the broker counts, and that hears nothing all the same."""

import asyncio
from uuid import uuid4

import pytest
from aiormq.abc import DeliveredMessage

from core.contracts.topology import DEAD, Queue
from core.infra import rabbit
from core.infra.bus import Outgoing
from core.infra.rabbit import RabbitBus

PREFETCH = 5


async def deaf(_: DeliveredMessage) -> None:
    """What is delivered to it is lost on the way to whoever takes."""


async def test_it_is_rebuilt_while_its_queue_is_deep(rabbit_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rabbit, "PROBE_AFTER_S", 0.5)
    queue = f"test.{uuid4().hex[:8]}"
    async with RabbitBus(rabbit_url, publish_timeout_s=5.0) as bus:
        await bus.declare([Queue(DEAD), Queue(queue)])
        consumer = await bus.consumer([queue], prefetch=PREFETCH)
        assert await consumer.take(10, wait_s=0.2) == []
        assert consumer._intake
        channel = consumer._intake._channel
        for tag in list(channel.consumers):
            channel.consumers[tag] = deaf
        await bus.publish([Outgoing(queue, str(number), b"") for number in range(PREFETCH + 3)])
        found: set[str] = set()
        async with asyncio.timeout(30):
            while len(found) < PREFETCH + 3:
                for delivery in await consumer.take(10, wait_s=0.3):
                    found.add(delivery.message_id)
                    await delivery.ack()
