"""Accepting transactions: requests that arrive together share one commit, then one confirmed publication.

Nothing is acknowledged before the commit, and accepting does not need the broker: what it does not confirm stays in the
outbox, from where `workers.relay` sends it.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import structlog

from core.acts import outbox
from core.acts.audit import Actor, Event, record
from core.base import telemetry
from core.base.clock import utc_now
from core.base.errors import RondaError, Unavailable
from core.base.hashing import sha256, shard_of
from core.base.ids import SourceId, TransactionId, TransactionUid
from core.base.tasks import end
from core.base.terms import Action, ActorType, Result
from core.contracts.messages import Message, Payment, ScoreBatch
from core.contracts.topology import score_queue
from core.infra.bus import Outgoing
from core.infra.postgres import Bundle, Work
from core.infra.resources import Resources
from core.stores import accepting, flow
from core.stores.accepting import Arrival

log = structlog.get_logger()
PUBLICATIONS_WAITING = 64
MARK_EVERY_S = 0.1
"""What the broker confirmed is marked by many at once: nobody waits for the mark."""
IN_STEPS_S = 1.0
"""How long nothing is taken for all new after something was not: a source that repeats itself does so for a while."""
SMALL = 10
"""Arrivals of a request that goes before larger ones."""
QUEUE_LIMIT = 20_000


class Acceptance(StrEnum):
    ACCEPTED = "accepted"
    REPLAYED = "replayed"
    CONFLICT = "conflict"


@dataclass(frozen=True)
class Accepted:
    """`uid` is the stored transaction's, also for a replay or a conflict."""

    status: Acceptance
    uid: TransactionUid


@dataclass(frozen=True)
class _Request:
    arrivals: Sequence[Arrival]
    key_prefix: str
    answer: asyncio.Future[list[Accepted]]


class Ingest:
    """One per web process. `start` and `stop` belong to the application's lifespan."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._settings = resources.settings
        self._small: deque[_Request] = deque()
        self._large: deque[_Request] = deque()
        self._arrived = asyncio.Event()
        self._waiting = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._publications: asyncio.Queue[list[Outgoing]] = asyncio.Queue(PUBLICATIONS_WAITING)
        self._confirmed: asyncio.Queue[list[UUID]] = asyncio.Queue()
        self._accepting, self._marking = resources.postgres.line(), resources.postgres.line()
        self._tasks: list[asyncio.Task[None]] = []
        self._queues = {score_queue(shard) for shard in range(self._settings.shards)}
        self._last: dict[str, UUID | None] = {}
        """By queue, the last message that was committed."""
        self._in_steps_until = 0.0

    def start(self) -> None:
        loops = (self._accept_for_ever(), self._publish_for_ever(), self._mark_for_ever())
        self._tasks = [asyncio.create_task(loop) for loop in loops]

    async def stop(self) -> None:
        """Answers what has arrived; what is not published yet is the relay's."""
        await self._idle.wait()
        for task in self._tasks:
            await end(task)
        await self._mark([])
        self._accepting.close()
        self._marking.close()

    async def accept(self, arrivals: Sequence[Arrival], key_prefix: str) -> list[Accepted]:
        """One answer per arrival, in order, once all are committed. Raises Unavailable: then nothing was accepted."""
        if self._waiting + len(arrivals) > QUEUE_LIMIT:
            raise Unavailable("too many transactions are waiting to be accepted", retry_after_s=1)
        request = _Request(arrivals, key_prefix, asyncio.get_running_loop().create_future())
        self._waiting += len(arrivals)
        self._idle.clear()
        (self._small if len(arrivals) <= SMALL else self._large).append(request)
        self._arrived.set()
        try:
            return await request.answer
        finally:
            self._waiting -= len(arrivals)
            if not self._waiting:
                self._idle.set()

    async def _accept_for_ever(self) -> None:
        while True:
            batch = await self._gather()
            try:
                answers, outgoing = await self._commit(batch)
            except RondaError as error:
                self._last.clear()  # it may have been committed all the same
                for answer in _awaited(batch):
                    answer.set_exception(error)
            except BaseException as error:
                self._last.clear()
                for answer in _awaited(batch):
                    answer.set_exception(Unavailable("the transactions could not be stored"))
                if not isinstance(error, Exception):
                    raise
                log.exception("micro-batch failed")
            else:
                for request, accepted in zip(batch, answers, strict=True):
                    if not request.answer.done():
                        request.answer.set_result(accepted)
                with suppress(asyncio.QueueFull):  # then the relay sends them
                    self._publications.put_nowait(outgoing)

    async def _gather(self) -> list[_Request]:
        """What waits, or what comes within the linger time after the first, up to the batch limit.

        Small requests go first, so that a single payment does not wait behind a file's; but a large one is in it whenever one waits.
        """
        await self._arrived.wait()
        if len(self._small) + len(self._large) == 1:
            await asyncio.sleep(self._settings.ingest_linger_ms / 1000)
        batch, most = _taken(self._small, self._settings.ingest_batch_max)
        batch += _taken(self._large, max(1, most))[0]
        if not (self._small or self._large):
            self._arrived.clear()
        return batch

    async def _commit(self, batch: Sequence[_Request]) -> tuple[list[list[Accepted]], list[Outgoing]]:
        """In one statement while all is new, which it mostly is; otherwise step by step."""
        await self._know_last()
        firsts: dict[tuple[str, str], Arrival] = {}
        for request in batch:
            for arrival in request.arrivals:
                firsts.setdefault(_key(arrival), arrival)
        arrivals = list(firsts.values())
        if time.monotonic() >= self._in_steps_until:
            bundle = Bundle()
            await accepting.take_keys(bundle, arrivals)
            written = await self._write(bundle, batch, firsts, {arrival.payment.uid for arrival in arrivals})
            if await self._accepting.at_once(bundle, rows=len(arrivals)):
                return self._committed(*written)
            self._in_steps_until = time.monotonic() + IN_STEPS_S
        async with self._accepting.unit_of_work() as work:
            new = await accepting.take_keys(work, arrivals)
            written = await self._write(work, batch, firsts, new)
        return self._committed(*written)

    async def _know_last(self) -> None:
        """Each message names the one before it, also when another process, now gone, wrote that one and did not come to publish it."""
        unknown = self._queues - self._last.keys()
        if unknown:
            async with self._accepting.unit_of_work() as work:
                self._last |= {queue: await flow.newest_outbox(work, queue) for queue in unknown}

    async def _write(
        self, work: Work, batch: Sequence[_Request], firsts: dict[tuple[str, str], Arrival], new: set[UUID]
    ) -> tuple[list[list[Accepted]], list[Outgoing], list[Payment]]:
        """Answers, messages and what was accepted. `new`: uids whose keys were taken."""
        old = [key for key, arrival in firsts.items() if arrival.payment.uid not in new]
        stored = await accepting.known(work, [(SourceId(s), TransactionId(i)) for s, i in old])
        for key, arrival in firsts.items():
            stored.setdefault(key, accepting.Known(TransactionUid(arrival.payment.uid), arrival.body_sha))
        answers = [[_answer(arrival, stored, new) for arrival in request.arrivals] for request in batch]
        accepted = [arrival.payment for arrival in firsts.values() if arrival.payment.uid in new]
        await accepting.store(work, accepted)
        outgoing = await outbox.add(work, self._score_messages(accepted), outbox.WRITERS_TURN)
        await record(work, *_events(batch, answers))
        return answers, outgoing, accepted

    def _committed(
        self, answers: list[list[Accepted]], outgoing: list[Outgoing], accepted: Sequence[Payment]
    ) -> tuple[list[list[Accepted]], list[Outgoing]]:
        self._last |= {message.queue: UUID(message.message_id) for message in outgoing}
        for source, count in Counter(payment.source_id for payment in accepted).items():
            telemetry.TRANSACTIONS_ACCEPTED.labels(source).inc(count)
        return answers, outgoing

    def _score_messages(self, accepted: Sequence[Payment]) -> list[tuple[str, Message]]:
        """In the order of acceptance: within one commit that of uids."""
        shards: dict[int, list[Payment]] = {}
        for payment in sorted(accepted, key=lambda payment: payment.uid):
            shards.setdefault(shard_of(payment.customer_id, self._settings.shards), []).append(payment)
        return [
            (queue, ScoreBatch(shard=shard, payments=payments, after=self._last[queue]))
            for shard, payments in shards.items()
            for queue in [score_queue(shard)]
        ]

    async def _publish_for_ever(self) -> None:
        """In commit order, several commits' messages per confirm window when the broker is the slower side."""
        while True:
            outgoing = await self._publications.get()
            while not self._publications.empty() and len(outgoing) < 200:
                outgoing = outgoing + self._publications.get_nowait()
            if not outgoing:
                continue
            self._confirmed.put_nowait(await outbox.publish(self._resources.bus, outgoing))

    async def _mark_for_ever(self) -> None:
        while True:
            first = await self._confirmed.get()
            await asyncio.sleep(MARK_EVERY_S)
            await self._mark(first)

    async def _mark(self, confirmed: list[UUID]) -> None:
        """These and all others that are known to be safe. A mark that fails is harmless: the relay sends that message again."""
        while not self._confirmed.empty():
            confirmed += self._confirmed.get_nowait()
        with suppress(RondaError):
            async with self._marking.unit_of_work() as work:
                await flow.mark_sent(work, confirmed, utc_now())


def _taken(lane: deque[_Request], most: int) -> tuple[list[_Request], int]:
    """From the front, until there are `most` arrivals or more; how many are left of `most`."""
    batch: list[_Request] = []
    while most > 0 and lane:
        batch.append(lane.popleft())
        most -= len(batch[-1].arrivals)
    return batch, most


def _awaited(batch: Sequence[_Request]) -> list[asyncio.Future[list[Accepted]]]:
    """Without those whose request is gone."""
    return [request.answer for request in batch if not request.answer.done()]


def _key(arrival: Arrival) -> tuple[str, str]:
    return arrival.payment.source_id, arrival.payment.transaction_id


def _answer(arrival: Arrival, stored: dict[tuple[str, str], accepting.Known], new: set[UUID]) -> Accepted:
    known = stored[_key(arrival)]
    if known.uid == arrival.payment.uid and known.uid in new:
        return Accepted(Acceptance.ACCEPTED, known.uid)
    same = known.body_sha == arrival.body_sha
    return Accepted(Acceptance.REPLAYED if same else Acceptance.CONFLICT, known.uid)


def _events(batch: Sequence[_Request], answers: Sequence[Sequence[Accepted]]) -> list[Event]:
    """One event per key for what it had accepted (the ids' hash proves which), one per conflict."""
    uids: dict[str, list[str]] = {}
    events = []
    for request, results in zip(batch, answers, strict=True):
        actor = Actor(ActorType.API_KEY, request.key_prefix)
        for arrival, result in zip(request.arrivals, results, strict=True):
            if result.status is Acceptance.ACCEPTED:
                uids.setdefault(request.key_prefix, []).append(result.uid.hex)
            elif result.status is Acceptance.CONFLICT:
                detail = {"body_sha": arrival.body_sha.hex()}
                conflict = Event(
                    actor, Action.TRANSACTION_CONFLICT, "transaction", str(result.uid), detail, Result.REFUSED
                )
                events.append(conflict)
    for prefix, accepted in uids.items():
        proof = sha256("".join(accepted).encode()).hex()
        counted = {"count": len(accepted), "first": accepted[0], "uids_sha": proof}
        events.append(
            Event(Actor(ActorType.API_KEY, prefix), Action.TRANSACTIONS_ACCEPT, "source_key", prefix, counted)
        )
    return events
