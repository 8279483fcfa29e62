"""The audit trail's page: filters by time and result, an object's timeline, checking against the seals, and copies."""

import asyncio
import csv
import io
import json
import zipfile
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from core.acts import audit
from core.acts import audit_check as acts
from core.acts.audit import Event, system
from core.base.clock import utc_now
from core.base.ids import new_uuid
from core.base.settings import Settings
from core.base.terms import Action, Result, Role
from core.infra.resources import Resources
from core.infra.signing import CHECKPOINTS, keys_of
from core.stores import ledger, seals
from core.stores.ledger import AuditFilter
from tests import servers
from tests.integration.conftest import Api
from tests.integration.console_browser import HTMX, Browser, a_user, an_alert, browser
from tests.integration.test_audit_bundle import checked as checked_by_program
from workers.seal import connect_sealer, seal_all

EVIL = "=HYPERLINK(1)"


async def seal(settings: Settings) -> None:
    sealer = connect_sealer(settings)
    await seal_all(sealer, keys_of(settings, CHECKPOINTS))
    await sealer.close()


@pytest.fixture
async def lead(api: Api, resources: Resources) -> AsyncIterator[Browser]:
    async with browser(api) as tab:
        await tab.sign_in(await a_user(resources, Role.LEAD))
        yield tab


async def written(resources: Resources, subject: str, *results: Result) -> None:
    for result in results:
        async with resources.postgres.unit_of_work() as work:
            await audit.record(work, Event(system(EVIL), Action.SOURCE_ADD, "source", subject, {"name": "+1"}, result))


async def test_events_are_found_by_time_and_by_result(resources: Resources) -> None:
    subject, begun = f"s{new_uuid().hex}", utc_now()
    await written(resources, subject, Result.DONE, Result.REFUSED, Result.DONE)
    soon, ago = begun + timedelta(hours=1), begun - timedelta(hours=1)

    async def found(**changes: object) -> int:
        chosen = AuditFilter(**{"subject_type": "source", "subject_id": subject, **changes})  # type: ignore[arg-type]
        async with resources.postgres.reading() as work:
            return len(await ledger.page(work, chosen, before_id=None, limit=10))

    assert await found() == 3
    assert await found(result="refused") == 1
    assert await found(since=ago, until=soon) == 3
    assert await found(since=soon) == 0
    assert await found(until=ago) == 0
    assert await found(until=ago - timedelta(days=4000)) == 0


async def test_an_alerts_timeline_tells_in_words_what_happened_to_it_and_its_payment(
    lead: Browser, resources: Resources
) -> None:
    alert_id = await an_alert(resources)
    await lead.post(f"/alerts/{alert_id}/claim")
    page = (await lead.client.get(f"/audit?object=alert:{alert_id}")).text
    assert "claimed the alert" in page
    assert f'href="/alerts/{alert_id}"' in page
    old = (await lead.client.get(f"/audit?subject_type=alert&subject_id={alert_id}")).text
    assert "claimed the alert" in old, "links from before still lead there"
    assert "Nothing on the trail names this object." in (await lead.client.get("/audit?object=alert:x")).text


@pytest.mark.parametrize("query", ["action=x", "actor_type=x", "result=x", "since=x", "before=x"])
async def test_a_damaged_address_is_told_readably(lead: Browser, query: str) -> None:
    answer = await lead.client.get(f"/audit?{query}")
    assert (answer.status_code, "<html" in answer.text) == (422, True)


async def checked(resources: Resources) -> acts.Checked:
    async with resources.postgres.reading() as work:
        found = await acts.last_check(work)
    assert found is not None
    return found


async def test_a_check_goes_on_where_the_last_one_ended_and_names_what_was_altered(
    lead: Browser, resources: Resources, settings: Settings, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        await written(resources, "checked", Result.DONE, Result.DONE)
        await seal(settings)
    monkeypatch.setattr(acts, "EVENTS_AT_ONCE", 1)
    first = await lead.post("/audit/verify", HTMX, begin="first", on="1")
    assert "Everything reads as it was written." in first.text
    assert 'id="check-goes-on"' in first.text
    assert ((await checked(resources)).from_seal, (await checked(resources)).last_seal) == (1, 1)
    monkeypatch.setattr(acts, "EVENTS_AT_ONCE", 20_000)
    assert (await lead.post("/audit/verify", begin="next")).status_code == 303
    async with resources.postgres.reading() as work:
        newest = await seals.newest(work)
    assert newest is not None
    assert ((await checked(resources)).from_seal, (await checked(resources)).last_seal) == (1, newest.n)
    over = await lead.post("/audit/verify", begin="next")
    assert (over.status_code, "Every seal there is has been checked." in over.text) == (409, True)
    await seal(settings)
    await servers.run_sql(
        postgres_url,
        "SET session_replication_role = replica; UPDATE audit_event SET detail = '{}' WHERE subject_id = 'checked'",
    )
    found = await lead.post("/audit/verify", HTMX, begin="since", on="1")
    assert "findings." in found.text
    assert "its content does not match its leaf hash" in found.text
    assert (await checked(resources)).faults >= 8
    assert 'class="check-words bad"' in (await lead.client.get("/audit")).text


async def test_a_table_is_safe_in_a_spreadsheet_holds_what_was_asked_for_and_is_on_the_trail(
    lead: Browser, resources: Resources
) -> None:
    subject = f"s{new_uuid().hex}"
    await written(resources, subject, Result.DONE, Result.REFUSED)
    answer = await lead.post("/audit/export", format="csv", object=f"source:{subject}", result="refused")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    head, *rows = list(csv.reader(io.StringIO(answer.text)))
    [row] = [dict(zip(head, row, strict=True)) for row in rows]
    assert (row["actor_id"], row["result"], row["subject_id"]) == (f"'{EVIL}", "refused", subject)
    async with resources.postgres.reading() as work:
        [event] = await ledger.page(work, AuditFilter(action=Action.AUDIT_EXPORT.value), before_id=None, limit=1)
    assert json.loads(event.detail)["filters"] == {"object": f"source:{subject}", "result": "refused"}


async def test_a_bundle_is_checked_without_us(
    lead: Browser, resources: Resources, settings: Settings, tmp_path: Path
) -> None:
    await written(resources, "bundled", Result.DONE)
    await seal(settings)
    today = utc_now()
    early = await lead.post("/audit/export", format="bundle", since="2001-01-01", until="2001-01-02")
    assert early.status_code == 404
    assert (await lead.post("/audit/export", format="x")).status_code == 422
    answer = await lead.post(
        "/audit/export",
        format="bundle",
        since=f"{today - timedelta(days=1):%Y-%m-%d}",
        until=f"{today + timedelta(days=1):%Y-%m-%d}",
    )
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path)
    [name] = {member.partition("/")[0] for member in archive.namelist()}
    folder = tmp_path / name
    _code, said = await asyncio.to_thread(checked_by_program, folder / "verify.py")
    assert '"subject_id": "bundled"' in (folder / "events.ndjson").read_text()
    assert "files are those of the manifest" in said, "what else it says depends on the keys of the other tests here"
    async with resources.postgres.reading() as work:
        [event] = await ledger.page(work, AuditFilter(action=Action.AUDIT_EXPORT.value), before_id=None, limit=1)
    assert json.loads(event.detail)["events"] > 0


async def test_an_analyst_may_neither_check_nor_copy(api: Api, resources: Resources) -> None:
    async with browser(api) as tab:
        await tab.sign_in(await a_user(resources, Role.ANALYST))
        assert (await tab.post("/audit/verify")).status_code == 403
        assert (await tab.post("/audit/export", format="csv")).status_code == 403


async def test_a_dossier_holds_its_case_names_who_took_it_and_where_to_check_it(
    lead: Browser, resources: Resources, settings: Settings
) -> None:
    alert_id = await an_alert(resources)
    await lead.post(f"/alerts/{alert_id}/notes", note="asked the **shop**")
    await seal(settings)
    page = (await lead.client.get(f"/alerts/{alert_id}/dossier")).text
    for part in (
        "€129.90",
        "<strong>shop</strong>",
        "A lead",
        "took the case dossier",
        "signed checkpoint over",
        "cus_1",
    ):
        assert part in page, part
    async with resources.postgres.reading() as work:
        taken = AuditFilter(action=Action.ALERT_DOSSIER.value, subject_id=str(alert_id))
        assert len(await ledger.page(work, taken, before_id=None, limit=5)) == 1
    assert (await lead.client.get(f"/alerts/{new_uuid()}/dossier")).status_code == 404
