"""Live features: one atomic script call per batch in Redis or Valkey.

THE RULE. The state is a function of one stream: payments in the order they are accepted, and label records between them.
`offline.replay` computes the same function of the same stream, to the last bit. For a payment of event time t:

- A window (t-w, t] of an entity holds the payments taken before this one in the stream whose event time lies in it, and this one.
  A payment that comes late is sorted in by its event time: it changes what is asked after it, never what was answered.
- "Previous", "earlier", "the last 50" and the largest amount of a window (of its newest 50) look at payments taken before with event
  time <= t. A spike is an amount above 2.5 times the median of the customer's last 50, of at least 5; it is one or not when taken.
- A pair (customer and merchant, device and card, ...) is known by how often and when it was last seen; the different others of a
  window are those seen after its start, this one included.
- A label counts from its report: only labels taken before with reported_at <= t, in windows over reported_at. A label that is
  taken after a payment was scored changes nothing for it, whatever its reported_at. UNSURE is not a label here.
  A label that differs from the payment's newest one, and was not reported before it, is one more label; any other repetition is
  ignored. A fraud is unexplained when its amount was no spike for its customer.
- Attributes (category, country, currency, place), cards and addresses are counted by whole UTC days of event time or report.
- Home is the mean of where about the last 64 payments were; "previous place" is the latest one by event time.
- `catalogue.MEMORY` bounds all of it, in event time: an entity or pair silent for 90 days is new again; a payment more than 37 days
  behind its entity's newest one (or under more than 4,096 newer ones) sees the history but does not join it. Keys expire after the
  state they hold can no longer matter, so the wall clock decides nothing.
- A payment that comes again (same uid) gets the readings of its first time and changes nothing: the guard, the counters and the
  readings change in one script. The guard lives 9 days.

What a payment does not name has no value (NaN) for features of it. All whole numbers, hundredths of the currency.
"""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec
import numpy as np
from redis.exceptions import NoScriptError, RedisError, ResponseError

from core.base.errors import Kind, RondaError
from core.contracts.messages import LabelledPayment, Payment
from core.infra.redis import Redis
from models.features.catalogue import FEATURES, MEMORY, READINGS, Memory
from models.features.facts import FACTS
from models.features.items import facts_of, label_items, payment_item
from models.features.script import LAYOUT, RUN_KEY, ask_text, publish_text, script_text
from models.features.vector import FloatArray, FloatMatrix, IntArray, assemble

GENERATION_KEY: Final = "{rf}generation"
UNTIL_KEY: Final = "{rf}until"
"""Up to which place in the order of acceptance the published state was built."""
SCRIPT_S_PER_PAYMENT: Final = 0.002
"""Added to a call's budget: several times what the script needs for a payment."""
MEMO_S: Final = 9 * 86_400
"""Longer than any message can wait for its redelivery (8 days)."""
BACKFILL_CHUNK: Final = 32
GENTLE_CHUNK: Final = 8
GENTLE_CHUNK_REMEMBERED: Final = 3
"""Redis answers nobody else while it takes so many. Those whose readings it keeps take about three times as long."""
BUILDING_S: Final = 7 * 86_400
BATCH: Final = 1_000
ANSWER, TAKE, AGAIN = "answer", "take", "again"
"""How the script is called: only the last also works on a server that may have lost something, as long as it is the one it began on."""
_readings_decoder = msgspec.msgpack.Decoder(list[float])


class FeaturesUnavailable(RondaError):
    """Redis does not answer: score without features, say so, and score again later."""

    kind, code = Kind.UNAVAILABLE, "features_unavailable"


class StaleGeneration(FeaturesUnavailable):
    """Redis answers but holds no feature state (it was emptied or never filled): rebuild it from PostgreSQL."""

    kind, code = Kind.UNAVAILABLE, "stale_generation"


class ServerRestarted(FeaturesUnavailable):
    """Redis was restarted since the state was last known to be whole: take the newest payments and labels again, then `vouch`."""

    kind, code = Kind.UNAVAILABLE, "server_restarted"


@dataclass(frozen=True)
class Prepared:
    """generation: the state in use; None when there is none yet, or one of another layout. run: the server's run id. whole: nothing
    was lost by a restart. until: up to which place in the order of acceptance the state was built.
    """

    generation: str | None
    run: str
    whole: bool
    until: str

    @property
    def empty(self) -> bool:
        return self.generation is None


@dataclass(frozen=True)
class Asked:
    """One moment of the state. vectors: of the payments asked about. payments, labels: whether each of the others is part of it."""

    generation: str
    vectors: FloatMatrix
    payments: list[bool]
    labels: list[bool]


class OnlineFeatures:
    """One instance per process. Payments of one customer must come in the order of acceptance; shared entities
    (merchant, device, ip) are as ordered as the calls of all processes are.

    budget_s: most that `vectors` waits, beside SCRIPT_S_PER_PAYMENT; None = the connection's own timeout.
    follow: go over to a state that another process published; else `vectors` raises StaleGeneration, and the next `prepare` goes over.
    """

    def __init__(
        self, redis: Redis, memory: Memory = MEMORY, *, budget_s: float | None = None, follow: bool = True
    ) -> None:
        self._redis = redis
        self._script, self._ask_script = script_text(memory), ask_text(memory)
        self._sha = hashlib.sha1(self._script.encode(), usedforsecurity=False).hexdigest()
        self._budget_s, self._follow = budget_s, follow
        self._generation: str | None = None
        self._server = ""
        """Its run id when the state was last prepared."""
        self._building: tuple[str, str] | None = None

    async def prepare(self) -> Prepared:
        """Load the script and adopt the generation Redis holds. Raises FeaturesUnavailable."""
        try:
            async with asyncio.timeout(self._budget_s):
                await self._redis.script_load(self._script)
                found = await self._redis.mget(GENERATION_KEY, RUN_KEY, UNTIL_KEY)
                server = await self._run_id()
        except (RedisError, OSError) as error:
            raise _unavailable() from error
        generation, run, until = (_words(value) for value in found)
        self._generation, self._server = generation if generation.startswith(LAYOUT) else None, server
        return Prepared(self._generation, server, run == server, until)

    async def _run_id(self) -> str:
        return str((await self._redis.info("server"))["run_id"])

    async def vouch(self, run: str) -> None:
        """The state is whole on the server of this run id: what it may have lost was taken again since `prepare` told it."""
        try:
            await self._redis.set(RUN_KEY, run)
        except (RedisError, OSError) as error:
            raise _unavailable() from error

    async def vectors(self, payments: Sequence[Payment]) -> FloatMatrix:
        """Take the payments, in this order, and return (n, len(FEATURES)) float64, NaN = not known. One round trip, whatever n.

        Raises FeaturesUnavailable, or StaleGeneration when the state is gone; then nothing was taken.
        """
        if not payments:
            return np.empty((0, len(FEATURES)))
        items = [payment_item(payment) for payment in payments]
        budget_s = None if self._budget_s is None else self._budget_s + SCRIPT_S_PER_PAYMENT * len(items)
        try:
            async with asyncio.timeout(budget_s):
                answers = await self._run(items, ANSWER, memo_s=MEMO_S)
        except TimeoutError as error:
            raise _unavailable() from error
        return _assembled(payments, answers)

    async def first_vectors(self, payments: Sequence[Payment]) -> list[FloatArray | None]:
        """What each payment was answered, or would have been, when it was taken; None = it was not taken, or longer ago than MEMO_S.

        Takes nothing. Raises FeaturesUnavailable; StaleGeneration and ServerRestarted when the state is not whole.
        """
        prepared = await self.prepare()
        if prepared.empty:
            raise StaleGeneration("the feature store is empty and has to be rebuilt", server="redis")
        if not prepared.whole:
            raise ServerRestarted("the feature store was restarted", server="redis")
        memos = await self._memos([payment.uid for payment in payments])
        known = [(payment, memo) for payment, memo in zip(payments, memos, strict=True) if isinstance(memo, bytes)]
        vectors = iter(_assembled([payment for payment, _ in known], [memo for _, memo in known]))
        return [None if memo is None else next(vectors) for memo in memos]

    async def whole(self) -> bool:
        """Whether the generation that was last prepared is in use still, on a server that lost nothing. Raises FeaturesUnavailable."""
        try:
            async with asyncio.timeout(self._budget_s):
                found = await self._redis.mget(GENERATION_KEY, RUN_KEY)
                return [_words(value) for value in found] == [self._generation, await self._run_id()]
        except (RedisError, OSError) as error:
            raise _unavailable() from error

    async def remembered(self) -> AsyncIterator[list[UUID]]:
        """Every payment that was taken in the last MEMO_S, in batches; one may come twice. Raises FeaturesUnavailable."""
        head = _prefix(str((await self.prepare()).generation)).encode() + b"s"
        batch: list[UUID] = []
        try:
            async for key in self._redis.scan_iter(match=head + b"*", count=1_000):
                batch.append(UUID(bytes=key[len(head) :]))
                if len(batch) == BATCH:
                    yield batch
                    batch = []
        except (RedisError, OSError) as error:
            raise _unavailable() from error
        yield batch

    async def taken(self, uids: Sequence[UUID]) -> list[bool]:
        """Whether each payment is part of the state; what was taken longer ago than MEMO_S is forgotten. Raises FeaturesUnavailable."""
        return [memo is not None for memo in await self._memos(uids)]

    async def ask(
        self, probes: Sequence[Payment], *, payments: Sequence[UUID], labels: Sequence[LabelledPayment]
    ) -> Asked:
        """What each of `probes` would be answered if it alone came now, and whether the others were taken, at one moment. Takes nothing.

        labels: none that is UNSURE. Raises FeaturesUnavailable; StaleGeneration and ServerRestarted when the state is not whole.
        """
        if (await self.prepare()).empty:
            raise StaleGeneration("the feature store is empty and has to be rebuilt", server="redis")
        items = b"".join(payment_item(probe) for probe in probes)
        more = b"".join(uid.bytes for uid in payments), b"".join(label_items(labels))
        arguments = (str(self._generation), _prefix(str(self._generation)), ANSWER, "0", items, *more)
        try:
            with _states():
                answers, taken, known = await self._redis.eval_ro(self._ask_script, 1, GENERATION_KEY, *arguments)
        except (RedisError, OSError) as error:
            raise _unavailable() from error
        return Asked(
            str(self._generation),
            _assembled(probes, answers),
            [bool(one) for one in taken],
            [bool(one) for one in known],
        )

    async def _memos(self, uids: Sequence[UUID]) -> list[bytes | str | None]:
        if not uids:
            return []
        prefix = _prefix(str(self._generation)).encode()
        try:
            return list(await self._redis.mget([prefix + b"s" + uid.bytes for uid in uids]))
        except (RedisError, OSError) as error:
            raise _unavailable() from error

    async def record_labels(self, labels: Sequence[LabelledPayment]) -> None:
        """Take label records; idempotent. Raises FeaturesUnavailable.

        ServerRestarted until the state is whole again: a label must not come before one that was lost.
        """
        items = label_items(labels)
        if items:
            await self._run(items, TAKE, memo_s=0)

    async def begin_generation(self) -> str:
        """Start a new, empty state beside the one in use; `backfill` fills it, `publish_generation` switches to it."""
        generation = LAYOUT + secrets.token_hex(4)
        try:
            run = await self._run_id()
            await self._redis.set(_building_key(generation), generation, ex=BUILDING_S)
        except (RedisError, OSError) as error:
            raise _unavailable() from error
        self._building = generation, run
        return generation

    async def backfill(
        self, past: Sequence[Payment | LabelledPayment], *, remember: bool = False, gently: bool = False
    ) -> None:
        """Take history in bulk, in the order it was taken live, without answering. Call it in slices as rows stream in.

        ServerRestarted when the server is another one since `prepare` (or `begin_generation`) and nobody vouches for it: it may have lost
        the slices before, and the later ones must not stand before them.

        remember: keep the readings of these payments, so that one that is delivered (or backfilled) again is not counted twice.
        Costs memory; needed for payments younger than a message can wait, pointless for older ones.
        gently: in smaller slices, for those who are answered from the state in use meanwhile.
        """
        items: list[bytes] = []
        for taken in past:
            items += [payment_item(taken)] if isinstance(taken, Payment) else label_items([taken])
        gentle = GENTLE_CHUNK_REMEMBERED if remember else GENTLE_CHUNK
        size = gentle if gently else BACKFILL_CHUNK
        for start in range(0, len(items), size):
            await self._run(items[start : start + size], AGAIN, memo_s=MEMO_S if remember else 0)

    async def publish_generation(self, until: str = "") -> None:
        """Switch every process to the state built since `begin_generation`, then delete the others.

        until: the last place in the order of acceptance that is in it; whoever goes over to it takes what came later (see `Prepared`). The
        guard takes each payment once. Raises StaleGeneration when Redis was emptied or restarted meanwhile.
        """
        if self._building is None:
            raise RuntimeError("begin_generation was not called")
        (generation, run), self._building = self._building, None
        keys = _building_key(generation), GENERATION_KEY, RUN_KEY, UNTIL_KEY
        try:
            await self._redis.eval(publish_text(), len(keys), *keys, run, until)
            self._generation, self._server = generation, run
            await self._delete_others(generation)
        except ResponseError as error:
            raise StaleGeneration("the feature store was emptied while it was rebuilt", server="redis") from error
        except (RedisError, OSError) as error:
            raise _unavailable() from error

    async def _delete_others(self, generation: str) -> None:
        prefix = _prefix(generation).encode()
        kept = {GENERATION_KEY.encode(), RUN_KEY.encode(), UNTIL_KEY.encode()}
        doomed: list[bytes] = []
        async for key in self._redis.scan_iter(match="{rf}*", count=1_000):
            if key not in kept and not key.startswith(prefix):
                doomed.append(key)
            if len(doomed) >= 500:
                await self._redis.unlink(*doomed)
                doomed.clear()
        if doomed:
            await self._redis.unlink(*doomed)

    async def _run(self, items: list[bytes], mode: str, *, memo_s: int) -> list[bytes]:
        """One script call on the generation being built, else on the one in use (adopting a newer one that was published)."""
        try:
            if self._building is not None and mode == AGAIN:
                generation, run = self._building
                return await self._call(generation, _building_key(generation), items, run, memo_s)
            for _ in range(2):
                if self._generation is None and (not self._follow or (await self.prepare()).empty):
                    break
                assert self._generation is not None
                try:
                    calling = self._server if mode == AGAIN else mode
                    return await self._call(self._generation, GENERATION_KEY, items, calling, memo_s)
                except StaleGeneration:
                    self._generation = None
                    if mode == ANSWER and not self._follow:
                        raise
        except (RedisError, OSError) as error:
            raise _unavailable() from error
        raise StaleGeneration("the feature store is empty and has to be rebuilt", server="redis")

    async def _call(self, generation: str, key: str, items: list[bytes], calling: str, memo_s: int) -> list[bytes]:
        """calling: ANSWER, TAKE, or the run id of the server where what may be lost is taken again."""
        arguments = (generation, _prefix(generation), calling, str(memo_s), b"".join(items))
        with _states():
            try:
                answers = await self._redis.evalsha(self._sha, 1, key, *arguments)
            except NoScriptError:
                answers = await self._redis.eval(self._script, 1, key, *arguments)
        return list(answers)


@contextmanager
def _states() -> Iterator[None]:
    """The script's own errors."""
    try:
        yield
    except ResponseError as error:
        if str(error).startswith("STALEGEN"):
            raise StaleGeneration("the feature store was emptied or rebuilt", server="redis") from error
        if str(error).startswith("STALERUN"):
            raise ServerRestarted("the feature store was restarted", server="redis") from error
        raise


def _words(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


def _unavailable() -> FeaturesUnavailable:
    return FeaturesUnavailable("the feature store does not answer", server="redis")


def _assembled(payments: Sequence[Payment], answers: Sequence[bytes]) -> FloatMatrix:
    """From msgpack readings to vectors."""
    readings = np.array([_readings_decoder.decode(answer) for answer in answers]).reshape(-1, len(READINGS))
    times: IntArray = np.array([payment.occurred_at_ms for payment in payments], dtype=np.int64)
    facts = np.array([facts_of(payment) for payment in payments], dtype=np.float64).reshape(-1, len(FACTS))
    return assemble(readings, times, facts)


def _prefix(generation: str) -> str:
    return f"{{rf}}{generation}:"


def _building_key(generation: str) -> str:
    return f"{{rf}}building:{generation}"
