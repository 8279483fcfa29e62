"""Why a payment was judged so: the payments behind a reason, and alerts raised for similar reasons, over a running web process."""

import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from core.acts import people
from core.acts.audit import system
from core.base.clock import from_ms, utc_now
from core.base.ids import AlertId, new_uuid
from core.base.terms import Label, Role
from core.contracts.messages import Payment
from core.infra.resources import Resources
from core.stores import accepting, casework, flow
from core.stores.evidence import similar_alerts
from core.tables.casework import Alert
from models.features.catalogue import CATALOGUE_VERSION, NAMES
from models.scoring.similar import AXES, FARTHEST, NEAREST
from tests.integration.conftest import Api
from tests.integration.console_browser import HTMX, Browser, a_user, an_alert, browser

START_MS = 1_700_000_000_000
MINUTE_MS = 60_000


@pytest.fixture
async def viewer(api: Api, resources: Resources) -> AsyncIterator[Browser]:
    async with browser(api) as tab:
        assert (await tab.sign_in(await a_user(resources, Role.VIEWER))).status_code == 303
        yield tab


async def payments_on_one_device(resources: Resources, count: int, device: str) -> list[Payment]:
    """One a minute, each of its own customer; the last one is decided with a reason about the device."""
    payments = [
        Payment(
            uid=new_uuid(), source_id="shop", transaction_id=f"{device}-{place}",
            occurred_at_ms=START_MS + place * MINUTE_MS, accepted_at_ms=START_MS + place * MINUTE_MS + 50,
            amount_minor=1_000, currency="EUR", customer_id=f"cus_{place}", device_id=device,
        )
        for place in range(count)
    ]  # fmt: skip
    async with resources.postgres.unit_of_work() as work:
        await people.add_source(work, "shop", "Shop", system("test"))
        await accepting.insert_transactions(work, [accepting.Arrival(payment, b"x") for payment in payments])
        await flow.insert_decisions(work, [decision(payments[-1], count)])
    return payments


def decision(payment: Payment, count: int) -> dict[str, Any]:
    name = "device_velocity_1h_count"
    reason = {
        "code": "device_activity", "text": f"{count} payments on this device", "direction": "up", "contribution": 1.2,
        "features": [{"name": name, "value": float(count), "contribution": 1.2, "usual": 1.0}],
        "evidence": {"feature": name, "entity": "device", "what": "payments", "window_s": 3_600, "count": count},
    }  # fmt: skip
    bare = {key: value for key, value in reason.items() if key != "evidence"} | {"code": "amount"}
    return {
        "transaction_uid": payment.uid, "version": 1, "outcome": "review", "score": 0.6, "margin": 0.4,
        "base_margin": -4.0, "anomaly": None, "reasons": [reason, bare],
        "contributions": [0.0] * len(NAMES), "rule_hits": [], "model_id": None, "policy_version": 1,
        "catalogue_version": CATALOGUE_VERSION, "features": [None] * len(NAMES), "features_status": "complete",
        "decided_at": utc_now(),
    }  # fmt: skip


async def test_a_reason_opens_exactly_the_payments_that_made_its_number(viewer: Browser, resources: Resources) -> None:
    payments = await payments_on_one_device(resources, 7, "dev_seven")
    address = f"/transactions/{payments[-1].uid}/reasons/device_activity"
    part = await viewer.client.get(address, headers=HTMX)
    assert part.status_code == 200
    assert "<html" not in part.text
    assert "7 payments on this device in the hour before, this one among them; €70.00 in all." in part.text
    shown = re.findall(r'id="row-device_activity-([0-9a-f-]+)"', part.text)
    assert shown == [str(payment.uid) for payment in reversed(payments)]
    assert part.text.count("This payment") == 1
    assert "The score counted" not in part.text
    whole = await viewer.client.get(address)
    assert "<html" in whole.text
    assert f'href="/transactions/{payments[-1].uid}"' in whole.text


async def test_many_payments_come_in_pages(viewer: Browser, resources: Resources) -> None:
    payments = await payments_on_one_device(resources, 45, "dev_many")
    address: str | None = f"/transactions/{payments[-1].uid}/reasons/device_activity"
    shown: list[str] = []
    while address:
        page = (await viewer.client.get(address, headers=HTMX)).text
        shown += re.findall(r'id="row-device_activity-([0-9a-f-]+)"', page)
        older = re.search(r'id="older-device_activity" href="([^"]+)"', page)
        address = older[1] if older else None
    assert shown == [str(payment.uid) for payment in reversed(payments)]


async def test_a_count_that_differs_is_said(viewer: Browser, resources: Resources) -> None:
    [_, _, last] = await payments_on_one_device(resources, 3, "dev_three")
    late = Payment(
        uid=new_uuid(), source_id="shop", transaction_id="judged-with-more", occurred_at_ms=last.occurred_at_ms,
        accepted_at_ms=last.accepted_at_ms + 1, amount_minor=1_000, currency="EUR", customer_id="c", device_id="dev_three",
    )  # fmt: skip
    async with resources.postgres.unit_of_work() as work:
        await accepting.insert_transactions(work, [accepting.Arrival(late, b"x")])
        await flow.insert_decisions(work, [decision(late, 9)])
    part = await viewer.client.get(f"/transactions/{late.uid}/reasons/device_activity", headers=HTMX)
    assert "4 payments on this device" in part.text
    assert "The score counted 9" in part.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("reasons/device_activity?page=0", 422),
        ("reasons/device_activity?page=x", 422),
        ("reasons/device_activity?page=99999", 422),
        ("reasons/amount", 404),
        ("reasons/no_such_group", 404),
    ],
)
async def test_bad_addresses_of_reasons_are_answered_in_words(
    viewer: Browser, resources: Resources, path: str, status: int
) -> None:
    payments = await payments_on_one_device(resources, 1, f"dev_{status}_{path[-3:]}")
    page = await viewer.client.get(f"/transactions/{payments[-1].uid}/{path}")
    assert page.status_code == status
    assert "Traceback" not in page.text
    unknown = await viewer.client.get(f"/transactions/{new_uuid()}/reasons/device_activity")
    assert unknown.status_code == 404


async def test_strangers_see_no_reasons(api: Api, resources: Resources) -> None:
    payments = await payments_on_one_device(resources, 1, "dev_private")
    alert = await an_alert(resources)
    async with browser(api) as stranger:
        for path in (f"/transactions/{payments[0].uid}/reasons/device_activity", f"/alerts/{alert}/similar"):
            assert (await stranger.client.get(path)).status_code == 303


def vector(first: float) -> list[float]:
    return [first, 1.0] + [0.0] * (len(AXES) - 2)


async def judged(
    resources: Resources, first: float, label: Label | None, opened: datetime, received: datetime | None = None
) -> AlertId:
    alert_id = await an_alert(
        resources, reason_vector=vector(first), catalogue_version=CATALOGUE_VERSION, opened_at=opened
    )
    if label:
        await say(resources, alert_id, label, received or opened)
    return alert_id


async def say(
    resources: Resources, alert_id: AlertId, label: Label, received: datetime, source: str = "analyst"
) -> None:
    async with resources.postgres.unit_of_work() as work:
        alert = await casework.alert(work, alert_id)
        assert alert is not None
        statement = {
            "id": new_uuid(), "transaction_uid": alert.transaction_uid, "label": label.value, "label_source": source,
            "reported_at": received, "received_at": received, "actor_type": "system", "actor_id": "test",
        }  # fmt: skip
        await casework.insert_labels(work, [statement])


async def nearest(resources: Resources, alert_id: AlertId, as_of: datetime) -> list[tuple[UUID, str, float]]:
    async with resources.postgres.reading() as work:
        alert = await casework.alert(work, alert_id)
        assert alert is not None
        found = await similar_alerts(work, alert, as_of=as_of, candidates=1_000, limit=NEAREST, within=FARTHEST)
    return [(near.alert_id, near.label, round(near.distance, 3)) for near in found]


async def test_the_nearest_earlier_alerts_with_a_known_outcome_are_found(viewer: Browser, resources: Resources) -> None:
    """first = 20 keeps this test's alerts far from those of others."""
    begin = from_ms(START_MS) + timedelta(days=400)
    minute = timedelta(minutes=1)
    close = await judged(resources, 20.1, Label.FRAUD, begin)
    closer = await judged(resources, 19.95, Label.LEGITIMATE, begin + minute)
    corrected = await judged(resources, 20.3, Label.LEGITIMATE, begin + 2 * minute)
    await say(resources, corrected, Label.FRAUD, begin + 3 * minute, source="chargeback")
    await judged(resources, 20.0, None, begin + 4 * minute)
    await judged(resources, 20.0, Label.UNSURE, begin + 5 * minute)
    await judged(resources, 22.5, Label.FRAUD, begin + 6 * minute)
    late = await judged(resources, 20.2, Label.FRAUD, begin + 7 * minute, received=begin + 30 * minute)
    asking = await judged(resources, 20.0, Label.FRAUD, begin + 10 * minute)
    await judged(resources, 20.0, Label.FRAUD, begin + 11 * minute)
    found = await nearest(resources, asking, begin + 20 * minute)
    assert found == [(closer, "legitimate", 0.05), (close, "fraud", 0.1), (corrected, "fraud", 0.3)]
    assert late in [alert_id for alert_id, _, _ in await nearest(resources, asking, begin + 40 * minute)]
    page = await viewer.client.get(f"/alerts/{asking}/similar", headers=HTMX)
    assert "3 of the 4 most similar past alerts were fraud." in page.text
    assert page.text.count("nearly the same reasons") == 3
    assert page.text.count("much the same reasons") == 1
    assert f'href="/alerts/{close}"' in page.text
    assert str(asking) not in page.text


async def test_a_closed_alert_shows_what_was_known_when_it_was_closed(viewer: Browser, resources: Resources) -> None:
    begin = from_ms(START_MS) + timedelta(days=500)
    hour = timedelta(hours=1)
    await judged(resources, -20.0, Label.FRAUD, begin, received=begin + 3 * hour)
    closed = await an_alert(
        resources, reason_vector=vector(-20.0), catalogue_version=CATALOGUE_VERSION, opened_at=begin + hour,
        status="closed", disposition="fraud", closed_at=begin + 2 * hour,
    )  # fmt: skip
    page = await viewer.client.get(f"/alerts/{closed}/similar", headers=HTMX)
    assert "No earlier alert with a known outcome" in page.text


async def test_vectors_of_another_catalogue_are_not_compared(resources: Resources) -> None:
    begin = from_ms(START_MS) + timedelta(days=600)
    other = await an_alert(
        resources, reason_vector=vector(40.0), catalogue_version=CATALOGUE_VERSION + 1, opened_at=begin
    )
    await say(resources, other, Label.FRAUD, begin)
    asking = await judged(resources, 40.0, None, begin + timedelta(hours=1))
    assert await nearest(resources, asking, utc_now()) == []


async def test_an_alert_without_a_score_has_nothing_to_compare(viewer: Browser, resources: Resources) -> None:
    alert = await an_alert(resources)
    page = await viewer.client.get(f"/alerts/{alert}/similar")
    assert "<html" in page.text
    assert "No model scored this payment" in page.text


async def test_the_alert_page_leads_to_both_without_a_script(viewer: Browser, resources: Resources) -> None:
    payments = await payments_on_one_device(resources, 5, "dev_links")
    async with resources.postgres.unit_of_work() as work:
        row = Alert(
            id=new_uuid(), transaction_uid=payments[-1].uid, outcome="review", score=0.6, expected_loss_minor=600,
            amount_minor=1_000, currency="EUR", customer_id="cus_4", top_reason="words",
            occurred_at=from_ms(payments[-1].occurred_at_ms), opened_at=utc_now(),
        )  # fmt: skip
        work.session.add(row)
    page = (await viewer.client.get(f"/alerts/{row.id}")).text
    assert f'href="/transactions/{payments[-1].uid}/reasons/device_activity"' in page
    assert "The 5 payments behind this" in page
    assert f'href="/alerts/{row.id}/similar"' in page
