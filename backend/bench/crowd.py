"""A console with much to show: payments, decisions, alerts and labels by the hundred thousand, copied from real ones of this instance."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import cycle, islice
from typing import Any
from uuid import UUID

import httpx2
import msgspec

from backend.bench.instance import Instance
from backend.bench.workload import WHOLE_FROM, Workload
from backend.display import Display, Step
from backend.instance import local_url
from core.acts.audit import Event, record, system
from core.base.clock import to_ms, utc_now
from core.base.errors import Unavailable
from core.base.hashing import sha256
from core.base.ids import new_uuid
from core.base.terms import Action, ActorType, AlertStatus, Label, LabelSource
from core.infra.postgres import UnitOfWork
from core.infra.resources import Resources
from core.stores import accepting, casework, flow, seals, throughput
from core.tables.casework import Alert
from core.tables.flow import Decision, Transaction

PATTERN_BATCHES, BATCH = 40, 100
"""How many payments are really scored, to copy from."""
CHUNK = 2_000
CUSTOMERS = 20_000
DAYS = 80
CLOSED_AFTER = timedelta(minutes=25)
FRAUDS = 0.3
"""Share of the closed alerts that were frauds."""
PATIENCE_S = 60.0
SEALED_S, SEALED_WITHIN_S = 5.0, 600.0
"""How old the oldest unsealed event may be, and how long that is waited for."""
BY = system("bench")


@dataclass(frozen=True)
class Crowd:
    """`open_alerts` of the `alerts` are open, the newest ones; the rest was closed by `closed_by` with a label."""

    rows: int
    alerts: int
    open_alerts: int


@dataclass(frozen=True)
class _Pattern:
    transaction: Transaction
    decision: Decision
    alert: Alert | None = None


async def gather(
    instance: Instance, resources: Resources, crowd: Crowd, closed_by: UUID, seed: int, display: Display
) -> None:
    """Takes about ten minutes for a million payments."""
    display.say("scoring payments to copy from")
    plain, alerting = await _patterns(instance, resources, seed)
    done, now = 0, utc_now()
    with display.progress() as steps:
        for chunk in _copies(plain, alerting, crowd, closed_by, seed, now):
            async with resources.postgres.unit_of_work() as work:
                await chunk.store(work)
            done += len(chunk.arrivals)
            steps.at(Step(done / crowd.rows, f"storing {crowd.rows:,} payments, {crowd.alerts:,} alerts"))
        steps.done()
    await instance.tidy_up()
    display.say("waiting until the audit events are sealed")
    await _sealed(resources)


async def _sealed(resources: Resources) -> None:
    """The jobs have caught up: a system that runs is not a million events behind. Raises TimeoutError."""
    async with asyncio.timeout(SEALED_WITHIN_S):
        while True:
            async with resources.postgres.reading() as work:
                if (await seals.oldest_unsealed(work)).seconds < SEALED_S:
                    return
            await asyncio.sleep(1.0)


async def _patterns(instance: Instance, resources: Resources, seed: int) -> tuple[list[_Pattern], list[_Pattern]]:
    """Decided payments without and with an alert."""
    since = utc_now()
    workload = Workload.synthetic(instance.key, seed, instance.accounts.made_at + WHOLE_FROM)
    headers = {"Authorization": f"Bearer {instance.key}", "Content-Type": "application/x-ndjson"}
    async with httpx2.AsyncClient(base_url=local_url(instance.settings), headers=headers, timeout=30) as client:
        for _ in range(PATTERN_BATCHES):
            lines = msgspec.json.Encoder().encode_lines(workload.take(BATCH))
            (await client.post("/v1/transactions/batch", content=lines)).raise_for_status()
    count = PATTERN_BATCHES * BATCH
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with resources.postgres.reading() as work:
                fates = await throughput.fates(work, since, limit=2 * count)
                if sum(fate.decisions > 0 for fate in fates) >= count:
                    return await _read_patterns(work, fates)
            await asyncio.sleep(0.2)


async def _read_patterns(work: UnitOfWork, fates: Sequence[throughput.Fate]) -> tuple[list[_Pattern], list[_Pattern]]:
    uids = [fate.uid for fate in fates]
    rows = {row.uid: row for row in await flow.transactions(work, uids)}
    decisions = await flow.latest_decisions(work, uids)
    plain = [_Pattern(rows[fate.uid], decisions[fate.uid]) for fate in fates if not fate.alerts]
    alerting = [
        _Pattern(rows[fate.uid], decisions[fate.uid], await casework.alert_of(work, fate.uid))
        for fate in fates
        if fate.alerts
    ]
    if not plain or not alerting:
        raise Unavailable("none of the payments to copy from became an alert")
    return plain, alerting


@dataclass
class _Chunk:
    arrivals: list[accepting.Arrival]
    decisions: list[dict[str, Any]]
    alerts: list[dict[str, Any]]
    labels: list[dict[str, Any]]
    events: list[Event]

    async def store(self, work: UnitOfWork) -> None:
        await accepting.insert_transactions(work, self.arrivals)
        await flow.insert_decisions(work, self.decisions)
        await casework.insert_alerts(work, self.alerts)
        await casework.insert_labels(work, self.labels)
        await record(work, *self.events)


def _copies(
    plain: Sequence[_Pattern], alerting: Sequence[_Pattern], crowd: Crowd, closed_by: UUID, seed: int, now: datetime
) -> Iterator[_Chunk]:
    rng, every = random.Random(seed), crowd.rows // crowd.alerts  # noqa: S311 - no secret
    plain_ones, alerting_ones = cycle(plain), cycle(alerting)
    alerts = 0
    for start in range(0, crowd.rows, CHUNK):
        chunk = _Chunk([], [], [], [], [])
        for place in range(start, min(start + CHUNK, crowd.rows)):
            at = now - timedelta(days=DAYS) * ((crowd.rows - place) / crowd.rows)
            with_alert = place % every == 0 and alerts < crowd.alerts
            pattern = next(islice(alerting_ones if with_alert else plain_ones, 1))
            copy = _Copy(pattern, new_uuid(), place, f"customer_{rng.randrange(CUSTOMERS):06d}", at)
            copy.add_payment(chunk)
            if with_alert:
                alerts += 1
                closed = alerts <= crowd.alerts - crowd.open_alerts
                copy.add_alert(chunk, closed_by if closed else None, rng)
        yield chunk


@dataclass(frozen=True)
class _Copy:
    pattern: _Pattern
    uid: UUID
    place: int
    customer: str
    at: datetime

    def add_payment(self, chunk: _Chunk) -> None:
        source = flow.payment_of(self.pattern.transaction)
        payment = msgspec.structs.replace(
            source,
            uid=self.uid,
            transaction_id=f"crowd_{self.place:08d}",
            occurred_at_ms=to_ms(self.at),
            accepted_at_ms=to_ms(self.at),
            customer_id=self.customer,
            card_id=source.card_id and f"card_{self.customer}",
            device_id=source.device_id and f"device_{self.customer}",
        )
        decision = self.pattern.decision.model_dump(exclude={"xid"})
        chunk.arrivals.append(accepting.Arrival(payment, sha256(self.uid.bytes)))
        chunk.decisions.append(decision | {"transaction_uid": self.uid, "decided_at": self.at})
        detail = {"outcome": decision["outcome"], "score": decision["score"]}
        chunk.events.append(Event(BY, Action.DECISION_MAKE, "transaction", str(self.uid), detail))

    def add_alert(self, chunk: _Chunk, closed_by: UUID | None, rng: random.Random) -> None:
        """`closed_by` None = it is open."""
        assert self.pattern.alert
        ident, spread = new_uuid(), rng.uniform(0.1, 3.0)
        row = self.pattern.alert.model_dump() | {
            "id": ident,
            "transaction_uid": self.uid,
            "customer_id": self.customer,
            "occurred_at": self.at,
            "opened_at": self.at,
            "expected_loss_minor": round(self.pattern.alert.expected_loss_minor * spread),
        }
        chunk.events.append(Event(BY, Action.ALERT_OPEN, "alert", str(ident), {"transaction": str(self.uid)}))
        if closed_by:
            label = Label.FRAUD if rng.random() < FRAUDS else Label.LEGITIMATE
            at = self.at + CLOSED_AFTER
            row |= {
                "status": AlertStatus.CLOSED.value,
                "closed_by": closed_by,
                "closed_at": at,
                "disposition": label.value,
                "version": 2,
            }
            chunk.labels.append(_label(self.uid, label, at, closed_by))
            chunk.events.append(Event(BY, Action.ALERT_CLOSE, "alert", str(ident), {"label": label.value}))
        chunk.alerts.append(row)


def _label(uid: UUID, label: Label, at: datetime, by: UUID) -> dict[str, Any]:
    return {
        "id": new_uuid(),
        "transaction_uid": uid,
        "label": label.value,
        "label_source": LabelSource.ANALYST.value,
        "reported_at": at,
        "received_at": at,
        "actor_type": ActorType.USER.value,
        "actor_id": str(by),
        "note": None,
    }
