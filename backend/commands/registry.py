"""models, shadow, promote, rollback, refuse, signing-key."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.commands.common import MODEL, DataDir, Json, show, show_json, with_resources
from backend.commands.people import show_rows

if TYPE_CHECKING:
    from core.acts.audit import Actor
    from core.infra.postgres import UnitOfWork
    from core.infra.resources import Resources
    from core.stores.policy import Agreement
    from core.tables.policy import RegisteredModel

LISTED = 100

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="The model's id, as `ronda models` shows it.")]
By = Annotated[str, typer.Option("--by", metavar="EMAIL", help="The person who acts, for the audit trail.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; the audit trail keeps it.")]


def register(app: typer.Typer) -> None:
    for command in (models, shadow, promote, rollback, refuse):
        app.command(rich_help_panel=MODEL)(command)
    app.command("signing-key", rich_help_panel=MODEL)(signing_key)


async def lead(work: "UnitOfWork", email: str, what: str = "decide about models") -> "Actor":
    """The person who does `what`. Raises NotFound, or Forbidden for who may not."""
    from core.acts.people import user_actor
    from core.base.errors import Forbidden, NotFound
    from core.base.terms import Role
    from core.stores import people

    user = await people.user_by_email(work, email.strip().lower())
    if user is None:
        raise NotFound(f"there is no user {email}")
    if user.disabled_at or user.role not in (Role.LEAD.value, Role.ADMIN.value):
        raise Forbidden(f"{email} may not {what}: that takes the role {Role.LEAD.value}")
    return user_actor(user)


def _act(
    data_dir: DataDir,
    by: str,
    of: "Callable[[UnitOfWork, Resources, Actor], Awaitable[RegisteredModel]]",
) -> "RegisteredModel":
    async def act(resources: "Resources") -> "RegisteredModel":
        async with resources.postgres.unit_of_work() as work:
            return await of(work, resources, await lead(work, by))

    return with_resources(data_dir, act)


def models(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Every registered model, newest first, with its stage; of shadows, how they agree with the decisions."""
    from core.base.ids import ModelId
    from core.base.terms import ModelStage
    from core.stores import policy

    async def read(resources: "Resources") -> "list[tuple[RegisteredModel, Agreement | None]]":
        async with resources.postgres.reading() as work:
            return [
                (
                    model,
                    await policy.shadow_agreement(work, ModelId(model.id))
                    if model.stage == ModelStage.SHADOW.value
                    else None,
                )
                for model in await policy.models(work, LISTED)
            ]

    found = with_resources(data_dir, read)
    if as_json:
        show_json([_plain(model, agreement) for model, agreement in found])
    else:
        show_rows([_row(model, agreement) for model, agreement in found], as_json=False)


def _plain(model: "RegisteredModel", agreement: "Agreement | None") -> dict[str, Any]:
    return {
        "id": model.id,
        "stage": model.stage,
        "trained_at": model.trained_at,
        "requested_by": model.requested_by,
        "promoted_at": model.promoted_at,
        "promoted_by": model.promoted_by,
        "replaced": model.replaced,
        "shadow_since": model.shadow_since,
        "refusals": model.refusals,
        "artifact": model.artifact_sha,
        "signed_by": model.signed_by,
        "catalogue_version": model.catalogue_version,
        "average_precision": model.metrics.get("average_precision"),
        "roc_auc": model.metrics.get("roc_auc"),
        "agreement": agreement,
    }


def _row(model: "RegisteredModel", agreement: "Agreement | None") -> dict[str, str]:
    precision = model.metrics.get("average_precision")
    words = "; ".join(model.refusals)
    if agreement:
        words = f"same outcome for {agreement['same_outcome']:,} of {agreement['payments']:,} payments"
    return {
        "model": model.id,
        "stage": model.stage,
        "trained": f"{model.trained_at:%Y-%m-%d %H:%M}",
        "average precision": "" if precision is None else f"{precision:.3f}",
        "": words,
    }


def shadow(
    model_id: ModelArgument,
    by: By,
    stop: Annotated[bool, typer.Option("--stop", help="End it: the model is a candidate again.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Have a candidate score live payments beside the champion. Nobody acts on its scores."""
    from core.acts import registry
    from core.base.ids import ModelId

    step = registry.stop_shadow if stop else registry.start_shadow
    model = _act(data_dir, by, lambda work, to, who: step(work, to.redis, ModelId(model_id), by=who))
    show(f"model {model.id} is a {model.stage}")


def promote(
    model_id: ModelArgument,
    by: Annotated[
        str,
        typer.Option(
            "--by", metavar="EMAIL", help="Who promotes: another person than the one who asked for the training."
        ),
    ],
    data_dir: DataDir = None,
) -> None:
    """Make a model the champion. Scorers take it up at once, without dropping a payment."""
    from core.acts import registry
    from core.base.ids import ModelId

    model = _act(
        data_dir,
        by,
        lambda work, to, who: registry.promote(
            work, to.redis, ModelId(model_id), by=who, four_eyes=to.settings.four_eyes
        ),
    )
    show(f"model {model.id} is the champion")


def rollback(by: By, reason: Reason, data_dir: DataDir = None) -> None:
    """Back to the champion before, in one step: no training, no second person."""
    from core.acts import registry

    model = _act(data_dir, by, lambda work, to, who: registry.rollback(work, to.redis, by=who, reason=reason))
    show(f"model {model.id} is the champion again")


def refuse(model_id: ModelArgument, by: By, reason: Reason, data_dir: DataDir = None) -> None:
    """Refuse a model for good: it can neither shadow nor be promoted."""
    from core.acts import registry
    from core.base.ids import ModelId

    model = _act(
        data_dir, by, lambda work, to, who: registry.refuse(work, to.redis, ModelId(model_id), by=who, reason=reason)
    )
    show(f"model {model.id} is refused")


def signing_key(as_json: Json = False) -> None:
    """Make a pair of keys for model artifacts: who trains gets the private one, who scores the public one."""
    from core.infra.signing import KeyPair

    pair = KeyPair.new()
    if as_json:
        show_json({"private": pair.private, "public": pair.public})
    else:
        show(f"RONDA_SIGNING_KEY={pair.private}\nRONDA_TRUSTED_KEYS={pair.public}")
