"""Taking from Redis Streams: who is alive, whose turn it is, and what comes back from the dead."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final
from uuid import uuid4

from redis.exceptions import RedisError, ResponseError

from core.base.errors import PublishFailed
from core.base.tasks import end
from core.contracts.topology import DEAD
from core.infra.backoff import Outage
from core.infra.bus import Delivery
from core.infra.streams_keys import ALIVE_PREFIX, GROUP, QUEUES, RETURNED, connect, lease_of, script, stream_of

ALIVE_MS: Final = 4000
"""A consumer that gave no sign of life for that long is dead: others take over its messages and its turn."""
BEAT_S: Final = 1.0
LOOK_S: Final = 0.5
"""How often a waiting consumer looks for what came back from others and for its turn."""
TIMEOUT_S: Final = 5.0


class StreamsDelivery:
    """Implements `core.infra.bus.Delivery`."""

    __slots__ = ("_consumer", "_settled", "body", "entry", "fields", "message_id", "queue", "redeliveries")

    def __init__(
        self, consumer: "StreamsConsumer", queue: str, entry: bytes, fields: dict[bytes, bytes], redeliveries: int
    ) -> None:
        self.queue, self.entry, self.fields, self.redeliveries = queue, entry, fields, redeliveries
        self.message_id = fields[b"id"].decode()
        self.body = fields[b"body"]
        self._consumer = consumer
        self._settled = False

    async def ack(self) -> None:
        if not self._settled:
            self._settled = True
            self._consumer.ack_soon(self)

    async def reject(self, reason: str) -> None:
        if not self._settled:
            await self._consumer.move(self, DEAD, "queue", self.queue, "reason", reason[:1000])
            self._settled = True

    async def move(self, queue: str) -> None:
        if not self._settled:
            await self._consumer.move(self, queue)
            self._settled = True

    async def release(self) -> None:
        if not self._settled:
            self._settled = True
            await self._consumer.give_back(self)


class StreamsConsumer:
    """Implements `core.infra.bus.Consumer`.

    After any failure it goes on under a new name: what the server may have handed to the old one comes back like the
    messages of a consumer that died. So nothing is ever held by a living consumer that does not know of it.
    """

    def __init__(
        self, url: str, queues: Sequence[str], prefetch: int, declare_again: Callable[[], Awaitable[None]]
    ) -> None:
        self._queues, self._prefetch, self._declare_again = tuple(queues), prefetch, declare_again
        # Not retried: a take that was executed but not answered must not be repeated under the same name.
        self._redis = connect(url, TIMEOUT_S, retries=0)
        self._take = script(self._redis, "take")
        self._beat = script(self._redis, "beat")
        self._leave = script(self._redis, "leave")
        self._move = script(self._redis, "move")
        self._name = uuid4().hex
        self._former_names: list[str] = []
        self._settings: list[str] = []
        self._acks: defaultdict[str, list[bytes]] = defaultdict(list)
        self._flushing: asyncio.Task[None] | None = None
        self._beating: asyncio.Task[None] | None = None
        self._closed = False
        self._outage = Outage("Redis Streams", queues=",".join(queues))

    async def take(self, most: int, wait_s: float) -> list[Delivery]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while True:
            try:
                await self._settle_in()
                deliveries, held = await self._take_now(most)
                self._outage.over()
                left = deadline - loop.time()
                if deliveries or left <= 0:
                    return deliveries
                await self._wait_for_news(held, min(left, LOOK_S))
            except (RedisError, OSError) as error:
                self._change_name()
                await self._outage.wait(str(error) or type(error).__name__, until=deadline)
                if isinstance(error, ResponseError) and "NOGROUP" in str(error):
                    await self._declare_again()
                if loop.time() >= deadline:
                    return []

    async def _settle_in(self) -> None:
        """What must have reached the server before the next take. Raises RedisError."""
        if not self._settings:
            self._settings = await self._read_settings()
        while self._former_names:
            await self._leave_as(self._former_names[-1])
            self._former_names.pop()
        await self._send_acks()
        if self._beating is None:
            self._beating = asyncio.create_task(self._beat_for_ever())

    async def _read_settings(self) -> list[str]:
        """Per queue: name, single active, delivery limit, as `take.lua` wants them."""
        found = await self._redis.hmget(QUEUES, list(self._queues))
        arguments: list[str] = []
        for queue, text in zip(self._queues, found, strict=True):
            if text is None:
                raise ResponseError(f"the queue {queue} does not exist")
            settings = json.loads(text)
            limit = -1 if queue == DEAD else settings["delivery_limit"]
            arguments += [queue, str(int(settings["single_active"])), str(limit)]
        return arguments

    async def _take_now(self, most: int) -> tuple[list[Delivery], dict[str, bytes]]:
        """(deliveries, newest entry of each stream that we may take from)."""
        keys = [ALIVE_PREFIX + self._name, stream_of(DEAD), *self._stream_and_lease_keys()]
        arguments: list[str | int] = [self._name, ALIVE_MS, ALIVE_PREFIX, most, self._prefetch, *self._settings]
        found, held = await self._take(keys=keys, args=arguments)
        deliveries: list[Delivery] = [
            StreamsDelivery(
                self, self._queues[number - 1], entry, dict(zip(fields[::2], fields[1::2], strict=True)), int(times)
            )
            for number, entry, fields, times in found
        ]
        news = {stream_of(self._queues[number - 1]): newest for number, newest in held}
        # The next take begins with another queue, or a full first one would starve the rest.
        self._queues = (*self._queues[1:], *self._queues[:1])
        self._settings = [*self._settings[3:], *self._settings[:3]]
        return deliveries, news

    def _stream_and_lease_keys(self) -> list[str]:
        return [key for queue in self._queues for key in (stream_of(queue), lease_of(queue))]

    async def _wait_for_news(self, held: dict[str, bytes], seconds: float) -> None:
        """Until something newer is in a stream, or `seconds` have passed. Only looks: taking is the script's."""
        if held:
            newest: dict[Any, Any] = dict(held)
            await self._redis.xread(newest, count=1, block=max(1, int(seconds * 1000)))
        else:
            await asyncio.sleep(min(seconds, LOOK_S / 2))  # another consumer's turn

    async def _beat_for_ever(self) -> None:
        """Keeps us alive while a batch is being handled, however long that takes."""
        while True:
            await asyncio.sleep(BEAT_S)
            leases = [lease_of(queue) for queue in self._queues]
            with suppress(RedisError, OSError):  # take() meets the same outage and reports it
                await self._beat(keys=[ALIVE_PREFIX + self._name, *leases], args=[self._name, ALIVE_MS])

    def _change_name(self) -> None:
        self._former_names.append(self._name)
        self._name = uuid4().hex

    async def _leave_as(self, name: str) -> None:
        await self._leave(keys=[ALIVE_PREFIX + name, *self._stream_and_lease_keys()], args=[name])

    def ack_soon(self, delivery: StreamsDelivery) -> None:
        """Acks of one batch share one round trip; they leave when the caller next lets go of the event loop."""
        self._acks[stream_of(delivery.queue)].append(delivery.entry)
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        with suppress(RedisError, OSError):  # they stay with us for the next take
            await self._send_acks()

    async def _send_acks(self) -> None:
        acks, self._acks = self._acks, defaultdict(list)
        if not acks:
            return
        try:
            async with self._redis.pipeline(transaction=True) as pipeline:
                for stream, entries in acks.items():
                    pipeline.xack(stream, GROUP, *entries)
                    pipeline.xdel(stream, *entries)
                await pipeline.execute()
        except BaseException:
            for stream, entries in acks.items():
                self._acks[stream] += entries
            raise

    async def give_back(self, delivery: StreamsDelivery) -> None:
        """To the owner without a sign of life; if that cannot be said, everything comes back with our name."""
        try:
            await self._redis.xclaim(
                stream_of(delivery.queue), GROUP, RETURNED, min_idle_time=0, message_ids=[delivery.entry], justid=True
            )
        except (RedisError, OSError):
            self._change_name()

    async def move(self, delivery: StreamsDelivery, queue: str, *fields: str) -> None:
        """To another queue in one step; `fields`: names and values it has there beside id and body. Raises PublishFailed."""
        keys = [stream_of(delivery.queue), stream_of(queue)]
        try:
            moved = await self._move(keys=keys, args=[delivery.entry, delivery.message_id, delivery.body, *fields])
        except (RedisError, OSError) as error:
            raise PublishFailed(f"Redis did not confirm: {error}", unconfirmed=[delivery.message_id]) from error
        if not moved:
            raise PublishFailed(f"the queue {queue} does not exist", unconfirmed=[delivery.message_id])

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await end(self._beating)
        await end(self._flushing)
        with suppress(RedisError, OSError):
            await self._send_acks()
            for name in (*self._former_names, self._name):
                await self._leave_as(name)
        await self._redis.aclose()
