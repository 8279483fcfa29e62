"""One drive of the whole pipeline: send, wait until everything is decided, reconcile with PostgreSQL."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import numpy as np
import numpy.typing as npt

from backend.bench import probe
from backend.bench.instance import Instance
from backend.bench.load import Generator, Sent
from backend.bench.options import BATCH, BATCH_CONNECTIONS, CONNECTIONS, MOST_BATCHED_PER_S, Counts, Flow, Percentiles
from backend.bench.workload import Requests, Workload
from core.base.clock import utc_now
from core.base.tasks import end
from core.contracts.topology import BELL_DECIDED
from core.infra.redis import listen
from core.infra.resources import Resources
from core.stores import throughput

QUIET_S = 2.0
"""Decisions that were not heard of for so long are looked for in PostgreSQL."""
LOST_S = 60.0
"""Those that do not come for so long are lost: longer than a scorer takes to start, shorter than the reconciler waits."""
MOST_ROWS = 5_000_000


@dataclass
class Bell:
    """When each decision was heard of: the scorer rings after its commit."""

    resources: Resources
    heard: dict[UUID, float] = field(default_factory=dict)

    async def listen(self) -> None:
        async for _, ids in listen(self.resources.redis, [BELL_DECIDED]):
            now = time.time()
            for ident in ids:
                self.heard.setdefault(UUID(ident), now)

    async def until(self, count: int, quiet_s: float) -> None:
        """Returns when `count` decisions were heard of, or none for `quiet_s`."""
        seen, since = len(self.heard), time.monotonic()
        while len(self.heard) < count and time.monotonic() - since < quiet_s:
            await asyncio.sleep(0.02)
            if len(self.heard) != seen:
                seen, since = len(self.heard), time.monotonic()


@dataclass
class Track:
    """What drives need; `total` adds up what became of every payment."""

    instance: Instance
    resources: Resources
    generator: Generator
    bell: Bell
    total: Counts = field(default_factory=Counts)

    async def drive(
        self, requests: Requests, *, connections: int = CONNECTIONS, rate: float = 0.0, most_s: float = 60.0
    ) -> Flow:
        """`rate`: requests a second in an open loop; 0 = as fast as answers come. `most_s`: see `load.Plan`.

        Raises Unavailable when a process of the instance died.
        """
        self.bell.heard.clear()
        began, cpu, steps = utc_now(), self.instance.cpu_seconds(), probe.read(self.instance.traces())
        sent = await self.generator.send(
            self.instance.settings.port, requests.raw, connections=connections, rate=rate, most_s=most_s
        )
        fates = await self._settled(began, sent.accepted)
        await asyncio.sleep(2 * probe.EVERY_S)  # the probes write what they know
        counts, heard = self._reconcile(fates, sent)
        return self._flow(requests, sent, counts, heard, cpu, steps)

    async def warm_up(self, workload: Workload) -> None:
        """Connections, caches, first uses: in the counts, in no rate."""
        await self.drive(workload.singles(100))
        await self.drive(workload.batches(4, BATCH), connections=BATCH_CONNECTIONS)

    async def batches(self, workload: Workload, seconds: float, singles_per_s: float) -> Flow:
        """As many as may be decided in about `seconds`, if batches go twice as fast as single posts."""
        count = max(4, round(seconds * min(2 * singles_per_s, MOST_BATCHED_PER_S) / BATCH))
        return await self.drive(workload.batches(count, BATCH), connections=BATCH_CONNECTIONS)

    async def _settled(self, since: datetime, accepted: int) -> list[throughput.Fate]:
        """What PostgreSQL says once everything is decided, or nothing more has been for LOST_S."""
        decided, patience = -1, time.monotonic() + LOST_S
        while True:
            await self.bell.until(accepted, QUIET_S)
            self.instance.alive()
            async with self.resources.postgres.reading() as work:
                fates = await throughput.fates(work, since, limit=MOST_ROWS)
            before, decided = decided, sum(fate.decisions > 0 for fate in fates)
            if decided >= accepted or time.monotonic() > patience:
                return fates
            if decided > before:
                patience = time.monotonic() + LOST_S

    def _reconcile(self, fates: Sequence[throughput.Fate], sent: Sent) -> tuple[Counts, dict[str, float]]:
        """Counts, and when the decision of each transaction was heard of."""
        decided = sum(fate.decisions > 0 for fate in fates)
        counts = Counts(
            accepted=sent.accepted,
            decided=decided,
            lost=sent.accepted - decided,
            doubled=sum(fate.decisions > 1 for fate in fates),
            degraded=sum(fate.degraded for fate in fates),
            alerts=sum(fate.alerts for fate in fates),
            refused=sent.refused,
        )
        self.total.add(counts)
        return counts, {fate.transaction_id: self.bell.heard[fate.uid] for fate in fates if fate.uid in self.bell.heard}

    def _flow(
        self,
        requests: Requests,
        sent: Sent,
        counts: Counts,
        heard: dict[str, float],
        cpu: dict[str, float],
        steps: dict[str, float],
    ) -> Flow:
        payments, first = max(1, counts.decided), min(sent.due)
        spent, walked = self.instance.cpu_seconds(), probe.read(self.instance.traces())
        waits = [
            heard[ident] - due
            for place, due in zip(sent.place, sent.due, strict=True)
            if requests.idents and (ident := requests.idents[place]) in heard
        ]
        return Flow(
            accepts_per_s=counts.accepted / (max(sent.answered) - first),
            decisions_per_s=counts.decided / (max(heard.values(), default=float("inf")) - first),
            counts=counts,
            cpu_ms={name: (spent[name] - before) / payments * 1000 for name, before in cpu.items()},
            steps={name: (walked[name] - before) / payments * 1000 for name, before in steps.items()},
            latency_ms=percentiles(waits) if waits else None,
            answer_ms=percentiles(np.subtract(sent.answered, sent.due)),
        )


def percentiles(seconds: npt.ArrayLike) -> Percentiles:
    p50, p95, p99 = np.percentile(np.asarray(seconds), [50, 95, 99]) * 1000
    return Percentiles(float(p50), float(p95), float(p99))


@asynccontextmanager
async def track(instance: Instance, resources: Resources, generator: Generator) -> AsyncIterator[Track]:
    bell = Bell(resources)
    listening = asyncio.create_task(bell.listen())
    try:
        yield Track(instance, resources, generator, bell)
    finally:
        await end(listening)
