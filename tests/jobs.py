"""Jobs in the test's own process, stopped as a deployment stops them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.infra.resources import Resources
from workers.roster import JOBS
from workers.runner import JobContext


@asynccontextmanager
async def running(resources: Resources, *names: str) -> AsyncIterator[None]:
    """None of them may end by itself."""
    context = JobContext(resources, asyncio.Event())
    tasks = [asyncio.create_task(JOBS[name](context), name=name) for name in names]
    try:
        yield
        assert not any(task.done() for task in tasks), [task for task in tasks if task.done()]
    finally:
        context.stopping.set()
        await asyncio.gather(*tasks)
