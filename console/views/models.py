"""Models, their figures side by side, and training runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from console.views.audit import actor_name
from console.views.charts import Plot, precision_recall, reliability
from console.views.evidence import title_of
from console.views.words import (
    NOT_KNOWN,
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

_FIGURES: Final = (
    ("average_precision", "Average precision", "Area under the precision-recall curve", "number", True),
    ("roc_auc", "ROC AUC", "Chance that a fraud scores above an honest payment", "number", True),
    (
        "card_precision_100",
        "Card precision@100",
        "Share of compromised cards among the 100 riskiest of a day",
        "percent",
        True,
    ),
    (
        "recall_at_review",
        "Recall at review",
        "Share of the frauds that reach a person or are declined",
        "percent",
        True,
    ),
    ("precision_at_review", "Precision at review", "Share of the alerts that are fraud", "percent", True),
    ("alerts_per_day", "Alerts a day", "At the review threshold", "count", None),
    ("brier", "Brier score", "Mean squared error of the probability; less is better", "small", False),
    ("calibration_ratio", "Calibration", "Expected frauds over found ones; 1.00 is right", "ratio", None),
    ("payments", "Payments tested", "In the test window", "count", None),
    ("frauds", "Frauds tested", "In the test window", "count", None),
)
"""(key, title, explanation, format, whether more is better; None = neither)."""


def _figure(value: float | None, kind: str) -> str:
    if value is None:
        return NOT_KNOWN
    match kind:
        case "percent":
            return percent(value, 1)
        case "count":
            return count(round(value))
        case "small":
            return number(value, 5)
        case "ratio":
            return number(value, 2)
        case _:
            return number(value, 3)


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
    lineage: list[tuple[str, str]]
    size: str
    promotable: bool


@dataclass(frozen=True)
class TopFeature:
    title: str
    value: str
    width: str
    """Share of the strongest one, in hundredths, for the bar."""


@dataclass(frozen=True)
class Cell:
    value: str
    better: str
    """Words for a difference to the champion that counts: better, worse, or nothing."""


@dataclass(frozen=True)
class FigureRow:
    title: str
    explanation: str
    cells: list[Cell]


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
    return percent(review, 1), percent(decline, 1)


def top_features(metrics: Mapping[str, Any]) -> list[TopFeature]:
    listed: Sequence[tuple[str, float]] = metrics.get("top_features") or []
    most = max((value for _, value in listed), default=0.0) or 1.0
    return [TopFeature(title_of(name), number(value, 2), f"{value / most * 100:.1f}") for name, value in listed]


def model_card(model: RegisteredModel, policy: Policy | None, names: Mapping[UUID, str], now: datetime) -> ModelCard:
    review, decline = _thresholds(model, policy)
    gates = [
        Gate(gate["name"].replace("_", " "), bool(gate["passed"]), gate["detail"])
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
        lineage=[(key.replace("_", " ").capitalize(), _lineage(value)) for key, value in model.lineage.items()],
        size=f"{compact(round(model.artifact_size / 1024, 1))} KiB",
        promotable=model.stage != ModelStage.CHAMPION.value,
    )


def _lineage(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: NOT_KNOWN}[value]
    if isinstance(value, (int, float)):
        return compact(value)
    if isinstance(value, (list, tuple)):
        return " to ".join(str(part) for part in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {part}" for key, part in value.items())
    return str(value)


def _champion_figures(model: RegisteredModel) -> Mapping[str, Any]:
    """The champion's figures on the same test window as `model`: only those may be compared with it."""
    found: Mapping[str, Any] = model.metrics.get("champion") or {}
    return found


def _verdict(own: float | None, champions: float | None, kind: str, more_is_better: bool | None) -> str:
    """Nothing when the two read alike: a difference nobody can see is no difference to decide by."""
    if own is None or champions is None or more_is_better is None or _figure(own, kind) == _figure(champions, kind):
        return ""
    return "better" if (own > champions) == more_is_better else "worse"


def figure_rows(models: Sequence[RegisteredModel]) -> list[FigureRow]:
    """One column a model; a challenger's cell says how it stands to the champion on the challenger's own window."""
    rows = []
    for key, title, explanation, kind, more in _FIGURES:
        cells = []
        for model in models:
            own = model.metrics.get(key)
            against = None if model.stage == ModelStage.CHAMPION.value else _champion_figures(model).get(key)
            words = _verdict(own, against, kind, more)
            cells.append(Cell(_figure(own, kind), f"{words} than {_figure(against, kind)}" if words else ""))
        rows.append(FigureRow(title, explanation, cells))
    return rows


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


def run_row(run: TrainingRun, names: Mapping[UUID, str], now: datetime) -> RunRow:
    took = duration(run.ended_at - run.started_at) if run.started_at and run.ended_at else ""
    return RunRow(
        id=str(run.id),
        status=RUN_STATUSES[RunStatus(run.status)],
        kind=run.status,
        step=run.step,
        percent=percent(run.progress),
        progress=f"{run.progress * 100:.0f}",
        requested=moment(run.requested_at, now),
        requested_by=_actor(run.requested_by, names),
        took=took,
        model=run.model_id or "",
        active=run.status in {RunStatus.REQUESTED.value, RunStatus.RUNNING.value},
    )
