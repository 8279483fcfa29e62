"""A decision that was made without features or model is made again: version 2 beside version 1, and what it means for the alert."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from core.acts.audit import Actor, Event, record
from core.base.clock import utc_now
from core.base.terms import Action, AlertStatus, Outcome
from core.contracts.topology import BELL_ALERTS, BELL_DECIDED
from core.infra.postgres import UnitOfWork
from core.infra.redis import Redis, ring
from core.stores import casework, flow
from core.tables.casework import Alert

_JUDGED = (
    "outcome",
    "score",
    "expected_loss_minor",
    "top_reason",
    "reason_code",
    "reason_features",
    "reason_vector",
    "catalogue_version",
)
"""What an alert repeats of its decision."""


@dataclass(frozen=True)
class Rescored:
    """decision: columns of version 2. alert: of the alert it would open. alerts: whether one is wanted. detail: of the audit event."""

    decision: Mapping[str, Any]
    alert: Mapping[str, Any]
    alerts: bool
    detail: Mapping[str, Any]

    @property
    def uid(self) -> UUID:
        uid: UUID = self.decision["transaction_uid"]
        return uid


async def rescore(work: UnitOfWork, redis: Redis, rescored: Rescored, *, by: Actor) -> bool:
    """Store version 2 and bring the alert up to date; False when somebody else was faster."""
    if not await flow.insert_decisions(work, [rescored.decision]):
        return False
    alert = await casework.alert_of_for_update(work, rescored.uid)
    changed = await _open(work, rescored, by) if alert is None else await _update(work, alert, rescored, by)
    detail = {**rescored.detail, "alert": changed}
    await record(work, Event(by, Action.DECISION_RESCORE, "transaction", str(rescored.uid), detail))
    work.after_commit.append(partial(ring, redis, BELL_DECIDED, [str(rescored.uid)]))
    if changed != "none":
        ident = str(alert.id if alert else rescored.alert["id"])
        work.after_commit.append(partial(ring, redis, BELL_ALERTS, [ident]))
    return True


async def _open(work: UnitOfWork, rescored: Rescored, by: Actor) -> str:
    if not rescored.alerts:
        return "none"
    await casework.insert_alerts(work, [rescored.alert])
    detail = {"transaction": str(rescored.uid)}
    await record(work, Event(by, Action.ALERT_OPEN, "alert", str(rescored.alert["id"]), detail))
    return "opened"


async def _update(work: UnitOfWork, alert: Alert, rescored: Rescored, by: Actor) -> str:
    """An alert that was judged stays as it was judged. One that somebody has, or wrote a note to, stays open."""
    if alert.status == AlertStatus.CLOSED.value:
        return "none"
    approved = rescored.decision["outcome"] == Outcome.APPROVE.value
    touched = alert.version > 1 or bool(await casework.notes(work, alert.id, limit=1))
    for name in _JUDGED:
        setattr(alert, name, rescored.alert[name])
    if approved and not touched:
        alert.status, alert.closed_at = AlertStatus.CLOSED.value, utc_now()
        await record(work, Event(by, Action.ALERT_CLOSE, "alert", str(alert.id), {"resolved_by": "scoring again"}))
    alert.version += 1
    work.session.add(alert)
    await work.session.flush()
    return "closed" if alert.status == AlertStatus.CLOSED.value else "updated"
