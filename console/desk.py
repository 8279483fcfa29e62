"""What the desk beside an alert shows, read for whichever page or fragment carries it."""

from typing import Any

from console.access import ConsoleRequest, may
from console.views import desk as views
from core.base.clock import utc_now
from core.base.terms import Role
from core.infra.postgres import UnitOfWork
from core.stores import casework, ledger, people
from core.stores.ledger import AuditFilter
from core.tables.casework import Alert

HISTORY = 50


async def desk_of(
    work: UnitOfWork, request: ConsoleRequest, alert: Alert, *, problem: str = "", draft: str = ""
) -> dict[str, Any]:
    """The context of `_desk.html`. `draft`: a note that was typed and not saved."""
    notes = await casework.notes(work, alert.id)
    labels = await casework.labels_of(work, alert.transaction_uid)
    events = [
        *await ledger.page(
            work, AuditFilter(subject_type="alert", subject_id=str(alert.id)), before_id=None, limit=HISTORY
        ),
        *await ledger.page(
            work,
            AuditFilter(subject_type="transaction", subject_id=str(alert.transaction_uid)),
            before_id=None,
            limit=HISTORY,
        ),
    ]
    names = await people.names_of(work, views.people_on(alert, notes, events))
    desk = views.desk(alert, notes, labels, events, names, me=request.user.user.id, now=utc_now())
    return {"desk": desk, "may_work": may(request.user, Role.ANALYST), "problem": problem, "draft": draft}
