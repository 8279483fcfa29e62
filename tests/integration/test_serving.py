"""Serving through the real pipeline: shadows, the control sample, swaps in full flow, models that do not load."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from math import exp
from typing import Any

import pytest
from sqlalchemy import text

from core.acts import registry
from core.acts.audit import Actor, system
from core.acts.registry import NewModel
from core.base.hashing import lot
from core.base.ids import ModelId
from core.base.settings import Settings
from core.base.terms import ActorType
from core.infra.resources import Resources
from core.stores import policy
from core.tables.policy import RegisteredModel
from models.features.catalogue import CATALOGUE_VERSION
from tests.integration.conftest import Api, payment
from tests.jobs import running
from tests.small_models import SmallModel
from workers.control import _PURPOSE, ControlSample
from workers.lineup import IN_USE, SHADOWS, LineupKeeper

SECOND = Actor(ActorType.USER, "second")
LOW, HIGH = SmallModel(100_000, -4.0, 4.0, name="low"), SmallModel(50_000, -3.0, 5.0, name="high")


async def registered(resources: Resources, small: SmallModel) -> RegisteredModel:
    new = NewModel(small.encoded(), CATALOGUE_VERSION, {"gates": []}, {"name": small.name})
    async with resources.postgres.unit_of_work() as work:
        return await registry.register(
            work, resources.redis, resources.artifacts, new, requested_by="user:asker", by=system("test")
        )


async def promoted(resources: Resources, model: RegisteredModel) -> None:
    async with resources.postgres.unit_of_work() as work:
        await registry.promote(work, resources.redis, ModelId(model.id), by=SECOND, four_eyes=True)


async def shadowing(resources: Resources, model: RegisteredModel) -> None:
    async with resources.postgres.unit_of_work() as work:
        await registry.start_shadow(work, resources.redis, ModelId(model.id), by=SECOND)


async def rows(resources: Resources, query: str, **values: Any) -> list[Any]:
    async with resources.postgres.reading() as work:
        return list((await work.run(text(query), values)).all())


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(0.05)


async def loaded(resources: Resources, model: RegisteredModel, detail: str) -> None:
    """Until a scorer wrote on the trail what the model does now, for the last time it was asked."""
    query = "SELECT detail FROM audit_event WHERE action = 'model.load' AND subject_id = :id ORDER BY id DESC LIMIT 1"

    async def told() -> bool:
        return [json.loads(row[0])["detail"] for row in await rows(resources, query, id=model.id)] == [detail]

    await until(told)


async def posted(api: Api, bodies: list[dict[str, Any]]) -> None:
    answers = await asyncio.gather(*(api.client.post("/v1/transactions", json=body) for body in bodies))
    assert {answer.status_code for answer in answers} == {202}


async def decided(resources: Resources, prefix: str) -> list[Any]:
    return await rows(
        resources,
        "SELECT t.uid, t.transaction_id, d.model_id, d.outcome, d.score, d.anomaly, d.xid::text AS batch, d.decided_at "
        "FROM transaction t JOIN decision d ON d.transaction_uid = t.uid WHERE t.transaction_id LIKE :like",
        like=f"{prefix}-%",
    )


def bodies(prefix: str, count: int, amount: Callable[[int], str], start: int = 0) -> list[dict[str, Any]]:
    """Of many customers, spread over the shards and over quiet hours, so that no rule has anything to say."""
    first = datetime(2026, 1, 31, 9, tzinfo=UTC)
    return [
        payment(
            f"{prefix}-{n}",
            customer_id=f"{prefix}_c{n}",
            device_id=f"{prefix}_d{n}",
            merchant_id=f"{prefix}_m{n % 5}",
            amount=amount(n),
            occurred_at=(first + timedelta(seconds=7 * n)).isoformat(),
        )
        for n in range(start, start + count)
    ]


async def all_decided(resources: Resources, prefix: str, count: int) -> list[Any]:
    async def done() -> bool:
        return len(await decided(resources, prefix)) == count

    await until(done)
    return await decided(resources, prefix)


async def test_a_shadow_scores_the_same_payments_and_changes_nothing(api: Api, resources: Resources) -> None:
    champion, shadow = await registered(resources, LOW), await registered(resources, HIGH)
    await promoted(resources, champion)
    await shadowing(resources, shadow)
    async with running(resources, "score", "relay"):
        await loaded(resources, champion, IN_USE)
        await loaded(resources, shadow, SHADOWS)
        # 100, 600 and 1,100: low by both models, high by the shadow only, high by both.
        await posted(api, bodies("sh", 30, lambda n: f"{100 + 500 * (n % 3)}.00"))
        found = await all_decided(resources, "sh", 30)
        await posted(api, bodies("sh", 30, lambda n: f"{100 + 500 * (n % 3)}.00"))
    assert {row.model_id for row in found} == {champion.id}
    assert {row.outcome for row in found if int(row.transaction_id[3:]) % 3 < 2} == {"approve"}
    scores = await rows(resources, "SELECT transaction_uid, outcome, score, scored_at FROM shadow_score")
    assert {row.transaction_uid for row in scores} == {row.uid for row in found}
    assert len(scores) == 30
    times = {row.uid: row.decided_at for row in found}
    assert all(row.scored_at == times[row.transaction_uid] for row in scores)
    async with resources.postgres.reading() as work:
        agreement = await policy.shadow_agreement(work, ModelId(shadow.id))
    assert (agreement["payments"], agreement["same_outcome"]) == (30, 20)
    assert (agreement["more_alerts"], agreement["fewer_alerts"]) == (10, 0)
    assert agreement["mean_absolute_difference"] == pytest.approx(
        sum(abs(row.score - s.score) for row in found for s in scores if s.transaction_uid == row.uid) / 30
    )
    assert agreement["correlation"] == pytest.approx(0.5, abs=0.1)


async def test_a_swap_in_full_flow_loses_nothing_and_mixes_nothing(api: Api, resources: Resources) -> None:
    """Payments come all the time while a second model is promoted, used, and taken back by a rollback."""
    first, second = await registered(resources, LOW), await registered(resources, HIGH)
    over, sent = asyncio.Event(), 0

    async def keep_posting() -> None:
        nonlocal sent
        while not over.is_set():
            await posted(api, bodies("fl", 20, lambda n: "20.00", start=sent))
            sent += 20

    async def used(model: RegisteredModel) -> None:
        """Until 40 more payments were decided by it."""

        async def count() -> int:
            return sum(row.model_id == model.id for row in await decided(resources, "fl"))

        before = await count()

        async def reached() -> bool:
            return await count() >= before + 40

        await until(reached)

    async def swap_twice() -> None:
        await used(first)
        await promoted(resources, second)
        await used(second)
        async with resources.postgres.unit_of_work() as work:
            await registry.rollback(work, resources.redis, by=SECOND, reason="a test")
        await used(first)
        over.set()

    if await champion_id(resources) != first.id:
        await promoted(resources, first)
    async with running(resources, "score", "relay"):
        await loaded(resources, first, IN_USE)
        await asyncio.gather(keep_posting(), swap_twice())
        found = await all_decided(resources, "fl", sent)
    assert {row.transaction_id for row in found} == {f"fl-{n}" for n in range(sent)}
    by_batch: dict[str, set[str]] = {}
    for row in found:
        by_batch.setdefault(row.batch, set()).add(row.model_id)
    assert all(len(models) == 1 for models in by_batch.values())
    assert {model for models in by_batch.values() for model in models} == {first.id, second.id}
    score = {first.id: 1 / (1 + exp(4)), second.id: 1 / (1 + exp(3))}
    assert all(row.score == pytest.approx(score[row.model_id]) for row in found)


async def champion_id(resources: Resources) -> str | None:
    async with resources.postgres.reading() as work:
        model = await policy.champion(work)
    return model.id if model else None


@pytest.fixture
def sampled(settings: Settings) -> Settings:
    return settings.model_copy(update={"control_share": 0.1, "control_unusual_share": 0.9})


@pytest.fixture
async def sampling(sampled: Settings, resources: Resources) -> Resources:
    return Resources(sampled, resources.postgres, resources.redis, resources.bus, resources.artifacts)


async def test_a_control_sample_of_approved_payments_is_looked_at(api: Api, sampling: Resources) -> None:
    model = await registered(sampling, SmallModel(100_000, unusual_above=30_000, name="with anomaly"))
    await promoted(sampling, model)
    async with running(sampling, "score", "relay"):
        await loaded(sampling, model, IN_USE)
        # 100: usual. 500: unlike any in training. 1,500: an alert on its own merit.
        await posted(api, bodies("co", 120, lambda n: ("100.00", "500.00", "1500.00")[n % 3]))
        found = await all_decided(sampling, "co", 120)
    chance = {uid: (0.9 if anomaly == 1 else 0.1) for uid, _, _, _, _, anomaly, *_ in found}
    expected = {
        row.uid: chance[row.uid]
        for row in found
        if row.outcome == "approve" and lot(_PURPOSE, row.uid.bytes) < chance[row.uid]
    }
    alerts = await rows(
        sampling,
        "SELECT a.id, a.transaction_uid, a.outcome, a.control_probability, a.top_reason FROM alert a "
        "JOIN transaction t ON t.uid = a.transaction_uid WHERE t.transaction_id LIKE 'co-%'",
    )
    drawn = {row.transaction_uid: row.control_probability for row in alerts if row.control_probability is not None}
    assert drawn == pytest.approx(expected)
    assert 20 < len(drawn) < 60
    assert {row.outcome for row in alerts if row.control_probability is not None} == {"approve"}
    assert all(("Control sample" in row.top_reason) is (row.control_probability is not None) for row in alerts)
    assert sum(row.control_probability is None for row in alerts) == 40
    [control] = [row for row in alerts if row.transaction_uid == next(iter(drawn))]
    query = "SELECT detail FROM audit_event WHERE action = 'alert.open' AND subject_id = :id"
    [[detail]] = await rows(sampling, query, id=str(control.id))
    assert json.loads(detail)["control_probability"] == control.control_probability
    query = "SELECT count(*) FROM decision WHERE transaction_uid = ANY(:uids) AND reasons <> '[]'::jsonb"
    [[explained]] = await rows(sampling, query, uids=list(drawn))
    assert explained == len(drawn)


def test_the_lot_is_even_and_the_same_again() -> None:
    lots = [lot(b"test", n.to_bytes(16, "big")) for n in range(20_000)]
    assert lots == [lot(b"test", n.to_bytes(16, "big")) for n in range(20_000)]
    assert all(0 <= value < 1 for value in lots)
    assert sum(value < 0.05 for value in lots) == pytest.approx(1000, abs=100)
    assert lots[:100] != [lot(b"other", n.to_bytes(16, "big")) for n in range(100)]


@pytest.mark.parametrize(("anomaly", "chance"), [(None, 0.001), (0.5, 0.001), (0.999, 0.05), (1.0, 0.05)])
def test_unusual_payments_are_drawn_more_often(anomaly: float | None, chance: float) -> None:
    assert ControlSample.of(Settings()).probability(anomaly) == chance


async def test_a_model_that_does_not_load_leaves_the_last_one_in_use(resources: Resources) -> None:
    good, bad = (
        await registered(resources, SmallModel(name="good")),
        await registered(resources, SmallModel(name="bad")),
    )
    keeper = LineupKeeper(resources)
    await promoted(resources, good)
    assert (await keeper.refresh()).champion is not None
    signature = resources.settings.data_dir / "artifacts" / f"{bad.artifact_sha}.sig"
    whole = signature.read_bytes()
    signature.write_bytes(bytes(64))
    await promoted(resources, bad)
    for _ in range(3):
        lineup = await keeper.refresh()
    assert lineup.champion is not None
    assert lineup.champion.id == good.id
    query = "SELECT result, detail FROM audit_event WHERE action = 'model.load' AND subject_id = :id ORDER BY id"
    [refused] = await rows(resources, query, id=bad.id)
    assert refused.result == "refused"
    assert "by none of the 1 keys" in refused.detail
    signature.write_bytes(whole)
    keeper._not_before.clear()
    after = await keeper.refresh()
    assert after.champion is not None
    assert after.champion.id == bad.id
    assert len(await rows(resources, query, id=bad.id)) == 2


async def test_a_rollback_needs_no_loading(resources: Resources) -> None:
    first, second = await registered(resources, SmallModel(name="1")), await registered(resources, SmallModel(name="2"))
    keeper = LineupKeeper(resources)
    await promoted(resources, first)
    before = (await keeper.refresh()).champion
    await promoted(resources, second)
    await keeper.refresh()
    shutil.rmtree(resources.settings.data_dir / "artifacts")
    async with resources.postgres.unit_of_work() as work:
        await registry.rollback(work, resources.redis, by=SECOND, reason="a test")
    assert (await keeper.refresh()).champion is before
