"""What thresholds cost: the curve, the points that matter, and the prices behind them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from console.i18n import gettext as _
from console.views.curves import cost_curve
from console.views.plots import Plot
from console.views.words import OUTCOMES, count, digits, percent, worth
from core.base.terms import Outcome


@dataclass(frozen=True)
class Price:
    """A point of the cost curve, in words."""

    title: str
    threshold: str
    cost: str
    alerts: str
    caught: str


def _costs(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = metrics.get("costs") or {}
    return found


def cost_plot(metrics: Mapping[str, Any]) -> Plot | None:
    costs = _costs(metrics)
    own: Mapping[str, Any] = metrics.get("thresholds") or {}
    names = {"review": OUTCOMES[Outcome.REVIEW].lower(), "decline": OUTCOMES[Outcome.DECLINE].lower()}
    chosen = {words: own.get(name) for name, words in names.items()}
    return cost_curve(metrics.get("cost_curve") or [], costs.get("currency"), costs.get("nothing"), chosen)


def prices(metrics: Mapping[str, Any]) -> list[Price]:
    costs = _costs(metrics)
    currency = costs.get("currency")
    points = ((_("At the chosen threshold"), costs.get("chosen")), (_("At the cheapest"), costs.get("cheapest")))
    rows = [
        Price(
            title,
            percent(point["threshold"], 1),
            worth(point["cost"], currency),
            count(round(point["alerts"])),
            worth(point["fraud_value_caught"], currency),
        )
        for title, point in points
        if point
    ]
    if costs.get("nothing") is not None:
        rows.append(
            Price(_("Approving everything"), _("none"), worth(costs["nothing"], currency), "0", worth(0, currency))
        )
    return rows


def cost_note(metrics: Mapping[str, Any]) -> str:
    costs = _costs(metrics)
    if not costs:
        return ""
    currency = costs.get("currency")
    parts = [_("An alert costs %(cost)s to look at", cost=_exact(costs["review_cost"], currency))]
    if costs.get("lost_share") is not None:
        parts.append(_("a missed fraud %(share)s of its amount", share=percent(costs["lost_share"])))
    if costs.get("friction_share") is not None:
        parts.append(
            _(
                "a declined honest payment %(share)s of its amount",
                share=percent(costs["friction_share"]),
            )
        )
    note = ", ".join(parts) + "."
    return note if currency else " ".join((note, _("Amounts of different currencies are added as plain numbers.")))


def _exact(hundredths: float, currency: str | None) -> str:
    return f"{digits(f'{hundredths / 100:,.2f}')} {currency or ''}".rstrip()
