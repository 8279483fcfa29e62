"""Live streams over a running web process: what arrives, what is caught up, and what ends them."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from jinja2 import Environment
from pydantic import SecretStr

from console.hub import RECHECK_S, STREAMS_A_USER, Hub, Listener, alert_topic
from core.acts import casework
from core.acts.audit import Actor
from core.base.clock import utc_now
from core.base.errors import Unavailable
from core.base.ids import UserId, new_uuid
from core.base.terms import ActorType, Role, RunStatus
from core.contracts.topology import BELL_ALERTS
from core.infra.redis import ring
from core.infra.resources import Resources, open_resources
from core.tables.policy import TrainingRun
from tests.integration.conftest import Api
from tests.integration.console_browser import Browser, a_user, an_alert, browser, next_message


@pytest.fixture
async def analyst(api: Api, resources: Resources) -> AsyncIterator[Browser]:
    async with browser(api) as tab:
        await tab.sign_in(await a_user(resources, Role.ANALYST))
        yield tab


async def test_a_new_alert_reaches_an_open_page_and_so_does_its_change(analyst: Browser, resources: Resources) -> None:
    async with analyst.client.stream("GET", "/stream/queue") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.aiter_lines()
        alert_id = await an_alert(resources)
        await ring(resources.redis, BELL_ALERTS, [str(alert_id)])
        first = await asyncio.wait_for(next_message(lines, str(alert_id)), 20)
        assert 'hx-target="#queue-rows"' in first
        user = await a_user(resources, Role.ANALYST)
        async with resources.postgres.unit_of_work() as work:
            by = Actor(ActorType.USER, str(user.id))
            await casework.claim(work, resources.redis, alert_id, UserId(user.id), lease=timedelta(minutes=5), by=by)
        second = await asyncio.wait_for(next_message(lines, "is-claimed"), 20)
        assert user.name in second


async def test_an_alert_whose_bell_was_lost_arrives_all_the_same(analyst: Browser, resources: Resources) -> None:
    async with analyst.client.stream("GET", "/stream/queue") as stream:
        lines = stream.aiter_lines()
        await asyncio.wait_for(next_message(lines, "hello"), 20)
        first = await an_alert(resources)  # no bell
        await asyncio.wait_for(next_message(lines, str(first)), 30)


async def test_a_page_that_comes_back_gets_what_it_missed(analyst: Browser, resources: Resources) -> None:
    async with analyst.client.stream("GET", "/stream/queue") as stream:
        lines = stream.aiter_lines()
        seen = await an_alert(resources)
        await ring(resources.redis, BELL_ALERTS, [str(seen)])
        message = await asyncio.wait_for(next_message(lines, str(seen)), 20)
        last_id = re.search(r"^id: (\d+)", message, re.M)
        assert last_id
        missed = await an_alert(resources)
        await ring(resources.redis, BELL_ALERTS, [str(missed)])
        await asyncio.wait_for(next_message(lines, str(missed)), 20)  # the hub has it
    async with analyst.client.stream("GET", "/stream/queue", headers={"Last-Event-ID": last_id[1]}) as stream:
        await asyncio.wait_for(next_message(stream.aiter_lines(), str(missed)), 20)


async def test_a_stream_from_before_this_process_is_told_to_load_afresh(analyst: Browser) -> None:
    async with analyst.client.stream("GET", "/stream/queue", headers={"Last-Event-ID": "1700000000000"}) as stream:
        await asyncio.wait_for(next_message(stream.aiter_lines(), "ronda:reload"), 20)


async def test_a_page_is_told_what_changed_between_its_rendering_and_its_stream(
    analyst: Browser, resources: Resources
) -> None:
    alert_id = await an_alert(resources)
    for path, event in ((f"/stream/alerts/{alert_id}", "ronda:alert"), ("/stream/models", "ronda:models")):
        async with analyst.client.stream("GET", path) as stream:
            await asyncio.wait_for(next_message(stream.aiter_lines(), event), 3)


async def test_a_training_whose_bell_was_lost_is_seen_all_the_same(analyst: Browser, resources: Resources) -> None:
    async with analyst.client.stream("GET", "/stream/models") as stream:
        lines = stream.aiter_lines()
        await asyncio.wait_for(next_message(lines, "hello"), 20)
        await asyncio.sleep(RECHECK_S)  # the hub has had its first look
        async with resources.postgres.unit_of_work() as work:
            run = TrainingRun(
                id=new_uuid(), status=RunStatus.DONE.value, requested_by="system:test", requested_at=utc_now()
            )
            work.session.add(run)  # no bell
            await work.session.flush()
        await asyncio.wait_for(next_message(lines, "ronda:models"), 20)


async def test_a_page_that_could_not_be_told_holds_no_stream(resources: Resources) -> None:
    """PostgreSQL is away while pages come back again and again: afterwards nobody has too many of them open."""
    nowhere = SecretStr("postgresql://nobody@127.0.0.1:1/none")
    settings = resources.settings.model_copy(update={"database_url": nowhere})
    async with open_resources(settings, "test") as without:
        hub, user = Hub(without, Environment(autoescape=True)), new_uuid()
        try:
            for _ in range(STREAMS_A_USER + 1):
                with pytest.raises(Unavailable):
                    await hub.open(Listener(alert_topic(new_uuid()), user, utc_now()), last_id_ms=1)
        finally:
            await hub.close()


async def test_a_user_holds_only_so_many_streams(analyst: Browser) -> None:
    async with AsyncExitStack() as open_ones:
        for _ in range(STREAMS_A_USER):
            await open_ones.enter_async_context(analyst.client.stream("GET", "/stream/queue"))
        one_more = await analyst.client.get("/stream/queue", headers={"Accept": "text/event-stream"})
        assert one_more.status_code == 429
