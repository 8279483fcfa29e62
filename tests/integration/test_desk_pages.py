"""The desk over HTTP: plain forms and fragments, what is refused and what a refusal keeps."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from core.acts import casework
from core.acts.audit import system
from core.base.ids import UserId
from core.base.terms import EntityKind, EntityList, Role
from core.infra.resources import Resources
from core.stores import casework as store
from core.stores import lists
from core.tables.people import User
from tests.integration.conftest import Api
from tests.integration.console_browser import HTMX, Browser, a_user, an_alert, browser
from tests.integration.test_casework import claim

FRAUD = {"label": "fraud", "reason": "stolen_card"}


@pytest.fixture
async def analyst(resources: Resources) -> User:
    return await a_user(resources, Role.ANALYST)


@pytest.fixture
async def tab(api: Api, analyst: User) -> AsyncIterator[Browser]:
    async with browser(api) as found:
        await found.sign_in(analyst)
        yield found


async def nothing_open(resources: Resources) -> None:
    async with resources.postgres.unit_of_work() as work:
        await work.run(text("UPDATE alert SET status = 'closed' WHERE status <> 'closed'"))


async def test_the_next_alert_is_opened_and_when_none_is_left_that_is_said(tab: Browser, resources: Resources) -> None:
    await nothing_open(resources)
    alert_id = await an_alert(resources)
    assert (await tab.post("/queue/next")).headers["location"] == f"/alerts/{alert_id}"
    none = await tab.post("/queue/next")
    assert none.headers["location"] == "/queue/done"
    assert "still work on one" in (await tab.client.get("/queue/done")).text
    await nothing_open(resources)
    assert "Every alert is closed." in (await tab.client.get("/queue/done")).text


async def test_a_decision_goes_on_to_the_next_alert_and_remembers_that_it_should(
    tab: Browser, resources: Resources
) -> None:
    await nothing_open(resources)
    first, second = await an_alert(resources), await an_alert(resources)
    done = await tab.post(f"/alerts/{first}/decide", version="1", advance="on", **FRAUD)
    assert done.headers["location"] == f"/alerts/{second}"
    page = (await tab.client.get(f"/alerts/{second}")).text
    assert re.search(r'id="decide-advance"[^>]* checked', page)
    assert f'action="/alerts/{first}/undo"' in page  # the toast
    last = await tab.post(f"/alerts/{second}/decide", HTMX, version="2", advance="on", **FRAUD)
    assert last.headers["hx-redirect"] == "/queue/done"
    third = await an_alert(resources)
    await tab.post(f"/alerts/{third}/decide", version="1", **FRAUD)
    assert tab.client.cookies.get("ronda_advance") == "off"


async def test_the_next_alerts_come_from_the_view_they_are_taken_from(tab: Browser, resources: Resources) -> None:
    await nothing_open(resources)
    for _ in range(2):
        await an_alert(resources, expected_loss_minor=9_000_000)
    yen = {str(await an_alert(resources, currency="JPY", amount_minor=900)) for _ in range(2)}
    first = (await tab.post("/queue/next", view="currency=JPY")).headers["location"].rpartition("/")[2]
    second = (await tab.post(f"/alerts/{first}/decide", version="2", advance="on", **FRAUD)).headers["location"]
    assert {first, second.rpartition("/")[2]} == yen
    assert (await tab.post("/queue/next")).headers["location"] == "/queue/done"
    assert "No alert of the view you took from is open." in (await tab.client.get("/queue/done")).text
    assert (await tab.post("/queue/next", view="")).headers["location"].startswith("/alerts/")
    assert (await tab.post("/queue/next", view="order=burn")).status_code == 422
    assert (await tab.post("/queue/next", view="&".join(["currency=EUR"] * 300))).status_code == 422


async def test_undoing_by_a_plain_form_and_too_late(tab: Browser, resources: Resources) -> None:
    alert_id = await an_alert(resources)
    await tab.post(f"/alerts/{alert_id}/decide", version="1", **FRAUD)
    page = (await tab.client.get(f"/alerts/{alert_id}")).text
    assert 'id="undo-history"' in page
    assert (await tab.post(f"/alerts/{alert_id}/undo")).headers["location"] == f"/alerts/{alert_id}"
    again = await tab.post(f"/alerts/{alert_id}/undo")
    assert again.status_code == 409
    assert "<html" in again.text
    assert "There is no decision to take back." in again.text


async def test_a_closed_alert_can_be_opened_again_by_its_page(tab: Browser, resources: Resources) -> None:
    alert_id = await an_alert(resources)
    await tab.post(f"/alerts/{alert_id}/decide", version="1", **FRAUD)
    assert 'id="reopen"' not in (await tab.client.get(f"/alerts/{alert_id}")).text  # undoing it is still possible
    assert (await tab.post(f"/alerts/{alert_id}/reopen", version="1")).status_code == 409
    assert (await tab.post(f"/alerts/{alert_id}/reopen", version="2")).headers["location"] == f"/alerts/{alert_id}"
    page = (await tab.client.get(f"/alerts/{alert_id}")).text
    assert "opened the alert again (fraud)" in page
    assert 'id="lease"' in page


async def test_keeping_a_claim_answers_with_the_time_left_and_a_lost_one_with_the_desk(
    tab: Browser, resources: Resources, analyst: User
) -> None:
    alert_id = await an_alert(resources)
    await claim(resources, alert_id, UserId(analyst.id), timedelta(minutes=2))
    kept = await tab.post(f"/alerts/{alert_id}/keep", HTMX)
    assert kept.status_code == 200
    assert re.search(r'id="lease-left"[^>]*>1[45]:\d\d<', kept.text)
    await claim(resources, alert_id, UserId(analyst.id), timedelta(seconds=-1))
    lost = await tab.post(f"/alerts/{alert_id}/keep", HTMX)
    assert (lost.status_code, lost.headers["hx-retarget"]) == (409, "#desk")
    assert "Your claim has run out." in lost.text
    async with resources.postgres.unit_of_work() as work:
        await casework.release_expired(work, resources.redis, by=system("schedule"))
    page = (await tab.client.get(f"/alerts/{alert_id}")).text
    assert "Your claim ran out just now, so the alert went back to the queue." in page


async def test_a_list_entry_comes_with_the_decision_and_goes_with_the_undo(
    tab: Browser, resources: Resources, analyst: User
) -> None:
    alert_id = await an_alert(resources)
    fields = {**FRAUD, "version": "1", "list": "watch", "entity": "device", "ends": "7", "note": "third time"}
    assert (await tab.post(f"/alerts/{alert_id}/decide", **fields)).status_code == 303
    async with resources.postgres.reading() as work:
        entry = await lists.unended(work, EntityList.WATCH, EntityKind.DEVICE, "dev_1")
    assert entry is not None
    assert (entry.reason, entry.alert_id) == ("Stolen card: third time", alert_id)
    other = await an_alert(resources)  # the same device is on that list already: nothing of the decision is done
    refused = await tab.post(f"/alerts/{other}/decide", HTMX, **fields)
    assert refused.status_code == 409
    assert "third time" in refused.text
    async with resources.postgres.reading() as work:
        alert = await store.alert(work, other)
        assert alert is not None
        assert not await store.labels_of(work, alert.transaction_uid)
    assert alert.status == "open"
    await tab.post(f"/alerts/{alert_id}/undo")
    async with resources.postgres.reading() as work:
        assert await lists.unended(work, EntityList.WATCH, EntityKind.DEVICE, "dev_1") is None


@pytest.mark.parametrize(
    ("path", "fields", "words"),
    [
        ("decide", {"label": "fraud"}, "Choose the reason too."),
        ("decide", {"reason": "stolen_card"}, "Choose fraud, legitimate or unsure."),
        ("decide", {"label": "legitimate", "reason": "stolen_card"}, "is no reason for legitimate."),
        ("decide", {**FRAUD, "list": "burn"}, "Choose what goes onto the list."),
        ("decide", {**FRAUD, "list": "deny", "entity": "card", "ends": "7"}, "Choose what goes onto the list"),
        ("decide", {**FRAUD, "list": "deny", "entity": "device", "ends": "x"}, "and for how long."),
        ("decide", {**FRAUD, "version": "one"}, "This form is damaged"),
        ("hand-over", {"to": "somebody"}, "Choose the colleague."),
        ("hand-over", {"to": "00000000-0000-7000-8000-000000000009"}, "This person may not work on alerts."),
    ],
)
async def test_a_refused_form_says_why_and_keeps_the_note(
    tab: Browser, resources: Resources, path: str, fields: dict[str, str], words: str
) -> None:
    alert_id = await an_alert(resources)
    for headers in (HTMX, {}):
        answer = await tab.post(f"/alerts/{alert_id}/{path}", headers, **{"version": "1", "note": "my words", **fields})
        assert answer.status_code == 422
        assert words in answer.text
        assert "my words" in answer.text
        assert ("<html" in answer.text) is (headers == {})


async def test_a_stale_act_is_told_everything_that_happened_since(api: Api, tab: Browser, resources: Resources) -> None:
    alert_id, colleague = await an_alert(resources), await a_user(resources, Role.LEAD)
    async with browser(api) as other:
        await other.sign_in(colleague)
        await other.post(f"/alerts/{alert_id}/claim")
        await other.post(f"/alerts/{alert_id}/decide", version="2", label="unsure", reason="not_reached")
    for headers in (HTMX, {}):
        answer = await tab.post(f"/alerts/{alert_id}/decide", headers, version="1", note="my words", **FRAUD)
        assert answer.status_code == 409
        for words in (
            f"{colleague.name} closed the alert (unsure, customer not reached) just now.",
            f"{colleague.name} claimed the alert just now.",
            "my words",
        ):
            assert words in answer.text


async def test_an_alert_handed_over_is_the_colleagues(
    api: Api, tab: Browser, resources: Resources, analyst: User
) -> None:
    alert_id, colleague = await an_alert(resources), await a_user(resources, Role.ANALYST)
    await tab.post(f"/alerts/{alert_id}/claim", version="1")
    done = await tab.post(f"/alerts/{alert_id}/hand-over", version="2", to=str(colleague.id), note="for you")
    assert done.headers["location"] == f"/alerts/{alert_id}"
    async with browser(api) as other:
        await other.sign_in(colleague)
        page = (await other.client.get(f"/alerts/{alert_id}")).text
    assert 'id="lease"' in page
    assert f"handed the alert over (to {colleague.name})" in page
    assert "for you" in page
