"""The alert page's evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from console.views.evidence import judgement, payment
from console.views.payments import Spending, payment_row, spending
from console.views.queue import AlertRow, alert_row, people_in
from console.views.words import ENTITIES
from core.stores.casework import RelatedAlert
from core.tables.casework import Alert, TransactionLabel
from core.tables.flow import Decision, Transaction

RELATED = 10
"""Related alerts shown: enough to see a pattern, not a second queue."""

__all__ = ["evidence", "people_in"]


@dataclass(frozen=True)
class RelatedRow:
    row: AlertRow
    shared: str
    icon: str


def evidence(
    alert: Alert,
    row: Transaction,
    decision: Decision | None,
    recent: Sequence[tuple[Transaction, Decision | None]],
    labels: Mapping[UUID, TransactionLabel],
    related: Sequence[RelatedAlert],
    names: Mapping[UUID, str],
    now: datetime,
) -> dict[str, Any]:
    """The template's context for the left side."""
    compared: Spending | None = spending(row, [other for other, _ in recent])
    return {
        "alert": alert_row(alert, names, now),
        "payment": payment(row, now),
        "judgement": judgement(decision, row, now) if decision else None,
        "recent": [
            payment_row(
                other,
                made,
                now,
                label=labels[other.uid].label if other.uid in labels else "",
                current=other.uid == row.uid,
            )
            for other, made in recent
        ],
        "spending": compared,
        "related": [
            RelatedRow(alert_row(found.alert, names, now), *ENTITIES[found.shared]) for found in related[:RELATED]
        ],
    }
