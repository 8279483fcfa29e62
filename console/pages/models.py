"""Models side by side, training and promotion."""

from typing import Any

from litestar import get, post
from litestar.params import FromPath

from console.access import ConsoleRequest, may, require, resources_of
from console.shell import Page, is_fragment, render, see_other
from console.views import models as views
from console.views.audit import user_ids
from core.acts import registry
from core.base.clock import utc_now
from core.base.errors import NotAllowedNow, RondaError
from core.base.ids import ModelId
from core.base.terms import ModelStage, Role, RunStatus
from core.stores import people, policy

LISTED = 30
RUNS = 12
COMPARED = 4
"""Columns of the figures: the champion and the newest others."""
CHALLENGERS = {ModelStage.CANDIDATE.value, ModelStage.SHADOW.value}


async def _context(request: ConsoleRequest, problem: str = "", said: str = "") -> dict[str, Any]:
    now = utc_now()
    async with resources_of(request).postgres.reading() as work:
        models = await policy.models(work, LISTED)
        champion = await policy.champion(work)
        runs = await policy.runs(work, RUNS)
        in_force = await policy.current_policy(work)
        names = await people.names_of(work, user_ids(views.actors_in(models, runs)))
    if champion and champion.id not in {model.id for model in models}:
        models = [champion, *models]
    others = [model for model in models if model.stage != ModelStage.CHAMPION.value]
    challengers = [model for model in others if model.stage in CHALLENGERS]
    compared = [*([champion] if champion else []), *challengers[: COMPARED - 1]]
    drawn = compared[:2]
    cards = {model.id: views.model_card(model, in_force, names, now) for model in models}
    return {
        "champion": cards[champion.id] if champion else None,
        "challengers": [cards[model.id] for model in challengers],
        "retired": [cards[model.id] for model in others if model.stage not in CHALLENGERS],
        "compared": [cards[model.id] for model in compared],
        "figures": views.figure_rows(compared),
        "curves": views.curves(drawn) if drawn else None,
        "reliability": views.calibration(drawn[0]) if drawn else None,
        "policy": in_force,
        "runs": [views.run_row(run, names, now) for run in runs],
        "training": any(run.status in {RunStatus.REQUESTED.value, RunStatus.RUNNING.value} for run in runs),
        "may_change": may(request.user, Role.LEAD),
        "problem": problem,
        "said": said,
    }


async def _answer(request: ConsoleRequest, *, problem: str = "", said: str = "", status: int = 200) -> Page:
    template = "_models_body.html" if is_fragment(request) else "models.html"
    return render(request, template, await _context(request, problem, said), status=status)


@get("/models", guards=[require(Role.VIEWER)])
async def models_page(request: ConsoleRequest) -> Page:
    return await _answer(request)


def _sentence(error: RondaError) -> str:
    return f"{error.detail[:1].upper()}{error.detail[1:]}."


@post("/models/train", guards=[require(Role.LEAD)], status_code=200)
async def train(request: ConsoleRequest) -> Page:
    try:
        async with resources_of(request).postgres.unit_of_work() as work:
            await registry.request_training(work, by=request.user.actor)
    except NotAllowedNow as error:
        return await _answer(request, problem=_sentence(error), status=409)
    if is_fragment(request):
        return await _answer(
            request, said="The training was asked for. It starts within seconds; its progress shows below."
        )
    return see_other("/models")


@post("/models/{model_id:str}/promote", guards=[require(Role.LEAD)], status_code=200)
async def promote(request: ConsoleRequest, model_id: FromPath[str]) -> Page:
    resources = resources_of(request)
    try:
        async with resources.postgres.unit_of_work() as work:
            await registry.promote(
                work,
                resources.redis,
                ModelId(model_id),
                by=request.user.actor,
                four_eyes=resources.settings.four_eyes,
            )
    except NotAllowedNow as error:
        return await _answer(request, problem=_sentence(error), status=409)
    if is_fragment(request):
        return await _answer(request, said=f"Model {model_id} is the champion now. The scorers are loading it.")
    return see_other("/models")
