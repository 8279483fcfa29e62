"""Who works on a training: a worker holds it by a lease that it renews, and the run's row is the truth.

A training takes longer than a broker waits for an acknowledgement (RabbitMQ: 30 minutes, then the delivery is taken away and comes again).
So the message only says "look at this run" and is acknowledged as soon as the row says that a worker has it. A worker that dies stops
renewing, and the schedule asks for the run again. `attempts` fences: a worker that was thought dead finds another number and stops.
"""

from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from core.acts.audit import Actor, Event, record
from core.acts.outbox import enqueue
from core.base.clock import utc_now
from core.base.errors import NotAllowedNow, NotFound
from core.base.terms import Action, RunStatus
from core.contracts.messages import TrainingRequested
from core.contracts.topology import BELL_RUNS, TRAINING
from core.infra.postgres import UnitOfWork
from core.infra.redis import Redis, ring
from core.stores import policy
from core.tables.policy import TrainingRun

LEASE: Final = timedelta(seconds=60)
MOST_ATTEMPTS: Final = 3
"""A run whose workers were lost so often is likely to be what kills them."""
_UNDER_WAY: Final = (RunStatus.REQUESTED.value, RunStatus.RUNNING.value)


def over(run: TrainingRun) -> bool:
    return run.status not in _UNDER_WAY


async def take_up(work: UnitOfWork, redis: Redis, run_id: UUID) -> TrainingRun | None:
    """Ours from now on, for as long as the lease is renewed; None when it is over, given up, or another worker's."""
    run = await policy.lock_run(work, run_id)
    if run is None or over(run) or leased(run):
        return None
    now = utc_now()
    if run.attempts >= MOST_ATTEMPTS:
        run.status, run.ended_at = RunStatus.FAILED.value, now
        run.step = f"given up: {run.attempts} workers were lost while they worked on it"
        await _store(work, redis, run)
        return None
    run.status, run.attempts, run.lease_until = RunStatus.RUNNING.value, run.attempts + 1, now + LEASE
    run.started_at = run.started_at or now
    await _store(work, redis, run)
    return run


def leased(run: TrainingRun) -> bool:
    """A worker gave a sign of life lately."""
    return run.status == RunStatus.RUNNING.value and run.lease_until is not None and run.lease_until > utc_now()


async def tell(work: UnitOfWork, redis: Redis, run_id: UUID, attempt: int, *, progress: float, step: str) -> bool:
    """Write how far it is and renew the lease; False when this worker shall stop: it is to be cancelled, or no longer ours."""
    run = await policy.lock_run(work, run_id)
    if run is None or not _ours(run, attempt) or run.cancel_asked_at is not None:
        return False
    moved = (run.progress, run.step) != (progress, step)
    run.progress, run.step, run.lease_until = progress, step, utc_now() + LEASE
    await policy.save(work, run)
    if moved:
        work.after_commit.append(partial(ring, redis, BELL_RUNS, [str(run_id)]))
    return True


async def end(
    work: UnitOfWork,
    redis: Redis,
    run_id: UUID,
    attempt: int,
    *,
    status: RunStatus,
    step: str,
    model_id: str | None = None,
) -> bool:
    """Write how it ended, unless it is no longer ours; whether it was."""
    run = await policy.lock_run(work, run_id)
    if run is None or not _ours(run, attempt):
        return False
    run.status, run.step, run.ended_at, run.lease_until, run.model_id = status.value, step, utc_now(), None, model_id
    run.progress = 1.0 if status is RunStatus.DONE else run.progress
    await _store(work, redis, run)
    return True


async def hand_back(work: UnitOfWork, redis: Redis, run_id: UUID, attempt: int) -> None:
    """This worker has to stop, e.g. for a deployment: another one goes on. Does not count as a lost worker."""
    run = await policy.lock_run(work, run_id)
    if run is None or not _ours(run, attempt):
        return
    run.attempts -= 1
    await _ask_again(work, redis, run, "waiting: its worker was stopped")


async def ask_again_for_stalled(work: UnitOfWork, redis: Redis, *, by: Actor) -> list[UUID]:
    """Runs whose workers are gone go back to the queue; those are cancelled whose end was asked for meanwhile."""
    found = []
    for run in await policy.stalled_runs(work, utc_now()):
        if run.cancel_asked_at is not None:
            await _cancelled(work, redis, run)
            continue
        await _ask_again(work, redis, run, "waiting: its worker was lost")
        detail = {"again": True, "attempts": run.attempts}
        await record(work, Event(by, Action.MODEL_TRAIN_REQUEST, "training_run", str(run.id), detail))
        found.append(run.id)
    return found


async def cancel_training(work: UnitOfWork, redis: Redis, run_id: UUID, *, by: Actor) -> TrainingRun:
    """A run that waits is cancelled at once, one that a worker has soon after: it looks between two steps.

    Raises NotFound, and NotAllowedNow when the run is over or its end is asked for already.
    """
    run = await policy.lock_run(work, run_id)
    if run is None:
        raise NotFound("there is no such training run")
    if over(run):
        raise NotAllowedNow(f"this training is {run.status} already")
    if run.cancel_asked_at is not None:
        raise NotAllowedNow("this training is being stopped already")
    run.cancel_asked_at, run.cancel_asked_by = utc_now(), str(by)
    await record(work, Event(by, Action.MODEL_TRAIN_CANCEL, "training_run", str(run.id), {"was": run.status}))
    if leased(run):
        await _store(work, redis, run)
    else:
        await _cancelled(work, redis, run)
    return run


def _ours(run: TrainingRun, attempt: int) -> bool:
    return run.status == RunStatus.RUNNING.value and run.attempts == attempt


async def _ask_again(work: UnitOfWork, redis: Redis, run: TrainingRun, step: str) -> None:
    run.status, run.step, run.lease_until = RunStatus.REQUESTED.value, step, None
    await _store(work, redis, run)
    await enqueue(work, TRAINING, TrainingRequested(run_id=run.id))


async def _cancelled(work: UnitOfWork, redis: Redis, run: TrainingRun) -> None:
    run.status, run.step, run.ended_at, run.lease_until = RunStatus.CANCELLED.value, "cancelled", utc_now(), None
    await _store(work, redis, run)


async def _store(work: UnitOfWork, redis: Redis, run: TrainingRun) -> None:
    await policy.save(work, run)
    work.after_commit.append(partial(ring, redis, BELL_RUNS, [str(run.id)]))
