"""Ending background tasks for certain."""

import asyncio
from typing import Any

_AGAIN_S = 0.5


async def end(task: asyncio.Task[Any] | None) -> None:
    """Cancel until it is done; what it raised is dropped.

    Once is not enough: a client that is just connecting or reading may turn the cancellation into an error of its own, which the
    task then waits out like any outage.
    """
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_AGAIN_S)
    if task is not None and not task.cancelled():
        task.exception()
