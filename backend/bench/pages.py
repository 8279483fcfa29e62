"""How long the console's pages take where there is much to show, on servers of the bench's own."""

import itertools
import random
import re
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
from rich.console import Console
from rich.table import Table

from backend.bench.crowd import Crowd, gather
from backend.bench.flow import percentiles
from backend.bench.instance import Instance, private_instance
from backend.bench.on_screen import from_decision_to_screen
from backend.bench.options import Percentiles
from backend.bench.report import Machine
from backend.choices import BusChoice
from backend.display import Display
from backend.embedded_process import free_port
from backend.instance import bound_socket, local_url
from core.base.clock import utc_now
from core.base.errors import Unavailable
from core.base.terms import Role
from core.infra.resources import Resources, open_resources
from core.stores import people, queue
from core.stores.flow import NIL
from core.stores.queue import Order
from core.stores.queue_filter import AlertFilter, Look, Standing
from core.tables.casework import Alert

QUEUE_MS, ALERT_MS, ON_SCREEN_MS = 150.0, 250.0, 1000.0
"""What the 95th percentile of these pages, and of an alert's way to the screen, may take."""
HISTORY_DAYS = 90
DEEP = 20
"""How many pages "deep in the queue" turns."""
_MORE = re.compile(r'href="(/queue\?[^"]*\bafter=[^"]+)"')


@dataclass(frozen=True)
class PagesOptions:
    rows: int = 1_000_000
    alerts: int = 100_000
    open_alerts: int = 10_000
    requests: int = 100
    """Of each page."""
    seed: int = 7


@dataclass(frozen=True)
class PageTime:
    """`ms`: from the request's start to the answer's last byte. `limit_ms`: for the 95th percentile; None = there is none."""

    name: str
    ms: Percentiles
    kilobytes: float
    """Of the answer's body, uncompressed."""
    limit_ms: float | None


@dataclass
class PageTimes:
    machine: Machine
    options: PagesOptions
    pages: list[PageTime] = field(default_factory=list)
    on_screen_ms: Percentiles | None = None
    """From a payment's decision until its alert's row came over the live stream."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def too_slow(self) -> list[str]:
        slow = [page.name for page in self.pages if page.limit_ms is not None and page.ms.p95 > page.limit_ms]
        late = self.on_screen_ms is not None and self.on_screen_ms.p95 > ON_SCREEN_MS
        return [*slow, *(["an alert on the screen"] if late else [])]


async def bench_pages(options: PagesOptions, display: Display) -> PageTimes:
    """Takes about fifteen minutes with the default options. Raises Unavailable when a part cannot be started or dies."""
    result = PageTimes(Machine.now(), options)
    with (
        tempfile.TemporaryDirectory(prefix="ronda-bench-") as folder,
        bound_socket("127.0.0.1", free_port()) as listening,
    ):
        async with (
            private_instance(Path(folder), listening, BusChoice.AUTO, HISTORY_DAYS, display) as instance,
            open_resources(instance.settings, "bench") as resources,
        ):
            await instance.start()
            async with resources.postgres.reading() as work:
                lead = next(user for user in await people.users(work) if user.role == Role.LEAD.value)
            crowd = Crowd(options.rows, options.alerts, options.open_alerts)
            await gather(instance, resources, crowd, lead.id, options.seed, display)
            async with _signed_in(instance) as client:
                await _measure(client, resources, options, display, result)
                display.say("alerts on the screen")
                result.on_screen_ms = await from_decision_to_screen(client, instance, resources)
            instance.alive()
    return result


@asynccontextmanager
async def _signed_in(instance: Instance) -> AsyncIterator[httpx2.AsyncClient]:
    lead = next(user for user in instance.accounts.users if user.role is Role.LEAD)
    async with httpx2.AsyncClient(base_url=local_url(instance.settings), trust_env=False, timeout=30) as client:
        answer = await client.post("/sign-in", data={"email": lead.email, "password": lead.password})
        if answer.status_code != httpx2.codes.SEE_OTHER:
            raise Unavailable(f"the bench could not sign in: {answer.status_code}")
        yield client


async def _measure(
    client: httpx2.AsyncClient, resources: Resources, options: PagesOptions, display: Display, result: PageTimes
) -> None:
    async with resources.postgres.reading() as work:
        look = Look(utc_now(), NIL)
        waiting = await queue.page(work, AlertFilter(), look, order=Order.NEWEST, after=None, limit=1_000)
        done = AlertFilter(standing=Standing.CLOSED)
        closed = await queue.page(work, done, look, order=Order.NEWEST, after=None, limit=1_000)
    deep = await _deep(client)
    for name, limit_ms, paths in _pages([*waiting, *closed], deep, random.Random(options.seed)):  # noqa: S311 - no secret
        display.say(name)
        result.pages.append(await _time(client, name, limit_ms, paths, options.requests))


_Paths = Callable[[], str]


def _pages(alerts: Sequence[Alert], deep: str, rng: random.Random) -> list[tuple[str, float | None, _Paths]]:
    """Each page with its limit, and where the next request goes."""

    def of(pattern: str) -> _Paths:
        return lambda: pattern.format(alert=rng.choice(alerts))

    return [
        ("queue", QUEUE_MS, of("/queue")),
        ("queue, largest expected loss first", QUEUE_MS, of("/queue?order=loss")),
        ("queue, filtered", QUEUE_MS, of("/queue?outcome=review&amount_from=50&merchant={alert.merchant_id}")),
        ("queue, closed", QUEUE_MS, of("/queue?status=closed")),
        (f"queue, {DEEP} pages deep", QUEUE_MS, of(deep.replace("{", "{{").replace("}", "}}"))),
        ("queue, one customer of all", QUEUE_MS, of("/queue?status=any&q={alert.customer_id}")),
        ("alert", ALERT_MS, of("/alerts/{alert.id}")),
        ("overview", None, of("/overview")),
        ("customer", None, of("/entities/customer/{alert.customer_id}")),
        ("merchant", None, of("/entities/merchant/{alert.merchant_id}")),
        ("transactions", None, of("/transactions")),
        ("transactions of a customer", None, of("/transactions?customer={alert.customer_id}")),
        ("labels", None, of("/labels")),
        ("models", None, of("/models")),
        ("audit", None, of("/audit")),
        ("audit of an alert", None, of("/audit?object=alert:{alert.id}")),
    ]


async def _deep(client: httpx2.AsyncClient) -> str:
    """A page far down the queue."""
    path = "/queue"
    for _ in range(DEEP):
        found = _MORE.search((await client.get(path)).text)
        if not found:
            break
        path = unescape(found[1])
    return path


async def _time(
    client: httpx2.AsyncClient, name: str, limit_ms: float | None, paths: _Paths, requests: int
) -> PageTime:
    """One request after the other. Raises Unavailable when a page does not answer 200."""
    took, size = [], 0
    for place in itertools.count(-3):  # the first ones open connections and fill caches
        if place == requests:
            break
        path = paths()
        began = time.perf_counter()
        answer = await client.get(path)
        spent = time.perf_counter() - began
        if answer.status_code != httpx2.codes.OK:
            raise Unavailable(f"{path} answered {answer.status_code}")
        if place >= 0:
            took.append(spent)
            size += len(answer.content)
    return PageTime(name, percentiles(took), size / requests / 1000, limit_ms)


def show(result: PageTimes) -> None:
    options, console = result.options, Console()
    title = (
        f"{result.machine.cores} cores, load {result.machine.load:.2f} before; {options.rows:,} transactions, "
        f"{options.alerts:,} alerts of which {options.open_alerts:,} open; {options.requests} requests each; seed {options.seed}"
    )
    rows = Table(
        "page", "p50", "p95", "p99", "limit of p95", "size", title=title, title_justify="left", show_edge=False
    )
    screen = result.on_screen_ms
    for page in [*result.pages, *([PageTime("decision to screen", screen, 0.0, ON_SCREEN_MS)] if screen else [])]:
        limit = "-" if page.limit_ms is None else f"{page.limit_ms:.0f} ms"
        spread = [f"{value:.0f} ms" for value in (page.ms.p50, page.ms.p95, page.ms.p99)]
        rows.add_row(page.name, *spread, limit, f"{page.kilobytes:.0f} KB" if page.kilobytes else "")
    console.print(rows, width=None if console.is_terminal else 120)
