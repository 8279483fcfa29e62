"""Registered models: one champion at a time, two people for a promotion, gates that hold."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from core.acts import registry
from core.acts.audit import Actor, system
from core.acts.registry import NewModel
from core.base.errors import ModelRefused, NotAllowedNow, NotFound
from core.base.ids import ModelId, new_uuid
from core.base.terms import ActorType, ModelStage
from core.contracts.messages import TrainingRequested, decode
from core.infra.resources import Resources
from core.stores import flow, policy
from core.tables.policy import RegisteredModel

ASKER = Actor(ActorType.USER, "asker")
SECOND = Actor(ActorType.USER, "second")


async def a_model(resources: Resources, *, passed: bool = True, by: Actor = ASKER) -> RegisteredModel:
    metrics: dict[str, Any] = {"average_precision": 0.5, "gates": [{"name": "ap", "passed": passed, "detail": "worse"}]}
    new = NewModel(new_uuid().bytes * 10, 1, metrics, {})
    async with resources.postgres.unit_of_work() as work:
        return await registry.register(
            work, resources.redis, resources.artifacts, new, requested_by=str(by), by=system("retrain")
        )


async def promote(resources: Resources, model: RegisteredModel, by: Actor, four_eyes: bool = True) -> RegisteredModel:
    async with resources.postgres.unit_of_work() as work:
        return await registry.promote(work, resources.redis, ModelId(model.id), by=by, four_eyes=four_eyes)


async def test_a_second_person_promotes_and_the_old_champion_retires(resources: Resources) -> None:
    first, second = await a_model(resources), await a_model(resources)
    await promote(resources, first, SECOND)
    await promote(resources, second, SECOND)
    async with resources.postgres.reading() as work:
        champion, old = await policy.champion(work), await policy.model(work, ModelId(first.id))
    assert champion is not None
    assert old is not None
    assert (champion.id, old.stage) == (second.id, ModelStage.RETIRED.value)


async def test_the_asker_may_not_promote(resources: Resources) -> None:
    model = await a_model(resources)
    with pytest.raises(NotAllowedNow, match="second person"):
        await promote(resources, model, ASKER)
    assert (await promote(resources, model, ASKER, four_eyes=False)).stage == ModelStage.CHAMPION.value


async def test_a_failed_gate_refuses_and_says_why(resources: Resources) -> None:
    with pytest.raises(NotAllowedNow, match="worse"):
        await promote(resources, await a_model(resources, passed=False), SECOND)


async def test_racing_promotions_leave_one_champion(resources: Resources) -> None:
    models = [await a_model(resources) for _ in range(4)]
    await asyncio.gather(*(promote(resources, model, SECOND) for model in models))
    async with resources.postgres.reading() as work:
        found = await policy.models(work, 50)
    assert sum(model.stage == ModelStage.CHAMPION.value for model in found) == 1


async def test_an_unknown_model_is_not_found(resources: Resources) -> None:
    with pytest.raises(NotFound):
        async with resources.postgres.unit_of_work() as work:
            await registry.promote(work, resources.redis, ModelId("nope"), by=SECOND, four_eyes=True)


async def test_one_training_at_a_time_and_its_message_is_in_the_outbox(resources: Resources) -> None:
    async with resources.postgres.unit_of_work() as work:
        run = await registry.request_training(work, by=ASKER)
    with pytest.raises(NotAllowedNow, match="under way"):
        async with resources.postgres.unit_of_work() as work:
            await registry.request_training(work, by=SECOND)
    async with resources.postgres.unit_of_work() as work:
        rows = await flow.due_outbox(work, run.requested_at.replace(year=2100), lease=timedelta(seconds=1), limit=100)
    assert TrainingRequested(run_id=run.id) in [decode(row.body) for row in rows]


async def test_an_artifact_that_changed_on_disk_is_refused(resources: Resources) -> None:
    model = await a_model(resources)
    path = resources.settings.data_dir / "artifacts" / model.artifact_sha
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(ModelRefused, match="changed"):
        resources.artifacts.get(model.artifact_sha)
