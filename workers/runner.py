"""Runs jobs in one process until it is told to stop; a job that fails is started again with backoff."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

from core.base.errors import Unavailable
from core.base.heap import keep_for_good
from core.base.settings import Settings
from core.contracts.topology import queues
from core.infra.resources import Resources, open_resources

log = structlog.get_logger()
GRACE_S = 8.0
"""How long a job may finish its batch after the stop was asked for."""


@dataclass(frozen=True)
class JobContext:
    """What a job works with. It looks at `stopping` between batches."""

    resources: Resources
    stopping: asyncio.Event

    async def pause(self, seconds: float) -> None:
        """Sleep, but wake up at once when the process is to stop."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)


Job = Callable[[JobContext], Awaitable[None]]


async def run(settings: Settings, jobs: dict[str, Job]) -> None:
    """Until SIGTERM or SIGINT: finish what is in hand, ack it, close."""
    if set(jobs) == {"score"}:  # it reads what strangers send and models from elsewhere: it gets the fewest rights
        settings = settings.model_copy(update={"database_role": settings.scorer_role})
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    async with open_resources(settings, "-".join(jobs)[:40]) as resources:
        await declare(resources, stopping)
        context = JobContext(resources, stopping)
        keep_for_good()
        tasks = [asyncio.create_task(_keep_running(name, job, context), name=name) for name, job in jobs.items()]
        log.info("working", jobs=",".join(jobs))
        await stopping.wait()
        _, late = await asyncio.wait(tasks, timeout=GRACE_S)
        for task in late:
            log.warning("job did not stop in time", job=task.get_name())
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def declare(resources: Resources, stopping: asyncio.Event) -> None:
    """Build the topology; waits for a broker that is not up yet."""
    while not stopping.is_set():
        try:
            await resources.bus.declare(queues(resources.settings.shards))
            return
        except Unavailable as error:
            log.warning("the bus is not ready", detail=error.detail)
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), 1.0)


async def _keep_running(name: str, job: Job, context: JobContext) -> None:
    def told(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.error("job failed; starting it again", job=name, exc_info=error)

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(Exception),
        wait=wait_exponential_jitter(initial=0.2, max=10),
        stop=lambda _: context.stopping.is_set(),
        before_sleep=told,
        sleep=context.pause,
        reraise=False,
    )
    with suppress(Exception):
        await retrying(job, context)


def chosen(roster: dict[str, Job], names: Sequence[str]) -> dict[str, Job]:
    """The named jobs; every one of the roster when none is named. Raises KeyError with an unknown name."""
    return {name: roster[name] for name in (names or roster)}
