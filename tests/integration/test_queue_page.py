"""The queue over HTTP: one spelling of an address, filters that are refused in words, views that people keep, and a stream of one view."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from core.base.ids import new_uuid
from core.base.terms import Action, Role
from core.contracts.topology import BELL_ALERTS
from core.infra.redis import ring
from core.infra.resources import Resources
from core.stores import ledger
from core.stores.ledger import AuditFilter
from tests.integration.conftest import Api
from tests.integration.console_browser import HTMX, Browser, a_user, alerts_like, an_alert, browser, next_message

VIEW = "outcome=review&amount_from=100&order=loss"


@pytest.fixture
async def people(api: Api, resources: Resources) -> AsyncIterator[dict[Role, Browser]]:
    """A browser for each role."""
    async with AsyncExitStack() as open_ones:
        found = {}
        for role in (Role.VIEWER, Role.ANALYST, Role.LEAD):
            found[role] = await open_ones.enter_async_context(browser(api))
            await found[role].sign_in(await a_user(resources, role))
        yield found


@pytest.fixture
async def analyst(api: Api, resources: Resources) -> AsyncIterator[Browser]:
    async with browser(api) as tab:
        await tab.sign_in(await a_user(resources, Role.ANALYST))
        yield tab


def rows(page: str) -> list[str]:
    return re.findall(r'<tr id="alert-([0-9a-f-]+)"', page)


async def test_a_forms_address_becomes_the_views_own(analyst: Browser, resources: Resources) -> None:
    await an_alert(resources, amount_minor=200_000)
    form = "q=&status=&outcome=review&least=1%2C000.50&most=&order=newest&cols=1&col=loss&col=amount&col=outcome&col=reason&col=customer"
    answer = await analyst.client.get(f"/queue?{form}")
    assert answer.status_code == 303
    ours = "/queue?outcome=review&amount_from=1000.5&hide=merchant&hide=age&hide=due&hide=holder"
    assert answer.headers["location"] == ours
    page = await analyst.client.get(ours)
    assert page.status_code == 200
    assert 'class="grid queue hide-merchant hide-age hide-due hide-holder"' in page.text
    assert 'name="least" inputmode="decimal" value="1,000.5"' in page.text


async def test_what_no_page_of_ours_sends_is_refused_readably(analyst: Browser) -> None:
    for query in (
        "status=maybe", "outcome=perhaps", "band=purple", "due=never", "age=old", "control=maybe", "order=random",
        "after=x", "order=score&after=nan", "order=due&after=20260101T000000.000000%2B0000", "reason=%00",
    ):  # fmt: skip
        page = await analyst.client.get(f"/queue?{query}")
        assert page.status_code == 422, query
        assert "<html" in page.text


async def test_a_mistyped_amount_is_told_beside_its_field_and_kept(analyst: Browser, resources: Resources) -> None:
    alert_id = await an_alert(resources)
    page = await analyst.client.get("/queue?least=ten&outcome=review")
    assert page.status_code == 422
    assert 'value="ten"' in page.text
    assert 'id="least-problem">Write an amount as a number.' in page.text
    assert str(alert_id) in rows(page.text)  # the other filters still hold


async def test_control_alerts_are_not_lost_among_the_others(analyst: Browser, resources: Resources) -> None:
    [drawn] = await alerts_like(resources, [{"control_probability": 0.001, "outcome": "approve"}])
    other = await an_alert(resources)
    only = rows((await analyst.client.get("/queue?control=yes")).text)
    without = rows((await analyst.client.get("/queue?control=no")).text)
    assert str(drawn) in only
    assert str(other) not in only
    assert str(drawn) not in without
    links = re.findall(r'href="(/queue\?control=yes)"', (await analyst.client.get("/queue")).text)
    assert links, "the control sample has no view of its own"


async def test_a_search_reaches_closed_alerts_too(analyst: Browser, resources: Resources) -> None:
    [closed] = await alerts_like(resources, [{"status": "closed", "device_id": "dev_of_the_past"}])
    assert str(closed) not in rows((await analyst.client.get("/queue")).text)
    assert rows((await analyst.client.get("/queue?q=dev_of_the&status=any")).text) == [str(closed)]
    empty = (await analyst.client.get("/queue?q=dev_of_the")).text
    assert "No alert matches all of these filters." in empty


async def test_viewers_look_keep_views_and_select_and_share_nothing(
    people: dict[Role, Browser], resources: Resources
) -> None:
    await an_alert(resources)
    page = (await people[Role.VIEWER].client.get("/queue")).text
    assert "hide-pick" in page
    assert 'id="bulk"' not in page
    assert 'id="bulk"' in (await people[Role.ANALYST].client.get("/queue")).text
    view = await saved(people[Role.VIEWER], "Mine")
    assert (await people[Role.VIEWER].post(f"/queue/views/{view}/share", shared="yes")).status_code == 403
    assert (await people[Role.VIEWER].post(f"/queue/views/{new_uuid()}/delete")).status_code == 404


async def saved(who: Browser, name: str) -> str:
    answer = await who.post("/queue/views", name=name, query=VIEW)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/queue?{VIEW}")
    return await named(who, name)


async def named(who: Browser, name: str) -> str:
    """The id of a view that this person sees, or nothing."""
    page = (await who.client.get("/queue/views")).text
    found = re.search(rf'id="go-([0-9a-f-]+)" href="[^"]*"><strong>{re.escape(name)}</strong>', page)
    return found[1] if found else ""


async def test_a_view_is_its_owners_until_it_is_shared(people: dict[Role, Browser], resources: Resources) -> None:
    owner, lead, viewer = people[Role.ANALYST], people[Role.LEAD], people[Role.VIEWER]
    view = await saved(owner, "Large")
    assert await named(lead, "Large") == ""
    for act, fields in (("rename", {"name": "Mine"}), ("share", {"shared": "yes"}), ("delete", {})):
        assert (await lead.post(f"/queue/views/{view}/{act}", **fields)).status_code == 404
    assert (await owner.post(f"/queue/views/{view}/share", shared="yes")).status_code == 303
    assert await named(viewer, "Large") == view
    assert (await lead.post(f"/queue/views/{view}/rename", name="Taken")).status_code == 403
    assert (await viewer.post(f"/queue/views/{view}/delete")).status_code == 403
    assert (await lead.post(f"/queue/views/{view}/delete")).status_code == 303
    assert await named(owner, "Large") == ""
    async with resources.postgres.reading() as work:
        events = await ledger.page(work, AuditFilter(subject_type="view", subject_id=view), before_id=None, limit=10)
    assert [event.action for event in reversed(events)] == [Action.VIEW_SAVE, Action.VIEW_SHARE, Action.VIEW_DELETE]
    assert len({event.actor_id for event in events}) == 2


async def test_a_bad_name_is_refused_and_kept(analyst: Browser) -> None:
    view = await saved(analyst, "Twice")
    assert (await analyst.post(f"/queue/views/{view}/rename", name="x" * 50)).status_code == 422
    assert (await analyst.post(f"/queue/views/{view}/rename", name="Twice")).status_code == 303
    for name in ("", "  ", "x" * 41, "Twice", "  Twice "):
        page = await analyst.post("/queue/views", name=name, query=VIEW)
        assert page.status_code == 422
        assert f'name="name" value="{name}"' in page.text
        assert VIEW.replace("&", "&amp;") in page.text


async def test_a_stream_tells_its_view_of_new_rows_and_of_changes_to_any(
    analyst: Browser, resources: Resources
) -> None:
    async with analyst.client.stream("GET", "/stream/queue?currency=JPY") as stream:
        lines = stream.aiter_lines()
        await asyncio.wait_for(next_message(lines, "hello"), 20)
        other, ours = await alerts_like(resources, [{"currency": "EUR"}, {"currency": "JPY"}])
        await ring(resources.redis, BELL_ALERTS, [str(other), str(ours)])
        message = await asyncio.wait_for(next_message(lines, str(ours)), 20)
    assert message.count('hx-target="#queue-rows" hx-swap="afterbegin"') == 1
    assert f'hx-target="#alert-{other}" hx-swap="outerMorph"' in message
    assert 'hx-target="#count-todo"' in message


async def test_a_row_is_the_same_in_the_page_a_fragment_and_the_stream(analyst: Browser, resources: Resources) -> None:
    async with analyst.client.stream("GET", "/stream/queue") as stream:
        lines = stream.aiter_lines()
        await asyncio.wait_for(next_message(lines, "hello"), 20)
        alert_id = await an_alert(resources)
        await ring(resources.redis, BELL_ALERTS, [str(alert_id)])
        message = await asyncio.wait_for(next_message(lines, str(alert_id)), 20)
    whole = (await analyst.client.get("/queue")).text
    fragment = (await analyst.client.get("/queue", headers=HTMX)).text
    assert "<html" not in fragment
    streamed = "\n".join(line.removeprefix("data: ") for line in message.splitlines())

    def row(text: str) -> str:
        found = re.search(rf'<tr id="alert-{alert_id}".*?</tr>', text, re.S)
        assert found
        return re.sub(r">(now|\d+ s|\d h \d+ min)<", "><", found[0])  # time goes on meanwhile

    assert row(whole) == row(fragment) == row(streamed)


async def test_a_view_is_replaced_once_it_is_said_that_it_is_there(analyst: Browser, resources: Resources) -> None:
    view, newer = await saved(analyst, "Night"), "outcome=decline"
    refused = await analyst.post("/queue/views", name="Night", query=newer)
    assert refused.status_code == 422
    assert 'id="replace"' in refused.text
    assert 'id="replace"' not in (await analyst.post("/queue/views", name="x" * 41, query=newer)).text
    assert (await analyst.post("/queue/views", name=" Night ", query=newer, replace="yes")).status_code == 303
    assert f'id="go-{view}" href="/queue?{newer}"' in (await analyst.client.get("/queue/views")).text
    async with resources.postgres.reading() as work:
        events = await ledger.page(work, AuditFilter(subject_type="view", subject_id=view), before_id=None, limit=10)
    detail = json.loads(events[0].detail)
    assert (events[0].action, detail["query"], detail["before"]) == (Action.VIEW_SAVE, newer, VIEW)
