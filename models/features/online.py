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

import hashlib
import secrets
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

import msgspec
import numpy as np
from redis.exceptions import NoScriptError, RedisError, ResponseError

from core.base.errors import Kind, RondaError
from core.base.money import to_hundredths
from core.base.terms import EntityKind, Label
from core.contracts.messages import LabelledPayment, Payment
from core.infra.redis import Redis
from models.features.catalogue import (
    CATEGORY_DAYS,
    DAY_S,
    DISTINCT_WINDOWS,
    FEATURES,
    LABEL_WINDOWS,
    LABELLED,
    LARGEST_IN,
    LIMIT_WINDOWS,
    MEMORY,
    NEAR_HOUR_S,
    PAIRS,
    READINGS,
    RISK_DAYS,
    RISKED,
    SPIKE_WINDOWS,
    SUBJECTS,
    WINDOWS,
    Memory,
)
from models.features.facts import category_code, is_abroad, is_just_under, place_of, position
from models.features.vector import FloatMatrix, assemble

GENERATION_KEY: Final = "{rf}generation"
MEMO_S: Final = 9 * 86_400
"""Longer than any message can wait for its redelivery (8 days)."""
HISTORY_TTL_S: Final = 120 * 86_400
"""Longer than `Memory.forget_s` and a month of late events."""
BACKFILL_CHUNK: Final = 1_000
BUILDING_S: Final = 7 * 86_400
_LETTERS: Final = "camdiyouz"
"""One for each of SUBJECTS, in order; g, k, l, p, q, r and s begin other keys."""
_PAIR_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_ITEM: Final = struct.Struct("<BB16sdddd" + "8s" * len(SUBJECTS))
_SCRIPTS: Final = ("histories", "payments", "labels", "stream")
_PAYMENT, _LEGITIMATE, _FRAUD = 1, 2, 3
_NO_TOKEN: Final = bytes(8)
_TAIL_RECORDS: Final = 64
_readings_decoder = msgspec.msgpack.Decoder(list[float])


class FeaturesUnavailable(RondaError):
    """Redis does not answer: score without features, say so, and score again later."""

    kind, code = Kind.UNAVAILABLE, "features_unavailable"


class StaleGeneration(FeaturesUnavailable):
    """Redis answers but holds no feature state (it was emptied or never filled): rebuild it from PostgreSQL."""

    kind, code = Kind.UNAVAILABLE, "stale_generation"


@dataclass(frozen=True)
class Prepared:
    """generation: the state in use; None when there is none yet, and then `empty` is true."""

    generation: str | None

    @property
    def empty(self) -> bool:
        return self.generation is None


class OnlineFeatures:
    """One instance per process. Payments of one customer must come in the order of acceptance; shared entities
    (merchant, device, ip) are as ordered as the calls of all processes are.
    """

    def __init__(self, redis: Redis, memory: Memory = MEMORY) -> None:
        self._redis = redis
        self._script = script_text(memory)
        self._sha = hashlib.sha1(self._script.encode(), usedforsecurity=False).hexdigest()
        self._generation: str | None = None
        self._building: str | None = None

    async def prepare(self) -> Prepared:
        """Load the script and adopt the generation Redis holds. Raises FeaturesUnavailable."""
        try:
            await self._redis.script_load(self._script)
            found = await self._redis.get(GENERATION_KEY)
        except (RedisError, OSError) as error:
            raise _unavailable() from error
        self._generation = found.decode() if isinstance(found, bytes) else found
        return Prepared(self._generation)

    async def vectors(self, payments: Sequence[Payment]) -> FloatMatrix:
        """Take the payments, in this order, and return (n, len(FEATURES)) float64, NaN = not known. One round trip, whatever n.

        Raises FeaturesUnavailable, or StaleGeneration when the state is gone; then nothing was taken.
        """
        if not payments:
            return np.empty((0, len(FEATURES)))
        answers = await self._run([_payment_item(payment) for payment in payments], answer=True, memo_s=MEMO_S)
        readings = np.array([_readings_decoder.decode(answer) for answer in answers]).reshape(-1, len(READINGS))
        times = np.array([payment.occurred_at_ms for payment in payments], dtype=np.int64)
        return assemble(readings, times, np.array([_facts(payment) for payment in payments], dtype=np.float64))

    async def record_labels(self, labels: Sequence[LabelledPayment]) -> None:
        """Take label records; idempotent. Raises FeaturesUnavailable."""
        items = _label_items(labels)
        if items:
            await self._run(items, answer=False, memo_s=0)

    async def begin_generation(self) -> str:
        """Start a new, empty state beside the one in use; `backfill` fills it, `publish_generation` switches to it."""
        generation = secrets.token_hex(4)
        try:
            await self._redis.set(_building_key(generation), generation, ex=BUILDING_S)
        except (RedisError, OSError) as error:
            raise _unavailable() from error
        self._building = generation
        return generation

    async def backfill(self, past: Sequence[Payment | LabelledPayment], *, remember: bool = False) -> None:
        """Take history in bulk, in the order it was taken live, without answering. Call it in slices as rows stream in.

        remember: keep the readings of these payments, so that one that is delivered (or backfilled) again is not counted twice.
        Costs memory; needed for payments younger than a message can wait, pointless for older ones.
        """
        items: list[bytes] = []
        for taken in past:
            items += [_payment_item(taken)] if isinstance(taken, Payment) else _label_items([taken])
        for start in range(0, len(items), BACKFILL_CHUNK):
            await self._run(items[start : start + BACKFILL_CHUNK], answer=False, memo_s=MEMO_S if remember else 0)

    async def publish_generation(self) -> None:
        """Switch every process to the state built since `begin_generation`, then delete the others.

        Payments scored while it was built are in the old state only: backfill those with `remember` just before and again after this
        call; the guard takes each once.
        """
        if self._building is None:
            raise RuntimeError("begin_generation was not called")
        generation, self._building = self._building, None
        try:
            async with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.rename(_building_key(generation), GENERATION_KEY)
                pipeline.persist(GENERATION_KEY)
                await pipeline.execute()
            self._generation = generation
            await self._delete_others(generation)
        except ResponseError as error:
            raise StaleGeneration("the feature store was emptied while it was rebuilt", server="redis") from error
        except (RedisError, OSError) as error:
            raise _unavailable() from error

    async def _delete_others(self, generation: str) -> None:
        prefix = _prefix(generation).encode()
        doomed: list[bytes] = []
        async for key in self._redis.scan_iter(match="{rf}*", count=1_000):
            if key != GENERATION_KEY.encode() and not key.startswith(prefix):
                doomed.append(key)
            if len(doomed) >= 500:
                await self._redis.unlink(*doomed)
                doomed.clear()
        if doomed:
            await self._redis.unlink(*doomed)

    async def _run(self, items: list[bytes], *, answer: bool, memo_s: int) -> list[bytes]:
        """One script call on the generation being built, else on the one in use (adopting a newer one that was published)."""
        try:
            if self._building is not None and not answer:
                return await self._call(self._building, _building_key(self._building), items, answer, memo_s)
            for _ in range(2):
                if self._generation is None and (await self.prepare()).empty:
                    break
                assert self._generation is not None
                try:
                    return await self._call(self._generation, GENERATION_KEY, items, answer, memo_s)
                except StaleGeneration:
                    self._generation = None
        except (RedisError, OSError) as error:
            raise _unavailable() from error
        raise StaleGeneration("the feature store is empty and has to be rebuilt", server="redis")

    async def _call(self, generation: str, key: str, items: list[bytes], answer: bool, memo_s: int) -> list[bytes]:
        arguments = (generation, _prefix(generation), "answer" if answer else "quiet", str(memo_s), b"".join(items))
        try:
            try:
                answers = await self._redis.evalsha(self._sha, 1, key, *arguments)
            except NoScriptError:
                answers = await self._redis.eval(self._script, 1, key, *arguments)
        except ResponseError as error:
            if str(error).startswith("STALEGEN"):
                raise StaleGeneration("the feature store was emptied or rebuilt", server="redis") from error
            raise
        return list(answers)


def _unavailable() -> FeaturesUnavailable:
    return FeaturesUnavailable("the feature store does not answer", server="redis")


def _prefix(generation: str) -> str:
    return f"{{rf}}{generation}:"


def _building_key(generation: str) -> str:
    return f"{{rf}}building:{generation}"


def script_text(memory: Memory = MEMORY) -> str:
    """The Lua source with the catalogue's constants in front: another catalogue or memory is another script."""
    windows = list(WINDOWS)
    pairs = [f"{{{SUBJECTS.index(owner) + 1}, {SUBJECTS.index(other) + 1}}}" for owner, other in PAIRS]
    constants = {
        "ITEM_SIZE": _ITEM.size,
        "ITEM": "'<BBc16dddd" + "c8" * len(SUBJECTS) + "'",
        "PAYMENT": _PAYMENT,
        "FRAUD": _FRAUD,
        "LETTERS": _lua([f"'{letter}'" for letter in _LETTERS]),
        "ENTITIES": len(EntityKind),
        "CATEGORY": SUBJECTS.index("category") + 1,
        "WINDOWS": _ms(WINDOWS.values()),
        "LARGEST_IN": _places(LARGEST_IN, windows),
        "SPIKE_WINDOWS": _ms(SPIKE_WINDOWS.values()),
        "LIMIT_WINDOWS": _places(LIMIT_WINDOWS, windows),
        "DISTINCT_WINDOWS": _ms(DISTINCT_WINDOWS.values()),
        "LABEL_WINDOWS": _ms(LABEL_WINDOWS.values()),
        "RISK_DAYS": _lua(RISK_DAYS.values()),
        "CATEGORY_DAYS": CATEGORY_DAYS,
        "LABELLED": _places([kind.value for kind in LABELLED], SUBJECTS),
        "RISKED": _places(RISKED, SUBJECTS),
        "PAIRS": _lua(pairs),
        "PAIR_LETTERS": _lua([f"'{letter}'" for letter in _PAIR_LETTERS[: len(PAIRS)]]),
        "DAY": DAY_S * 1000,
        "NEAR_HOUR": NEAR_HOUR_S * 1000,
        "HISTORY_TTL": HISTORY_TTL_S,
        "TAIL": _TAIL_RECORDS,
        **_memory_constants(memory),
    }
    header = "".join(f"local {name} = {value}\n" for name, value in constants.items())
    folder = files("models.features").joinpath("lua")
    return header + "".join(folder.joinpath(f"{name}.lua").read_text() for name in _SCRIPTS)


def _memory_constants(memory: Memory) -> dict[str, int]:
    return {
        "FORGET": memory.forget_s * 1000,
        "RETENTION": memory.retention_s * 1000,
        "RETENTION_LABELS": memory.retention_labels_s * 1000,
        "RETENTION_DAYS": memory.retention_days,
        "FRAUD_MEMORY": memory.fraud_memory_s * 1000,
        "MOST_PAYMENTS": memory.most_payments,
        "MOST_LABELS": memory.most_labels,
        "MOST_LATE": memory.most_late,
        "OWN_PAYMENTS": memory.own_payments,
        "KNOWN": memory.known,
        "SPIKE_QUARTERS": memory.spike_quarters,
        "SPIKE_AFTER": memory.spike_after,
        "LABEL_SHARE": memory.label_share,
        "HOME_PAYMENTS": memory.home_payments,
    }


def _lua(values: Iterable[object]) -> str:
    return "{" + ", ".join(map(str, values)) + "}"


def _ms(seconds: Iterable[int]) -> str:
    return _lua(second * 1000 for second in seconds)


def _places(chosen: Iterable[str], among: Sequence[str]) -> str:
    """Lua counts from 1."""
    return _lua(among.index(name) + 1 for name in chosen)


def _token(letter: str, entity_id: str | None) -> bytes:
    """8 bytes that stand for an entity in keys and lists: bounded memory whatever the id, and no id leaves the database."""
    if entity_id is None:
        return _NO_TOKEN
    return hashlib.blake2b(f"{letter}{entity_id}".encode(), digest_size=8).digest()


def _tokens(of: Payment | LabelledPayment) -> Iterable[bytes]:
    place = place_of(*position(of.latitude, of.longitude))
    subjects = (
        of.customer_id, of.card_id, of.merchant_id, of.device_id, of.ip,
        of.merchant_category, of.merchant_country, of.currency, place,
    )  # fmt: skip
    return map(_token, _LETTERS, subjects)


def _facts(payment: Payment) -> tuple[int, ...]:
    """In the order of FACTS."""
    amount = to_hundredths(payment.amount_minor, payment.currency)
    return (
        amount,
        is_just_under(amount),
        category_code(payment.merchant_category),
        is_abroad(payment.merchant_country, payment.billing_country),
        *position(payment.latitude, payment.longitude),
    )


def _payment_item(payment: Payment) -> bytes:
    amount = to_hundredths(payment.amount_minor, payment.currency)
    where = position(payment.latitude, payment.longitude)
    return _ITEM.pack(
        _PAYMENT, is_just_under(amount), payment.uid.bytes, payment.occurred_at_ms, amount, *where, *_tokens(payment)
    )


def _label_items(labels: Sequence[LabelledPayment]) -> list[bytes]:
    """UNSURE says nothing and is left out."""
    kinds = {Label.FRAUD: _FRAUD, Label.LEGITIMATE: _LEGITIMATE}
    return [
        _ITEM.pack(
            kinds[label.label], 0, label.transaction_uid.bytes, label.reported_at_ms, label.occurred_at_ms,
            to_hundredths(label.amount_minor, label.currency), 0, *_tokens(label),
        )
        for label in labels
        if label.label in kinds
    ]  # fmt: skip
