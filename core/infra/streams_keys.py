"""The names the bus uses in Redis, and the scripts that work on them."""

from importlib.resources import files
from typing import Final

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript

GROUP: Final = "ronda"
"""Every stream's one consumer group; the scripts name it too."""
QUEUES: Final = "ronda:bus:queues"
"""A hash: the queue's name -> its settings as JSON."""
ALIVE_PREFIX: Final = "ronda:bus:alive:"
"""A consumer's sign of life; without it, what it holds goes to others."""
RETURNED: Final = "returned"
"""The owner of what was given back. It never has a sign of life."""


def stream_of(queue: str) -> str:
    return f"ronda:bus:{queue}:messages"


def lease_of(queue: str) -> str:
    """Who alone may take from a single-active queue."""
    return f"ronda:bus:{queue}:lease"


def connect(url: str, timeout_s: float, retries: int) -> redis.Redis:
    """Commands are retried `retries` times at once after a lost connection, so they may be executed twice."""
    return redis.from_url(
        url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), retries)
    )


def script(client: redis.Redis, name: str) -> AsyncScript:
    """A script of `core/infra/lua`: sent once, then called by its hash."""
    return client.register_script(files("core.infra").joinpath("lua", f"{name}.lua").read_text())
