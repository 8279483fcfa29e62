"""Past alerts that were raised for similar reasons, ready to be shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from console.i18n import Words, marked, ngettext
from console.i18n import gettext as _
from console.views.queue import reason_words
from console.views.words import LABELS, Moment, moment, money
from core.base.terms import Label
from core.stores.evidence import SimilarAlert
from core.tables.casework import Alert
from models.scoring.similar import closeness

_CLOSENESS: Final = Words(
    {
        "nearly the same reasons": marked("nearly the same reasons"),
        "much the same reasons": marked("much the same reasons"),
        "similar reasons": marked("similar reasons"),
    }
)


@dataclass(frozen=True)
class SimilarRow:
    id: str
    href: str
    label: str
    kind: str
    closeness: str
    reason: str
    amount: str
    customer: str
    opened: Moment


def similar(alert: Alert, found: Sequence[SimilarAlert], alerts: Mapping[UUID, Alert], now: datetime) -> dict[str, Any]:
    """The template's context. found: nearest first."""
    frauds = sum(1 for near in found if near.label == Label.FRAUD.value)
    return {
        "alert_id": str(alert.id),
        "sentence": _sentence(frauds, len(found)),
        "scored": alert.reason_vector is not None,
        "rows": [_row(near, alerts[near.alert_id], now) for near in found],
    }


def _sentence(frauds: int, of: int) -> str:
    """`5 of the 6 most similar past alerts were fraud`; empty where there are none."""
    if of == 0:
        return ""
    if of == 1:
        return _("The one similar past alert was fraud.") if frauds else _("The one similar past alert was legitimate.")
    if frauds == of:
        return _("All %(of)s of the most similar past alerts were fraud.", of=of)
    if frauds == 0:
        return _("All %(of)s of the most similar past alerts were legitimate.", of=of)
    return ngettext(
        "%(num)s of the %(of)s most similar past alerts was fraud.",
        "%(num)s of the %(of)s most similar past alerts were fraud.",
        frauds,
        of=of,
    )


def _row(near: SimilarAlert, alert: Alert, now: datetime) -> SimilarRow:
    return SimilarRow(
        id=str(alert.id),
        href=f"/alerts/{alert.id}",
        label=LABELS[Label(near.label)],
        kind=near.label,
        closeness=_CLOSENESS[closeness(near.distance)],
        reason=reason_words(alert),
        amount=money(alert.amount_minor, alert.currency),
        customer=alert.customer_id,
        opened=moment(alert.opened_at, now),
    )
