"""A connection to RabbitMQ that is opened when first needed and again after a loss."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, cast

import aio_pika
from aio_pika.abc import AbstractConnection
from aiormq.channel import Channel
from aiormq.exceptions import AMQPError

HEARTBEAT_S: Final = 10
OPEN_TIMEOUT_S: Final = 5.0
CLOSE_TIMEOUT_S: Final = 1.0
LOST = (AMQPError, OSError, RuntimeError, EOFError)
"""What aio-pika raises when the connection is gone, was never there, or a channel was closed under us."""

# They log every failed attempt; an outage is ours to report, once.
for _logger in ("aiormq.connection", "aiormq.channel"):
    logging.getLogger(_logger).setLevel(logging.CRITICAL)


class Lost(Exception):
    """The connection cannot be used; open it again."""


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Everything that means "this connection is of no use" becomes Lost.

    aiormq cancels its own inner tasks when a connection closes; such a cancellation is a loss, not somebody stopping us.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except LOST as error:  # TimeoutError is an OSError
        raise Lost(str(error) or type(error).__name__) from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise Lost("the connection was closed") from error


class Link:
    """One connection with one channel, opened when first needed and again after a loss."""

    def __init__(self, url: str, purpose: str) -> None:
        self._url, self._purpose = url, purpose
        self._connection: AbstractConnection | None = None
        self._channel: Channel | None = None
        self._opening = asyncio.Lock()

    async def channel(self) -> Channel:
        """The open channel, with confirms. Raises Lost."""
        async with self._opening:
            if self._channel is None or self._channel.is_closed:
                await self.drop()
                async with within(OPEN_TIMEOUT_S):
                    self._connection = await aio_pika.connect(
                        self._url,
                        timeout=OPEN_TIMEOUT_S,
                        heartbeat=HEARTBEAT_S,
                        client_properties={"connection_name": f"ronda {self._purpose}"},
                    )
                    self._channel = await self._new_channel(self._connection)
            return self._channel

    async def _new_channel(self, connection: AbstractConnection) -> Channel:
        channel = connection.channel(publisher_confirms=True, on_return_raises=True)
        await channel.initialize()
        return cast(Channel, await channel.get_underlay_channel())

    @asynccontextmanager
    async def side_channel(self) -> AsyncIterator[Channel]:
        """A channel of its own for a question whose answer may close it. Raises Lost."""
        await self.channel()
        assert self._connection is not None
        async with within(OPEN_TIMEOUT_S):
            channel = await self._new_channel(self._connection)
        try:
            yield channel
        finally:
            with suppress(Lost):
                async with within(CLOSE_TIMEOUT_S):
                    await channel.close()

    def server_version(self) -> str:
        assert self._connection is not None
        assert self._connection.transport is not None
        return str(self._connection.transport.connection.server_properties.get("version", ""))

    async def drop(self) -> None:
        """Closes politely for a moment, then regardless. The next use opens it again."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with suppress(Lost):
                async with within(CLOSE_TIMEOUT_S):
                    await connection.close()
