"""Who may call the API: guards by role. Every API route names one; a house test sees to it."""

import asyncio
import ipaddress
import time
from dataclasses import dataclass
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from core.acts import people
from core.base.errors import BadApiKey
from core.base.hashing import sha256
from core.base.ids import SourceId
from core.infra.resources import Resources

CACHE_S = 5.0
"""A revoked key stops working within this time."""
_CACHE_MOST = 1000

Connection = ASGIConnection[Any, Any, Any, Any]


@dataclass(frozen=True)
class Caller:
    """The source a key belongs to, and the key's prefix: the actor in the audit trail."""

    source_id: SourceId
    key_prefix: str


class ApiKeys:
    """Checks bearer keys against PostgreSQL, remembering good ones for a few seconds."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._good: dict[bytes, tuple[float, Caller]] = {}
        self._asked: dict[bytes, asyncio.Task[Caller]] = {}

    async def caller(self, presented: str) -> Caller:
        """Raises BadApiKey."""
        digest, now = sha256(presented.encode()), time.monotonic()
        hit = self._good.get(digest)
        if hit and now - hit[0] < CACHE_S:
            return hit[1]
        # One question for all who come meanwhile: a busy source would take every connection.
        if digest not in self._asked:
            self._asked[digest] = asyncio.create_task(self._look_up(presented, digest, now))
        return await asyncio.shield(self._asked[digest])

    async def _look_up(self, presented: str, digest: bytes, now: float) -> Caller:
        try:
            async with self._resources.postgres.reading() as work:
                key = await people.key_holder(work, presented)
        finally:
            del self._asked[digest]
        if key is None:
            raise BadApiKey("This API key is not known or was revoked.")
        if len(self._good) >= _CACHE_MOST:
            self._good.clear()
        caller = Caller(SourceId(key.source_id), key.prefix)
        self._good[digest] = (now, caller)
        return caller


def public(_connection: Connection, _handler: BaseRouteHandler) -> None:
    """Anyone: health and the API's description."""


async def source_key(connection: Connection, _handler: BaseRouteHandler) -> None:
    """A source's bearer key; the Caller is the request's `auth`."""
    scheme, _, presented = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not presented.strip():
        raise BadApiKey("Send the source's API key as: Authorization: Bearer <key>")
    if not presented.isascii():
        raise BadApiKey("This API key is not known or was revoked.")
    keys: ApiKeys = connection.app.state.api_keys
    connection.scope["auth"] = await keys.caller(presented.strip())


async def metrics_reader(connection: Connection, handler: BaseRouteHandler) -> None:
    """This machine itself, or any source's key."""
    host = connection.client.host if connection.client else ""
    forwarded = "x-forwarded-for" in connection.headers
    if not forwarded and _is_loopback(host):
        return
    await source_key(connection, handler)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
