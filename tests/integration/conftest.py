"""The web application on loopback, with a source and its key, over the real servers."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import uvicorn
from pydantic import SecretStr

from backend.app import create_app
from core.acts import people
from core.acts.audit import system
from core.base.settings import Settings
from core.infra.resources import Resources

CLI = system("cli")


def payment(ident: str, **changes: Any) -> dict[str, Any]:
    """A body the API takes."""
    body = {
        "id": ident,
        "occurred_at": "2026-01-31T09:30:00Z",
        "amount": "129.90",
        "currency": "EUR",
        "customer_id": "cus_1",
        "merchant_id": "mer_1",
        "device_id": "dev_1",
    }
    return body | changes


@dataclass(frozen=True)
class Api:
    client: httpx2.AsyncClient
    key: str
    source: str


@pytest.fixture
async def api(settings: Settings, resources: Resources) -> AsyncIterator[Api]:
    """A running web process and a client that carries a fresh source's key."""
    async with resources.postgres.unit_of_work() as work:
        source = f"shop-{id(work) % 10**9}"
        await people.add_source(work, source, "A shop", CLI)
        key = await people.add_key(work, source, CLI)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(settings), log_level="warning", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=base, headers=headers, timeout=20) as client:
        while not server.started:
            assert not task.done(), "the web process did not start"
            await asyncio.sleep(0.02)
        yield Api(client, key, source)
    server.should_exit = True
    await task
    listener.close()


@pytest.fixture
def settings_without_broker(settings: Settings) -> Settings:
    """Nothing listens on the broker's port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    return settings.model_copy(update={"bus_url": SecretStr(f"amqp://x:y@127.0.0.1:{port}/"), "publish_timeout_s": 1.0})
