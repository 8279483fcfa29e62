"""What the state machine drives: the real way in, relay, scorer, feature state, sealer and tables, with a broker and a death at hand.

The broker is the machine's own, because it must do on request what a real one does once a year: lose a confirm, deliver an old message
again, take everything back. PostgreSQL and Valkey are real, and nothing of Ronda is replaced.
"""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Self, cast
from uuid import UUID

import asyncpg
import numpy as np

from backend.ingest import Acceptance, Accepted, Ingest
from core.acts import labels
from core.acts.audit import system
from core.acts.labels import LabelInput
from core.base.clock import utc_now
from core.base.errors import PublishFailed
from core.base.ids import SourceId, TransactionId
from core.base.terms import FeaturesStatus, Label, LabelSource
from core.contracts.messages import LabelsRecorded, Payment, decode
from core.contracts.topology import LABELS, score_queue
from core.infra.bus import Bus, Outgoing
from core.infra.postgres import Postgres
from core.infra.resources import Resources
from core.infra.signing import CHECKPOINTS, Keys, keys_of
from core.stores import flow
from core.stores.accepting import Arrival
from models.features.online import FeaturesUnavailable, OnlineFeatures
from models.features.script import RUN_KEY
from models.features.vector import FloatArray, FloatMatrix
from workers.feedback import PaymentUnderWay, take_labels
from workers.lineup import LineupKeeper
from workers.rebuild import rebuild_features
from workers.relay import relay_once
from workers.rescore import rescore_once
from workers.runner import JobContext
from workers.score import _ScoringDesk
from workers.seal import connect_sealer, seal_all

SOURCE = SourceId("machine")
TEST = system("machine")
SCORES = score_queue(0)
CRASHES = ("before the features", "before the commit", "after the commit", "before the ack")
_EMPTIED = (
    "alert", "note", "label", "shadow_score", "decision", "scoring_trouble", "dead_letter", "outbox", "audit_event", "audit_seal",
    "audit_checkpoint", "transaction_key", "transaction",
)  # fmt: skip


class Crash(BaseException):
    """The process is gone: nobody handles this."""


_PHOTOGRAPH = """
local found = {}
for _, key in ipairs(redis.call('KEYS', '{rf}*')) do
  found[#found + 1] = key
  found[#found + 1] = redis.call('DUMP', key)
end
return found
"""


@dataclass
class Parcel:
    """Implements `core.infra.bus.Delivery`."""

    wire: "Wire"
    queue: str
    message_id: str
    body: bytes
    redeliveries: int = 0
    settled: bool = False

    async def ack(self) -> None:
        if self.wire.dies_at == "before the ack":
            raise Crash
        if not self.settled:
            self.settled = True
            self.wire.waiting.remove(self)
            self.wire.acked.append(self)

    async def release(self) -> None:
        self.redeliveries += 1

    async def reject(self, reason: str) -> None:
        raise AssertionError(f"nothing here is unreadable: {reason}")

    async def move(self, queue: str) -> None:
        raise AssertionError(f"nothing here is suspect: {queue}")


@dataclass
class Wire:
    """Implements as much of `core.infra.bus.Bus` as publishing needs. `mode`: up, away, or deaf (it takes messages and confirms none)."""

    name = "wire"
    mode: str = "up"
    dies_at: str = ""
    waiting: list[Parcel] = field(default_factory=list)
    """In order, those being handled included."""
    acked: list[Parcel] = field(default_factory=list)
    calls: int = 0

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        self.calls += 1
        if self.mode != "away":
            self.waiting += [Parcel(self, one.queue, one.message_id, one.body) for one in messages]
        if self.mode != "up":
            raise PublishFailed("the broker did not confirm", unconfirmed=[one.message_id for one in messages])

    def again(self, place: int, front: bool) -> None:
        """An ack was lost: its message comes back."""
        old = self.acked[place % len(self.acked)]
        copy = Parcel(self, old.queue, old.message_id, old.body, redeliveries=1)
        self.waiting.insert(0 if front else len(self.waiting), copy)

    def mix(self, draw: random.Random) -> None:
        """What waits comes in another order."""
        draw.shuffle(self.waiting)

    def of(self, queue: str) -> list[Parcel]:
        return [parcel for parcel in self.waiting if parcel.queue == queue]


class Clock:
    """The relay's: each look is a minute later, so that every row is due."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        self._ahead += timedelta(minutes=1)
        return utc_now() + self._ahead


@dataclass
class Ronda:
    """One sequence's processes. `answered`: what the features of a payment were, the first time that there were any."""

    resources: Resources
    wire: Wire
    keeper: LineupKeeper
    sealer: Postgres
    keys: Keys
    answered: dict[UUID, FloatArray] = field(default_factory=dict)
    photograph: dict[bytes, bytes] = field(default_factory=dict)

    @classmethod
    async def begin(cls, base: Resources, keeper: LineupKeeper) -> Self:
        wire = Wire()
        resources = replace(base, bus=cast(Bus, wire))
        ronda = cls(resources, wire, keeper, connect_sealer(base.settings), keys_of(base.settings, CHECKPOINTS))
        ronda.ingest = Ingest(resources)
        ronda.ingest.start()
        await ronda.start_scorer()
        return ronda

    async def end(self) -> None:
        await self.ingest.stop()
        await self.desk.close()
        await self.sealer.close()

    async def start_scorer(self) -> None:
        desk = self.desk = _ScoringDesk(JobContext(self.resources, asyncio.Event()))
        desk.lineup = self.keeper
        await desk.prepare()
        vectors, store = desk.features.vectors, desk._store

        async def watched(payments: Sequence[Payment]) -> tuple[FloatMatrix, FeaturesStatus]:
            self._dies("before the features")
            matrix, status = await vectors(payments)
            if status is FeaturesStatus.COMPLETE:
                self._compare(payments, matrix)
            return matrix, status

        async def stored(*given: Any) -> None:
            self._dies("before the commit")
            await store(*given)
            self._dies("after the commit")

        desk.features.vectors, desk._store = watched, stored  # type: ignore[method-assign]

    def _dies(self, point: str) -> None:
        if self.wire.dies_at == point:
            raise Crash

    def _compare(self, payments: Sequence[Payment], matrix: FloatMatrix) -> None:
        for payment, vector in zip(payments, matrix, strict=True):
            first = self.answered.setdefault(payment.uid, vector)
            np.testing.assert_array_equal(vector, first, f"{payment.transaction_id}: other features the second time")

    async def accept(self, arrivals: Sequence[Arrival]) -> list[Accepted]:
        """Returns when the broker was asked, and what it confirmed is marked."""
        calls, unsent = self.wire.calls, await self.unsent()
        answers = await self.ingest.accept(arrivals, "key")
        if any(answer.status is Acceptance.ACCEPTED for answer in answers):
            async with asyncio.timeout(10):
                while self.wire.calls == calls or (self.wire.mode == "up" and await self.unsent() > unsent):
                    await asyncio.sleep(0.001)
        return answers

    async def unsent(self) -> int:
        async with self.resources.postgres.reading() as work:
            return (await flow.outbox_state(work)).unsent

    async def relay(self) -> None:
        """Until nothing is left, or the broker does not want it."""
        context = JobContext(self.resources, asyncio.Event())
        await relay_once(context)
        while self.wire.mode == "up" and await self.unsent():
            await relay_once(context)

    async def score(self, most: int, dies_at: str = "") -> None:
        """Handles what waits, in order. When the process dies, everything it held comes back and another process is started."""
        held = self.wire.of(SCORES)[:most]
        self.wire.dies_at = dies_at
        try:
            await self.desk.handle(list(held))
        except Crash:
            self.wire.dies_at = ""
            for parcel in held:
                parcel.redeliveries += not parcel.settled
            await self.desk.close()
            await self.start_scorer()
        self.wire.dies_at = ""

    async def label(self, ident: str, label: Label) -> None:
        """Once nothing is on its way: a label and a payment that overtake each other have no order to be compared with."""
        await self.relay()
        while self.wire.of(SCORES):
            await self.score(8)
        item = LabelInput(TransactionId(ident), label, LabelSource.CHARGEBACK, utc_now())
        async with self.resources.postgres.unit_of_work() as work:
            await labels.record_labels(work, SOURCE, [item], by=TEST)
        await self.relay()
        await self.feed()
        await asyncio.sleep(0.002)  # two things of one millisecond have no order

    async def feed(self) -> None:
        """What the feedback job does with what waits."""
        for parcel in self.wire.of(LABELS):
            message = decode(parcel.body)
            assert isinstance(message, LabelsRecorded)
            with suppress(FeaturesUnavailable, PaymentUnderWay):
                await take_labels(self.resources, OnlineFeatures(self.resources.redis), message.labels)
                await parcel.ack()

    async def rescore(self) -> int:
        with suppress(FeaturesUnavailable):
            lineup = self.keeper.current or await self.keeper.refresh()
            return await rescore_once(self.resources, OnlineFeatures(self.resources.redis), lineup)
        return 0

    async def rebuild(self) -> None:
        # An emptied Redis holds no lock: a scorer may rebuild at the same time.
        with suppress(FeaturesUnavailable):
            await rebuild_features(self.resources, by=TEST)

    async def seal(self) -> None:
        await seal_all(self.sealer, self.keys)

    async def take_photograph(self) -> None:
        """Of one moment, like a server's own: a recovery may be writing."""
        flat = iter(await self.resources.redis.eval(_PHOTOGRAPH, 0))
        self.photograph = dict(zip(flat, flat, strict=True))

    async def fall_back(self) -> None:
        """As Valkey after a restart that lost everything since the photograph: older content, another run id, and never half of it."""
        await self._recovered_in_another_life()
        async with self.resources.redis.pipeline(transaction=True) as pipe:
            pipe.flushall()
            for key, dump in self.photograph.items():
                pipe.restore(key, 0, dump)
            if self.photograph:
                pipe.set(RUN_KEY, "of another life")
            await pipe.execute()

    async def _recovered_in_another_life(self) -> None:
        """The server's id stays what it is here: what a recovery vouches for that ended before, and what it would still take, must be seen
        to be of another one.
        """
        gap, features = self.desk.features._gap, self.desk.features._features
        if gap is None or gap.recovery is None:
            return
        with suppress(Exception):
            recovered = await gap.recovery
            features._server = "of another life"
            gap.recovery = asyncio.get_running_loop().create_future()  # type: ignore[assignment]
            gap.recovery.set_result(recovered and replace(recovered, run="of another life"))  # type: ignore[attr-defined]


async def clear(superuser: str, resources: Resources) -> None:
    """Triggers off: the trail of a sequence that is over is nobody's."""
    connection = await asyncpg.connect(superuser)
    try:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("; ".join(f'DELETE FROM "{table}"' for table in _EMPTIED))
    finally:
        await connection.close()
    await resources.redis.flushall()
