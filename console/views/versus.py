"""Champion and challenger side by side: what each would cost, how right its scores are, what it goes by, and how far payments drifted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from console.i18n import gettext as _
from console.views.costs import Price, cost_note, cost_plot, prices
from console.views.models import ModelCard, TopFeature, calibration, top_features
from console.views.plots import Plot
from console.views.watch import watch
from core.base.terms import ModelStage
from core.tables.policy import ModelWatch, RegisteredModel


@dataclass(frozen=True)
class Side:
    card: ModelCard
    cost: Plot | None
    prices: list[Price]
    cost_note: str
    calibration: Plot
    features: list[TopFeature]
    drift: str
    moved: list[str]
    """Features that moved, with how far."""
    drift_href: str


@dataclass(frozen=True)
class Choice:
    """A challenger that can stand beside the champion."""

    id: str
    href: str
    chosen: bool


def side(model: RegisteredModel, card: ModelCard, looked: ModelWatch | None, now: datetime) -> Side:
    """`looked`: what monitoring saw last of this model; only the champion is monitored."""
    found = watch(looked, now) if looked else None
    leads = model.stage == ModelStage.CHAMPION.value
    nothing = (
        _("Not measured yet.") if leads else _("Only the champion’s drift is measured: a challenger decides nothing.")
    )
    return Side(
        card=card,
        cost=cost_plot(model.metrics),
        prices=prices(model.metrics),
        cost_note=cost_note(model.metrics),
        calibration=calibration(model),
        features=top_features(model.metrics),
        drift=(found.drift_sentence or nothing) if found else nothing,
        moved=[_("%(feature)s: PSI %(psi)s", feature=row.title, psi=row.psi) for row in found.drift if row.moved]
        if found
        else [],
        drift_href=f"/models/{model.id}#monitoring" if found else "",
    )


def choices(challengers: Sequence[RegisteredModel], chosen: RegisteredModel | None) -> list[Choice]:
    return [
        Choice(model.id, f"/models?against={model.id}#versus", chosen is not None and model.id == chosen.id)
        for model in challengers
    ]
