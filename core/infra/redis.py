"""Redis or Valkey: features, doorbells, rate limits. A cache of PostgreSQL, never the truth."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import redis.asyncio as redis
from redis.exceptions import RedisError

Redis = redis.Redis
RING_S = 0.25
"""Nobody waits longer for a bell to be heard."""


def connect_redis(url: str, timeout_s: float) -> Redis:
    """Answers raw bytes. A command that takes longer than `timeout_s` raises."""
    return redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, health_check_interval=30)


async def ring(client: Redis, channel: str, ids: Sequence[str]) -> None:
    """Tell listeners that these rows changed. A bell nobody could hear is not an error: everyone re-reads PostgreSQL on a timer too."""
    with suppress(RedisError, OSError):
        async with asyncio.timeout(RING_S):
            await client.publish(channel, json.dumps(list(ids)))


async def listen(client: Redis, channels: Sequence[str]) -> AsyncIterator[tuple[str, list[str]]]:
    """(channel, ids) for ever; ("", []) about once a second when all is quiet, and after a reconnect.

    Redis keeps no history of bells, so whoever listens re-reads PostgreSQL on ("", []) as well.
    """
    while True:
        try:
            async with client.pubsub() as pubsub:
                await pubsub.subscribe(*channels)
                yield "", []
                while True:
                    message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=1.0)
                    if message is None:
                        yield "", []
                    else:
                        yield message["channel"].decode(), json.loads(message["data"])
        except (RedisError, OSError):
            await asyncio.sleep(0.5)
            yield "", []
