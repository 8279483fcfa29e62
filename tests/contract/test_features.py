"""Live features equal replayed ones, bit for bit, and both equal the definition."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import redis.asyncio as redis

from core.base.terms import EntityKind, Label, LabelSource
from core.contracts.messages import LabelledPayment, Payment
from models.features.catalogue import MEMORY, NAMES, WINDOWS, Memory
from models.features.offline import History, Labels, replay
from models.features.online import GENERATION_KEY, FeaturesUnavailable, OnlineFeatures, StaleGeneration
from models.features.vector import FloatMatrix, IntArray

DAY_MS = 86_400_000
HANDBOOK = Path(__file__).parents[3] / "shared" / "data" / "handbook_2018-04-01_2018-07-10.parquet"
SMALL = replace(MEMORY, most_payments=200, most_labels=100, most_late=60, known=12)
"""Limits that a few thousand payments reach."""


@dataclass(frozen=True)
class Stream:
    """What is delivered live, and the same as the replay's columns."""

    payments: list[Payment]
    history: History

    def label(self, record: int) -> LabelledPayment:
        labels = self.history.labels
        payment = self.payments[labels.payment[record]]
        names = set(LabelledPayment.__struct_fields__) & set(Payment.__struct_fields__)
        return LabelledPayment(
            transaction_uid=payment.uid,
            label=Label.FRAUD if labels.is_fraud[record] else Label.LEGITIMATE,
            label_source=LabelSource.CHARGEBACK,
            reported_at_ms=int(labels.reported_at_ms[record]),
            **{name: getattr(payment, name) for name in names},
        )

    def taken(self, payments: int) -> list[Payment | LabelledPayment]:
        """The first payments and the labels before the next one, in order."""
        position = self.history.labels.position.tolist()
        past: list[Payment | LabelledPayment] = []
        record = 0
        for row in range(payments + 1):
            while record < len(position) and position[record] <= row:
                past.append(self.label(record))
                record += 1
            past += self.payments[row : row + 1] if row < payments else []
        return past


KINDS = {"customer": "customer_id", "card": "card_id", "merchant": "merchant_id", "device": "device_id", "ip": "ip"}


def make_stream(
    occurred_at_ms: IntArray, amount_minor: IntArray, entities: IntArray, labels: Labels, **more: Sequence[Any]
) -> Stream:
    """more: payments' other fields, one value each (None = none)."""
    payments = []
    for row in range(len(occurred_at_ms)):
        named = {name: f"{name}-{code}" for name, code in zip(KINDS.values(), entities[row], strict=True) if code >= 0}
        payments.append(
            Payment(
                uid=UUID(int=(7 << 100) + row),
                source_id="test",
                transaction_id=str(row),
                occurred_at_ms=int(occurred_at_ms[row]),
                accepted_at_ms=row,
                amount_minor=int(amount_minor[row]),
                **named,
                **{"currency": "EUR", **{name: values[row] for name, values in more.items()}},
            )
        )
    return Stream(payments, history_of(payments, labels))


def history_of(payments: Sequence[Payment], labels: Labels) -> History:
    def column(name: str) -> list[Any]:
        return [getattr(payment, name) for payment in payments]

    return History.of(
        np.array(column("occurred_at_ms")),
        np.array(column("amount_minor")),
        column("currency"),
        labels,
        category=column("merchant_category"),
        country=column("merchant_country"),
        billing_country=column("billing_country"),
        latitude=np.array(column("latitude"), dtype=np.float64),
        longitude=np.array(column("longitude"), dtype=np.float64),
        **{kind: column(name) for kind, name in KINDS.items()},
    )


def synthetic(payments: int, seed: int) -> Stream:
    """Few entities, so that histories grow long; ties, late payments (some by weeks), absent entities, changed and repeated labels."""
    random = np.random.default_rng(seed)
    occurred = np.sort(random.integers(0, 120 * DAY_MS, payments)) + 1_600_000_000_000
    late = random.random(payments) < 0.06
    occurred = (occurred - np.where(late, random.integers(0, 50 * DAY_MS, payments), 0)) // 7_000 * 7_000
    # The last 3 % pay again after 100 silent days.
    occurred[-payments // 33 :] += 100 * DAY_MS
    customer = random.integers(0, 50, payments)
    entities = np.stack(
        [
            customer,
            customer * 2 + random.integers(0, 2, payments),
            np.minimum(random.pareto(1.0, payments) * 3, 150).astype(np.int64),
            random.integers(0, 90, payments),
            random.integers(0, 300, payments),
        ],
        axis=1,
    )
    entities[:, 1:][random.random((payments, 4)) < 0.15] = -1
    labelled = np.flatnonzero(random.random(payments) < 0.8)
    reported = occurred[labelled] + random.integers(0, 14 * DAY_MS, len(labelled))
    fraud = random.random(len(labelled)) < np.where(entities[labelled, 2] % 4 == 0, 0.4, 0.03)
    again = random.integers(0, len(labelled), len(labelled) // 10)
    changed = random.random(len(again)) < 0.5
    labels = Labels.on_time(
        occurred,
        np.concatenate([labelled, labelled[again]]),
        np.concatenate([reported, reported[again] + random.integers(0, 2, len(again)) * DAY_MS]),
        np.concatenate([fraud, fraud[again] ^ changed]),
    )
    return make_stream(
        occurred, random.integers(0, 200_000, payments), entities, labels, **attributes(payments, random)
    )


def attributes(payments: int, random: np.random.Generator) -> dict[str, list[Any]]:
    """Categories, countries, currencies of every exponent, and positions on both sides of the date line; a part names none."""

    def some(values: list[Any], missing: float) -> list[Any]:
        picked = random.integers(0, len(values), payments)
        return [None if random.random() < missing else values[place] for place in picked]

    longitude = [
        None if value is None else round((value + 180) % 360 - 180, 5) for value in some([*range(170, 191)], 0.2)
    ]
    return {
        "merchant_category": some(["5411", "5812", "travel", "4829"], 0.1),
        "merchant_country": some(["PT", "ES", "BR"], 0.1),
        "billing_country": some(["PT", "BR"], 0.1),
        "currency": some(["EUR", "JPY", "KWD"], 0.0),
        "latitude": [None if east is None else round(float(random.uniform(-80, 80)), 5) for east in longitude],
        "longitude": longitude,
    }


def handbook(payments: int) -> Stream:
    import pyarrow.parquet as pq

    table = pq.read_table(HANDBOOK).slice(300_000)
    # The payments of every twentieth customer: histories as long as in the whole file, merchants thinner.
    mask = table["customer_id"].cast("int64").to_numpy() % 20 == 3
    table = table.filter(mask).slice(0, payments)
    occurred = table["occurred_at"].cast("timestamp[ms]").cast("int64").to_numpy()
    none = np.full(len(occurred), -1, dtype=np.int64)
    customer, merchant = (table[name].cast("int64").to_numpy() for name in ("customer_id", "merchant_id"))
    amount = np.round(table["amount"].to_numpy().astype(np.float64) * 100).astype(np.int64)
    fraud = table["is_fraud"].to_numpy().astype(bool)
    labels = Labels.on_time(occurred, np.arange(len(occurred)), occurred + 7 * DAY_MS, fraud)
    merchant = merchant % 200  # so that merchants have label histories in a twentieth of the traffic
    return make_stream(occurred, amount, np.stack([customer, none, merchant, none, none], axis=1), labels)


async def play(features: OnlineFeatures, stream: Stream, batch: int, seed: int = 5) -> FloatMatrix:
    """Deliver everything in stream order, with redeliveries of payments (alone, or in the batch they were first in) and labels."""
    random = np.random.default_rng(seed)
    labels, payments = stream.history.labels, stream.payments
    answers = np.full((len(payments), len(NAMES)), np.inf)
    row, record = 0, 0
    while row < len(payments):
        due = int(np.searchsorted(labels.position, row, side="right"))
        if due > record:
            records = [stream.label(taken) for taken in range(record, due)]
            await features.record_labels(records)
            if random.random() < 0.2:
                await features.record_labels(records[-3:])
            record = due
        end = min(row + int(random.integers(1, batch + 1)), len(payments))
        if record < len(labels.position):
            end = min(end, int(labels.position[record]))
        first = await features.vectors([*payments[row:end], payments[row]])
        np.testing.assert_array_equal(first[-1], first[0], "a redelivery in one batch")
        answers[row:end] = first[:-1]
        if random.random() < 0.1:
            earlier = int(random.integers(0, row + 1))
            again = await features.vectors(payments[earlier : earlier + 3][: end - earlier])
            np.testing.assert_array_equal(again, answers[earlier : earlier + len(again)], "a later redelivery")
        row = end
    return answers


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator["redis.Redis"]:
    async with redis.from_url(valkey_url) as connection:
        await connection.flushall()
        yield connection


async def fresh(client: "redis.Redis", memory: Memory = MEMORY) -> OnlineFeatures:
    features = OnlineFeatures(client, memory)
    await features.begin_generation()
    await features.publish_generation()
    return features


@pytest.mark.parametrize(("memory", "seed"), [(MEMORY, 1), (SMALL, 2)], ids=["as shipped", "small limits"])
async def test_live_equals_replayed(client: "redis.Redis", memory: Memory, seed: int) -> None:
    stream = synthetic(6_000, seed)
    live = await play(await fresh(client, memory), stream, batch=64)
    np.testing.assert_array_equal(live, replay(stream.history, memory))
    assert np.isfinite(live).any(axis=0).all(), "every feature is known somewhere, so every one was compared"


@pytest.mark.skipif(not HANDBOOK.exists(), reason="the handbook's payments are not beside the checkout")
async def test_live_equals_replayed_on_handbook_payments(client: "redis.Redis") -> None:
    stream = handbook(20_000)
    assert len(stream.payments) == 20_000
    live = await play(await fresh(client), stream, batch=256)
    np.testing.assert_array_equal(live, replay(stream.history))
    assert (live[:, NAMES.index("merchant_frauds_30d")] > 0).sum() > 100


async def test_windows_equal_their_definition() -> None:
    """Counts, sums and times against a plain scan over everything that came before."""
    stream = synthetic(1_500, 3)
    history = stream.history
    # Late ones by less than retention only: the definition has no memory limits.
    occurred = np.maximum(history.occurred_at_ms, np.maximum.accumulate(history.occurred_at_ms) - 20 * DAY_MS)
    history = replace(history, occurred_at_ms=occurred)
    matrix = replay(history)
    for row in range(0, 1_500, 7):
        for kind, code in zip(EntityKind, history.subjects[row], strict=False):
            if code < 0:
                assert np.isnan(matrix[row, NAMES.index(f"{kind}_velocity_1h_count")])
                continue
            before = np.flatnonzero(history.subjects[:row, list(EntityKind).index(kind)] == code)
            before = before[occurred[before] <= occurred[row]]
            recent = before[occurred[before] > occurred[row] - 90 * DAY_MS]
            for window, seconds in WINDOWS.items():
                inside = recent[occurred[recent] > occurred[row] - seconds * 1000]
                assert matrix[row, NAMES.index(f"{kind}_velocity_{window}_count")] == len(inside) + 1
                amount = history.amount[inside].sum() + history.amount[row]
                assert matrix[row, NAMES.index(f"{kind}_velocity_{window}_amount")] == amount
            assert matrix[row, NAMES.index(f"{kind}_new")] == (len(recent) == 0)


async def test_own_history_and_known_pairs_by_hand(client: "redis.Redis") -> None:
    stream = make_stream(
        np.arange(5) * 3_600_000 + 1_600_000_000_000,
        np.array([1000, 3000, 2000, 6000, 4000]),
        np.array([[1, -1, 8, 5, -1], [1, -1, 8, 5, -1], [1, -1, 9, 5, -1], [1, -1, 8, 6, -1], [2, -1, 8, 5, -1]]),
        Labels.none(),
    )
    live = await (await fresh(client)).vectors(stream.payments)
    fourth = dict(zip(NAMES, live[3], strict=True))
    assert fourth["customer_earlier_payments"] == 3
    assert fourth["amount_to_own_mean"] == 3.0
    assert fourth["amount_to_own_median"] == 3.0
    assert fourth["amount_to_own_max"] == 2.0
    assert fourth["amount_own_deviations"] == pytest.approx((6000 - 2000) / np.std([1000, 3000, 2000]), rel=1e-12)
    assert (fourth["customer_merchant_payments"], fourth["customer_device_payments"]) == (2, 0)
    assert (fourth["device_new"], fourth["merchant_new"], fourth["customer_since_previous_s"]) == (1, 0, 3600)
    assert dict(zip(NAMES, live[4], strict=True))["customer_merchant_payments"] == 0


async def test_labels_count_from_their_report_and_change_nothing_scored(client: "redis.Redis") -> None:
    start = 1_600_000_000_000
    occurred = np.array([start, start + DAY_MS, start + 8 * DAY_MS, start + 8 * DAY_MS, start + 9 * DAY_MS])
    reported = occurred[:2] + 7 * DAY_MS
    labels = Labels(np.array([0, 1]), reported, np.array([True, True]), np.array([3, 3]))
    stream = make_stream(occurred, np.full(5, 1000), np.array([[row, -1, 4, -1, -1] for row in range(5)]), labels)
    features = await fresh(client)
    before = await features.vectors(stream.payments[:3])
    await features.record_labels([stream.label(1), stream.label(0)])
    after = await features.vectors(stream.payments[3:])
    frauds, run, since = (NAMES.index(f"merchant_{name}") for name in ("frauds_7d", "fraud_run", "since_fraud_s"))
    assert before[2, frauds] == 0, "reported by then, but not yet taken"
    assert after[0, frauds] == 2
    assert after[0, run] == 2
    assert after[1, since] == 8 * 86_400
    assert after[1, NAMES.index("merchant_fraud_run_age_s")] == 9 * 86_400
    again = await features.vectors(stream.payments[:3])
    np.testing.assert_array_equal(again, before)


async def test_backfill_builds_the_state_that_live_traffic_built(client: "redis.Redis") -> None:
    stream = synthetic(3_000, 4)
    cut = 2_900
    kept = stream.history.labels.position <= cut
    labels = stream.history.labels
    live = await play(await fresh(client), stream, batch=64)
    rebuilt = OnlineFeatures(client)
    await rebuilt.prepare()
    await rebuilt.begin_generation()
    past = stream.taken(cut)
    for start in range(0, len(past), 700):
        await rebuilt.backfill(past[start : start + 700], remember=start >= len(past) - 2_000)
    # What a redelivery and the catching up after a rebuild do: what is remembered is taken once.
    await rebuilt.backfill(past[-500:], remember=True)
    await rebuilt.publish_generation()
    await rebuilt.backfill(past[-500:], remember=True)
    pieces, row = [], cut
    for record in np.flatnonzero(~kept):
        pieces.append(await rebuilt.vectors(stream.payments[row : labels.position[record]]))
        row = int(labels.position[record])
        await rebuilt.record_labels([stream.label(record)])
    pieces.append(await rebuilt.vectors(stream.payments[row:]))
    np.testing.assert_array_equal(np.concatenate(pieces), live[cut:])


async def test_publishing_deletes_the_old_state_and_other_processes_follow(client: "redis.Redis") -> None:
    stream = synthetic(50, 6)
    first = await fresh(client)
    await first.vectors(stream.payments)
    second = await fresh(client)
    generations = {key.split(b":")[0] for key in await client.keys("{rf}*")}
    assert generations == {b"{rf}generation", b"{rf}run", b"{rf}until"}, "the old state is gone, the new one is empty"
    answered = await first.vectors(stream.payments[:1])
    np.testing.assert_array_equal(answered, await second.vectors(stream.payments[:1]))
    assert answered[0, NAMES.index("customer_new")] == 1


async def test_a_state_of_another_layout_is_as_good_as_none(client: "redis.Redis") -> None:
    """It would be read wrongly. Whoever finds it rebuilds."""
    features = OnlineFeatures(client)
    await features.begin_generation()
    await features.publish_generation()
    assert not (await features.prepare()).empty
    await client.set(GENERATION_KEY, "1.cafe")
    assert (await features.prepare()).empty
    with pytest.raises(StaleGeneration):
        await features.vectors(synthetic(1, 7).payments)


async def test_an_emptied_redis_is_noticed_and_nothing_is_made_up(client: "redis.Redis") -> None:
    stream = synthetic(10, 7)
    features = await fresh(client)
    await features.vectors(stream.payments[:5])
    await client.flushall()
    with pytest.raises(StaleGeneration):
        await features.vectors(stream.payments[5:])
    with pytest.raises(StaleGeneration):
        await features.record_labels([stream.label(0)])
    assert await client.dbsize() == 0
    assert (await features.prepare()).empty


async def test_a_rebuild_whose_redis_was_emptied_is_not_published(client: "redis.Redis") -> None:
    stream = synthetic(10, 8)
    features = await fresh(client)
    await features.begin_generation()
    await features.backfill(stream.payments[:5])
    await client.flushall()
    with pytest.raises(StaleGeneration):
        await features.backfill(stream.payments[5:])
    with pytest.raises(StaleGeneration):
        await features.publish_generation()


async def test_what_was_never_taken_has_no_first_answer(client: "redis.Redis") -> None:
    stream = synthetic(10, 11)
    features = await fresh(client)
    assert await features.first_vectors(stream.payments[:2]) == [None, None]
    [answered] = await features.vectors(stream.payments[:1])
    first, never = await features.first_vectors(stream.payments[:2])
    assert first is not None
    np.testing.assert_array_equal(first, answered)
    assert never is None


async def test_a_forgotten_script_is_sent_again(client: "redis.Redis") -> None:
    stream = synthetic(10, 9)
    features = await fresh(client)
    first = await features.vectors(stream.payments)
    await client.script_flush()
    np.testing.assert_array_equal(await features.vectors(stream.payments), first)


async def test_a_redis_that_is_away_raises_our_error() -> None:
    nobody = redis.Redis(host="127.0.0.1", port=1, socket_connect_timeout=1)
    with pytest.raises(FeaturesUnavailable):
        await OnlineFeatures(nobody).vectors(synthetic(2, 1).payments)
    await nobody.aclose()


async def test_two_processes_on_one_merchant_lose_nothing(client: "redis.Redis") -> None:
    """Shared entities are as ordered as the calls are; the totals are exact in any order."""
    stream = synthetic(400, 10)
    same = [replace_merchant(payment) for payment in stream.payments]
    first, second = await fresh(client), OnlineFeatures(client)
    await second.prepare()
    halves = same[::2], same[1::2]

    async def send(features: OnlineFeatures, payments: list[Payment]) -> None:
        for start in range(0, len(payments), 10):
            await features.vectors(payments[start : start + 10])

    await asyncio.gather(send(first, halves[0]), send(second, halves[1]))
    last = replace_merchant(stream.payments[-1], uid=UUID(int=1))
    vector = (await first.vectors([last]))[0]
    assert vector[NAMES.index("merchant_velocity_24h_count")] == 401


def replace_merchant(payment: Payment, uid: UUID | None = None) -> Payment:
    """The payment at one merchant, all at one moment."""
    import msgspec

    return msgspec.structs.replace(
        payment, merchant_id="one", occurred_at_ms=1_600_000_000_000, uid=uid if uid is not None else payment.uid
    )
