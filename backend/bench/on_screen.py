"""From a payment's decision to its row in an open queue."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import uuid4

import httpx2

from backend.bench.flow import percentiles
from backend.bench.instance import Instance
from backend.bench.options import Percentiles
from backend.instance import local_url
from core.base.clock import rfc3339, to_ms, utc_now
from core.base.errors import Unavailable
from core.base.tasks import end
from core.infra.resources import Resources
from core.stores import casework, flow, throughput

BEFORE, ALERTS = 10, 40
"""Payments with one device until a rule asks for a review, and then."""
EVERY_S = 0.5
PATIENCE_S = 20.0


async def from_decision_to_screen(client: httpx2.AsyncClient, instance: Instance, resources: Resources) -> Percentiles:
    """`client` is signed in; its stream is what a browser listens to. The browser's own few milliseconds are not in it."""
    since, heard = utc_now(), dict[str, float]()
    async with _listening(client, heard):
        await _post(instance)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                opened = await _opened(resources, since)
                if len(opened) >= ALERTS and opened.keys() <= heard.keys():
                    return percentiles([heard[ident] - decided for ident, decided in opened.items()])
                await asyncio.sleep(0.2)


@asynccontextmanager
async def _listening(client: httpx2.AsyncClient, heard: dict[str, float]) -> AsyncIterator[None]:
    """Notes when each alert's row came first."""
    ready = asyncio.Event()

    async def listen() -> None:
        async with client.stream("GET", "/stream/queue", params={"since": to_ms(utc_now())}, timeout=None) as answer:
            ready.set()
            async for line in answer.aiter_lines():
                for part in line.split('id="alert-')[1:]:
                    heard.setdefault(part[:36], time.time())

    listening = asyncio.create_task(listen())
    try:
        async with asyncio.timeout(PATIENCE_S):
            await ready.wait()
        yield
    finally:
        await end(listening)


async def _post(instance: Instance) -> None:
    device, begin = f"device_{uuid4().hex[:12]}", utc_now() - timedelta(minutes=1)
    headers = {"Authorization": f"Bearer {instance.key}", "Prefer": "wait=5"}
    async with httpx2.AsyncClient(base_url=local_url(instance.settings), headers=headers, timeout=30) as source:
        for place in range(BEFORE + ALERTS):
            body = {
                "id": f"{device}_{place}",
                "occurred_at": rfc3339(begin + timedelta(milliseconds=place)),
                "amount": "20.00",
                "currency": "EUR",
                "customer_id": f"customer_{device}_{place}",
                "device_id": device,
            }
            answer = await source.post("/v1/transactions", json=body)
            if answer.is_error:
                raise Unavailable(f"a payment was answered {answer.status_code}")
            if place >= BEFORE:
                await asyncio.sleep(EVERY_S)


async def _opened(resources: Resources, since: datetime) -> dict[str, float]:
    """When each alert's payment was decided, in seconds of `time.time()`; those since then."""
    async with resources.postgres.reading() as work:
        fates = [fate for fate in await throughput.fates(work, since, limit=1_000) if fate.alerts]
        decisions = await flow.latest_decisions(work, [fate.uid for fate in fates])
        alerts = [await casework.alert_of(work, fate.uid) for fate in fates]
    return {str(alert.id): decisions[alert.transaction_uid].decided_at.timestamp() for alert in alerts if alert}
