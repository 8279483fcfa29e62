"""Lists, entities and the search of transactions over a running web process."""

import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import pytest

from console.views.words import entity_href
from core.acts import labels, people
from core.acts.audit import system
from core.acts.labels import LabelInput
from core.base.clock import to_ms, utc_now
from core.base.ids import SourceId, TransactionId, new_uuid
from core.base.terms import EntityKind, EntityList, Label, LabelSource, Role
from core.contracts.messages import Payment
from core.infra.resources import Resources
from core.stores import accepting, lists, searching
from core.stores.accepting import Arrival
from core.stores.searching import TransactionFilter
from core.tables.policy import ListEntry
from tests.integration.conftest import Api
from tests.integration.console_browser import Browser, a_user, browser

CARD = EntityKind.CARD
ODD = [
    "a/b",
    "a//b/",
    "/",
    "a?b=c",
    "#",
    "100%",
    "%2F",
    "cafés ñ 漢",
    "..",
    ".",
    "~",
    "~~a",
    "a\\b",
    "'\"<i>&",
    " a+b ",
]
"""Ids a source may choose, and what addresses do with them."""


@pytest.fixture
async def lead(api: Api, resources: Resources) -> AsyncIterator[Browser]:
    async with browser(api) as tab:
        await tab.sign_in(await a_user(resources, Role.LEAD))
        yield tab


@pytest.fixture
async def analyst(api: Api, resources: Resources) -> AsyncIterator[Browser]:
    async with browser(api) as tab:
        await tab.sign_in(await a_user(resources, Role.ANALYST))
        yield tab


async def paid(resources: Resources, number: int = 1, **changes: Any) -> list[Payment]:
    """Payments of these entities, a second apart, the last one now."""
    now = to_ms(utc_now())
    payments = [
        Payment(**{
            "uid": new_uuid(), "source_id": "shop", "transaction_id": new_uuid().hex, "occurred_at_ms": now - place * 1000,
            "accepted_at_ms": now, "amount_minor": 12_990, "currency": "EUR", "customer_id": f"cus_{new_uuid().hex}", **changes,
        })
        for place in range(number)
    ]  # fmt: skip
    async with resources.postgres.unit_of_work() as work:
        await people.add_source(work, "shop", "Shop", system("test"))
        await accepting.insert_transactions(work, [Arrival(payment, b"x") for payment in payments])
    return payments


async def entry_of(resources: Resources, entity_list: EntityList, card: str) -> ListEntry | None:
    async with resources.postgres.reading() as work:
        return await lists.unended(work, entity_list, CARD, card)


def form(card: str, **changes: str) -> dict[str, str]:
    return {"list": "deny", "kind": "card", "entity_id": card, "reason": "sold on a forum", "period": "30", **changes}


async def test_an_analyst_puts_a_card_on_a_list_changes_and_ends_it(analyst: Browser, resources: Resources) -> None:
    card = f"tok_{new_uuid().hex}"
    added = await analyst.post("/lists", **form(card))
    assert (added.status_code, added.headers["location"]) == (303, "/lists?list=deny&said=list-added")
    page = (await analyst.client.get(added.headers["location"])).text
    assert card in page
    assert "It is on the list" in page
    row = await entry_of(resources, EntityList.DENY, card)
    assert row is not None
    changed = await analyst.post(f"/lists/{row.id}/extend", period="1", back="/lists?show=soon")
    assert changed.headers["location"] == "/lists?show=soon&said=list-extended"
    assert card in (await analyst.client.get("/lists?show=soon")).text
    elsewhere = await analyst.post(f"/lists/{row.id}/end", back="https://evil.example/")
    assert elsewhere.headers["location"].startswith("/queue?")
    assert card not in (await analyst.client.get("/lists")).text
    assert card in (await analyst.client.get(f"/lists?show=ended&q={card[8:20]}")).text
    again = await analyst.post(f"/lists/{row.id}/end")
    assert again.status_code == 409
    assert "This entry has ended already." in again.text


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"entity_id": "4111 1111 1111 1111"}, "entity_id", "looks like a card number"),
        ({"reason": " "}, "reason", "Say why"),
        ({"period": "date"}, "until", "Say until which day"),
        ({"period": "date", "until": "2020-01-01"}, "expires_at", "in the past"),
        ({"period": "ten"}, "until", "Say until which day"),
        ({"period": "open"}, "expires_at", "need a lead"),
        ({"list": "snooze", "period": "open"}, "expires_at", "within 90 days"),
    ],
)
async def test_a_refused_entry_says_so_beside_the_field_and_keeps_what_was_typed(
    analyst: Browser, changes: dict[str, str], field: str, words: str
) -> None:
    answer = await analyst.post("/lists", **form("tok_kept", **changes))
    assert answer.status_code == 422
    said = re.search(f'id="{field}-problem">([^<]+)<', answer.text)
    assert said
    assert words in said[1]
    assert f'aria-describedby="{field}-problem"' in answer.text
    for typed in ({"reason": "sold on a forum", "entity_id": "tok_kept"} | changes).values():
        assert typed.strip() in answer.text


async def test_a_second_entry_and_a_damaged_form_are_refused_readably(lead: Browser) -> None:
    card = f"tok_{new_uuid().hex}"
    await lead.post("/lists", **form(card, period="open"))
    assert "on the deny list already" in (await lead.post("/lists", **form(card))).text
    assert (await lead.post("/lists", **form(card, list="nothing"))).status_code == 422
    assert (await lead.client.get("/lists?list=nothing")).status_code == 422
    assert (await lead.client.get("/lists?show=nothing")).status_code == 422
    assert (await lead.post(f"/lists/{new_uuid()}/end")).status_code == 404


async def test_a_viewer_sees_lists_and_changes_none(api: Api, resources: Resources) -> None:
    async with browser(api) as tab:
        await tab.sign_in(await a_user(resources, Role.VIEWER))
        page = await tab.client.get("/lists")
        assert page.status_code == 200
        assert 'id="add-form"' not in page.text
        assert (await tab.post("/lists", **form("tok"))).status_code == 403


@pytest.mark.parametrize("ident", ODD)
async def test_an_entity_has_its_page_whatever_characters_its_id_has(
    analyst: Browser, resources: Resources, ident: str
) -> None:
    [payment] = await paid(resources, card_id=ident)
    page = await analyst.client.get(entity_href(CARD, ident))
    assert page.status_code == 200
    assert f'id="entity-id">{ident}'[:20] in unescape(page.text)
    assert f'href="/transactions/{payment.uid}"' in page.text
    links = {unescape(link) for link in re.findall(r'href="(/entities/card/[^"]+)"', page.text)}
    assert links == {entity_href(CARD, ident)}
    search = re.search(r'id="to-search" href="([^"]+)"', page.text)
    assert search
    assert f'href="/transactions/{payment.uid}"' in (await analyst.client.get(unescape(search[1]))).text


@pytest.mark.parametrize(
    "path", ["/entities/card/never_seen", "/entities/card", "/entities/ghost/1", "/entities/card/%00"]
)
async def test_an_unknown_entity_is_a_readable_404(analyst: Browser, path: str) -> None:
    page = await analyst.client.get(path)
    assert page.status_code == 404
    assert "<html" in page.text
    assert "Not found" in page.text


async def test_an_entity_page_tells_what_is_known(analyst: Browser, resources: Resources) -> None:
    device = f"dev_{new_uuid().hex}"
    payments = await paid(resources, 4, device_id=device)
    await paid(resources, 2, device_id=device, customer_id=payments[0].customer_id, currency="JPY", amount_minor=500)
    page = unescape((await analyst.client.get(entity_href(EntityKind.CUSTOMER, payments[0].customer_id))).text)
    assert "shared with 3 customers" in page
    assert "¥1,000" in page
    page = unescape((await analyst.client.get(entity_href(EntityKind.DEVICE, device))).text)
    assert "4 customers" in page
    assert "6 payments" in page
    assert 'role="img" aria-labelledby="activity-words"' in page
    back = entity_href(EntityKind.DEVICE, device)
    added = await analyst.post("/lists", **form(device, kind="device", back=back))
    assert added.headers["location"] == f"{back}?said=list-added"
    assert "sold on a forum" in (await analyst.client.get(added.headers["location"])).text


async def test_pages_of_an_entity_neither_repeat_nor_skip_and_a_busy_one_says_that_it_is_cut(
    analyst: Browser, resources: Resources
) -> None:
    merchant = f"mer_{new_uuid().hex}"
    made = {str(payment.uid) for payment in await paid(resources, 510, merchant_id=merchant)}
    first = (await analyst.client.get(entity_href(EntityKind.MERCHANT, merchant))).text
    assert "500+" in first
    assert "of its latest 500" in first
    seen: list[str] = []
    page: str | None = first
    for _ in range(3):
        assert page
        seen += re.findall(r'<tr id="payment-([0-9a-f-]+)"', page)
        more = re.search(r'id="load-more" href="([^"]+)"', page)
        assert more
        page = (await analyst.client.get(unescape(more[1]))).text
    assert len(seen) == len(set(seen)) == 75
    assert set(seen) <= made


def found_in(page: str) -> set[str]:
    return set(re.findall(r'<tr id="payment-([0-9a-f-]+)"', page))


async def test_a_search_takes_any_id_any_entities_together_and_labels(analyst: Browser, resources: Resources) -> None:
    ident = new_uuid().hex
    [by_id] = await paid(resources, transaction_id=ident)
    [by_device] = await paid(resources, device_id=ident)
    page = (await analyst.client.get(f"/transactions?q={ident}")).text
    assert found_in(page) == {str(by_id.uid), str(by_device.uid)}
    assert f'id="page-device" href="/entities/device/{ident}"' in page
    assert found_in((await analyst.client.get(f"/transactions?q={by_id.uid}")).text) == {str(by_id.uid)}
    assert "Nothing matches" in (await analyst.client.get(f"/transactions?q={ident[:-1]}")).text
    both = f"/transactions?device={ident}&customer={by_device.customer_id}"
    assert found_in((await analyst.client.get(both)).text) == {str(by_device.uid)}
    assert found_in((await analyst.client.get(f"/transactions?device={ident}&customer=x")).text) == set()
    said = [
        LabelInput(TransactionId(ident), Label.FRAUD, LabelSource.ANALYST, utc_now()),
        LabelInput(TransactionId(ident), Label.LEGITIMATE, LabelSource.CHARGEBACK, utc_now()),
    ]
    async with resources.postgres.unit_of_work() as work:
        await labels.record_labels(work, SourceId("shop"), said, by=system("test"))
    for label, uids in (("legitimate", {str(by_id.uid)}), ("fraud", set()), ("none", {str(by_device.uid)})):
        assert found_in((await analyst.client.get(f"/transactions?q={ident}&label={label}")).text) == uids


async def test_a_search_that_no_index_helps_looks_at_so_many_and_says_where_to_go_on(resources: Resources) -> None:
    """Found after a second look: among the newest three there is none."""
    customer = f"cus_{new_uuid().hex}"
    await paid(resources, 5, customer_id=customer)
    now = to_ms(utc_now())
    [old] = await paid(resources, customer_id=customer, amount_minor=7, occurred_at_ms=now - 3_600_000)
    wanted = TransactionFilter(entities={EntityKind.CUSTOMER: customer}, currency="EUR", amount_to_minor=10)
    async with resources.postgres.reading() as work:
        first = await searching.search_transactions(work, wanted, after=None, limit=9, most=3)
        assert (list(first.rows), first.edge is None) == ([], False)
        second = await searching.search_transactions(work, wanted, after=first.edge, limit=9, most=3)
        assert [row.uid for row, _decision in second.rows] == [old.uid]
        third = await searching.search_transactions(work, wanted, after=second.edge, limit=9, most=3)
    assert (list(third.rows), third.edge) == ([], None)


async def test_what_is_refused_is_told_above_the_list_that_was_looked_at(
    analyst: Browser, resources: Resources
) -> None:
    wanted, other = f"tok_{new_uuid()}", f"tok_{new_uuid()}"
    for card in (wanted, other):
        await analyst.post("/lists", **form(card, list="watch"))
    row = await entry_of(resources, EntityList.WATCH, wanted)
    assert row is not None
    here = f"/lists?list=watch&q={wanted}"
    refused = await analyst.post(f"/lists/{row.id}/extend", period="date", until="", back=here)
    assert refused.status_code == 422
    assert "Say until which day." in refused.text
    assert wanted in refused.text
    assert other not in refused.text
    assert f'name="q" type="search" value="{wanted}"' in refused.text
    assert (await analyst.post(f"/lists/{row.id}/extend", period="x", back="/lists?list=no&show=no")).status_code == 422
