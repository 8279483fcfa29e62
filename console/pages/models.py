"""Models side by side, training, and every step of a model's life: each act by somebody, each on the audit trail."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.params import FromPath, URLEncodedBody

from console.access import ConsoleRequest, may, require, resources_of
from console.i18n import gettext as _
from console.refusals import told
from console.shell import Page, is_fragment, render, see_other
from console.views import models as views
from console.views import versus
from console.views.audit import user_ids
from console.views.figures import figure_rows
from console.views.watch import proposal
from core.acts import registry, trainings
from core.base.clock import utc_now
from core.base.errors import InvalidInput, NotAllowedNow, RondaError
from core.base.ids import ModelId
from core.base.terms import ModelStage, Role
from core.infra.postgres import UnitOfWork
from core.infra.redis import Redis
from core.stores import people, policy
from core.tables.policy import RegisteredModel

LISTED: Final = 30
RUNS: Final = 12
COMPARED: Final = 4
"""Columns of the figures: the champion and the newest others."""
AGREEMENT: Final = 10_000
"""Newest payments of a shadow that are counted here, where a running training refreshes the page; its report counts more."""
CHALLENGERS: Final = (ModelStage.SHADOW, ModelStage.CANDIDATE)
"""Those that shadow first."""


def _chosen(challengers: Sequence[RegisteredModel], against: str) -> RegisteredModel | None:
    """The one to stand beside the champion: the one asked for while it is a challenger, else the first."""
    return next((model for model in challengers if model.id == against), challengers[0] if challengers else None)


async def _context(request: ConsoleRequest, problem: str = "", said: str = "") -> dict[str, Any]:
    now, reader = utc_now(), str(request.user.actor)
    async with resources_of(request).postgres.reading() as work:
        listed = await policy.models(work, LISTED)
        champion = await policy.champion(work)
        runs = await policy.runs(work, RUNS)
        in_force = await policy.current_policy(work)
        known = [*([champion] if champion else []), *(one for one in listed if not champion or one.id != champion.id)]
        names = await people.names_of(work, user_ids(views.actors_in(known, runs)))
        looked = await policy.latest_watch(work, ModelId(champion.id)) if champion else None
        agreed = {
            model.id: views.agreed(await policy.shadow_agreement(work, ModelId(model.id), AGREEMENT))
            for model in await policy.shadows(work)
        }
    cards = {model.id: views.model_card(model, in_force, names, now, reader) for model in known}
    of_stage = {stage: [model for model in known if model.stage == stage.value] for stage in ModelStage}
    compared = [model for stage in (ModelStage.CHAMPION, *CHALLENGERS) for model in of_stage[stage]][:COMPARED]
    challengers = [model for stage in CHALLENGERS for model in of_stage[stage]]
    beside = _chosen(challengers, request.query_params.get("against", ""))
    drawn = [model for model in (champion, beside) if model]
    sides = [
        versus.side(model, cards[model.id], looked if champion and model.id == champion.id else None, now)
        for model in drawn
    ]
    rows = [views.run_row(run, names, now) for run in runs]
    return {
        "champion": cards[champion.id] if champion else None,
        "challengers": [cards[model.id] for model in challengers],
        "sides": sides,
        "choices": versus.choices(challengers, beside),
        "body_href": f"/models?against={beside.id}" if beside else "/models",
        "retired": [cards[model.id] for model in of_stage[ModelStage.RETIRED]],
        "refused": [cards[model.id] for model in of_stage[ModelStage.REFUSED]],
        "agreed": agreed,
        "proposal": proposal(looked, now, runs[0].requested_at if runs else None) if looked else None,
        "compared": [cards[model.id] for model in compared],
        "figures": figure_rows(compared),
        "curves": views.curves(drawn) if drawn else None,
        "policy": in_force,
        "runs": rows,
        "training": any(row.active for row in rows),
        "four_eyes": resources_of(request).settings.four_eyes,
        "may_change": may(request.user, Role.LEAD),
        "problem": problem,
        "said": said,
    }


async def _answer(request: ConsoleRequest, *, problem: str = "", said: str = "", status: int = 200) -> Page:
    template = "_models_answer.html" if is_fragment(request) else "models.html"
    return render(request, template, await _context(request, problem, said), status=status)


@get("/models", guards=[require(Role.VIEWER)])
async def models_page(request: ConsoleRequest) -> Page:
    return await _answer(request)


Act = Callable[[UnitOfWork, Redis], Awaitable[object]]


async def _carry_out(request: ConsoleRequest, act: Act, said: str) -> Page:
    """One act, one commit. htmx gets the fresh body with `said`, a plain form is sent back to the page.

    What cannot be done now, or was filled in wrongly, is told above the fresh state.
    """
    resources = resources_of(request)
    try:
        async with resources.postgres.unit_of_work() as work:
            await act(work, resources.redis)
    except (NotAllowedNow, InvalidInput) as error:
        return await _answer(request, problem=_sentence(error), status=409 if isinstance(error, NotAllowedNow) else 422)
    return await _answer(request, said=said) if is_fragment(request) else see_other("/models")


def _sentence(error: RondaError) -> str:
    return told(error.detail)


@post("/models/train", guards=[require(Role.LEAD)], status_code=200)
async def train(request: ConsoleRequest, data: URLEncodedBody[dict[str, str]]) -> Page:
    """`watch`: the look whose proposal it follows; it goes on the audit trail as the reason."""
    why = {"watch": data["watch"]} if data.get("watch") else None
    return await _carry_out(
        request,
        lambda work, _: registry.request_training(work, by=request.user.actor, evidence=why),
        _("The training was asked for. It starts within seconds; its progress shows below."),
    )


@post("/models/runs/{run_id:uuid}/cancel", guards=[require(Role.LEAD)], status_code=200)
async def cancel_run(request: ConsoleRequest, run_id: FromPath[UUID]) -> Page:
    return await _carry_out(
        request,
        lambda work, redis: trainings.cancel_training(work, redis, run_id, by=request.user.actor),
        _("The training is being stopped."),
    )


@post("/models/{model_id:str}/shadow", guards=[require(Role.LEAD)], status_code=200)
async def start_shadow(request: ConsoleRequest, model_id: FromPath[str]) -> Page:
    return await _carry_out(
        request,
        lambda work, redis: registry.start_shadow(work, redis, ModelId(model_id), by=request.user.actor),
        _(
            "Model %(model_id)s scores live payments beside the champion now. Nobody acts on its scores.",
            model_id=model_id,
        ),
    )


@post("/models/{model_id:str}/stop-shadow", guards=[require(Role.LEAD)], status_code=200)
async def stop_shadow(request: ConsoleRequest, model_id: FromPath[str]) -> Page:
    return await _carry_out(
        request,
        lambda work, redis: registry.stop_shadow(work, redis, ModelId(model_id), by=request.user.actor),
        _("Model %(model_id)s no longer shadows. It is a candidate again.", model_id=model_id),
    )


@post("/models/{model_id:str}/promote", guards=[require(Role.LEAD)], status_code=200)
async def promote(request: ConsoleRequest, model_id: FromPath[str]) -> Page:
    four_eyes = resources_of(request).settings.four_eyes
    return await _carry_out(
        request,
        lambda work, redis: registry.promote(
            work, redis, ModelId(model_id), by=request.user.actor, four_eyes=four_eyes
        ),
        _("Model %(model_id)s is the champion now. The scorers are loading it.", model_id=model_id),
    )


@post("/models/{model_id:str}/refuse", guards=[require(Role.LEAD)], status_code=200)
async def refuse(request: ConsoleRequest, model_id: FromPath[str], data: URLEncodedBody[dict[str, str]]) -> Page:
    return await _carry_out(
        request,
        lambda work, redis: registry.refuse(
            work, redis, ModelId(model_id), by=request.user.actor, reason=data.get("reason", "")
        ),
        _("Model %(model_id)s is refused. It can neither shadow nor be promoted any more.", model_id=model_id),
    )


@post("/models/rollback", guards=[require(Role.LEAD)], status_code=200)
async def rollback(request: ConsoleRequest, data: URLEncodedBody[dict[str, str]]) -> Page:
    return await _carry_out(
        request,
        lambda work, redis: registry.rollback(work, redis, by=request.user.actor, reason=data.get("reason", "")),
        _("The champion before is back. The scorers are loading it."),
    )
