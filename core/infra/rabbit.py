"""The bus on RabbitMQ: quorum queues, publisher confirms, one connection to publish and one per consumer.

Connections are plain ones that we open again ourselves. aio-pika's robust connections restore themselves silently, and
can come back without their consumer; here a loss is seen, logged once, and everything is built anew.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, Self
from uuid import uuid4

import structlog
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from aiormq.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed
from pamqp.commands import Basic

from core.base.errors import PublishFailed, Unavailable
from core.contracts.topology import DEAD, Queue
from core.infra.backoff import Outage
from core.infra.bus import Delivery, Outgoing
from core.infra.rabbit_link import CLOSE_TIMEOUT_S, OPEN_TIMEOUT_S, Link, Lost, within

log = structlog.get_logger()

WINDOW: Final = 200
"""Messages on their way to one round of confirms."""
QUEUE_MAX_LENGTH: Final = 200_000
"""A full queue refuses messages, which then wait in the outbox."""
LINGER_S: Final = 0.005
"""Longest time a take waits for more once it has something."""
PROBE_AFTER_S: Final = 15.0
"""A consumer that heard nothing for that long asks the broker whether it still has it."""
REASON, ORIGIN = "ronda-reason", "ronda-queue"


class RabbitDelivery:
    """Implements `core.infra.bus.Delivery`."""

    __slots__ = ("_bus", "_channel", "_settled", "_tag", "body", "headers", "message_id", "queue", "redeliveries")

    def __init__(self, bus: "RabbitBus", channel: Channel, queue: str, message: DeliveredMessage) -> None:
        properties = message.header.properties
        self.queue = queue
        self.message_id: str = properties.correlation_id or properties.message_id or ""
        self.body: bytes = message.body
        self.headers: dict[str, Any] = properties.headers or {}
        returned = self.headers.get("x-delivery-count")
        self.redeliveries = returned if isinstance(returned, int) else int(bool(message.redelivered))
        self._bus, self._channel, self._tag = bus, channel, message.delivery_tag or 0
        self._settled = False

    async def ack(self) -> None:
        # A lost ack is no harm and cannot be told from a late one: the message comes back, its handler knows it.
        await self._settle(self._channel.basic_ack)

    async def reject(self, reason: str) -> None:
        if not self._settled:
            await self._bus.publish_dead(self, reason)
            await self.ack()

    async def move(self, queue: str) -> None:
        if not self._settled:
            await self._bus.publish([Outgoing(queue, self.message_id, self.body)])
            await self.ack()

    async def release(self) -> None:
        await self._settle(partial(self._channel.basic_reject, requeue=True))

    async def _settle(self, say: Callable[..., Awaitable[object]]) -> None:
        """Once: the broker closes the channel of who settles a delivery again."""
        if self._settled:
            return
        self._settled = True
        with suppress(Lost):
            async with within(CLOSE_TIMEOUT_S):
                await say(self._tag, wait=False)


class _Intake:
    """What one channel delivers, until that channel is gone."""

    def __init__(self, bus: "RabbitBus", channel: Channel) -> None:
        self._bus, self._channel = bus, channel
        self.waiting: deque[RabbitDelivery] = deque()
        self.news = asyncio.Event()
        self._cancelled = False

    @property
    def alive(self) -> bool:
        return not (self._cancelled or self._channel.is_closed)

    async def start(self, queues: Sequence[str], prefetch: int) -> None:
        """Raises Lost."""
        async with within(OPEN_TIMEOUT_S):
            self._channel.closing.add_done_callback(lambda _: self.news.set())
            self._channel.on_consumer_cancel_callbacks.add(self._on_cancel)
            await self._channel.basic_qos(prefetch_count=prefetch)
            for queue in queues:
                await self._channel.basic_consume(queue, partial(self._on_message, queue))

    async def _on_message(self, queue: str, message: DeliveredMessage) -> None:
        self.waiting.append(RabbitDelivery(self._bus, self._channel, queue, message))
        self.news.set()

    def _on_cancel(self, _: Any) -> None:
        """The broker ended our subscription, e.g. because the queue was deleted."""
        self._cancelled = True
        self.news.set()

    async def gather(self, most: int) -> None:
        """While a burst is arriving, a moment's patience makes one batch of it."""
        deadline = asyncio.get_running_loop().time() + LINGER_S
        seen = 0
        while seen < len(self.waiting) < most and asyncio.get_running_loop().time() < deadline:
            seen = len(self.waiting)
            await asyncio.sleep(0.001)

    async def stop(self) -> None:
        """Ends the subscriptions. Once this is answered, every ack sent before it has arrived."""
        with suppress(Lost):
            async with within(CLOSE_TIMEOUT_S):
                for tag in list(self._channel.consumers):
                    await self._channel.basic_cancel(tag)


class RabbitConsumer:
    """Implements `core.infra.bus.Consumer` on a connection of its own."""

    def __init__(self, bus: "RabbitBus", link: Link, queues: Sequence[str], prefetch: int) -> None:
        self._bus, self._link, self._queues, self._prefetch = bus, link, queues, prefetch
        self._intake: _Intake | None = None
        self._outage = Outage("RabbitMQ", queues=",".join(queues))
        self._quiet_since = 0.0

    async def take(self, most: int, wait_s: float) -> list[Delivery]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while True:
            intake = await self._open_intake(deadline)
            if intake is None:
                return []
            if intake.waiting:
                await intake.gather(most)
                self._quiet_since = loop.time()
                return [intake.waiting.popleft() for _ in range(min(most, len(intake.waiting)))]
            left = deadline - loop.time()
            if left <= 0:
                await self._probe(intake)
                return []
            intake.news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await intake.news.wait()

    async def _open_intake(self, deadline: float) -> _Intake | None:
        """The living intake, or None when the broker stayed away until `deadline` (event loop time)."""
        loop = asyncio.get_running_loop()
        while True:
            if self._intake is not None and self._intake.alive:
                return self._intake
            try:
                # What the lost channel had delivered comes again; handing it out as well would only double the work.
                self._intake = None
                await self._link.drop()
                intake = _Intake(self._bus, await self._link.channel())
                await intake.start(self._queues, self._prefetch)
            except Lost as error:
                await self._outage.wait(str(error), until=deadline)
                if isinstance(error.__cause__, ChannelNotFoundEntity):
                    await self._bus.declare_again()
                if loop.time() >= deadline:
                    return None
            else:
                self._intake, self._quiet_since = intake, loop.time()
                self._outage.over()

    async def _probe(self, intake: _Intake) -> None:
        """After a long silence: does the broker answer, know of a consumer, and have nothing for it? If not, the next take reconnects.

        While others consume the queue too, what waits there may be theirs.
        """
        loop = asyncio.get_running_loop()
        if loop.time() - self._quiet_since < PROBE_AFTER_S:
            return
        self._quiet_since = loop.time()
        try:
            async with self._link.side_channel() as channel, within(OPEN_TIMEOUT_S):
                for queue in self._queues:
                    answer = await channel.queue_declare(queue, passive=True)
                    if not answer.consumer_count:
                        raise Lost(f"the broker has no consumer on {queue}")
                    if answer.consumer_count == 1 and answer.message_count:
                        raise Lost(f"{answer.message_count} messages wait in {queue}, and none arrives")
        except Lost as error:
            log.warning("consumer is rebuilt", reason=str(error))
            if self._intake is intake:
                self._intake = None

    async def close(self) -> None:
        intake, self._intake = self._intake, None
        if intake is not None:
            await intake.stop()
        await self._link.drop()


class RabbitBus:
    """Implements `core.infra.bus.Bus`."""

    name = "rabbit"

    def __init__(self, url: str, *, publish_timeout_s: float) -> None:
        self._url, self._timeout_s = url, publish_timeout_s
        self._link = Link(url, "publisher")
        self._numbers = itertools.count()
        self._consumers: list[RabbitConsumer] = []
        self._declared: dict[str, Queue] = {}

    async def declare(self, queues: Sequence[Queue]) -> None:
        self._declared |= {queue.name: queue for queue in queues}
        try:
            created = [queue for queue in queues if await self._declare(queue)]
            if created:
                await self._settle()
        except Lost as error:
            raise Unavailable(f"RabbitMQ does not answer: {error}", server="rabbit") from error

    async def declare_again(self) -> None:
        """For a consumer whose queue is gone: a broker that lost its data has none of them. What was in them is sent again by others."""
        log.warning("a queue is gone; all are made again", queues=len(self._declared))
        with suppress(Unavailable):
            await self.declare(list(self._declared.values()))

    async def _declare(self, queue: Queue) -> bool:
        """Whether the queue is new."""
        new = not await self._exists(queue.name)
        try:
            async with self._link.side_channel() as channel, within(OPEN_TIMEOUT_S):
                arguments = queue_arguments(queue, self._link.server_version())
                await channel.queue_declare(queue.name, durable=True, arguments=arguments)
        except Lost as error:
            if isinstance(error.__cause__, ChannelPreconditionFailed):
                raise Unavailable(f"the queue {queue.name} exists with other arguments: {error}") from error
            raise
        return new

    async def _exists(self, queue: str) -> bool:
        try:
            async with self._link.side_channel() as channel, within(OPEN_TIMEOUT_S):
                await channel.queue_declare(queue, passive=True)
        except Lost as error:
            if isinstance(error.__cause__, ChannelNotFoundEntity):
                return False
            raise
        return True

    async def _settle(self) -> None:
        """Makes new queues outlive a crash from now on.

        RabbitMQ (seen on 3.10) enters a new quorum queue into a registry on disk that is written some seconds later, or
        when the next queue is made. A broker killed in between loses the queue's confirmed messages, and the queue never
        elects a leader again. So another queue is made, and taken away.
        """
        name = f"ronda.settle.{uuid4().hex}"
        async with self._link.side_channel() as channel, within(OPEN_TIMEOUT_S):
            await channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"})
            await channel.queue_delete(name)

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        await self._publish([(message, {}) for message in messages])

    async def publish_dead(self, delivery: RabbitDelivery, reason: str) -> None:
        """A copy in DEAD that says where it came from and why. Raises PublishFailed."""
        headers = {REASON: reason[:1000], ORIGIN: delivery.queue}
        await self._publish([(Outgoing(DEAD, delivery.message_id, delivery.body), headers)])

    async def _publish(self, messages: Sequence[tuple[Outgoing, dict[str, Any]]]) -> None:
        for start in range(0, len(messages), WINDOW):
            window = messages[start : start + WINDOW]
            failed = await self._publish_window(window)
            if failed:
                reason = str(next(iter(failed.values()))) or "no answer"
                not_tried = [message.message_id for message, _ in messages[start + WINDOW :]]
                raise PublishFailed(
                    f"RabbitMQ did not confirm {len(failed) + len(not_tried)} messages: {reason}",
                    unconfirmed=[*failed, *not_tried],
                )

    async def _publish_window(self, window: Sequence[tuple[Outgoing, dict[str, Any]]]) -> dict[str, BaseException]:
        """Message id -> why it is not known to be safe. Sent in order; one wait for all confirms."""
        try:
            channel = await self._link.channel()
        except Lost as error:
            return {message.message_id: error for message, _ in window}
        tasks = [asyncio.create_task(self._send(channel, *item)) for item in window]
        try:
            _, late = await asyncio.wait(tasks, timeout=self._timeout_s)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            raise
        if late:
            for task in late:
                task.cancel()
            # Whether these are safe will never be known, and the channel may hang for good: start over with a new one.
            await self._link.drop()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        return {
            message.message_id: Lost(f"no confirm within {self._timeout_s:g} s") if task in late else result
            for (message, _), task, result in zip(window, tasks, results, strict=True)
            if isinstance(result, BaseException)
        }

    async def _send(self, channel: Channel, message: Outgoing, headers: dict[str, Any]) -> None:
        # aiormq finds a returned message by its message_id, so that one is unique per publication; ours, which
        # outlives re-publications, is the correlation id.
        properties = Basic.Properties(
            delivery_mode=2,
            message_id=str(next(self._numbers)),
            correlation_id=message.message_id,
            headers=headers or None,
        )
        await channel.basic_publish(
            message.body, routing_key=message.queue, properties=properties, mandatory=True, wait=False
        )

    async def consumer(self, queues: Sequence[str], prefetch: int) -> RabbitConsumer:
        """`prefetch` counts per queue. Connects at the first take."""
        consumer = RabbitConsumer(self, Link(self._url, "consumer"), tuple(queues), prefetch)
        self._consumers.append(consumer)
        return consumer

    async def depth(self, queue: str) -> int:
        try:
            async with self._link.side_channel() as channel, within(OPEN_TIMEOUT_S):
                answer = await channel.queue_declare(queue, passive=True)
        except Lost as error:
            if isinstance(error.__cause__, ChannelNotFoundEntity):
                raise Unavailable(f"the queue {queue} does not exist", server="rabbit") from error
            raise Unavailable(f"RabbitMQ does not answer: {error}", server="rabbit") from error
        return int(answer.message_count or 0)

    async def dead_reason(self, delivery: Delivery) -> tuple[str, str]:
        assert isinstance(delivery, RabbitDelivery)
        if ORIGIN in delivery.headers:
            return str(delivery.headers[ORIGIN]), str(delivery.headers[REASON])
        deaths = delivery.headers.get("x-death") or [{}]
        return str(deaths[0].get("queue", "")), str(deaths[0].get("reason", "unknown"))

    async def close(self) -> None:
        while self._consumers:
            await self._consumers.pop().close()
        await self._link.drop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


def queue_arguments(queue: Queue, server_version: str) -> dict[str, Any]:
    """A quorum queue. What returns too often, or is rejected, goes to DEAD and leaves only when it is safe there."""
    arguments: dict[str, Any] = {"x-queue-type": "quorum"}
    if queue.single_active:
        arguments["x-single-active-consumer"] = True
    if queue.name == DEAD:
        # From 4.0 on a quorum queue drops what was returned 20 times, unless told otherwise; before, -1 is refused.
        if server_version.partition(".")[0].isdigit() and int(server_version.partition(".")[0]) >= 4:
            arguments["x-delivery-limit"] = -1
        return arguments
    return arguments | {
        "x-delivery-limit": queue.delivery_limit,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": DEAD,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-max-length": QUEUE_MAX_LENGTH,
    }
