"""The bus on Redis Streams: one stream and one consumer group per queue.

Where the server's `appendfsync` is `always`, a confirm means that the message is on disk, because the server syncs before
it answers. With `everysec` the death of the server loses nothing, but a power cut may take the last second; the first
publish logs that. (WAITAOF is no way round it: under `everysec` it costs up to a second on a server that honours it, and
Valkey 9.1 was seen to answer it before the sync.)
"""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Final, Self

import structlog
from redis.exceptions import RedisError, ResponseError

from core.base.errors import PublishFailed, Unavailable
from core.contracts.topology import Queue
from core.infra.bus import Delivery, Outgoing
from core.infra.streams_consumer import StreamsConsumer, StreamsDelivery
from core.infra.streams_keys import GROUP, QUEUES, connect, script, stream_of

log = structlog.get_logger()

WINDOW: Final = 200
"""Messages per round trip."""
QUEUE_MAX_LENGTH: Final = 200_000
"""A full queue refuses messages, which then wait in the outbox."""
REFUSALS: Final = {0: "the queue does not exist", -1: "the queue is full"}


class StreamsBus:
    """Implements `core.infra.bus.Bus`."""

    name = "streams"

    def __init__(self, url: str, *, publish_timeout_s: float) -> None:
        self._url, self._timeout_s = url, publish_timeout_s
        self._redis = connect(url, publish_timeout_s, retries=1)
        self._append = script(self._redis, "publish")
        self._consumers: list[StreamsConsumer] = []
        self._declared: dict[str, Queue] = {}
        self._durability_known = False

    async def declare(self, queues: Sequence[Queue]) -> None:
        self._declared |= {queue.name: queue for queue in queues}
        try:
            for queue in queues:
                settings = json.dumps(asdict(queue), sort_keys=True)
                await self._redis.hsetnx(QUEUES, queue.name, settings)
                stored = await self._redis.hget(QUEUES, queue.name)
                if stored is None or json.loads(stored) != asdict(queue):
                    raise Unavailable(f"the queue {queue.name} exists with other arguments: {stored!r}")
                await self._create_group(queue)
        except (RedisError, OSError) as error:
            raise Unavailable(f"the bus in Redis does not answer: {error}", server="redis") from error

    async def declare_again(self) -> None:
        """For a consumer whose queue is gone: a Redis that was emptied has none of them. What was in them is sent again by others."""
        log.warning("a queue is gone; all are made again", queues=len(self._declared))
        with suppress(Unavailable):
            await self.declare(list(self._declared.values()))

    async def _create_group(self, queue: Queue) -> None:
        try:
            await self._redis.xgroup_create(stream_of(queue.name), GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):  # it exists
                raise

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        for start in range(0, len(messages), WINDOW):
            window = messages[start : start + WINDOW]
            failed = await self._publish_window(window)
            if failed:
                not_tried = [message.message_id for message in messages[start + WINDOW :]]
                raise PublishFailed(
                    f"Redis did not confirm {len(failed) + len(not_tried)} messages: {next(iter(failed.values()))}",
                    unconfirmed=[*failed, *not_tried],
                )

    async def _publish_window(self, window: Sequence[Outgoing]) -> dict[str, str]:
        """Message id -> why it is not known to be safe."""
        arguments: list[str | bytes | int] = [QUEUE_MAX_LENGTH]
        for message in window:
            arguments += [message.message_id, message.body]
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._say_how_durable()
                answers = await self._append(keys=[stream_of(message.queue) for message in window], args=arguments)
        except (RedisError, OSError) as error:
            reason = str(error) or f"no answer within {self._timeout_s:g} s"
            return {message.message_id: reason for message in window}
        return {
            message.message_id: f"{REFUSALS[answer]} ({message.queue})"
            for message, answer in zip(window, answers, strict=True)
            if answer != 1
        }

    async def _say_how_durable(self) -> None:
        """Once, in the log, unless confirmed messages survive even a power cut."""
        if self._durability_known:
            return
        found: dict[str | None, str | None] = {}
        with suppress(ResponseError):  # managed servers keep CONFIG to themselves
            found = await self._redis.config_get("appendonly", "appendfsync")
        self._durability_known = True
        if found.get("appendonly") != "yes":
            log.warning("the bus may lose messages when Redis restarts", appendonly=found.get("appendonly", "unknown"))
        elif found.get("appendfsync") != "always":
            log.warning("the bus may lose its last second in a power cut", appendfsync=found.get("appendfsync"))

    async def consumer(self, queues: Sequence[str], prefetch: int) -> StreamsConsumer:
        """`prefetch` counts per queue. Connects at the first take."""
        consumer = StreamsConsumer(self._url, queues, prefetch, self.declare_again)
        self._consumers.append(consumer)
        return consumer

    async def depth(self, queue: str) -> int:
        try:
            async with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.xlen(stream_of(queue))
                pipeline.xpending(stream_of(queue), GROUP)
                length, pending = await pipeline.execute()
        except ResponseError as error:
            raise Unavailable(f"the queue {queue} does not exist", server="redis") from error
        except (RedisError, OSError) as error:
            raise Unavailable(f"the bus in Redis does not answer: {error}", server="redis") from error
        return int(length) - int(pending["pending"])

    async def dead_reason(self, delivery: Delivery) -> tuple[str, str]:
        assert isinstance(delivery, StreamsDelivery)
        fields = delivery.fields
        return fields.get(b"queue", b"").decode(), fields.get(b"reason", b"unknown").decode(errors="replace")

    async def close(self) -> None:
        while self._consumers:
            await self._consumers.pop().close()
        await self._redis.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
