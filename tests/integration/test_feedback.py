"""A label that comes before its payment was scored waits for it, and is then taken."""

import asyncio
import random

from sqlalchemy import text

from core.contracts.messages import LabelledPayment, LabelsRecorded, decode
from core.contracts.topology import LABELS
from core.infra.resources import Resources
from core.stores import flow
from models.features.online import OnlineFeatures
from tests.integration.conftest import Api, payment
from tests.jobs import running
from workers.comparing import compare


async def part_of_the_state(resources: Resources, label: LabelledPayment) -> bool:
    async with resources.postgres.reading() as work:
        row = await flow.transaction(work, label.transaction_uid)
    assert row
    asked = await OnlineFeatures(resources.redis).ask([flow.payment_of(row)], payments=[], labels=[label])
    return asked.labels[0]


async def label_on_the_bus(resources: Resources) -> LabelledPayment:
    """Once it is there and a consumer holds it."""
    query = text("SELECT body, sent_at FROM outbox WHERE queue = :queue ORDER BY created_at DESC LIMIT 1")
    async with asyncio.timeout(30):
        while True:
            async with resources.postgres.reading() as work:
                body, sent_at = (await work.run(query, {"queue": LABELS})).one()
            if sent_at and not await resources.bus.depth(LABELS):
                break
            await asyncio.sleep(0.05)
    message = decode(bytes(body))
    assert isinstance(message, LabelsRecorded)
    return message.labels[0]


async def test_a_label_waits_until_its_payment_was_taken(api: Api, resources: Resources) -> None:
    async with running(resources, "score", "relay"):  # the state is there
        await api.client.post("/v1/transactions", json=payment("before"), headers={"prefer": "wait=10"})
    await api.client.post("/v1/transactions", json=payment("early", customer_id="cus_early"))
    label = {"transaction_id": "early", "label": "fraud", "source": "chargeback", "reported_at": "2026-02-10T00:00:00Z"}
    answer = await api.client.post("/v1/labels", json=[label])
    assert answer.json()["results"][0]["status"] == "recorded"
    async with running(resources, "relay", "feedback"):
        taken = await label_on_the_bus(resources)
        await asyncio.sleep(0.5)
        assert not await part_of_the_state(resources, taken)
        async with running(resources, "score"), asyncio.timeout(60):
            while not await part_of_the_state(resources, taken):
                await asyncio.sleep(0.1)
    assert not (await compare(resources, 20, draw=random.Random(1))).differences
