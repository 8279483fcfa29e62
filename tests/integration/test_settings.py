"""A person's settings over a running web process: what they chose follows them, and who holds a session cannot do more than that."""

import re
from collections.abc import AsyncIterator

import pytest

from core.acts.profiles import session_id
from core.base.hashing import sha256
from core.base.terms import Action, Result, Role
from core.infra.resources import Resources
from core.stores import ledger, people
from core.stores.ledger import AuditFilter
from core.tables.ledger import AuditEvent
from core.tables.people import User
from tests.integration.conftest import Api
from tests.integration.console_browser import PASSWORD, Browser, a_user, browser

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
async def person(resources: Resources) -> User:
    return await a_user(resources, Role.ANALYST)


@pytest.fixture
async def tab(api: Api, person: User) -> AsyncIterator[Browser]:
    async with browser(api) as found:
        assert (await found.sign_in(person)).status_code == 303
        yield found


async def told(resources: Resources, person: User, action: Action) -> list[AuditEvent]:
    wanted = AuditFilter(subject_type="user", subject_id=str(person.id), action=action)
    async with resources.postgres.reading() as work:
        return list(await ledger.page(work, wanted, before_id=None, limit=10))


async def test_a_profile_follows_its_person_and_outweighs_the_browser(
    tab: Browser, api: Api, person: User, resources: Resources
) -> None:
    choices = {"language": "pt-BR", "time_zone": "America/Sao_Paulo", "theme": "dark", "density": "comfortable"}
    assert (await tab.post("/settings", **choices)).headers["location"] == "/settings?said=profile"
    assert (await tab.post("/settings", **choices)).status_code == 303  # nothing changed: nothing to tell
    async with browser(api) as elsewhere:
        await elsewhere.sign_in(person)
        page = (await elsewhere.client.get("/settings", headers={"accept-language": "en"})).text
    assert '<html lang="pt-BR" data-theme="dark" data-density="comfortable"' in page
    assert re.search(r'value="America/Sao_Paulo" selected>São Paulo \(UTC−03:00\)', page)
    assert 'name="single_keys">' in page
    [event] = await told(resources, person, Action.PROFILE_CHANGE)
    assert '"time_zone":"America/Sao_Paulo"' in str(event.detail)


async def test_a_choice_that_is_none_is_refused_and_changes_nothing(tab: Browser) -> None:
    for damaged in ({"time_zone": "Mars/Olympus"}, {"theme": "neon"}, {"language": "xx"}, {"density": "9"}):
        answer = await tab.post("/settings", **damaged)
        assert answer.status_code == 422, damaged
        assert 'role="alert"' in answer.text
    assert 'data-theme="system"' in (await tab.client.get("/settings")).text


async def test_before_signing_in_a_cookie_keeps_the_language_and_leads_nowhere_else(api: Api) -> None:
    async with browser(api) as stranger:
        stranger_page = await stranger.client.get("/sign-in", headers={"accept-language": "pt"})
        assert '<html lang="pt-BR"' in stranger_page.text
        assert "Accept-Language" in stranger_page.headers["vary"]
        answer = await stranger.client.post("/language", data={"language": "en", "next": "/audit"})
        assert answer.headers["location"] == "/sign-in"
        assert '<html lang="en"' in (await stranger.client.get("/sign-in", headers={"accept-language": "pt"})).text
        assert (await stranger.client.post("/language", data={"language": "xx"})).status_code == 422


async def test_a_new_password_ends_every_other_session(
    tab: Browser, api: Api, person: User, resources: Resources
) -> None:
    new = "another long password"
    async with browser(api) as elsewhere:
        await elsewhere.sign_in(person)
        assert (await tab.post("/settings/password", old=PASSWORD, new=new, again=new)).status_code == 303
        assert (await elsewhere.client.get("/queue")).status_code == 303
        assert (await tab.client.get("/queue")).status_code == 200
        assert (await elsewhere.sign_in(person)).status_code == 401
        assert (await elsewhere.sign_in(person, new)).status_code == 303
    assert len(await told(resources, person, Action.PASSWORD_CHANGE)) == 1


async def test_a_password_is_not_changed_by_who_only_found_a_session(
    tab: Browser, person: User, resources: Resources
) -> None:
    new = "another long password"
    for form in ({"old": "a guess", "new": new, "again": new}, {"old": PASSWORD, "new": "short", "again": "short"}):
        assert (await tab.post("/settings/password", **form)).status_code == 422
    mistyped = await tab.post("/settings/password", old=PASSWORD, new=new, again="other")
    assert "typed differently" in mistyped.text
    [event] = await told(resources, person, Action.PASSWORD_CHANGE)
    assert event.result == Result.REFUSED.value
    for _ in range(9):
        await tab.post("/settings/password", old="a guess", new=new, again=new)
    locked = await tab.post("/settings/password", old=PASSWORD, new=new, again=new)
    assert "Too many wrong passwords" in locked.text


async def test_sessions_are_listed_and_ended_one_by_one(
    tab: Browser, api: Api, person: User, resources: Resources
) -> None:
    async with browser(api) as elsewhere, browser(api) as third:
        for other in (elsewhere, third):
            other.client.headers["user-agent"] = FIREFOX
            await other.sign_in(person)
        page = (await tab.client.get("/settings")).text
        assert page.count("Firefox, Linux</strong>") == 2
        shown = re.findall(r"/settings/sessions/([0-9a-f]{16})/end", page)
        assert len(shown) == 2
        assert elsewhere.token not in page
        await tab.post(f"/settings/sessions/{shown[0]}/end")
        ended = [(await other.client.get("/queue")).status_code for other in (elsewhere, third)]
        assert sorted(ended) == [200, 303]
        assert (await tab.post(f"/settings/sessions/{shown[0]}/end")).status_code == 404
        await tab.post("/settings/sessions/end-others")
        assert (await elsewhere.client.get("/queue")).status_code == 303
        assert (await third.client.get("/queue")).status_code == 303
        assert (await tab.client.get("/queue")).status_code == 200
    assert len(await told(resources, person, Action.SESSION_END)) == 2


async def test_nobody_ends_somebody_elses_session(tab: Browser, api: Api, resources: Resources) -> None:
    async with browser(api) as other:
        await other.sign_in(await a_user(resources, Role.ANALYST))
    async with resources.postgres.reading() as work:
        found = await people.session_and_user(work, sha256(other.token.encode()))
    assert found
    assert (await tab.post(f"/settings/sessions/{session_id(found[0])}/end")).status_code == 404
