"""train, features rebuild|check."""

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from backend.commands.common import MODEL, DataDir, Json, show, show_json, with_resources
from backend.commands.people import by_command_line
from core.base.errors import NotAllowedNow, NotFound, RondaError

if TYPE_CHECKING:
    from core.acts.audit import Actor
    from core.infra.postgres import UnitOfWork
    from core.infra.resources import Resources
    from core.tables.policy import TrainingRun

features = typer.Typer(
    help="The live feature state in Redis, made from the transactions in PostgreSQL.", no_args_is_help=True
)

By = Annotated[
    str | None,
    typer.Option("--by", metavar="EMAIL", help="The person who acts, for the audit trail and the four eyes."),
]
POLL_S = 0.5


class TrainingFailed(RondaError):
    code = "training_failed"


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=MODEL)(train)
    app.add_typer(features, name="features", rich_help_panel=MODEL)


async def actor_of(work: "UnitOfWork", email: str | None) -> "Actor":
    """Raises NotFound."""
    from core.acts.people import user_actor
    from core.stores import people

    if email is None:
        return by_command_line()
    user = await people.user_by_email(work, email.strip().lower())
    if user is None:
        raise NotFound(f"there is no user {email}")
    return user_actor(user)


def train(
    by: By = None,
    wait: Annotated[bool, typer.Option(help="Show how it goes on until it is done.")] = True,
    cancel: Annotated[bool, typer.Option("--cancel", help="Stop the training that waits or is under way.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Ask a worker to train a challenger on what is known by now. `ronda promote` makes it the champion."""
    from core.acts import registry

    async def ask(resources: "Resources") -> "TrainingRun":
        async with resources.postgres.unit_of_work() as work:
            run = await registry.request_training(work, by=await actor_of(work, by))
        return await _follow(resources, run, quiet=as_json) if wait else run

    async def stop(resources: "Resources") -> "TrainingRun":
        return await _cancel(resources, by)

    run = with_resources(data_dir, stop if cancel else ask)
    if cancel and not as_json:
        show(f"training {run.id} " + ("is cancelled" if run.ended_at else "stops at its next step"))
    elif as_json:
        show_json({"run": str(run.id), "status": run.status, "step": run.step, "model": run.model_id})
    elif wait and run.step.startswith("refused"):
        show(f"model {run.model_id} is {run.step}")
    elif wait:
        show(f"challenger {run.model_id} is registered; promote it with: ronda promote {run.model_id} --by EMAIL")
    else:
        show(f"training {run.id} is asked for")


async def _cancel(resources: "Resources", by: str | None) -> "TrainingRun":
    """Raises NotFound when there is nothing to cancel."""
    from core.acts import trainings
    from core.stores import policy

    async with resources.postgres.unit_of_work() as work:
        run = await policy.unfinished_run(work)
        if run is None:
            raise NotFound("no training waits or is under way")
        return await trainings.cancel_training(work, resources.redis, run.id, by=await actor_of(work, by))


async def _follow(resources: "Resources", run: "TrainingRun", *, quiet: bool) -> "TrainingRun":
    """Until the run is over. Raises TrainingFailed with the worker's reason."""
    from rich.console import Console

    from backend.display import Display, Step
    from core.base.terms import RunStatus
    from core.stores import policy

    display = Display(Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True))
    with display.progress() as steps:
        while run.status in (RunStatus.REQUESTED.value, RunStatus.RUNNING.value):
            steps.at(Step(run.progress, run.step))
            await asyncio.sleep(POLL_S)
            async with resources.postgres.reading() as work:
                run = await policy.run(work, run.id) or run
        steps.done()
    if run.status == RunStatus.FAILED.value:
        raise TrainingFailed(f"the training failed: {run.step}")
    if run.status == RunStatus.CANCELLED.value:
        raise TrainingFailed("the training was cancelled")
    return run


@features.command("rebuild")
def features_rebuild(data_dir: DataDir = None) -> None:
    """Build the feature state anew from PostgreSQL, beside the one in use, then switch. Scoring goes on meanwhile."""
    os.nice(10)  # who decides payments on this machine goes first
    from backend.display import Display, Step
    from workers.rebuild import rebuild_features

    async def rebuild(resources: "Resources") -> int | None:
        with Display().progress() as steps:
            count = await rebuild_features(
                resources,
                by=by_command_line(),
                report=lambda share, _words: steps.at(Step(share, "rebuilding the feature state")),
            )
            steps.done()
            return count

    count = with_resources(data_dir, rebuild)
    if count is None:
        raise NotAllowedNow("another process rebuilds the feature state already")
    show(f"{count:,} payments are in the feature state")


@features.command("check")
def features_check(
    entities: Annotated[
        int, typer.Option("--entities", min=0, help="How many customers, cards, ... to ask Redis about.")
    ] = 100,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Replay the payments in PostgreSQL, in the order of acceptance, and compare with the features the scorer logged and, for a sample of
    entities, with what Redis answers now. Exit code 1 when any differs, or when Redis holds payments that PostgreSQL does not (it was
    restored from an older copy). Scoring may go on meanwhile.

    A decision that was taken while the feature state was away is not compared: it says so itself.
    """
    from rich.console import Console

    from backend.display import Display, Step
    from backend.feature_check import FeatureCheck, check, check_live, count_ahead

    async def run(resources: "Resources") -> FeatureCheck:
        with Display(Console(stderr=True, highlight=False, soft_wrap=True)).progress() as steps:
            found = await check(resources, lambda share: steps.at(Step(share, "replaying what was scored")))
            if entities:
                asking = "comparing what Redis answers now"
                found.ahead = await count_ahead(resources)
                found.live = await check_live(resources, entities, lambda share: steps.at(Step(share, asking)))
            steps.done()
            return found

    found = with_resources(data_dir, run)
    if as_json:
        show_json(found.as_json())
    else:
        show(found.words())
    sys.exit(0 if found.equal else 1)
