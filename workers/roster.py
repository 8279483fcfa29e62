"""Every job by its name: `ronda work [JOB...]`. A job's libraries are imported when it is chosen."""

from importlib import import_module

from workers.runner import Job, JobContext

NAMES = (
    "score", "relay", "feedback", "retrain", "schedule", "reconcile", "rescore", "equality", "bury", "monitor", "seal",
)  # fmt: skip


def _lazy(name: str) -> Job:
    async def job(context: JobContext) -> None:
        run: Job = getattr(import_module(f"workers.{name}"), name)
        await run(context)

    return job


JOBS: dict[str, Job] = {name: _lazy(name) for name in NAMES}
