"""The answer to payments that no scorer could handle: review, an alert, and the reason on the audit trail."""

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from core.acts.audit import Actor, record
from core.base.clock import utc_now
from core.base.due import DueTimes
from core.contracts.messages import Payment
from core.contracts.topology import BELL_ALERTS, BELL_DECIDED
from core.infra.postgres import UnitOfWork
from core.infra.redis import ring
from core.infra.resources import Resources
from core.stores import casework, flow, policy
from workers.verdicts import alert_row, decision_row, events_of, unscored


async def answer(
    work: UnitOfWork, resources: Resources, payments: Sequence[Payment], failure: str, *, by: Actor
) -> set[UUID]:
    """Those that had no decision yet. What was never accepted here is left out."""
    now = utc_now()
    accepted = {row.uid for row in await flow.transactions(work, [payment.uid for payment in payments])}
    in_force = await policy.current_policy(work)
    version = in_force.version if in_force else 0
    verdicts = {p.uid: unscored(p, failure, version) for p in payments if p.uid in accepted}
    new = await flow.insert_decisions(work, [decision_row(verdict, now) for verdict in verdicts.values()])
    due = DueTimes.of(resources.settings)
    alerts = {uid: alert_row(verdicts[uid], now, due) for uid in new}
    await casework.insert_alerts(work, list(alerts.values()))
    await record(work, *(event for uid in new for event in events_of(verdicts[uid], alerts[uid]["id"], by)))
    work.after_commit.append(partial(ring, resources.redis, BELL_DECIDED, [str(uid) for uid in new]))
    work.after_commit.append(
        partial(ring, resources.redis, BELL_ALERTS, [str(alert["id"]) for alert in alerts.values()])
    )
    return new
