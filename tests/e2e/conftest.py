"""The product as people start it, `ronda demo`, in a process of its own, and a real Chromium in front of it.

Synchronous Playwright and pytest-asyncio do not share a process: these tests are a pytest run of their own.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

HOME = Path(__file__).parents[2]
START_S = 300.0
"""Synthetic history, its features and a first model, on a busy machine."""
PATIENCE_MS = 20_000

expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test waits for the whole product. The story goes first: its training learns before other tests label at random."""
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.timeout(START_S + 420))
    items.sort(key=lambda item: item.path.name != "test_story.py")


@dataclass(frozen=True)
class Product:
    """A running demo: its process, its address, its people's passwords by e-mail address, its API key."""

    pid: int
    url: str
    passwords: dict[str, str]
    key: str
    data_dir: Path

    @property
    def api(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.key}"}, timeout=30)

    def post(self, **changes: Any) -> dict[str, Any]:
        """Post one payment and wait for its decision; the answer of GET /v1/transactions/{id}."""
        body = payment(**changes)
        with self.api as client:
            taken = client.post("/v1/transactions", json=body, headers={"Prefer": "wait=10"})
            assert taken.status_code in (200, 202), taken.text

            def decided() -> Any:
                found = client.get(f"/v1/transactions/{body['id']}").json()
                return found if found["decision"] else None

            return dict(until(decided, f"the decision on {body['id']}"))

    def post_suspicious(self, *, minutes_before: int = 0) -> str:
        """A customer's usual payments, then one far above them from a device never seen: a rule asks for a review.

        minutes_before: in each of so many the customer pays, too. Returns the customer's id.
        """
        customer = f"cus_e2e_{uuid4().hex[:8]}"
        now = datetime.now(UTC)
        for days in range(4, 0, -1):
            moment = (now - timedelta(days=days)).isoformat()
            self.post(customer_id=customer, amount="12.50", device_id=f"dev_{customer}", occurred_at=moment)
        for minutes in range(minutes_before, 0, -1):
            moment = (now - timedelta(minutes=minutes)).isoformat()
            self.post(customer_id=customer, amount="9.50", device_id=f"dev_{customer}", occurred_at=moment)
        found = self.post(customer_id=customer, amount="1480.00", device_id=f"dev_{uuid4().hex[:8]}")
        assert found["decision"]["outcome"] == "review", found["decision"]
        return customer


def alert_row(page: Page, customer: str) -> Locator:
    """The row of `post_suspicious`'s last payment; whether the model also wants a look at the usual ones is its own affair."""
    return page.locator("tr.alert-row", has_text=customer).filter(has_text="1,480.00")


def hears_keys(page: Page) -> None:
    """Its scripts run: one of them shows this button."""
    expect(page.locator("#keys-button")).to_be_visible()


def payment(**changes: Any) -> dict[str, Any]:
    """A synthetic payment, now, as the API takes it."""
    return {
        "id": f"e2e_{uuid4().hex}",
        "occurred_at": datetime.now(UTC).isoformat(),
        "amount": "20.00",
        "currency": "EUR",
        "customer_id": "cus_e2e",
        "merchant_id": "mer_e2e",
        "channel": "ecommerce",
        "attributes": {"synthetic": True},
        **changes,
    }


def until(true: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = true()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"waited in vain for {what}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """RONDA_E2E_BUS chooses rabbit instead of redis."""
    data_dir, port = tmp_path_factory.mktemp("e2e") / "data", _free_port()
    printed = data_dir.with_suffix(".out")
    own = {name: value for name, value in os.environ.items() if not name.startswith("RONDA_")}
    bus = os.environ.get("RONDA_E2E_BUS", "redis")
    command = [
        sys.executable, "-m", "backend", "demo", "--no-stream", f"--port={port}", f"--data-dir={data_dir}", f"--bus={bus}",
    ]  # fmt: skip
    with printed.open("wb") as out:
        process = subprocess.Popen(command, cwd=HOME, env=own, stdout=out, stderr=out, start_new_session=True)
    try:
        until(lambda: "API key" in printed.read_text() or process.poll() is not None, "the demo to be ready", START_S)
        assert process.poll() is None, printed.read_text()
        known = json.loads((data_dir / "demo-secrets.json").read_text())
        passwords = {user["email"]: user["password"] for user in known["users"]}
        running = Product(process.pid, f"http://127.0.0.1:{port}", passwords, known["key"], data_dir)
        # Until the scorer has its model every payment is reviewed, unscored: right, but not what is looked at here.
        until(lambda: running.post(customer_id="cus_e2e_first")["decision"]["model"], "the scorer's model")
        yield running
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture(scope="session")
def base_url(product: Product) -> str:
    return product.url


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """The system's Chromium where there is one, else the one that Playwright installed."""
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    root = ["--no-sandbox"] if os.getuid() == 0 else []
    system = shutil.which("chromium") or shutil.which("chromium-browser")
    found = {"executable_path": system} if system else {}
    return {**browser_type_launch_args, **found, "args": quiet + root}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any], base_url: str) -> dict[str, Any]:
    size = {"width": 1440, "height": 900}
    return {**browser_context_args, "base_url": base_url, "viewport": size, "reduced_motion": "reduce"}


class Complaints(list[str]):
    """What a page's console said against us: errors of scripts and of the content security policy."""

    def watch(self, context: BrowserContext) -> None:
        context.on("console", self._heard)
        context.on("weberror", lambda error: self.append(str(error.error)))

    def _heard(self, message: ConsoleMessage) -> None:
        refused = "Failed to load resource" in message.text  # a 4xx that the test asked for
        if message.type in ("error", "warning") and not refused:
            self.append(message.text)


@pytest.fixture
def complaints(context: BrowserContext) -> Iterator[Complaints]:
    """Watches the test's own context; the test fails when it complained."""
    found = Complaints()
    found.watch(context)
    yield found
    assert found == []


SignIn = Callable[[Page, str], Page]


@pytest.fixture
def sign_in(product: Product) -> SignIn:
    """Signs a page in as one of the demo's people, by the form."""

    def sign(page: Page, who: str) -> Page:
        page.goto("/sign-in")
        page.get_by_label("E-mail address").fill(f"{who}@localhost")
        page.get_by_label("Password").fill(product.passwords[f"{who}@localhost"])
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Queue")).to_be_visible()
        return page

    return sign


@pytest.fixture
def another(browser: Browser, browser_context_args: dict[str, Any]) -> Iterator[Callable[[], Page]]:
    """A second person's browser."""
    contexts: list[BrowserContext] = []

    def open_page(**changes: Any) -> Page:
        contexts.append(browser.new_context(**{**browser_context_args, **changes}))
        return contexts[-1].new_page()

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def suspicious(product: Product) -> str:
    """A customer with an open alert."""
    return product.post_suspicious()
