"""The demo's first start: synthetic history, and a first model made from it. A process of its own: its libraries are heavy."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from backend.accounts import read_demo_secrets
from backend.demo import load_history
from backend.display import FIRST_TRAINING, Step
from backend.embedded_process import tethered
from backend.synthetic import history
from core.acts import registry
from core.acts.audit import Event, record, system
from core.base.clock import utc_now
from core.base.errors import RondaError
from core.base.ids import ModelId, new_uuid
from core.base.settings import Settings
from core.base.terms import Action, RunStatus
from core.infra.resources import Resources, open_resources
from core.stores import policy
from core.tables.policy import TrainingRun
from models.scoring.options import SearchOptions, TrainingOptions
from workers.retrain import train_and_register

BY = system("demo")
_COMPILE = "from models.features.offline import compile_replay; compile_replay()"
DAYS = 90
PER_DAY = 300
"""That many days of so many payments: enough to learn from, and few enough that people see an alert within a minute."""

FIRST = TrainingOptions(search=SearchOptions(candidates=0), weeks=1)
"""Somebody waits: no search for better trees, and one week of the past judged instead of four."""


class FirstRunFailed(RondaError):
    code = "first_run_failed"


async def first_run(settings: Settings, tell: Callable[[Step], None], days: int = DAYS) -> None:
    """Until there is a champion; one that was cut short goes on where it was. `days` of history. Raises FirstRunFailed."""
    made_at = read_demo_secrets(settings.data_dir).made_at
    async with open_resources(settings, "first-run") as resources:
        async with resources.postgres.reading() as work:
            if await policy.champion(work):
                return
        async with _compiling() as compiled:
            tell(Step(0.0, "making up synthetic payments"))
            made_up = await asyncio.to_thread(history, days=days, per_day=PER_DAY, until=made_at)
            await load_history(resources, made_up, lambda share, words: tell(Step(share, words)))
            await compiled()
        await _train(resources, tell)


@asynccontextmanager
async def _compiling() -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """The replay, compiled by another process while the history is stored; what is yielded waits for it. Its end is not looked at: where
    no cache can be written, the training compiles for itself.
    """
    process = await asyncio.create_subprocess_exec(
        *tethered(signal.SIGKILL), sys.executable, "-c", _COMPILE,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process.wait
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _train(resources: Resources, tell: Callable[[Step], None]) -> None:
    run = await _own_run(resources)
    model = await train_and_register(resources, run.id, lambda share, _: tell(Step(share, FIRST_TRAINING)), FIRST)
    async with resources.postgres.unit_of_work() as work:
        if model is None:
            failed = await policy.run(work, run.id)
            raise FirstRunFailed(f"the first model could not be trained: {failed.step if failed else 'no such run'}")
        # Nobody is there yet for the second pair of eyes; the trail says that the demo did it.
        await registry.promote(work, resources.redis, ModelId(model.id), by=BY, four_eyes=False)


async def _own_run(resources: Resources) -> TrainingRun:
    """A training that is ours alone: asking through the outbox would make a worker train as well."""
    async with resources.postgres.unit_of_work() as work:
        begun = await policy.unfinished_run(work)
        if begun:
            return begun
        run = TrainingRun(
            id=new_uuid(),
            status=RunStatus.RUNNING.value,
            requested_by=str(BY),
            requested_at=utc_now(),
            step="reading payments and labels",
        )
        await policy.save(work, run)
        await record(work, Event(BY, Action.MODEL_TRAIN_REQUEST, "training_run", str(run.id)))
    return run
