"""Lists: acts over real PostgreSQL with their limits and traces, and what the scorer makes of them."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.acts import lists, registry
from core.acts.audit import Actor, system
from core.acts.lists import NewEntry
from core.acts.people import user_actor
from core.acts.registry import NewModel
from core.base.clock import utc_now
from core.base.errors import Forbidden, InvalidInput, NotAllowedNow, NotFound
from core.base.ids import ModelId, new_uuid
from core.base.terms import EntityKind, EntityList, Role
from core.contracts.messages import Payment
from core.contracts.topology import BELL_LISTS
from core.infra.resources import Resources
from core.rules.lists import Lists
from core.stores import lists as store
from core.tables.policy import ListEntry
from models.features.catalogue import CATALOGUE_VERSION
from tests.integration.conftest import Api, payment
from tests.integration.console_browser import a_user
from tests.integration.test_pipeline import decision_of
from tests.jobs import running
from tests.small_models import SmallModel
from workers.listed import ListsKeeper

CARD, IP = EntityKind.CARD, EntityKind.IP
DENY, ALLOW, WATCH, SNOOZE = EntityList
DAY = timedelta(days=1)
BY = system("test")


def fresh() -> str:
    return f"tok_{new_uuid().hex}"


async def add(
    resources: Resources,
    entity_list: EntityList,
    entity_id: str,
    *,
    kind: EntityKind = CARD,
    days: float | None = None,
    by: Actor = BY,
    reason: str = "a good reason",
) -> ListEntry:
    expires_at = None if days is None else utc_now() + days * DAY
    async with resources.postgres.unit_of_work() as work:
        new = NewEntry(entity_list, kind, entity_id, reason, expires_at)
        return await lists.add_entry(work, resources.redis, new, by=by)


async def end(resources: Resources, row: ListEntry, by: Actor = BY) -> ListEntry:
    async with resources.postgres.unit_of_work() as work:
        return await lists.end_entry(work, resources.redis, row.id, by=by)


async def extend(resources: Resources, row: ListEntry, days: float | None, by: Actor = BY) -> ListEntry:
    expires_at = None if days is None else utc_now() + days * DAY
    async with resources.postgres.unit_of_work() as work:
        return await lists.extend_entry(work, resources.redis, row.id, expires_at, by=by)


async def trail(resources: Resources, entry_id: UUID) -> list[tuple[str, str, dict[str, Any]]]:
    query = text("SELECT actor_id, action, detail FROM audit_event WHERE subject_id = :id ORDER BY id")
    async with resources.postgres.reading() as work:
        return [(r.actor_id, r.action, json.loads(r.detail)) for r in await work.run(query, {"id": str(entry_id)})]


async def test_every_act_is_on_the_trail_in_the_order_of_changes_and_rings(resources: Resources) -> None:
    card = fresh()
    async with resources.redis.pubsub() as bells:
        await bells.subscribe(BELL_LISTS)
        await bells.get_message(timeout=2)
        row = await add(resources, DENY, card, days=2, reason="sold\n on  a forum")
        rung = await bells.get_message(timeout=5)
    assert rung is not None
    assert json.loads(rung["data"]) == [str(row.id)]
    assert (row.entity_id, row.reason) == (card, "sold on a forum")
    longer = await extend(resources, row, 5)
    ended = await end(resources, row)
    assert row.change < longer.change < ended.change
    named = {"list": "deny", "entity": "card", "entity_id": card}
    [(_, _, added), (_, _, extended), _] = told = await trail(resources, row.id)
    assert [(actor, action) for actor, action, _ in told] == [
        ("test", "list.add"), ("test", "list.extend"), ("test", "list.end"),
    ]  # fmt: skip
    assert added | named == added
    assert added["reason"] == "sold on a forum"
    assert extended["before"] == added["expires_at"] < extended["expires_at"]
    with pytest.raises(NotAllowedNow, match="has ended"):
        await end(resources, row)
    with pytest.raises(NotFound):
        await end(resources, ListEntry(id=new_uuid()))


async def test_an_entity_is_on_a_list_once_and_again_after_its_entry_ended_or_ran_out(resources: Resources) -> None:
    card = fresh()
    first = await add(resources, DENY, card, days=1)
    await add(resources, SNOOZE, card, days=1)
    with pytest.raises(NotAllowedNow, match="deny list already") as refused:
        await add(resources, DENY, card)
    assert refused.value.facts == {"entry": str(first.id)}
    await end(resources, first)
    second = await add(resources, DENY, card, days=1)
    async with resources.postgres.unit_of_work() as work:
        await work.run(text("UPDATE list_entry SET expires_at = now() WHERE id = :id"), {"id": second.id})
    third = await add(resources, DENY, card)
    async with resources.postgres.reading() as work:
        ran_out = await store.entry(work, second.id)
    assert ran_out is not None
    assert (ran_out.ended_at, ran_out.ended_by) == (ran_out.expires_at, None)
    assert second.change < ran_out.change < third.change


async def test_of_two_at_once_one_is_refused(resources: Resources) -> None:
    card = fresh()
    answers = await asyncio.gather(*(add(resources, WATCH, card) for _ in range(4)), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["ListEntry", *["NotAllowedNow"] * 3]


@pytest.mark.parametrize(
    ("entity_list", "days", "role", "may"),
    [
        (WATCH, None, Role.ANALYST, True),
        (SNOOZE, 89, Role.ANALYST, True),
        (DENY, 29.9, Role.ANALYST, True),
        (DENY, 30.1, Role.ANALYST, False),
        (ALLOW, None, Role.ANALYST, False),
        (ALLOW, None, Role.LEAD, True),
        (WATCH, 1, Role.VIEWER, False),
    ],
)
async def test_the_role_bounds_how_far_an_entry_reaches(
    resources: Resources, entity_list: EntityList, days: float | None, role: Role, may: bool
) -> None:
    actor = user_actor(await a_user(resources, role))
    if may:
        row = await add(resources, entity_list, fresh(), days=days, by=actor)
        assert row.created_by == str(actor)
        return
    with pytest.raises(Forbidden):
        await add(resources, entity_list, fresh(), days=days, by=actor)
    row = await add(resources, entity_list, fresh(), days=days)
    with pytest.raises(Forbidden):
        await extend(resources, row, 1, by=actor)
    with pytest.raises(Forbidden):
        await end(resources, row, by=actor)


@pytest.mark.parametrize(
    ("field", "entity_list", "kind", "entity_id", "reason", "days"),
    [
        ("entity_id", DENY, CARD, " ", "why", None),
        ("entity_id", DENY, CARD, "x" * 129, "why", None),
        ("entity_id", DENY, CARD, "4111 1111 1111 1111", "why", None),
        ("entity_id", DENY, CARD, "a\x00b", "why", None),
        ("entity_id", DENY, IP, "10.0.0", "why", None),
        ("reason", DENY, CARD, "tok", " \n", None),
        ("reason", DENY, CARD, "tok", "x" * 301, None),
        ("reason", DENY, CARD, "tok", "it is 4111111111111111", None),
        ("expires_at", DENY, CARD, "tok", "why", -0.01),
        ("expires_at", SNOOZE, CARD, "tok", "why", None),
        ("expires_at", SNOOZE, CARD, "tok", "why", 90.1),
    ],
)
async def test_what_makes_no_entry_is_refused_by_field(
    resources: Resources,
    field: str,
    entity_list: EntityList,
    kind: EntityKind,
    entity_id: str,
    reason: str,
    days: float | None,
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await add(resources, entity_list, entity_id, kind=kind, reason=reason, days=days)
    assert [error["field"] for error in refused.value.facts["errors"]] == [field]


async def test_an_address_is_listed_as_payments_carry_it(resources: Resources) -> None:
    row = await add(resources, WATCH, "2001:0DB8:0:0::1", kind=IP)
    assert row.entity_id == "2001:db8::1"


async def test_only_expiry_and_end_of_an_entry_can_be_changed(resources: Resources) -> None:
    row = await add(resources, DENY, fresh())
    for statement in ("UPDATE list_entry SET reason = 'x' WHERE id = :id", "DELETE FROM list_entry WHERE id = :id"):
        with pytest.raises(Exception, match="permission denied"):
            async with resources.postgres.unit_of_work() as work:
                await work.run(text(statement), {"id": row.id})


@pytest.fixture
async def champion(resources: Resources) -> AsyncIterator[str]:
    """Approves up to 500, and leaves more to a person."""
    new = NewModel(SmallModel(50_000, -4.0, 1.0).encoded(), CATALOGUE_VERSION, {"gates": []}, {})
    async with resources.postgres.unit_of_work() as work:
        model = await registry.register(
            work, resources.redis, resources.artifacts, new, requested_by="user:asker", by=BY
        )
        await registry.promote(work, resources.redis, ModelId(model.id), by=BY, four_eyes=True)
    yield model.id
    async with resources.postgres.unit_of_work() as work:
        await work.run(text("UPDATE model SET stage = 'retired' WHERE stage = 'champion'"))


def alike(lists: Lists, card: str) -> list[str]:
    """Codes of the lists that a card's payment meets."""
    paid = Payment(
        uid=new_uuid(), source_id="shop", transaction_id="t", occurred_at_ms=1, accepted_at_ms=1, amount_minor=100,
        currency="EUR", customer_id="cus", card_id=card,
    )  # fmt: skip
    return [hit.entry.list.value for hit in lists.hits(paid, utc_now())]


async def test_a_scorer_reads_what_changed_and_nothing_else(resources: Resources) -> None:
    known, card, keeper = fresh(), fresh(), ListsKeeper()
    await add(resources, WATCH, known)

    async def read() -> Lists:
        async with resources.postgres.reading() as work:
            return await keeper.refresh(work)

    first = await read()
    assert first is await read()
    row = await add(resources, DENY, card)
    second = await read()
    assert (alike(first, card), alike(second, card), alike(second, known)) == ([], ["deny"], ["watch"])
    await extend(resources, row, 1)
    assert alike(await read(), card) == ["deny"]
    await end(resources, row)
    third = await read()
    assert (alike(third, card), alike(third, known), len(third)) == ([], ["watch"], len(first))
    async with resources.postgres.reading() as work:
        anew = await ListsKeeper().refresh(work)
    assert (anew.version, len(anew)) == (third.version, len(third))


async def posted(api: Api, card: str, amount: str = "129.90") -> dict[str, Any]:
    """With a device of its own, so that no rule hits."""
    ident, now = f"pay_{new_uuid().hex}", utc_now().isoformat()
    body = payment(ident, card_id=card, device_id=ident, amount=amount, occurred_at=now)
    await api.client.post("/v1/transactions", json=body, headers={"Prefer": "wait=10"})
    return {**(await decision_of(api, ident))["decision"], "id": ident}


async def alerts_of(resources: Resources, ident: str) -> int:
    query = text(
        "SELECT count(*) FROM alert a JOIN transaction t ON t.uid = a.transaction_uid WHERE t.transaction_id = :id"
    )
    async with resources.postgres.reading() as work:
        return int((await work.run(query, {"id": ident})).scalar_one())


async def until(resources: Resources, api: Api, card: str, codes: list[str]) -> dict[str, Any]:
    """The first decision of the card's payments with exactly these hits."""
    async with asyncio.timeout(20):
        while True:
            decision = await posted(api, card)
            if [hit["code"] for hit in decision["rule_hits"]] == codes:
                return decision
            await asyncio.sleep(0.05)


async def test_the_next_payment_of_a_listed_card_is_decided_so(api: Api, resources: Resources, champion: str) -> None:
    """A model that approves this amount, through the scorer that runs in production."""
    card = fresh()
    async with running(resources, "score", "relay"):
        plain = await posted(api, card)
        assert (plain["outcome"], plain["rule_hits"], plain["model"]) == ("approve", [], champion)
        watched = await add(resources, WATCH, card)
        review = await until(resources, api, card, ["watch_list"])
        assert (review["outcome"], await alerts_of(resources, review["id"])) == ("review", 1)
        denied = await add(resources, DENY, card, reason="sold on a forum")
        declined = await until(resources, api, card, ["deny_list", "watch_list"])
        assert declined["outcome"] == "decline"
        assert declined["rule_hits"][0] == {
            "code": "deny_list", "text": "This card is on the deny list: sold on a forum", "outcome": "decline",
            "list": "deny", "entity": "card", "entity_id": card, "entry": str(denied.id),
        }  # fmt: skip
        assert await alerts_of(resources, declined["id"]) == 1
        snooze = await add(resources, SNOOZE, card, days=1)
        quiet = await until(resources, api, card, ["deny_list", "watch_list", "snooze_list"])
        assert (quiet["outcome"], await alerts_of(resources, quiet["id"])) == ("decline", 0)
        for row in (denied, watched, snooze):
            await end(resources, row)
        await add(resources, ALLOW, card, days=3 / 86_400)
        high = await posted(api, fresh(), amount="700.00")
        assert high["outcome"] == "review"
        async with asyncio.timeout(20):
            while (allowed := await posted(api, card, amount="700.00"))["outcome"] != "approve":
                await asyncio.sleep(0.05)
        assert [hit["code"] for hit in allowed["rule_hits"]] == ["allow_list"]
        ran_out = await until(resources, api, card, [])
    assert (ran_out["outcome"], ran_out["anomaly"]) == ("approve", None)
