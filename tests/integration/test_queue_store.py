"""The queue's SQL: filters agree with their twin in Python, pages neither repeat nor skip, searches and counts, and the plans."""

import random
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event

from core.base.clock import utc_now
from core.base.ids import new_uuid
from core.base.terms import DueState, EntityKind, Outcome, Role, ScoreBand
from core.infra.resources import Resources
from core.stores import queue, queue_counts
from core.stores.queue import Order, place_of
from core.stores.queue_filter import Age, AlertFilter, Look, Standing, holds
from core.tables.casework import Alert
from tests.integration.console_browser import a_user, alerts_like

NOW = utc_now()
ALERTS = 240
NAMES = {"transaction_id": "paid", "device_id": None, "ip": None}
IDS = {
    "transaction_id": "Tx-%_1", "customer_id": "who", "card_id": "tok", "merchant_id": "shop", "device_id": "dev", "ip": "10.9.8.7",
}  # fmt: skip


def drawn(place: int, me: UUID, colleague: UUID) -> dict[str, Any]:
    chance = random.Random(place)  # not a secret
    status = chance.choice(["open", "open", "claimed", "closed"])
    opened = NOW - timedelta(minutes=chance.choice([1, 50, 60, 100, 1440, 9000]))
    return {
        "status": status,
        "claimed_by": chance.choice([me, colleague]) if status == "claimed" else None,
        "outcome": chance.choice(["review", "decline"]),
        "score": chance.choice([None, 0.0, 0.05, 0.1, 0.4, 0.5, 0.75, 0.99]),
        "expected_loss_minor": chance.randrange(5),
        "amount_minor": chance.choice([99, 100, 999, 1000, 100_000]),
        "currency": chance.choice(["EUR", "JPY", "KWD"]),
        "customer_id": f"cus_{chance.randrange(9)}",
        "merchant_id": chance.choice([None, "mer_a", "mer_b"]),
        "card_id": f"card_{place}",
        "reason_code": chance.choice(["device_activity", "time", "no_model"]),
        "control_probability": chance.choice([None, None, 0.001]),
        "opened_at": opened,
        "due_at": NOW + timedelta(minutes=chance.choice([-5, 0, 29, 30, 31, 500])),
    }


@pytest.fixture(scope="module")
async def people() -> list[UUID]:
    return []


@pytest.fixture
async def look(resources: Resources, people: list[UUID]) -> Look:
    """Alerts of every kind, made once; looked at by one of the two who claimed some."""
    if not people:
        people += [(await a_user(resources, Role.ANALYST)).id for _ in range(2)]
        await alerts_like(
            resources, [{**NAMES, **drawn(place, *people), **(IDS if place == 0 else {})} for place in range(ALERTS)]
        )
    return Look(NOW, people[0])


async def every_page(resources: Resources, wanted: AlertFilter, look: Look, order: Order, size: int) -> list[Alert]:
    seen: list[Alert] = []
    async with resources.postgres.reading() as work:
        look, _ = await queue.looked_up(work, wanted, look)
        while True:
            after = place_of(seen[-1], order) if seen else None
            found = await queue.page(work, wanted, look, order=order, after=after, limit=size)
            seen += found
            if len(found) < size:
                return seen


FILTERS = [
    *(AlertFilter(standing=standing) for standing in Standing),
    *(AlertFilter(standing=Standing.ANY, bands=(band,)) for band in ScoreBand),
    *(AlertFilter(due=(state,)) for state in DueState),
    *(AlertFilter(standing=Standing.ANY, age=age) for age in Age),
    AlertFilter(outcomes=(Outcome.DECLINE,), bands=(ScoreBand.HIGH, ScoreBand.NONE)),
    AlertFilter(reasons=("time", "no_model"), currencies=("EUR",)),
    AlertFilter(standing=Standing.ANY, amount_from=Decimal("1"), amount_to=Decimal("10")),
    AlertFilter(standing=Standing.ANY, amount_from=Decimal("9.991")),
    AlertFilter(entities=((EntityKind.MERCHANT, "mer_a"), (EntityKind.CUSTOMER, "cus_3"))),
    AlertFilter(control=True),
    AlertFilter(control=False, standing=Standing.CLOSED, due=(DueState.OVERDUE,)),
    AlertFilter(standing=Standing.ANY, words="card_1"),
    AlertFilter(words="cus_3", outcomes=(Outcome.REVIEW,)),
    AlertFilter(standing=Standing.ANY, words="nothing has this id"),
    AlertFilter(amount_from=Decimal(10) ** 30),
]


@pytest.mark.parametrize("wanted", FILTERS, ids=str)
async def test_what_postgresql_finds_is_what_holds_of_each_alert(
    resources: Resources, look: Look, wanted: AlertFilter
) -> None:
    everything = await every_page(resources, AlertFilter(standing=Standing.ANY), look, Order.NEWEST, 1000)
    assert len(everything) == ALERTS
    expected = {alert.id for alert in everything if holds(alert, wanted, look)}
    found = await every_page(resources, wanted, look, Order.NEWEST, 1000)
    assert {alert.id for alert in found} == expected
    async with resources.postgres.reading() as work:
        asked, cut = await queue.looked_up(work, wanted, look)
        facets = await queue_counts.facets(work, wanted, asked)
        [badge] = await queue_counts.badges(work, [wanted], look)
        selected = await queue.selected_ids(work, wanted, look, limit=1000)
    assert (facets.total, facets.cut, cut) == (len(expected), False, False)
    assert badge == (len(expected) if queue_counts.countable(wanted) else None)
    assert set(selected) == expected


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("standing", [Standing.UNCLOSED, Standing.ANY])
async def test_pages_neither_repeat_nor_skip(
    resources: Resources, look: Look, order: Order, standing: Standing
) -> None:
    """Most values are shared by many alerts, so that every page ends among equals."""
    wanted = AlertFilter(standing=standing)
    seen = await every_page(resources, wanted, look, order, 7)
    whole = await every_page(resources, wanted, look, order, 1000)
    assert [alert.id for alert in seen] == [alert.id for alert in whole]
    assert len({alert.id for alert in seen}) == len(seen)
    values = [place_of(alert, order).value for alert in seen]
    assert values == sorted(values, reverse=order is not Order.DUE)


async def test_a_facet_counts_its_choices_as_if_it_narrowed_nothing(resources: Resources, look: Look) -> None:
    async with resources.postgres.reading() as work:
        plain = await queue_counts.facets(work, AlertFilter(currencies=("EUR",)), look)
        chosen = await queue_counts.facets(work, AlertFilter(currencies=("EUR",), outcomes=(Outcome.REVIEW,)), look)
    assert chosen.counts["outcome"] == plain.counts["outcome"]
    assert chosen.total == plain.counts["outcome"]["review"] < plain.total
    assert sum(chosen.counts["band"].values()) == chosen.total


async def test_search_finds_an_alert_by_every_id_and_its_beginning(resources: Resources, look: Look) -> None:
    [alert] = await every_page(
        resources, AlertFilter(standing=Standing.ANY, words=IDS["card_id"]), look, Order.NEWEST, 9
    )
    transaction = str(alert.transaction_uid)
    async with resources.postgres.reading() as work:
        for words in [*IDS.values(), "Tx-%", "10.9.", str(alert.id), transaction, alert.id.hex[:31], transaction[:35]]:
            assert (await queue.search(work, words)).ids == [alert.id], words
        for words in ("tx-%_1", "Tx-%_12", "%", "0.9.8.7", str(new_uuid())):
            assert (await queue.search(work, words)).ids == [], words
        many = await queue.search(work, "card_", most=10)
    assert (many.cut, len(many.ids)) == (True, 10)


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("standing", [Standing.UNCLOSED, Standing.CLOSED, Standing.ANY])
async def test_every_order_walks_an_index(resources: Resources, look: Look, order: Order, standing: Standing) -> None:
    """Where nothing else is allowed, PostgreSQL sorts only if it must."""
    wanted, asked = AlertFilter(standing=standing), []
    engine = resources.postgres.engine

    def hear(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        asked.append((statement, values))

    event.listen(engine.sync_engine, "before_cursor_execute", hear)
    try:
        async with resources.postgres.reading() as work:
            [first, *_] = await queue.page(work, wanted, look, order=order, after=None, limit=3)
            await queue.page(work, wanted, look, order=order, after=place_of(first, order), limit=50)
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", hear)
    statement, values = asked[-1]
    assert "FROM alert" in statement
    async with engine.connect() as connection:
        for setting in ("enable_seqscan", "enable_sort", "enable_incremental_sort"):
            await connection.exec_driver_sql(f"SET LOCAL {setting} = off")
        rows = await connection.exec_driver_sql(f"EXPLAIN {statement}", values)
        plan = "\n".join(row[0] for row in rows)
    assert "Index Scan using" in plan, plan
    assert "Sort" not in plan, plan
