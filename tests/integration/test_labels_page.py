"""The history of labels: what is found, in which order, and what contradicts what."""

from datetime import timedelta
from uuid import UUID

import pytest

from console.asked import place_text
from core.base.clock import utc_now
from core.base.ids import new_uuid
from core.base.terms import Label, LabelSource, Role
from core.infra.resources import Resources
from core.stores import casework, labels
from core.stores.labels import LabelFilter, Which
from tests.integration.conftest import Api
from tests.integration.console_browser import HTMX, a_user, an_alert, browser

NOW = utc_now()


async def say(
    resources: Resources,
    uid: UUID,
    source: LabelSource,
    label: Label,
    hours_ago: float,
    who: str = "test",
    kind: str = "system",
) -> UUID:
    at = NOW - timedelta(hours=hours_ago)
    row = {
        "id": new_uuid(), "transaction_uid": uid, "label": label.value, "label_source": source.value, "reported_at": at,
        "received_at": at, "actor_type": kind, "actor_id": who, "note": None,
    }  # fmt: skip
    async with resources.postgres.unit_of_work() as work:
        await casework.insert_labels(work, [row])
    return UUID(str(row["id"]))


async def a_payment(resources: Resources) -> tuple[UUID, UUID]:
    """(payment, its alert)"""
    alert_id = await an_alert(resources)
    async with resources.postgres.reading() as work:
        alert = await casework.alert(work, alert_id)
    assert alert is not None
    return alert.transaction_uid, alert_id


async def found(resources: Resources, chosen: LabelFilter, limit: int = 100) -> list[UUID]:
    ids, place = [], None
    async with resources.postgres.reading() as work:
        while True:
            part = await labels.find(work, chosen, after=place, limit=limit)
            ids += part.ids
            place = part.further
            if place is None:
                return ids


async def test_each_choice_finds_its_labels_however_many_pages_they_take(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine, bad, doubt = [(await a_payment(resources))[0] for _ in range(3)]
    imported = await say(resources, fine, LabelSource.IMPORT, Label.LEGITIMATE, 90)
    first = await say(resources, fine, LabelSource.ANALYST, Label.LEGITIMATE, 80)
    wrong = await say(resources, bad, LabelSource.ANALYST, Label.LEGITIMATE, 70)
    unsure = await say(resources, doubt, LabelSource.ANALYST, Label.UNSURE, 60)
    late = await say(resources, bad, LabelSource.CHARGEBACK, Label.FRAUD, 10)
    said = await say(resources, doubt, LabelSource.CUSTOMER, Label.FRAUD, 5)
    for examined in (20_000, 2, 1):
        monkeypatch.setattr(labels, "EXAMINED", examined)
        for limit in (2, 3, 100):
            assert await found(resources, LabelFilter(), limit) == [said, late, unsure, wrong, first]
            assert await found(resources, LabelFilter(Which.CONFLICT), limit) == [late, wrong]
            assert await found(resources, LabelFilter(Which.OVERTURNED), limit) == [late]
            assert await found(resources, LabelFilter(Which.IMPORTED), limit) == [imported]
            assert await found(resources, LabelFilter(source="analyst", label="legitimate"), limit) == [wrong, first]
            window = LabelFilter(since=NOW - timedelta(hours=75), until=NOW - timedelta(hours=10))
            assert await found(resources, window, limit) == [unsure, wrong]


async def test_the_page_names_the_analyst_whose_label_a_chargeback_overturned(api: Api, resources: Resources) -> None:
    analyst = await a_user(resources, Role.ANALYST)
    uid, alert_id = await a_payment(resources)
    await say(resources, uid, LabelSource.ANALYST, Label.LEGITIMATE, 100, str(analyst.id), "user")
    await say(resources, uid, LabelSource.CHARGEBACK, Label.FRAUD, 4, "rk_1", "api_key")
    async with browser(api) as viewer:
        await viewer.sign_in(await a_user(resources, Role.VIEWER))
        page = (await viewer.client.get("/labels?show=overturned")).text
        assert f'href="/alerts/{alert_id}"' in page
        assert "overturned after 4 d" in page
        assert analyst.name in page
        mine = (await viewer.client.get(f"/labels?by={analyst.id}")).text
        assert mine.count('<tr id="label-') == 1
        assert "No such label" in (await viewer.client.get("/labels?since=2001-01-01&until=2001-01-02")).text
        more = await viewer.client.get("/labels", params={"after": place_text(NOW, uid)}, headers=HTMX)
        assert "<hx-partial" in more.text


async def test_a_withdrawn_label_is_shown_struck_through_and_contradicts_nothing(
    api: Api, resources: Resources
) -> None:
    uid, _ = await a_payment(resources)
    taken_back = await say(resources, uid, LabelSource.ANALYST, Label.LEGITIMATE, 3)
    await say(resources, uid, LabelSource.CHARGEBACK, Label.FRAUD, 1)
    alone = await say(resources, (await a_payment(resources))[0], LabelSource.ANALYST, Label.FRAUD, 2)
    async with resources.postgres.unit_of_work() as work:
        await casework.withdraw_labels(work, [taken_back, alone], NOW)
    async with browser(api) as viewer:
        await viewer.sign_in(await a_user(resources, Role.VIEWER))
        page = (await viewer.client.get("/labels")).text
        assert f'<tr id="label-{taken_back}" class="withdrawn"' in page
        assert f'<tr id="label-{alone}" class="withdrawn"' in page, "nothing else was said about that payment"
        assert f'"label-{taken_back}"' not in (await viewer.client.get("/labels?show=conflict")).text
        assert str(uid) not in (await viewer.client.get("/labels?show=overturned")).text


@pytest.mark.parametrize(
    "query", ["show=all", "source=x", "label=x", "since=31.1.2026", "since=2026-02-01&until=2026-01-01", "after=x"]
)
async def test_a_damaged_address_is_told_readably(api: Api, resources: Resources, query: str) -> None:
    async with browser(api) as viewer:
        await viewer.sign_in(await a_user(resources, Role.VIEWER))
        answer = await viewer.client.get(f"/labels?{query}")
        assert answer.status_code == 422
        assert 'class="gate' in answer.text
