"""Questions that some worker answers within seconds, by way of Redis. What nobody answers is gone: whoever asked says so."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

from redis.exceptions import RedisError

from core.infra.redis import Redis, listen

_WAITING: Final = "ronda:questions"
_BELL: Final = "ronda:asked"
_KEPT_S: Final = 30
_LOOK_S: Final = 0.03


def _answer_key(ident: UUID) -> str:
    return f"ronda:answer:{ident}"


async def ask(client: Redis, ident: UUID, question: bytes, *, within_s: float) -> bytes | None:
    """The answer; None when nobody gave one in time, or Redis is away."""
    deadline = time.monotonic() + within_s
    try:
        async with client.pipeline(transaction=True) as pipe:
            pipe.rpush(_WAITING, question)
            pipe.expire(_WAITING, _KEPT_S)
            pipe.publish(_BELL, "[]")
            await pipe.execute()
        while time.monotonic() < deadline:
            found = await client.getdel(_answer_key(ident))
            if found is not None:
                return bytes(found)  # type: ignore[arg-type]  # our clients answer bytes
            await asyncio.sleep(_LOOK_S)
    except (RedisError, OSError):
        return None
    return None


async def questions(client: Redis) -> AsyncIterator[bytes]:
    """For ever: what was asked, each by one listener only."""
    async for _ in listen(client, [_BELL]):
        try:
            while (question := await client.lpop(_WAITING)) is not None:
                yield bytes(question)  # type: ignore[arg-type]  # one element without a count
        except (RedisError, OSError):
            continue


async def answer(client: Redis, ident: UUID, said: bytes) -> None:
    await client.set(_answer_key(ident), said, ex=_KEPT_S)
