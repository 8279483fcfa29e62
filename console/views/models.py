"""Models, their figures side by side, and training runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from console.i18n import gettext as _
from console.views.audit import actor_name
from console.views.features import title_of
from console.views.plots import Plot, precision_recall, reliability
from console.views.recorded import gate_name, retold
from console.views.words import (
    RUN_STATUSES,
    STAGES,
    Moment,
    compact,
    count,
    duration,
    maybe_moment,
    moment,
    number,
    percent,
)
from core.base.terms import ModelStage, RunStatus
from core.tables.policy import Policy, RegisteredModel, TrainingRun


@dataclass(frozen=True)
class Gate:
    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class ModelCard:
    id: str
    stage: str
    stage_kind: str
    trained: Moment
    requested_by: str
    promoted: Moment | None
    promoted_by: str
    review_at: str
    decline_at: str
    gates: list[Gate]
    gates_failed: int
    top_features: list["TopFeature"]
    size: str
    href: str
    """Its report."""
    refusals: list[str]
    shadow_since: Moment | None
    replaced: str
    """The champion before it, to which a rollback returns; empty when there is none."""
    own: bool
    """The reader asked for its training, so with four eyes somebody else has to promote it."""


@dataclass(frozen=True)
class Agreed:
    """How a shadow's outcomes compare with those that were acted on."""

    sentence: str
    payments: str
    same: str
    more: str
    fewer: str
    difference: str
    correlation: str


@dataclass(frozen=True)
class TopFeature:
    title: str
    value: str
    width: str
    """Share of the strongest one, in hundredths, for the bar."""


@dataclass(frozen=True)
class RunRow:
    id: str
    status: str
    kind: str
    step: str
    percent: str
    progress: str
    """0 to 100, for <progress>."""
    requested: Moment
    requested_by: str
    took: str
    model: str
    active: bool
    stopping: bool
    """Somebody asked to stop it; the worker looks between two steps."""


def _actor(text: str, names: Mapping[UUID, str]) -> str:
    kind, _, ident = text.partition(":")
    return actor_name(kind, ident, names) if ident else text


def actors_in(models: Sequence[RegisteredModel], runs: Sequence[TrainingRun]) -> list[tuple[str, str]]:
    """(actor type, actor id) of everyone the page names."""
    texts = [m.requested_by for m in models] + [m.promoted_by for m in models if m.promoted_by]
    texts += [run.requested_by for run in runs]
    return [(kind, ident) for kind, _, ident in (text.partition(":") for text in texts) if ident]


def _thresholds(model: RegisteredModel, policy: Policy | None) -> tuple[str, str]:
    own: Mapping[str, Any] = model.metrics.get("thresholds") or {}
    review = policy.review_at if policy and policy.review_at is not None else own.get("review")
    decline = policy.decline_at if policy and policy.decline_at is not None else own.get("decline")
    return percent(review, 1), _("never") if decline is not None and decline >= 1 else percent(decline, 1)


def top_features(metrics: Mapping[str, Any]) -> list[TopFeature]:
    listed: Sequence[tuple[str, float]] = metrics.get("top_features") or []
    most = max((value for _, value in listed), default=0.0) or 1.0
    return [TopFeature(title_of(name), number(value, 2), f"{value / most * 100:.1f}") for name, value in listed]


def model_card(
    model: RegisteredModel, policy: Policy | None, names: Mapping[UUID, str], now: datetime, reader: str = ""
) -> ModelCard:
    """`reader`: the actor who looks, as `requested_by` writes one."""
    review, decline = _thresholds(model, policy)
    gates = [
        Gate(gate_name(gate["name"]), bool(gate["passed"]), _sentence(gate["detail"]))
        for gate in model.metrics.get("gates") or []
    ]
    return ModelCard(
        id=model.id,
        stage=STAGES[ModelStage(model.stage)],
        stage_kind=model.stage,
        trained=moment(model.trained_at, now),
        requested_by=_actor(model.requested_by, names),
        promoted=maybe_moment(model.promoted_at, now),
        promoted_by=_actor(model.promoted_by, names) if model.promoted_by else "",
        review_at=review,
        decline_at=decline,
        gates=gates,
        gates_failed=sum(not gate.passed for gate in gates),
        top_features=top_features(model.metrics),
        size=_("%(size)s KiB", size=compact(round(model.artifact_size / 1024, 1))),
        href=f"/models/{model.id}",
        refusals=[_sentence(reason) for reason in model.refusals] or _failed(gates),
        shadow_since=maybe_moment(model.shadow_since, now),
        replaced=model.replaced or "",
        own=bool(reader) and model.requested_by == reader,
    )


def _sentence(text: str) -> str:
    """Of a gate, or of a person who refused the model."""
    plain = retold(text)
    return plain[:1].upper() + plain[1:]


def _failed(gates: Sequence[Gate]) -> list[str]:
    return [gate.detail for gate in gates if not gate.passed]


def agreed(found: Mapping[str, Any]) -> Agreed | None:
    """`found`: core.stores.policy.shadow_agreement; None before the shadow scored anything."""
    payments = found["payments"]
    if not payments:
        return None
    same = found["same_outcome"] / payments
    more, fewer = count(found["more_alerts"]), count(found["fewer_alerts"])
    difference, correlation = found["mean_absolute_difference"], found["correlation"]
    return Agreed(
        sentence=_(
            "Same outcome for %(same)s of %(payments)s live payments; %(more)s alerts more and %(fewer)s fewer than were opened.",
            same=percent(same, 1),
            payments=count(payments),
            more=more,
            fewer=fewer,
        ),
        payments=count(payments),
        same=percent(same, 1),
        more=more,
        fewer=fewer,
        difference=number(difference, 4),
        correlation=number(correlation, 3),
    )


def curves(models: Sequence[RegisteredModel]) -> Plot:
    lines = []
    for model in models:
        kind = "champion" if model.stage == ModelStage.CHAMPION.value else "challenger"
        lines.append(
            (f"{STAGES[ModelStage(model.stage)]} {model.id}", kind, model.metrics.get("precision_recall") or [])
        )
    return precision_recall(lines)


def calibration(model: RegisteredModel) -> Plot:
    return reliability(model.id, model.metrics.get("reliability") or [])


_ACTIVE: Final = (RunStatus.REQUESTED.value, RunStatus.RUNNING.value)


def run_row(run: TrainingRun, names: Mapping[UUID, str], now: datetime) -> RunRow:
    took = duration(run.ended_at - run.started_at) if run.started_at and run.ended_at else ""
    return RunRow(
        id=str(run.id),
        status=RUN_STATUSES[RunStatus(run.status)],
        kind=run.status,
        step=retold(run.step),
        percent=percent(run.progress),
        progress=f"{run.progress * 100:.0f}",
        requested=moment(run.requested_at, now),
        requested_by=_actor(run.requested_by, names),
        took=took,
        model=run.model_id or "",
        active=run.status in _ACTIVE,
        stopping=run.status in _ACTIVE and run.cancel_asked_at is not None,
    )
