"""Damage that nobody would do on purpose, for those who are to find it."""

import struct

from core.infra.redis import Redis
from models.features.items import token
from models.features.online import GENERATION_KEY


async def corrupt_merchant(redis: Redis, merchant: str) -> None:
    """The sum of the newest payment's amounts says a hundredth more than was paid."""
    generation = await redis.get(GENERATION_KEY)
    key = b"{rf}" + generation + b":m" + token("m", merchant)
    at = await redis.strlen(key) - 8
    [total] = struct.unpack("<d", await redis.getrange(key, at, at + 7))
    await redis.setrange(key, at, struct.pack("<d", total + 1))
