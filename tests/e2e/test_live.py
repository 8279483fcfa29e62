"""The live queue over what browsers and servers do to it: many tabs, a server that dies, a slow line."""

from collections.abc import Callable
from urllib.parse import urlsplit

import httpx2
import psutil
import pytest
from playwright.sync_api import BrowserContext, CDPSession, Page, expect

from tests.e2e.conftest import Complaints, Product, SignIn, alert_row, until

TABS = 7
"""One more than a browser opens connections to one address."""
FIRST_PAGE_BYTES = 250_000
VISIBILITY = """(state) => {
    Object.defineProperty(document, "visibilityState", {value: state, configurable: true});
    Object.defineProperty(document, "hidden", {value: state === "hidden", configurable: true});
    document.dispatchEvent(new Event("visibilitychange"));
}"""
"""What a browser does to a tab that goes into the background or comes back; Playwright keeps all its pages in front."""


def is_live(page: Page) -> None:
    expect(page.locator("#live-chip")).to_have_attribute("data-state", "live")


def test_a_page_is_live_however_late_its_scripts_come(
    another: Callable[..., Page], sign_in: SignIn, complaints: Complaints
) -> None:
    page = another()
    complaints.watch(page.context)
    page.route("**/hx-sse.min.js", lambda route: (page.wait_for_timeout(700), route.continue_()))
    sign_in(page, "analyst")
    is_live(page)


def test_seven_tabs_load_and_the_one_in_front_is_live(
    context: BrowserContext, sign_in: SignIn, product: Product
) -> None:
    first = sign_in(context.new_page(), "analyst")
    is_live(first)
    tabs = [first]
    while len(tabs) < TABS:
        tabs[-1].evaluate(VISIBILITY, "hidden")
        tabs.append(context.new_page())
        tabs[-1].goto("/queue")
        is_live(tabs[-1])
    customer = product.post_suspicious()
    expect(alert_row(tabs[-1], customer)).to_be_visible()
    expect(alert_row(first, customer)).to_have_count(0)
    tabs[-1].evaluate(VISIBILITY, "hidden")
    first.evaluate(VISIBILITY, "visible")
    expect(alert_row(first, customer)).to_be_visible()


def test_a_page_goes_on_after_the_server_was_killed(page: Page, sign_in: SignIn, product: Product) -> None:
    sign_in(page, "analyst")
    is_live(page)
    page.evaluate("window.neverReloaded = true")
    web = next(child for child in psutil.Process(product.pid).children(recursive=True) if "serve" in child.cmdline())
    web.kill()
    expect(page.locator("#live-chip")).to_have_attribute("data-state", "lost")
    with product.api as client:
        until(lambda: _ready(client), "the web process to be there again")
    customer = product.post_suspicious()
    expect(alert_row(page, customer)).to_be_visible()
    assert page.evaluate("window.neverReloaded")


def _ready(client: httpx2.Client) -> bool:
    try:
        return client.get("/health/ready").status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False


@pytest.mark.usefixtures("suspicious")
def test_the_first_page_is_light_and_asks_nobody_else(
    another: Callable[..., Page], sign_in: SignIn, product: Product
) -> None:
    page = another()
    devtools: CDPSession = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    received: list[float] = []
    asked: list[str] = []
    devtools.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    page.on("request", lambda request: asked.append(request.url))
    sign_in(page, "analyst")
    is_live(page)
    assert {urlsplit(url).netloc for url in asked} == {urlsplit(product.url).netloc}
    assert len(received) > 5
    assert sum(received) <= FIRST_PAGE_BYTES, f"{sum(received):,.0f} bytes for signing in and the queue"
