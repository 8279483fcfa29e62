"""The console over a running web process: sessions, cross-site requests, roles, stale acts."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.acts import people
from core.acts.audit import system
from core.acts.audit_bundle import verify as auditor
from core.base.clock import utc_now
from core.base.ids import UserId, new_uuid
from core.base.settings import Settings
from core.base.terms import Action, AlertStatus, Role
from core.infra.resources import Resources
from core.infra.signing import CHECKPOINTS, keys_of
from core.stores import casework as casework_store
from core.stores import ledger
from core.stores import people as people_store
from core.stores.ledger import AuditFilter
from tests.integration.conftest import Api
from tests.integration.console_browser import HTMX, PASSWORD, Browser, a_user, an_alert, browser
from workers.seal import connect_sealer, seal_all


@pytest.fixture
async def analyst(api: Api, resources: Resources) -> AsyncIterator[Browser]:
    async with browser(api) as tab:
        answer = await tab.sign_in(await a_user(resources, Role.ANALYST))
        assert answer.status_code == 303
        yield tab


@pytest.fixture
async def stranger(api: Api) -> AsyncIterator[Browser]:
    async with browser(api) as tab:
        yield tab


async def test_a_session_id_we_did_not_make_is_never_adopted(stranger: Browser, resources: Resources) -> None:
    stranger.client.cookies.set("ronda_session", "planted-by-somebody", domain="127.0.0.1")
    assert (await stranger.client.get("/queue")).status_code == 303
    user = await a_user(resources, Role.ANALYST)
    await stranger.client.post("/sign-in", data={"email": user.email, "password": PASSWORD})
    tokens = [cookie.value for cookie in stranger.client.cookies.jar if cookie.value != "planted-by-somebody"]
    assert len(tokens) == 1
    stranger.client.cookies.clear()
    stranger.client.cookies.set("ronda_session", "planted-by-somebody", domain="127.0.0.1")
    assert (await stranger.client.get("/queue")).headers["location"] == "/sign-in"


async def test_signing_in_again_makes_a_new_session_and_kills_the_old(analyst: Browser, resources: Resources) -> None:
    old = analyst.token
    await analyst.sign_in(await a_user(resources, Role.VIEWER))
    assert analyst.token not in {"", old}
    analyst.client.cookies.clear()
    analyst.client.cookies.set("ronda_session", old, domain="127.0.0.1")
    assert (await analyst.client.get("/queue")).status_code == 303


async def test_signing_out_kills_the_session_on_the_server(analyst: Browser) -> None:
    token = analyst.token
    answer = await analyst.post("/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    analyst.client.cookies.set("ronda_session", token, domain="127.0.0.1")
    assert (await analyst.client.get("/queue")).status_code == 303


async def test_a_wrong_password_is_told_readably_and_alike_for_nobody(stranger: Browser, resources: Resources) -> None:
    known = await stranger.sign_in(await a_user(resources, Role.ANALYST), password="wrong password")
    nobody = await stranger.client.post("/sign-in", data={"email": "nobody@localhost", "password": "wrong password"})
    assert known.status_code == nobody.status_code == 401
    for page in (known.text, nobody.text):
        assert "The e-mail address or the password is not right." in page
    assert "ronda_session" not in stranger.client.cookies


async def test_signing_in_goes_back_to_where_it_was_asked(stranger: Browser, resources: Resources) -> None:
    asked = await stranger.client.get("/transactions?customer=cus_1")
    assert asked.headers["location"] == "/sign-in?next=%2Ftransactions%3Fcustomer%3Dcus_1"
    user = await a_user(resources, Role.ANALYST)
    answer = await stranger.sign_in(user, target="/transactions?customer=cus_1")
    assert answer.headers["location"] == "/transactions?customer=cus_1"
    elsewhere = await stranger.sign_in(user, target="//evil.example")
    assert elsewhere.headers["location"] == "/queue"


async def test_without_a_session_htmx_is_sent_to_sign_in_and_a_stream_is_refused(stranger: Browser) -> None:
    here = {"HX-Current-URL": "http://127.0.0.1/alerts/1?x=1"}
    htmx = await stranger.client.get("/queue", headers={**HTMX, **here})
    assert (htmx.status_code, htmx.headers["hx-redirect"]) == (401, "/sign-in?next=%2Falerts%2F1%3Fx%3D1")
    stream = await stranger.client.get("/stream/queue", headers={"Accept": "text/event-stream"})
    assert (stream.status_code, "location" in stream.headers) == (401, False)


@pytest.mark.parametrize(
    ("headers", "form"),
    [
        ({}, {"csrf_token": ""}),
        ({}, {"csrf_token": "another-sessions-token"}),
        ({"Sec-Fetch-Site": "cross-site"}, {}),
        ({"Sec-Fetch-Site": "same-site"}, {}),
        ({"Origin": "https://evil.example"}, {}),
        ({"Origin": "null"}, {}),
    ],
)
async def test_a_forged_request_changes_nothing(
    analyst: Browser, resources: Resources, headers: dict[str, str], form: dict[str, str]
) -> None:
    alert_id = await an_alert(resources)
    answer = await analyst.post(f"/alerts/{alert_id}/claim", headers, **form)
    assert answer.status_code == 403
    async with resources.postgres.reading() as work:
        alert = await casework_store.alert(work, alert_id)
    assert alert is not None
    assert (alert.status, alert.version) == (AlertStatus.OPEN, 1)


async def test_another_users_token_does_not_fit_this_session(api: Api, analyst: Browser, resources: Resources) -> None:
    async with browser(api) as other:
        await other.sign_in(await a_user(resources, Role.ANALYST))
        alert_id = await an_alert(resources)
        answer = await analyst.post(f"/alerts/{alert_id}/claim", csrf_token=other.csrf)
    assert answer.status_code == 403


async def test_the_token_may_come_in_the_header(analyst: Browser, resources: Resources) -> None:
    alert_id = await an_alert(resources)
    headers = {**HTMX, "x-csrftoken": analyst.csrf, "Sec-Fetch-Site": "same-origin"}
    answer = await analyst.client.post(f"/alerts/{alert_id}/claim", headers=headers)
    assert answer.status_code == 200
    assert 'id="desk"' in answer.text
    assert "<html" not in answer.text


@pytest.mark.parametrize(
    ("role", "path", "status"),
    [
        (Role.VIEWER, "/alerts/{alert}/claim", 403),
        (Role.VIEWER, "/alerts/{alert}/decide", 403),
        (Role.VIEWER, "/alerts/{alert}/notes", 403),
        (Role.ANALYST, "/models/train", 403),
        (Role.ANALYST, "/models/rollback", 403),
        (Role.ANALYST, "/models/0123456789ab/shadow", 403),
        (Role.ANALYST, "/models/0123456789ab/stop-shadow", 403),
        (Role.ANALYST, "/models/0123456789ab/promote", 403),
        (Role.ANALYST, "/models/0123456789ab/refuse", 403),
        (Role.ANALYST, "/alerts/{alert}/claim", 303),
    ],
)
async def test_roles_bound_what_people_do(
    stranger: Browser, resources: Resources, role: Role, path: str, status: int
) -> None:
    await stranger.sign_in(await a_user(resources, role))
    alert_id = await an_alert(resources)
    answer = await stranger.post(path.format(alert=alert_id), note="words", label="fraud", version="1")
    assert answer.status_code == status


async def test_the_trail_is_for_leads(stranger: Browser, analyst: Browser, resources: Resources) -> None:
    assert (await analyst.client.get("/audit")).status_code == 403
    await stranger.sign_in(await a_user(resources, Role.LEAD))
    page = await stranger.client.get("/audit")
    assert page.status_code == 200
    assert "Signed in" in page.text


async def test_a_lead_takes_an_events_proof_away(
    stranger: Browser, resources: Resources, settings: Settings, tmp_path: Path
) -> None:
    lead = await a_user(resources, Role.LEAD)
    await stranger.sign_in(lead)
    keys, sealer = keys_of(settings, CHECKPOINTS), connect_sealer(settings)
    await seal_all(sealer, keys)
    async with resources.postgres.unit_of_work() as work:
        await people.add_source(work, "unsealed", "Not sealed", system("test"))
    page = (await stranger.client.get(f"/audit?subject_id={lead.id}")).text
    link = re.findall(r'href="(/audit/[0-9a-f-]+/proof)"', page)[0]
    answer = await stranger.client.get(link)
    assert answer.headers["content-disposition"].startswith('attachment; filename="proof-')
    (tmp_path / "proof.json").write_text(answer.text)
    auditor.check_proof(tmp_path / "proof.json", keys.public, None)
    assert "Not yet" in (await stranger.client.get("/audit?subject_id=unsealed")).text
    assert (await stranger.client.get(f"/audit/{new_uuid()}/proof")).status_code == 404
    await sealer.close()


async def test_a_disabled_user_is_out_at_once(analyst: Browser, resources: Resources) -> None:
    user = await a_user(resources, Role.ANALYST)
    await analyst.sign_in(user)
    assert (await analyst.client.get("/queue")).status_code == 200
    async with resources.postgres.unit_of_work() as work:
        found = await people_store.user(work, UserId(user.id))
        assert found is not None
        found.disabled_at = utc_now()
        await people_store.save(work, found)
    assert (await analyst.client.get("/queue")).status_code == 303


async def test_pages_carry_the_policy_and_are_not_kept(analyst: Browser, stranger: Browser) -> None:
    for page in (
        await analyst.client.get("/queue"),
        await stranger.client.get("/sign-in"),
        await analyst.client.get("/nothing-here"),
        await stranger.client.get("/queue"),
    ):
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-content-type-options"] == "nosniff"


async def test_static_files_are_kept_for_ever_under_their_hash_only(stranger: Browser) -> None:
    page = (await stranger.client.get("/sign-in")).text
    found = re.search(r'href="(/static/[^"]+/console\.css)"', page)
    assert found
    now = await stranger.client.get(found[1])
    assert now.headers["cache-control"] == "public, max-age=31536000, immutable"
    again = await stranger.client.get(found[1], headers={"If-None-Match": now.headers["etag"]})
    assert again.status_code == 304
    old = await stranger.client.get("/static/0123456789abcdef/console.css")
    assert old.headers["cache-control"] == "no-cache"
    assert (await stranger.client.get("/static/0123456789abcdef/..%2f..%2frouter.py")).status_code == 404


async def test_a_stale_decision_is_refused_with_the_fresh_state_and_who_changed_it(
    api: Api, analyst: Browser, resources: Resources
) -> None:
    alert_id = await an_alert(resources)
    async with browser(api) as colleague:
        other = await a_user(resources, Role.ANALYST)
        await colleague.sign_in(other)
        assert (await colleague.post(f"/alerts/{alert_id}/claim")).status_code == 303
        assert (await colleague.post(f"/alerts/{alert_id}/release")).status_code == 303
    stale = await analyst.post(
        f"/alerts/{alert_id}/decide", HTMX, label="fraud", reason="stolen_card", version="1", note="my words"
    )
    assert stale.status_code == 409
    assert f"{other.name} released the alert" in stale.text
    assert "my words" in stale.text  # what was typed is not lost
    assert 'data-version="3"' in stale.text
    done = await analyst.post(
        f"/alerts/{alert_id}/decide", HTMX, label="fraud", reason="stolen_card", version="3", note="my words"
    )
    assert done.status_code == 200
    assert "my words" in done.text
    async with resources.postgres.reading() as work:
        alert = await casework_store.alert(work, alert_id)
    assert alert is not None
    assert (alert.status, alert.disposition) == ("closed", "fraud")


async def test_everything_works_by_plain_forms(analyst: Browser, resources: Resources) -> None:
    alert_id = await an_alert(resources)
    note = await analyst.post(f"/alerts/{alert_id}/notes", note="waiting for the shop")
    assert note.headers["location"] == f"/alerts/{alert_id}"
    assert "waiting for the shop" in (await analyst.client.get(f"/alerts/{alert_id}")).text
    empty = await analyst.post(f"/alerts/{alert_id}/notes", note="  ")
    assert empty.status_code == 422
    assert "<html" in empty.text


async def test_looking_is_audited_once_an_hour(analyst: Browser, resources: Resources) -> None:
    alert_id = await an_alert(resources)
    for _ in range(3):
        assert (await analyst.client.get(f"/alerts/{alert_id}")).status_code == 200
    async with resources.postgres.reading() as work:
        looks = await ledger.page(
            work, AuditFilter(action=Action.ALERT_VIEW, subject_id=str(alert_id)), before_id=None, limit=10
        )
    assert len(looks) == 1


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/queue?status=maybe", 422),
        ("/queue?after=x", 422),
        ("/queue?order=loss&after=1", 422),
        ("/transactions?amount_from=abc&currency=EUR", 422),
        ("/transactions?after=x", 422),
        ("/alerts/01234567-89ab-7def-8123-456789abcdef", 404),
        ("/alerts/not-an-id", 404),
        ("/transactions/01234567-89ab-7def-8123-456789abcdef", 404),
    ],
)
async def test_bad_addresses_get_a_readable_page(analyst: Browser, path: str, status: int) -> None:
    page = await analyst.client.get(path)
    assert page.status_code == status
    assert "<html" in page.text
    assert "Traceback" not in page.text


@pytest.mark.parametrize("order", ["", "?order=loss"])
async def test_pages_of_the_queue_neither_repeat_nor_skip(analyst: Browser, resources: Resources, order: str) -> None:
    made = {str(await an_alert(resources, expected_loss_minor=place // 3)) for place in range(55)}
    seen: list[str] = []
    address: str | None = f"/queue{order}"
    while address:
        page = (await analyst.client.get(address)).text
        seen += re.findall(r'<tr id="alert-([0-9a-f-]+)"', page)
        more = re.search(r'id="load-more" href="([^"]+)"', page)
        address = more[1].replace("&amp;", "&") if more else None
    assert len(seen) == len(set(seen))
    assert made <= set(seen)
