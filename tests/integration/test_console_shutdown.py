"""A web process that is told to stop ends its live streams by itself, instead of waiting until they are cut off."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from core.acts import people
from core.acts.audit import system
from core.base.settings import Settings
from core.base.terms import Role
from core.infra.resources import Resources
from tests.integration.console_browser import PASSWORD, PlainHasher, next_message

HOME = Path(__file__).parents[2]


@pytest.fixture
async def web(settings: Settings) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    secrets = ("database_url", "redis_url", "bus_url")
    environment = {f"RONDA_{name.upper()}": getattr(settings, name).get_secret_value() for name in secrets}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "backend", "serve", "--port", str(port),
        cwd=HOME, env={**os.environ, **environment}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    yield process, f"http://127.0.0.1:{port}"
    if process.returncode is None:
        process.kill()
        await process.wait()


async def test_open_streams_end_when_the_server_stops(
    web: tuple[asyncio.subprocess.Process, str], resources: Resources
) -> None:
    process, address = web
    async with resources.postgres.unit_of_work() as work:
        await people.add_user(
            work, PlainHasher(), email="shutdown@localhost", name="A", role=Role.VIEWER, password=PASSWORD, by=system("test")
        )  # fmt: skip
    async with httpx2.AsyncClient(base_url=address, timeout=30) as client:
        await answering(client, process)
        await client.post("/sign-in", data={"email": "shutdown@localhost", "password": PASSWORD})
        async with client.stream("GET", "/stream/queue") as stream:
            lines = stream.aiter_lines()
            await asyncio.wait_for(next_message(lines, "hello"), 30)
            process.send_signal(signal.SIGTERM)
            async for _ in lines:  # a stream that is cut off raises here
                pass
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert b"graceful shutdown exceeded" not in said
    assert b"Traceback" not in said


async def answering(client: httpx2.AsyncClient, process: asyncio.subprocess.Process) -> None:
    while True:
        assert process.returncode is None, "the web process did not start"
        try:
            await client.get("/sign-in")
        except httpx2.TransportError:
            await asyncio.sleep(0.1)
        else:
            return
