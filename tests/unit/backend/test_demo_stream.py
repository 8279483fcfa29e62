"""The demo's source over real HTTP: it posts, reports what became of payments, and outlives an API that goes away."""

import asyncio
import socket
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from backend import demo
from backend.synthetic import LivePayment, live
from core.base.errors import BadApiKey
from tests.unit.backend.small_api import KEY, SmallApi, serving


def quickly_reported(seed: int, start: datetime, rate: float) -> Iterator[LivePayment]:
    for one in live(seed, start, rate):
        yield LivePayment(one.after, one.body, one.campaign, one.label, timedelta())


async def until_posted(api: SmallApi, payments: int) -> None:
    async with asyncio.timeout(30):
        while len(api.payments) < payments:
            await asyncio.sleep(0.02)


async def test_it_posts_and_reports_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "live", quickly_reported)
    monkeypatch.setattr(demo, "REPORT_EVERY_S", 0.05)
    stop = asyncio.Event()
    async with serving(SmallApi()) as api:
        running = asyncio.create_task(demo.stream(api.url, KEY, 300.0, stop))
        async with asyncio.timeout(30):
            while len(api.payments) < 600 or not api.labels:
                await asyncio.sleep(0.02)
        stop.set()
        await asyncio.wait_for(running, 10)
        count = len(api.payments)
        await asyncio.sleep(0.1)
        assert len(api.payments) == count
    for kind, body in api.log:
        if kind == "label":
            assert (body["label"], body["source"]) in {("fraud", "chargeback"), ("legitimate", "customer")}


async def test_a_lost_answer_does_not_make_a_second_payment() -> None:
    stop = asyncio.Event()
    api = SmallApi(faults=["drop", "overloaded", None] * 10)
    async with serving(api):
        running = asyncio.create_task(demo.stream(api.url, KEY, 100.0, stop))
        await until_posted(api, 60)
        stop.set()
        await asyncio.wait_for(running, 10)
    assert not api.faults
    ids = [body["id"] for kind, body in api.log if kind == "payment"]
    assert len(ids) == len(set(ids))


async def test_it_waits_for_an_api_that_is_not_up_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "RETRY_S", 0.05)
    stop = asyncio.Event()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        running = asyncio.create_task(demo.stream(f"http://127.0.0.1:{port}", KEY, 50.0, stop))
        await asyncio.sleep(0.5)
        assert not running.done(), "a bound port that nobody listens on refuses, and the stream waits"
    api = SmallApi()
    async with serving(api, port):
        await until_posted(api, 20)
        stop.set()
        await asyncio.wait_for(running, 10)


async def test_it_can_be_stopped_while_the_api_is_away() -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(demo.stream("http://127.0.0.1:9", KEY, 50.0, stop))
    await asyncio.sleep(0.3)
    stop.set()
    await asyncio.wait_for(running, 15)


async def test_a_key_that_is_refused_ends_it() -> None:
    async with serving(SmallApi()) as api:
        with pytest.raises(BadApiKey):
            await asyncio.wait_for(demo.stream(api.url, "rk_wrong.key", 50.0, asyncio.Event()), 10)
