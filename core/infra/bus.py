"""The bus protocol. Two real implementations (`rabbit`, `streams`) pass one contract test suite.

At least once: a delivery comes back until it is acked or rejected, so whoever handles it must be idempotent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from core.contracts.topology import Queue


@dataclass(frozen=True)
class Outgoing:
    """`message_id` identifies the message over re-publications; a consumer may see it twice."""

    queue: str
    message_id: str
    body: bytes


class Delivery(Protocol):
    """Settled once: by the first of these that ends well. What is said after that changes nothing."""

    queue: str
    message_id: str
    body: bytes
    redeliveries: int
    """How often this message came back before; 0 = not known to have been seen."""

    async def ack(self) -> None:
        """Done: never deliver again. Called after the commit."""

    async def reject(self, reason: str) -> None:
        """Move to the dead-letter queue with the reason (confirmed there before it is gone here). Raises PublishFailed."""

    async def move(self, queue: str) -> None:
        """To another queue, under the same id (confirmed there before it is gone here). Raises PublishFailed."""

    async def release(self) -> None:
        """Give back for another delivery (counts as one redelivery)."""


class Consumer(Protocol):
    async def take(self, most: int, wait_s: float) -> list[Delivery]:
        """What is waiting, at most `most`; waits up to `wait_s` for the first one. [] = nothing came. Reconnects by itself."""

    async def close(self) -> None:
        """Unacked deliveries go back to their queues."""


class Bus(Protocol):
    name: str

    async def declare(self, queues: Sequence[Queue]) -> None:
        """Create the durable queues (idempotent). Raises Unavailable when one exists with other arguments."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Returns when the broker has confirmed every message as durable.

        Raises PublishFailed with `facts["unconfirmed"]` = ids not known to be safe (queue missing or full, no broker, time-out).
        """

    async def consumer(self, queues: Sequence[str], prefetch: int) -> Consumer:
        """Takes from several queues. For a single-active queue, waits its turn while another consumer holds it."""

    async def depth(self, queue: str) -> int:
        """Messages waiting in the queue; those a consumer holds are not counted. Raises Unavailable when there is no such queue."""

    async def dead_reason(self, delivery: Delivery) -> tuple[str, str]:
        """For a delivery from DEAD: (the queue it came from, the reason)."""

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...
