"""The payments shown behind a number are those that made it: a stream is run, and each count is found again in PostgreSQL."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from backend import synthetic
from backend.synthetic import SOURCE, SyntheticLabel
from console.pages.behind import find
from core.acts import people
from core.acts.audit import system
from core.acts.labels import labelled_payment
from core.base.clock import from_ms
from core.base.ids import new_uuid
from core.base.terms import Label, LabelSource
from core.contracts.messages import Payment
from core.infra.resources import Resources
from core.stores import accepting, casework, flow
from core.stores.evidence import Slice
from models.features.catalogue import FEATURES, NAMES
from models.features.online import OnlineFeatures
from models.features.vector import FloatMatrix
from models.scoring.evidence import Evidence, evidence_of

DAYS = 45
BATCH = 60
ALL = Slice(0, 100_000)


@dataclass(frozen=True)
class Stream:
    payments: list[Payment]
    matrix: FloatMatrix


def in_order_of_arrival(payments: list[Payment], random: np.random.Generator) -> list[Payment]:
    """One payment in thirty arrives hours or days after it happened; times are coarse, so that many coincide."""
    late = random.random(len(payments)) < 0.03
    delay = np.where(late, random.integers(1, 80, len(payments)) * 3_600_000, 0)
    arrived = np.array([payment.occurred_at_ms for payment in payments]) + delay
    order = np.argsort(arrived, kind="stable")
    return [
        msgspec.structs.replace(
            payments[place],
            uid=new_uuid(),
            occurred_at_ms=payments[place].occurred_at_ms // 60_000 * 60_000,
            accepted_at_ms=int(arrived[place]),
        )
        for place in order
    ]


def statements(labels: list[SyntheticLabel]) -> list[tuple[SyntheticLabel, Label]]:
    """Some are repeated, some taken back a day later, some left open."""
    said = [(label, label.label) for label in labels]
    for place, label in enumerate(labels):
        later = SyntheticLabel(label.transaction_id, label.label, label.reported_at + timedelta(days=1))
        if place % 7 == 0:
            said.append((later, label.label))
        if place % 11 == 0:
            said.append((later, Label.FRAUD if label.label is Label.LEGITIMATE else Label.LEGITIMATE))
        if place % 13 == 0:
            said.append((later, Label.UNSURE))
    return sorted(said, key=lambda item: item[0].reported_at)


async def run(resources: Resources) -> Stream:
    """Accept and score in batches; labels are received, and taken up, between them."""
    past = synthetic.history(days=DAYS, per_day=40, until=datetime(2026, 3, 1, tzinfo=UTC), seed=11)
    payments = in_order_of_arrival(past.payments, np.random.default_rng(5))
    features = OnlineFeatures(resources.redis)
    await features.begin_generation()
    await features.publish_generation()
    async with resources.postgres.unit_of_work() as work:
        await people.add_source(work, SOURCE, "Synthetic", system("test"))
    waiting: Iterator[tuple[SyntheticLabel, Label]] = iter(statements(past.labels))
    due = next(waiting, None)
    accepted: set[str] = set()
    vectors = []
    for batch in batches(payments):
        now = from_ms(batch[0].accepted_at_ms)
        said = []
        while due and due[0].reported_at <= now:
            if due[0].transaction_id in accepted:
                said.append(due)
            due = next(waiting, None)
        await record(resources, features, said, now)
        async with resources.postgres.unit_of_work() as work:
            await accepting.insert_transactions(work, [accepting.Arrival(payment, b"x") for payment in batch])
        vectors.append(await features.vectors(batch))
        accepted |= {payment.transaction_id for payment in batch}
    return Stream(payments, np.concatenate(vectors))


def batches(payments: list[Payment]) -> Iterator[tuple[Payment, ...]]:
    for start in range(0, len(payments), BATCH):
        yield tuple(payments[start : start + BATCH])


async def record(
    resources: Resources, features: OnlineFeatures, said: list[tuple[SyntheticLabel, Label]], now: datetime
) -> None:
    taken = []
    async with resources.postgres.unit_of_work() as work:
        for label, word in said:
            row = await accepting.transaction_by_key(work, SOURCE, label.transaction_id)  # type: ignore[arg-type]
            assert row is not None
            statement = {
                "id": new_uuid(), "transaction_uid": row.uid, "label": word.value, "label_source": "customer",
                "reported_at": label.reported_at, "received_at": now, "actor_type": "system", "actor_id": "test",
            }  # fmt: skip
            if await casework.insert_labels(work, [statement]):
                taken.append(labelled_payment(row, word, LabelSource.CUSTOMER, label.reported_at))
    await features.record_labels(taken)


@pytest.fixture
async def stream(resources: Resources) -> Stream:
    return await run(resources)


def sought(vector: np.ndarray) -> Iterator[Evidence]:
    known = {name: float(value) for name, value in zip(NAMES, vector, strict=True) if not np.isnan(value)}
    for feature in FEATURES:
        found = evidence_of(feature, known.get)
        if found and found.count is not None:
            yield found


async def test_as_many_payments_are_found_as_were_counted(resources: Resources, stream: Stream) -> None:
    random = np.random.default_rng(1)
    # Payments with confirmed frauds about them, and any others, all from the later half: their history is long.
    at_risk = np.flatnonzero(stream.matrix[:, NAMES.index("merchant_frauds_30d")] > 0)
    half = len(stream.payments) // 2
    rows = {*random.choice(at_risk, 25, replace=False), *random.integers(half, 2 * half, 25)}
    wrong, checked = [], dict.fromkeys(("payments", "amounts", "pair", "frauds", "labels", "distinct", "by_day"), 0)
    for place in sorted(rows):
        vector = dict(zip(NAMES, stream.matrix[place].tolist(), strict=True))
        async with resources.postgres.reading() as work:
            row = await flow.transaction(work, stream.payments[place].uid)
            assert row is not None
            for evidence in once_each(sought(stream.matrix[place])):
                behind = (await find(work, row, evidence, ALL)).behind
                checked[evidence.what] += evidence.count > 0  # type: ignore[operator]
                checked["by_day"] += evidence.by_day
                if behind.count != evidence.count:
                    wrong.append((place, evidence, behind.count))
                # Who an owner was seen with later counts for a late payment, too.
                if evidence.distinct and not late(stream.payments[place]):
                    checked["distinct"] += 1
                    if behind.distinct != vector[evidence.feature]:
                        wrong.append((place, evidence, behind.distinct))
                if evidence.feature.endswith("_amount") and behind.amount_minor != vector[evidence.feature]:
                    wrong.append((place, evidence, behind.amount_minor))
    assert not wrong
    assert min(checked.values()) > 10, checked


def late(payment: Payment) -> bool:
    return payment.accepted_at_ms - payment.occurred_at_ms > 60_000


def once_each(found: Iterator[Evidence]) -> list[Evidence]:
    """Features that several windows' numbers share are asked for once; sums and counts of others stand for themselves."""
    keys = {}
    for evidence in found:
        own = evidence.feature if evidence.distinct or evidence.feature.endswith("_amount") else ""
        keys.setdefault(own + str(replace(evidence, feature="")), evidence)
    return list(keys.values())
