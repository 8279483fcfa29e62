"""Dead letters as leads see and settle them: in the console and on the command line."""

import json
from collections.abc import AsyncIterator
from html import unescape
from typing import Any
from uuid import UUID

import pytest

from core.acts import dead_letters as acts
from core.acts.audit import system
from core.base.ids import new_uuid
from core.base.terms import Action, DeadLetterState, Role
from core.contracts.messages import ScoreBatch, encode
from core.contracts.topology import SUSPECT, score_queue
from core.infra.resources import Resources
from core.stores import dead_letters, flow, ledger
from core.stores.ledger import AuditFilter
from core.tables.flow import DeadLetter
from tests.integration.conftest import Api
from tests.integration.console_browser import Browser, a_user, browser
from tests.integration.test_model_commands import ronda
from tests.poison import payments

CARD = "4111 1111 1111 1111"
TEST = system("test")


async def buried(resources: Resources, reason: str, *, queue: str = SUSPECT, body: bytes | None = None) -> UUID:
    if body is None:
        body = encode(ScoreBatch(shard=0, payments=payments(1)))
    async with resources.postgres.unit_of_work() as work:
        row = await acts.store(work, queue, str(new_uuid()), reason, body, by=TEST)
    assert row
    return row.id


async def letter(resources: Resources, ident: UUID) -> DeadLetter:
    async with resources.postgres.reading() as work:
        return acts.taken(await dead_letters.one(work, ident))


async def trail(resources: Resources, ident: UUID) -> list[tuple[str, str]]:
    async with resources.postgres.reading() as work:
        events = await ledger.page(work, AuditFilter(subject_id=str(ident)), before_id=None, limit=10)
    return [(event.action, f"{event.actor_type}:{event.actor_id}") for event in reversed(events)]


async def unsent(resources: Resources) -> list[tuple[str, bytes]]:
    async with resources.postgres.unit_of_work() as work:
        rows = await flow.due_outbox(work, acts.utc_now(), lease=acts.timedelta(), limit=100)
        await flow.mark_sent(work, [row.id for row in rows], acts.utc_now())
    return [(row.queue, bytes(row.body)) for row in rows]


@pytest.fixture
async def lead(api: Api, resources: Resources) -> AsyncIterator[Browser]:
    async with browser(api) as tab:
        await tab.sign_in(await a_user(resources, Role.LEAD))
        yield tab


async def page(tab: Browser, path: str) -> str:
    answer = await tab.client.get(path)
    assert answer.status_code == 200, answer.text[:300]
    return unescape(answer.text)


async def test_the_list_names_queue_reason_and_payment(lead: Browser, resources: Resources) -> None:
    reason = f"a reason {new_uuid()}"
    known = await buried(resources, reason)
    unreadable = await buried(resources, reason, queue=score_queue(0), body=b"\xff")
    found = await page(lead, f"/dead-letters?reason={reason}")
    uid = (await letter(resources, known)).transaction_uid
    assert f"/transactions/{uid}" in found
    assert f"/dead-letters/{unreadable}" in found
    assert found.count("cannot be read") == 1
    assert "2 messages go back into their queues" in found
    assert "No dead letters" in await page(lead, f"/dead-letters?show=discarded&reason={reason}")


async def test_the_list_goes_on_where_it_ended(lead: Browser, resources: Resources) -> None:
    reason = f"many {new_uuid()}"
    idents = {await buried(resources, reason, body=b"\xff") for _ in range(53)}
    first = await page(lead, f"/dead-letters?reason={reason}")
    href = first.split('id="next-page" href="')[1].split('"')[0]
    second = await page(lead, href)
    shown = [{ident for ident in idents if f"letter-{ident}" in text} for text in (first, second)]
    assert [len(part) for part in shown] == [50, 3]
    assert shown[0] | shown[1] == idents
    assert (await lead.client.get("/dead-letters?after=nonsense")).status_code == 422
    assert (await lead.client.get("/dead-letters?show=nonsense")).status_code == 422


async def test_a_message_is_shown_by_its_fields_and_never_a_card_number(lead: Browser, resources: Resources) -> None:
    [payment] = payments(1)
    leaky = ScoreBatch(shard=0, payments=[acts.msgspec.structs.replace(payment, attributes={"memo": CARD})])
    ident = await buried(resources, "a reason", body=encode(leaky))
    found = await page(lead, f"/dead-letters/{ident}")
    assert payment.transaction_id in found
    assert "€1.00" in found
    assert 'id="raw"' not in found
    raw = await page(lead, f"/dead-letters/{ident}?raw=true")
    assert 'id="raw"' in raw
    for text in (found, raw):
        assert "1111" not in text.replace(payment.transaction_id, "").replace(str(payment.uid), "").replace(
            str(ident), ""
        )


async def test_sending_again_is_audited_and_goes_through_the_outbox(lead: Browser, resources: Resources) -> None:
    ident = await buried(resources, "a reason")
    row = await letter(resources, ident)
    await unsent(resources)
    answer = await lead.post(f"/dead-letters/{ident}/redrive")
    assert answer.status_code == 303
    assert await unsent(resources) == [(SUSPECT, row.body)]
    row = await letter(resources, ident)
    assert row.state == DeadLetterState.REDRIVEN
    assert await trail(resources, ident) == [
        (Action.DEAD_LETTER_STORE, "system:test"),
        (Action.DEAD_LETTER_REDRIVE, row.settled_by),
    ]
    assert "Sent again by A lead" in await page(lead, f"/dead-letters/{ident}")


async def test_the_second_person_learns_who_was_faster(lead: Browser, api: Api, resources: Resources) -> None:
    ident = await buried(resources, "a reason")
    refused = await lead.post(f"/dead-letters/{ident}/discard", reason=" ")
    assert (refused.status_code, (await letter(resources, ident)).state) == (422, DeadLetterState.WAITING)
    async with browser(api) as other:
        await other.sign_in(await a_user(resources, Role.ADMIN))
        assert (await other.post(f"/dead-letters/{ident}/discard", reason="a test")).status_code == 303
    await unsent(resources)
    for act in ("redrive", "discard"):
        late = await lead.post(f"/dead-letters/{ident}/{act}", reason="too")
        assert late.status_code == 409
        assert "Nothing was done: Discarded by A admin" in unescape(late.text)
    assert await unsent(resources) == []
    assert [action for action, _ in await trail(resources, ident)] == ["dead_letter.store", "dead_letter.discard"]


async def test_all_of_one_reason_go_again_but_not_what_came_later(lead: Browser, resources: Resources) -> None:
    reason = f"several {new_uuid()}"
    seen = [await buried(resources, reason) for _ in range(3)]
    other = await buried(resources, "another reason")
    found = await page(lead, f"/dead-letters?reason={reason}")
    until = found.split('name="until" value="')[1].split('"')[0]
    later = await buried(resources, reason)
    answer = await lead.post("/dead-letters/redrive", reason=reason, until=until)
    assert answer.headers["location"] == "/dead-letters?sent=3"
    states = [(await letter(resources, ident)).state for ident in (*seen, later, other)]
    assert states == ["redriven"] * 3 + ["waiting"] * 2
    assert (await lead.post("/dead-letters/redrive", reason=reason, until="x")).status_code == 422


async def test_a_queue_that_is_no_more_takes_nothing_back(lead: Browser, resources: Resources) -> None:
    ident = await buried(resources, "a reason", queue="score.63")
    answer = await lead.post(f"/dead-letters/{ident}/redrive")
    assert answer.status_code == 409
    assert "There is no queue score.63 any more; it can only be discarded." in unescape(answer.text)


async def test_analysts_may_not(api: Api, resources: Resources) -> None:
    ident = await buried(resources, "a reason")
    async with browser(api) as tab:
        await tab.sign_in(await a_user(resources, Role.ANALYST))
        assert (await tab.client.get("/dead-letters")).status_code == 403
        assert (await tab.post(f"/dead-letters/{ident}/redrive")).status_code == 403
    assert (await letter(resources, ident)).state == DeadLetterState.WAITING


async def test_the_command_line_does_the_same(resources: Resources) -> None:
    by = (await a_user(resources, Role.LEAD)).email
    analyst = (await a_user(resources, Role.ANALYST)).email
    reason = f"typed {new_uuid()}"
    one, two, three = [await buried(resources, reason) for _ in range(3)]
    listed = await ronda(resources, "dead-letters", "list", "--reason", reason, "--json")
    rows: list[dict[str, Any]] = json.loads(listed.out)
    assert [row["id"] for row in rows] == [str(three), str(two), str(one)]
    assert "body" not in rows[0]
    refused = await ronda(resources, "dead-letters", "redrive", str(one), "--by", analyst)
    assert (refused.code, refused.err) == (
        1, f"ronda: {analyst} may not settle dead letters: that takes the role lead\n"
    )  # fmt: skip
    gone = await ronda(resources, "dead-letters", "discard", str(one), "--by", by, "--reason", "a test", "--json")
    assert json.loads(gone.out) == {"discarded": 1}
    both = await ronda(resources, "dead-letters", "redrive", str(two), str(one), "--by", by)
    assert both.code == 1
    assert "discarded by user:" in both.err
    assert (await letter(resources, two)).state == DeadLetterState.WAITING
    rest = await ronda(resources, "dead-letters", "redrive", "--reason", reason, "--by", by, "--json")
    assert json.loads(rest.out) == {"redriven": 2}
    assert (await ronda(resources, "dead-letters", "redrive", "--by", by)).code == 2
