"""What every consuming job does the same way: take a batch, sort out what cannot be read, ack after the commit."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from random import uniform
from typing import Final

import msgspec
import structlog

from core.base import telemetry
from core.base.errors import Kind, RondaError
from core.contracts.messages import Message, decode
from core.infra.bus import Delivery
from workers.runner import JobContext

log = structlog.get_logger()
TAKE_WAIT_S: Final = 0.5
DEADLINE_S: Final = 10.0
"""A batch that takes longer hangs: it is given up and goes back."""
ANSWER_S: Final = 2.0
"""How long a server may take to say that it lives."""
AFTER_FAILURE_S: Final = 0.2
OUTAGE_WAIT_S: Final = (0.2, 5.0)
"""First and longest wait for a server that is away."""

Readable = tuple[Delivery, Message]
Handle = Callable[[list[Delivery]], Awaitable[None]]


async def read(deliveries: Sequence[Delivery], kind: type[Message]) -> list[Readable]:
    """Deliveries with their messages; what is not a `kind` is rejected to the dead letters with the reason."""
    readable: list[Readable] = []
    for delivery in deliveries:
        try:
            message = decode(delivery.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            await delivery.reject(f"undecodable: {error}")
            continue
        if isinstance(message, kind):
            readable.append((delivery, message))
        else:
            await delivery.reject(f"a {type(message).__name__} does not belong into {delivery.queue}")
    return readable


async def consume(
    context: JobContext,
    queues: Sequence[str],
    handle: Handle,
    *,
    most: int,
    turn: AbstractAsyncContextManager[object] | None = None,
) -> None:
    """Hand batches to `handle` until the process stops; it may be called again with the same batch.

    A batch that fails or hangs goes back to its queues, which counts as one redelivery. One that fails because a server
    is away is kept and tried again until it works: an outage must not count. `turn` is held while a batch is handled.
    """
    consumer = await context.resources.bus.consumer(queues, prefetch=most)
    try:
        while not context.stopping.is_set():
            deliveries = await consumer.take(most, TAKE_WAIT_S)
            if not deliveries:
                continue
            async with turn or nullcontext():
                done = await _carry_out(context, deliveries, handle)
            if not done:
                await context.pause(AFTER_FAILURE_S)
    finally:
        await consumer.close()


async def _carry_out(context: JobContext, deliveries: list[Delivery], handle: Handle) -> bool:
    """False when the batch went back."""
    wait_s, longest_s = OUTAGE_WAIT_S
    why = "stopped"
    try:
        while not context.stopping.is_set():
            failure = await _attempt(deliveries, handle)
            if failure is None:
                return True
            why = await _cause(context, failure)
            if why != "outage":
                log.error("a batch failed", why=why, exc_info=failure)
                break
            log.warning("a batch waits for a server", detail=str(failure), messages=len(deliveries))
            await context.pause(wait_s * uniform(0.5, 1.0))  # noqa: S311
            wait_s = min(longest_s, wait_s * 2)
    except BaseException:  # the process ends
        await _give_back(deliveries, why)
        raise
    await _give_back(deliveries, why)
    return False


def is_outage(failure: Exception) -> bool:
    """Whether a server that is away is to blame, and not the batch."""
    return isinstance(failure, RondaError) and failure.kind is Kind.UNAVAILABLE


async def _attempt(deliveries: list[Delivery], handle: Handle) -> Exception | None:
    try:
        async with asyncio.timeout(DEADLINE_S):
            await handle(deliveries)
    except Exception as failure:  # noqa: BLE001 - whatever it is, its batch goes back
        return failure
    return None


async def _cause(context: JobContext, failure: Exception) -> str:
    """`outage`, `hung` or `failed`. Behind what took too long may be a server that is frozen."""
    if is_outage(failure):
        return "outage"
    if not isinstance(failure, TimeoutError):
        return "failed"
    return "hung" if await context.resources.postgres.answers(ANSWER_S) else "outage"


async def _give_back(deliveries: Sequence[Delivery], why: str) -> None:
    queues = {delivery.queue for delivery in deliveries}
    log.warning("batch goes back", why=why, queues=",".join(queues), messages=len(deliveries))
    for queue in queues:
        telemetry.BATCHES_RETURNED.labels(queue, why).inc()
    for delivery in deliveries:
        await delivery.release()
