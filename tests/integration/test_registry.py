"""Registered models: stages, two people for a promotion, gates that hold, one step back; every act on the trail."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from core.acts import registry
from core.acts.audit import Actor, system
from core.acts.registry import NewModel
from core.base.errors import InvalidInput, ModelRefused, NotAllowedNow, NotFound
from core.base.ids import ModelId, new_uuid
from core.base.terms import Action, ActorType, ModelStage, Result
from core.contracts.messages import TrainingRequested, decode
from core.infra.resources import Resources
from core.stores import flow, ledger, policy
from core.stores.ledger import SealableEvent
from core.tables.policy import RegisteredModel

ASKER = Actor(ActorType.USER, "asker")
SECOND = Actor(ActorType.USER, "second")
Act = Callable[..., Awaitable[RegisteredModel]]


async def a_model(
    resources: Resources, *, passed: bool = True, by: Actor = ASKER, catalogue: int = 1
) -> RegisteredModel:
    metrics: dict[str, Any] = {"average_precision": 0.5, "gates": [{"name": "ap", "passed": passed, "detail": "worse"}]}
    new = NewModel(new_uuid().bytes * 10, catalogue, metrics, {})
    async with resources.postgres.unit_of_work() as work:
        return await registry.register(
            work, resources.redis, resources.artifacts, new, requested_by=str(by), by=system("retrain")
        )


async def promote(resources: Resources, model: RegisteredModel, by: Actor, four_eyes: bool = True) -> RegisteredModel:
    async with resources.postgres.unit_of_work() as work:
        return await registry.promote(work, resources.redis, ModelId(model.id), by=by, four_eyes=four_eyes)


async def act(resources: Resources, of: Act, model: RegisteredModel) -> RegisteredModel:
    async with resources.postgres.unit_of_work() as work:
        return await of(work, resources.redis, ModelId(model.id), by=SECOND)


async def rollback(resources: Resources, reason: str) -> RegisteredModel:
    async with resources.postgres.unit_of_work() as work:
        return await registry.rollback(work, resources.redis, by=SECOND, reason=reason)


async def events_of(resources: Resources, model: RegisteredModel) -> list[SealableEvent]:
    """Oldest first."""
    async with resources.postgres.reading() as work:
        found = [row async for row in ledger.in_commit_order(work)]
    return [row for row in found if (row.subject_type, row.subject_id) == ("model", model.id)]


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


async def test_a_failed_gate_refuses_for_good_and_says_why(resources: Resources) -> None:
    model = await a_model(resources, passed=False)
    assert (model.stage, model.refusals) == (ModelStage.REFUSED.value, ["worse"])
    with pytest.raises(NotAllowedNow, match="is refused: worse"):
        await promote(resources, model, SECOND)
    with pytest.raises(NotAllowedNow, match="is refused: worse"):
        await act(resources, registry.start_shadow, model)
    [event] = await events_of(resources, model)
    assert (event.action, event.result) == (Action.MODEL_REGISTER.value, Result.REFUSED.value)
    assert json.loads(event.detail)["refusals"] == ["worse"]


async def test_a_candidate_shadows_stops_and_every_step_is_on_the_trail(resources: Resources) -> None:
    model = await a_model(resources)
    assert (model.stage, model.signed_by) == (ModelStage.CANDIDATE.value, resources.artifacts.signer)
    shadow = await act(resources, registry.start_shadow, model)
    assert shadow.stage == ModelStage.SHADOW.value
    assert shadow.shadow_since is not None
    async with resources.postgres.reading() as work:
        assert [row.id for row in await policy.shadows(work)] == [model.id]
    with pytest.raises(NotAllowedNow, match="a shadow already"):
        await act(resources, registry.start_shadow, model)
    assert (await act(resources, registry.stop_shadow, model)).stage == ModelStage.CANDIDATE.value
    with pytest.raises(NotAllowedNow, match="does not shadow"):
        await act(resources, registry.stop_shadow, model)
    await act(resources, registry.start_shadow, model)
    await promote(resources, model, SECOND)
    async with resources.postgres.reading() as work:
        assert await policy.shadows(work) == []
    seen = [(event.action, event.actor_id) for event in await events_of(resources, model)]
    assert seen == [
        ("model.register", "retrain"),
        ("model.shadow_start", "second"),
        ("model.shadow_stop", "second"),
        ("model.shadow_start", "second"),
        ("model.promote", "second"),
    ]


async def test_only_so_many_models_shadow(resources: Resources) -> None:
    models = [await a_model(resources) for _ in range(registry.MOST_SHADOWS + 1)]
    for model in models[:-1]:
        await act(resources, registry.start_shadow, model)
    with pytest.raises(NotAllowedNow, match="shadow already; stop one first"):
        await act(resources, registry.start_shadow, models[-1])
    for model in models[:-1]:
        await act(resources, registry.stop_shadow, model)


async def test_a_rollback_is_one_step_by_one_person_with_a_reason(resources: Resources) -> None:
    first, second = await a_model(resources), await a_model(resources, by=SECOND)
    await promote(resources, first, SECOND)
    await promote(resources, second, ASKER)
    with pytest.raises(InvalidInput, match="reason"):
        await rollback(resources, "  ")
    back = await rollback(resources, "twice the alerts since noon")
    assert (back.id, back.stage, back.promoted_by) == (first.id, ModelStage.CHAMPION.value, str(SECOND))
    async with resources.postgres.reading() as work:
        left = await policy.model(work, ModelId(second.id))
    assert left is not None
    assert left.stage == ModelStage.RETIRED.value
    event = (await events_of(resources, back))[-1]
    assert (event.action, event.actor_id) == (Action.MODEL_ROLLBACK.value, "second")
    assert json.loads(event.detail) == {"left": second.id, "reason": "twice the alerts since noon"}


async def test_rollbacks_go_back_one_by_one_until_there_is_no_champion_before(resources: Resources) -> None:
    models = [await a_model(resources) for _ in range(3)]
    async with resources.postgres.unit_of_work() as work:
        champion = await policy.champion(work)
        if champion:
            champion.stage = ModelStage.RETIRED.value
            await policy.save(work, champion)
    for model in models:
        await promote(resources, model, SECOND)
    await promote(resources, models[0], SECOND)
    steps = [(await rollback(resources, "back")).id for _ in range(3)]
    assert steps == [models[2].id, models[1].id, models[0].id]
    with pytest.raises(NotAllowedNow, match="no champion before"):
        await rollback(resources, "back")


async def test_a_rollback_does_not_return_to_what_could_not_score(resources: Resources) -> None:
    first, second = await a_model(resources), await a_model(resources, catalogue=2)
    await promote(resources, first, SECOND)
    await promote(resources, second, SECOND)
    with pytest.raises(NotAllowedNow, match="feature catalogue 1"):
        await rollback(resources, "back")
    async with resources.postgres.unit_of_work() as work:
        await registry.refuse(work, resources.redis, ModelId(first.id), by=SECOND, reason="trained on wrong labels")
    third = await a_model(resources)
    await promote(resources, third, SECOND)
    with pytest.raises(NotAllowedNow, match="wrong labels"):
        await promote(resources, first, SECOND)


async def test_a_person_refuses_a_model_but_not_the_champion(resources: Resources) -> None:
    model, champion = await a_model(resources), await a_model(resources)
    await promote(resources, champion, SECOND)
    async with resources.postgres.unit_of_work() as work:
        refused = await registry.refuse(work, resources.redis, ModelId(model.id), by=SECOND, reason="leaks")
    assert (refused.stage, refused.refusals) == (ModelStage.REFUSED.value, ["leaks"])
    with pytest.raises(NotAllowedNow, match="the champion"):
        async with resources.postgres.unit_of_work() as work:
            await registry.refuse(work, resources.redis, ModelId(champion.id), by=SECOND, reason="leaks")


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
