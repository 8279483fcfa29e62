"""What surrounds a payment: earlier payments, its customer's timeline, linked alerts; and the pages that show them."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from core.acts import people
from core.acts.audit import system
from core.base.clock import from_ms, utc_now
from core.base.ids import new_uuid
from core.base.terms import Role
from core.contracts.messages import Payment
from core.infra.resources import Resources
from core.stores import accepting, flow
from core.stores.surroundings import earlier_payments, linked_alerts, payments_around
from core.tables.casework import Alert
from core.tables.flow import Transaction
from tests.integration.conftest import Api
from tests.integration.console_browser import HTMX, Browser, a_user, browser

START_MS = 1_700_000_000_000
HOUR_MS = 3_600_000


@pytest.fixture
async def viewer(api: Api, resources: Resources) -> AsyncIterator[Browser]:
    async with browser(api) as tab:
        assert (await tab.sign_in(await a_user(resources, Role.VIEWER))).status_code == 303
        yield tab


def a_payment(at_ms: int, **changes: Any) -> Payment:
    uid = new_uuid()
    values: dict[str, Any] = {
        "uid": uid, "source_id": "shop", "transaction_id": str(uid), "occurred_at_ms": at_ms, "accepted_at_ms": at_ms + 50,
        "amount_minor": 1_000, "currency": "EUR", "customer_id": "cus_1",
    }  # fmt: skip
    return Payment(**{**values, **changes})


async def store(resources: Resources, *payments: Payment) -> None:
    async with resources.postgres.unit_of_work() as work:
        await people.add_source(work, "shop", "Shop", system("test"))
        await accepting.insert_transactions(work, [accepting.Arrival(payment, b"x") for payment in payments])


async def alert_on(resources: Resources, payment: Payment, **changes: Any) -> UUID:
    row = Alert(
        id=new_uuid(), transaction_uid=payment.uid, outcome="review", score=0.6, expected_loss_minor=600,
        amount_minor=payment.amount_minor, currency="EUR", customer_id=payment.customer_id, card_id=payment.card_id,
        merchant_id=payment.merchant_id, device_id=payment.device_id, ip=payment.ip, top_reason="words",
        occurred_at=from_ms(payment.occurred_at_ms), opened_at=utc_now(), **changes,
    )  # fmt: skip
    async with resources.postgres.unit_of_work() as work:
        work.session.add(row)
    return row.id


async def row_of(resources: Resources, payment: Payment) -> Transaction:
    async with resources.postgres.reading() as work:
        row = await flow.transaction(work, payment.uid)
    assert row is not None
    return row


async def test_only_what_came_before_says_what_is_normal(resources: Resources) -> None:
    """Before in event time, and accepted before: a payment that arrives late was not known when this one was judged."""
    customer = f"cus_{new_uuid().hex}"
    known = [
        a_payment(START_MS - place * HOUR_MS, customer_id=customer, amount_minor=place) for place in range(3, 0, -1)
    ]
    own = a_payment(START_MS, customer_id=customer)
    future = a_payment(START_MS + HOUR_MS, customer_id=customer)
    await store(resources, *known, future)
    await store(resources, own)
    late = a_payment(START_MS - HOUR_MS // 2, customer_id=customer)
    await store(resources, late)
    row = await row_of(resources, own)
    async with resources.postgres.reading() as work:
        found = await earlier_payments(work, row)
        newest = await earlier_payments(work, row, most=2)
    assert [past.amount_minor for past in found] == [1, 2, 3]
    assert [past.amount_minor for past in newest] == [1, 2]


async def test_the_timeline_has_both_sides_and_their_alerts(resources: Resources) -> None:
    customer = f"cus_{new_uuid().hex}"
    payments = [a_payment(START_MS + place * HOUR_MS, customer_id=customer) for place in (-30, -2, -1, 0, 1, 40)]
    await store(resources, *payments)
    alert_id = await alert_on(resources, payments[1])
    row = await row_of(resources, payments[3])
    since, until = row.occurred_at - timedelta(hours=24), row.occurred_at + timedelta(hours=6)
    async with resources.postgres.reading() as work:
        found = await payments_around(work, row, since, until)
    assert [payment.uid for payment in found] == [payments[place].uid for place in (1, 2, 4)]
    assert [payment.alert_id for payment in found] == [alert_id, None, None]
    assert found[0].alert_status == "open"


async def test_alerts_are_linked_by_everything_they_share(resources: Resources) -> None:
    mark = new_uuid().hex
    own = a_payment(
        START_MS, customer_id=f"cus_{mark}", card_id=f"card_{mark}", device_id=f"dev_{mark}", email_hash=mark * 2
    )
    both = a_payment(START_MS, customer_id="cus_a", card_id=f"card_{mark}", device_id=f"dev_{mark}")
    by_email = a_payment(START_MS, customer_id="cus_b", email_hash=mark * 2)
    stranger = a_payment(START_MS, customer_id="cus_c", card_id="card_other")
    await store(resources, own, both, by_email, stranger)
    alerts = [await alert_on(resources, payment) for payment in (own, both, by_email, stranger)]
    row = await row_of(resources, own)
    async with resources.postgres.reading() as work:
        found = await linked_alerts(work, row)
    assert {link.alert.id: list(link.shared) for link in found} == {
        alerts[1]: ["card", "device"],
        alerts[2]: ["email"],
    }


async def test_the_page_shows_the_customers_normal_and_what_is_new(viewer: Browser, resources: Resources) -> None:
    mark = new_uuid().hex[:12]
    past = [
        a_payment(START_MS - place * HOUR_MS, customer_id=f"cus_{mark}", device_id=f"dev_{mark}")
        for place in range(9, 0, -1)
    ]
    own = a_payment(START_MS, customer_id=f"cus_{mark}", device_id="dev_new", amount_minor=99_000)
    await store(resources, *past)
    await store(resources, own)
    alert_id = await alert_on(resources, own)
    page = (await viewer.client.get(f"/alerts/{alert_id}")).text
    assert "Based on all 9 payments before this one" in page
    assert "This one is above all 9 of them." in page
    assert "Never before" in page
    assert "There is no decision yet." in page
    assert "No other alert shares" in page
    assert page.count('aria-current="true"') >= 2
    for chosen in ("24h", "90d"):
        part = await viewer.client.get(f"/alerts/{alert_id}/timeline?range={chosen}", headers=HTMX)
        assert part.status_code == 200
        assert "<html" not in part.text
        assert f'id="range-{chosen}"' in part.text
        whole = await viewer.client.get(f"/alerts/{alert_id}?range={chosen}")
        assert whole.status_code == 200
    bad = await viewer.client.get(f"/alerts/{alert_id}?range=1y")
    assert bad.status_code == 422
    assert "There is no such range of time" in bad.text


async def test_a_first_payment_has_nothing_to_compare_with(viewer: Browser, resources: Resources) -> None:
    own = a_payment(START_MS, customer_id=f"cus_{new_uuid().hex}")
    await store(resources, own)
    page = (await viewer.client.get(f"/alerts/{await alert_on(resources, own)}")).text
    assert "Nothing to compare with" in page
