"""What the desk beside an alert shows, read for whichever page or fragment carries it."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from console.access import Connection, ConsoleRequest, may
from console.views import desk as views
from console.views import verdicts as verdict_views
from core.base.clock import utc_now
from core.base.terms import AlertStatus, Role
from core.infra.postgres import UnitOfWork
from core.stores import casework, flow, ledger, people, verdicts
from core.stores.ledger import AuditFilter
from core.tables.casework import Alert, Verdict
from core.tables.ledger import AuditEvent

HISTORY: Final = 50
TYPED: Final = ("note", "remark", "label", "reason", "list", "entity", "ends", "to")
"""Fields of the desk's forms that a refusal gives back."""
ADVANCE_COOKIE: Final = "ronda_advance"
"""Whether this browser goes on to the next alert after a decision."""


def advances(connection: Connection) -> bool:
    return connection.cookies.get(ADVANCE_COOKIE) == "on"


async def events_of(work: UnitOfWork, alert: Alert) -> list[AuditEvent]:
    """The alert's and its payment's, newest first each."""
    events: list[AuditEvent] = []
    for subject, ident in (("alert", alert.id), ("transaction", alert.transaction_uid)):
        chosen = AuditFilter(subject_type=subject, subject_id=str(ident))
        events += await ledger.page(work, chosen, before_id=None, limit=HISTORY)
    return events


async def desk_of(
    work: UnitOfWork,
    request: ConsoleRequest,
    alert: Alert,
    *,
    problem: str = "",
    typed: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The context of `_desk.html`. `typed`: what a refused form held; it is not lost."""
    me, now = request.user.user.id, utc_now()
    notes = await casework.notes(work, alert.id)
    labels = await casework.labels_of(work, alert.transaction_uid)
    events = await events_of(work, alert)
    names = await people.names_of(work, views.people_on(alert, notes, events))
    undo = await last_undo(work, me, alert)
    desk = views.desk(alert, notes, labels, events, names, me=me, now=now, undo=undo)
    working = may(request.user, Role.ANALYST)
    kept = {name: (typed or {}).get(name, "") for name in TYPED}
    free = working and not desk.closed and not desk.held_by_other
    forms = await _forms(work, alert, me, kept) if free else {}
    return {
        "desk": desk,
        "may_work": working,
        "problem": problem,
        "typed": kept,
        "advance": advances(request),
        **forms,
    }


async def _forms(work: UnitOfWork, alert: Alert, me: UUID, typed: Mapping[str, str]) -> dict[str, Any]:
    """Choices of the forms."""
    payment = await flow.transaction(work, alert.transaction_uid)
    assert payment is not None  # alerts reference it
    return {
        "label_choices": verdict_views.label_choices(typed["label"]),
        "list_choices": verdict_views.list_choices(typed["list"]),
        "entity_choices": verdict_views.entity_choices(payment, typed["entity"]),
        "end_choices": verdict_views.end_choices(typed["ends"]),
        "colleagues": views.colleagues(await people.analysts(work), me, typed["to"]),
    }


async def last_undo(work: UnitOfWork, user_id: UUID, alert: Alert | None = None) -> views.Undo | None:
    """This person's latest decision, while it can be taken back. `alert`: the one that is looked at."""
    verdict: Verdict | None = await verdicts.latest_of(work, user_id)
    now = utc_now()
    if verdict is None or verdict.undone_at or verdict.undo_until <= now:
        return None
    closed = alert if alert and alert.id == verdict.alert_id else await casework.alert(work, verdict.alert_id)
    if closed is None or closed.status != AlertStatus.CLOSED.value:
        return None
    together = await verdicts.count_of_batch(work, verdict.batch_id) if verdict.batch_id else 1
    return views.undo_of(verdict, closed, alert, now, together=together)
