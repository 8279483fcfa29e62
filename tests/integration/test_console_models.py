"""Models in the console over a running web process: the report, and every act of a model's life by plain forms."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from core.acts import registry
from core.acts.audit import Actor, system
from core.acts.registry import NewModel
from core.base.clock import utc_now
from core.base.ids import ModelId, new_uuid
from core.base.terms import Action, ActorType, ModelStage, Role
from core.infra.resources import Resources
from core.stores import ledger, policy
from core.stores.ledger import AuditFilter
from core.tables.policy import ModelWatch, RegisteredModel
from models.features.catalogue import CATALOGUE_VERSION
from tests.console_reports import a_lineage, a_proposal, a_report, a_watch
from tests.integration.conftest import Api
from tests.integration.console_browser import HTMX, Browser, a_user, browser

ASKER = Actor(ActorType.USER, "asker")
SECOND = Actor(ActorType.USER, "second")


@pytest.fixture
async def lead(api: Api, resources: Resources) -> AsyncIterator[Browser]:
    async with browser(api) as tab:
        await tab.sign_in(await a_user(resources, Role.LEAD))
        yield tab


async def a_model(resources: Resources, by: Actor = ASKER, **figures: Any) -> RegisteredModel:
    """`figures` replace those of the made-up report. The artifact is no model: nobody loads it here."""
    new = NewModel(new_uuid().bytes * 10, CATALOGUE_VERSION, a_report(**figures), a_lineage())
    async with resources.postgres.unit_of_work() as work:
        return await registry.register(
            work, resources.redis, resources.artifacts, new, requested_by=str(by), by=system("retrain")
        )


async def a_champion(resources: Resources) -> RegisteredModel:
    model = await a_model(resources)
    async with resources.postgres.unit_of_work() as work:
        return await registry.promote(work, resources.redis, ModelId(model.id), by=SECOND, four_eyes=True)


async def stage_of(resources: Resources, model: RegisteredModel) -> str:
    async with resources.postgres.reading() as work:
        found = await policy.model(work, ModelId(model.id))
    assert found is not None
    return found.stage


async def reasons_on_the_trail(resources: Resources, action: Action, model: RegisteredModel) -> list[str]:
    async with resources.postgres.reading() as work:
        chosen = AuditFilter(action=action, subject_id=model.id)
        events = await ledger.page(work, chosen, before_id=None, limit=5)
    return [event.detail for event in events]


async def test_the_report_its_json_and_its_card_are_for_everybody_who_may_read(api: Api, resources: Resources) -> None:
    model = await a_model(resources)
    async with browser(api) as viewer:
        await viewer.sign_in(await a_user(resources, Role.VIEWER))
        page = await viewer.client.get(f"/models/{model.id}")
        assert page.status_code == 200
        assert "0.701 to 0.779" in page.text
        found = (await viewer.client.get(f"/models/{model.id}/report.json")).json()
        assert found["metrics"]["cost_curve"] == model.metrics["cost_curve"]
        assert (found["id"], found["lineage"]) == (model.id, model.lineage)
        card = await viewer.client.get(f"/models/{model.id}/card.md")
        assert card.headers["content-type"] == "text/markdown; charset=utf-8"
        assert card.text.startswith(f"# Model card: {model.id}")


@pytest.mark.parametrize("path", ["/models/0123456789ab", "/models/x/report.json", "/models/x/card.md"])
async def test_a_model_that_is_not_there_is_told_readably(lead: Browser, path: str) -> None:
    page = await lead.client.get(path)
    assert page.status_code == 404
    assert "There is no model" in page.text


async def test_a_candidate_shadows_and_stops(lead: Browser, resources: Resources) -> None:
    model = await a_model(resources)
    assert (await lead.post(f"/models/{model.id}/shadow")).headers["location"] == "/models"
    assert await stage_of(resources, model) == ModelStage.SHADOW
    assert "It has not scored a payment yet." in (await lead.client.get("/models")).text
    again = await lead.post(f"/models/{model.id}/shadow", HTMX)
    assert again.status_code == 409
    assert "Only a candidate can begin to shadow" in again.text
    assert "<html" not in again.text
    stopped = await lead.post(f"/models/{model.id}/stop-shadow", HTMX)
    assert "It is a candidate again" in stopped.text
    assert await stage_of(resources, model) == ModelStage.CANDIDATE


async def test_a_second_person_promotes_and_one_person_rolls_back(lead: Browser, resources: Resources) -> None:
    before, model = await a_champion(resources), await a_model(resources)
    assert (await lead.post(f"/models/{model.id}/promote")).status_code == 303
    assert await stage_of(resources, model) == ModelStage.CHAMPION
    nothing = await lead.post("/models/rollback", reason="   ")
    assert nothing.status_code == 422
    assert "A reason is needed" in nothing.text
    done = await lead.post("/models/rollback", HTMX, reason="alerts doubled overnight")
    assert "The champion before is back" in done.text
    assert await stage_of(resources, before) == ModelStage.CHAMPION
    assert await stage_of(resources, model) == ModelStage.RETIRED
    [detail] = await reasons_on_the_trail(resources, Action.MODEL_ROLLBACK, before)
    assert "alerts doubled overnight" in detail
    again = await lead.post("/models/rollback", reason="again")
    assert again.status_code == 409
    assert 'id="rollback"' not in again.text  # there is nothing to go back to


async def test_who_asked_for_the_training_is_told_before_trying(api: Api, resources: Resources) -> None:
    async with browser(api) as tab:
        user = await a_user(resources, Role.LEAD)
        await tab.sign_in(user)
        model = await a_model(resources, by=Actor(ActorType.USER, str(user.id)))
        page = (await tab.client.get("/models")).text
        assert f'id="promote-not-{model.id}"' in page
        assert f'id="promote-{model.id}"' not in page
        tried = await tab.post(f"/models/{model.id}/promote")
        assert tried.status_code == 409
        assert "a second person must promote it" in tried.text


async def test_a_refused_model_says_why_and_offers_nothing(lead: Browser, resources: Resources) -> None:
    failed = [{"name": "calibrated", "passed": False, "detail": "expects 3.10 times the frauds that came"}]
    worse, disliked = await a_model(resources, gates=failed), await a_model(resources)
    done = await lead.post(f"/models/{disliked.id}/refuse", HTMX, reason="trained on a week of wrong labels")
    assert done.status_code == 200
    for model, reason in ((worse, "Expects 3.10 times"), (disliked, "Trained on a week of wrong labels")):
        assert reason in done.text
        assert not re.search(rf'id="(shadow|promote|refuse)-{model.id}"', done.text)
        assert (await lead.post(f"/models/{model.id}/promote")).status_code == 409
        assert reason in (await lead.client.get(f"/models/{model.id}")).text


async def test_a_training_that_waits_is_stopped(lead: Browser, resources: Resources) -> None:
    asked = await lead.post("/models/train", HTMX)
    run = re.search(r'id="cancel-([0-9a-f-]+)"', asked.text)
    assert run
    assert (await lead.post("/models/train")).status_code == 409  # one at a time
    stopped = await lead.post(f"/models/runs/{run[1]}/cancel", HTMX)
    assert "The training is being stopped" in stopped.text
    assert "Cancelled" in stopped.text
    again = await lead.post(f"/models/runs/{run[1]}/cancel", HTMX)
    assert again.status_code == 409
    assert "This training is cancelled already" in again.text
    assert (await lead.post(f"/models/runs/{new_uuid()}/cancel")).status_code == 404


async def test_a_proposal_is_shown_with_its_evidence_and_followed_on_the_trail(
    lead: Browser, resources: Resources
) -> None:
    champion = await a_champion(resources)
    row = ModelWatch(
        id=new_uuid(), model_id=champion.id, measured_at=utc_now() + timedelta(seconds=1), figures=a_watch(), proposal=a_proposal()
    )  # fmt: skip
    async with resources.postgres.unit_of_work() as work:
        await policy.save(work, row)
    page = (await lead.client.get("/models")).text
    assert "The scores have moved: PSI 0.31" in page
    assert f'href="/models/{champion.id}#monitoring"' in page
    assert "Another training is proposed" in (await lead.client.get(f"/models/{champion.id}")).text
    asked = await lead.post("/models/train", HTMX, watch=str(row.id))
    run = re.search(r'id="cancel-([0-9a-f-]+)"', asked.text)
    assert run
    async with resources.postgres.reading() as work:
        chosen = AuditFilter(action=Action.MODEL_TRAIN_REQUEST, subject_id=run[1])
        [event] = await ledger.page(work, chosen, before_id=None, limit=2)
    assert str(row.id) in event.detail
    assert (await lead.post(f"/models/runs/{run[1]}/cancel")).status_code == 303


@pytest.mark.parametrize("act", ["shadow", "stop-shadow", "promote", "refuse"])
async def test_acts_on_no_model_and_acts_without_a_token_change_nothing(lead: Browser, act: str) -> None:
    assert (await lead.post(f"/models/nobody/{act}", reason="words")).status_code == 404
    assert (await lead.post(f"/models/nobody/{act}", reason="words", csrf_token="forged")).status_code == 403


async def test_the_challenger_that_is_asked_for_stands_beside_the_champion(lead: Browser, resources: Resources) -> None:
    champion, first, second = await a_champion(resources), await a_model(resources), await a_model(resources)
    for chosen in (first, second):
        page = (await lead.client.get(f"/models?against={chosen.id}")).text
        sides = re.findall(r'aria-labelledby="side-(\w+)"', page)
        assert sides == [champion.id, chosen.id]
        assert f'hx-get="/models?against={chosen.id}"' in page, "what refreshes by itself keeps the choice"
    assert (await lead.client.get("/models?against=nonsense")).status_code == 200
