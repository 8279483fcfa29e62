"""A payment's surroundings, read for the page that shows them all and for the parts that are asked for alone."""

from datetime import datetime

from console.views.timeline import Timeline, span_of, timeline
from core.infra.postgres import UnitOfWork
from core.stores import casework, surroundings
from core.stores.surroundings import TimedPayment
from core.tables.casework import Alert
from core.tables.flow import Decision, Transaction


async def timeline_of(
    work: UnitOfWork, alert: Alert, row: Transaction, decision: Decision | None, chosen: str, now: datetime
) -> Timeline:
    """Raises InvalidInput for a range there is not."""
    since, until = span_of(chosen, row.occurred_at)
    around = await surroundings.payments_around(work, row, since, until)
    labels = await casework.labels_by_transaction(work, [row.uid, *(payment.uid for payment in around)])
    own = TimedPayment(
        uid=row.uid,
        occurred_at=row.occurred_at,
        amount_minor=row.amount_minor,
        currency=row.currency,
        merchant_id=row.merchant_id,
        imported=row.imported,
        score=decision.score if decision else None,
        outcome=decision.outcome if decision else None,
        alert_id=alert.id,
        alert_status=alert.status,
    )
    return timeline(f"/alerts/{alert.id}", chosen, row, own, around, labels, now)
