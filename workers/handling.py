"""What every consuming job does the same way: take a batch, sort out what cannot be read, ack after the commit."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec
import structlog

from core.contracts.messages import Message, decode
from core.infra.bus import Delivery
from workers.runner import JobContext

log = structlog.get_logger()
TAKE_WAIT_S = 0.5

Readable = tuple[Delivery, Message]


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
    handle: Callable[[list[Delivery]], Awaitable[None]],
    *,
    most: int,
) -> None:
    """Hand batches to `handle` until the process stops. When it raises, the batch goes back to its queues and so does the error."""
    consumer = await context.resources.bus.consumer(queues, prefetch=most)
    try:
        while not context.stopping.is_set():
            deliveries = await consumer.take(most, TAKE_WAIT_S)
            if not deliveries:
                continue
            try:
                await handle(deliveries)
            except BaseException:
                log.warning("batch goes back", queues=",".join({d.queue for d in deliveries}), messages=len(deliveries))
                for delivery in deliveries:
                    await delivery.release()
                raise
    finally:
        await consumer.close()
