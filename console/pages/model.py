"""One model's evaluation report: the page, the same as JSON, and the model card."""

import json
from typing import Any

from litestar import get
from litestar.enums import MediaType
from litestar.params import FromPath
from litestar.response import Response

from console.access import ConsoleRequest, may, require, resources_of
from console.i18n import gettext as _
from console.shell import Page, render
from console.views.audit import user_ids
from console.views.models import actors_in, agreed
from console.views.report import report
from console.views.watch import watch
from core.base.clock import rfc3339, utc_now
from core.base.errors import NotFound
from core.base.ids import ModelId
from core.base.terms import Language, Role
from core.infra.postgres import UnitOfWork
from core.stores import people, policy
from core.tables.policy import RegisteredModel
from models.scoring.card import model_card


async def _model(work: UnitOfWork, model_id: str) -> RegisteredModel:
    found = await policy.model(work, ModelId(model_id))
    if found is None:
        raise NotFound(_("There is no model %(model_id)s.", model_id=model_id))
    return found


@get("/models/{model_id:str}", guards=[require(Role.VIEWER)])
async def model_page(request: ConsoleRequest, model_id: FromPath[str]) -> Page:
    async with resources_of(request).postgres.reading() as work:
        model = await _model(work, model_id)
        in_force = await policy.current_policy(work)
        names = await people.names_of(work, user_ids(actors_in([model], [])))
        shadow = await policy.shadow_agreement(work, ModelId(model.id))
        looked = await policy.latest_watch(work, ModelId(model.id))
        runs = await policy.runs(work, 1)
    now = utc_now()
    context: dict[str, Any] = {
        "report": report(model, in_force, names, now),
        "shadow": agreed(shadow),
        "may_change": may(request.user, Role.LEAD),
        "watch": watch(looked, now, runs[0].requested_at if runs else None) if looked else None,
    }
    return render(request, "model.html", context)


@get("/models/{model_id:str}/report.json", guards=[require(Role.VIEWER)])
async def model_json(request: ConsoleRequest, model_id: FromPath[str]) -> Response[str]:
    """What the page shows, for programs."""
    async with resources_of(request).postgres.reading() as work:
        model = await _model(work, model_id)
    body = {
        "id": model.id,
        "stage": model.stage,
        "refusals": model.refusals,
        "trained_at": rfc3339(model.trained_at),
        "catalogue_version": model.catalogue_version,
        "artifact_sha256": model.artifact_sha,
        "artifact_bytes": model.artifact_size,
        "signed_by": model.signed_by,
        "metrics": model.metrics,
        "lineage": model.lineage,
    }
    return Response(json.dumps(body, indent=1), media_type=MediaType.JSON)


@get("/models/{model_id:str}/card.md", guards=[require(Role.VIEWER)])
async def model_markdown(request: ConsoleRequest, model_id: FromPath[str]) -> Response[str]:
    """The model card, to keep beside the model or to hand to an auditor: in English, whoever takes it."""
    async with resources_of(request).postgres.reading() as work:
        model = await _model(work, model_id)
    card = model_card(model.id, model.metrics, model.lineage, stage=model.stage, trained_at=rfc3339(model.trained_at))
    return Response(card, media_type="text/markdown", headers={"Content-Language": Language.EN.value})
