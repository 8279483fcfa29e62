"""Every page of the console, each with addresses that show what it can show."""

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import asyncpg
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

from console.router import HANDLERS
from tests.e2e.conftest import Product, alert_row

TAGS: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
_AXE_VERSION: Final = re.search(r"axe v([\d.]+)", AXE_SCRIPT[:200])[1]  # type: ignore[index]
_RULES: Final = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}

NO_PAGES: Final = {
    "/stream/queue": "events",
    "/stream/alerts/{alert_id:uuid}": "events",
    "/stream/models": "events",
    "/session": "no content",
    "/models/{model_id:str}/report.json": "a file",
    "/models/{model_id:str}/card.md": "a file",
    "/audit/{event_id:uuid}/proof": "a file",
}


def paths() -> set[str]:
    """Of every page that the router answers with GET."""
    found = {path for handler in HANDLERS if "GET" in handler.http_methods for path in handler.paths}
    return found - {"/"} - NO_PAGES.keys()  # `/` leads to the queue


Addresses = Mapping[str, Sequence[str]]


def addresses(page: Page, product: Product, customer: str) -> Addresses:
    """By path. page: signed in as a lead. customer: has an open alert."""

    def href(at: str, selector: str) -> str:
        page.goto(at)
        found = page.locator(selector).first.get_attribute("href")
        assert found, (at, selector)
        return found

    page.goto("/queue")
    alert = alert_row(page, customer).locator("a.row-link").get_attribute("href")
    assert alert
    payment = href(f"/transactions?customer={customer}", "#transaction-rows a")
    behind = href(alert, 'a[href*="/reasons/"]')
    return {
        "/sign-in": ["/sign-in"],
        "/settings": ["/settings", "/settings?said=profile"],
        "/jump": [f"/jump?q={customer}", "/jump?q=no-such-thing"],
        "/overview": ["/overview"],
        "/queue": [
            "/queue",
            "/queue?status=closed",
            "/queue?outcome=review&amount_from=100",
            "/queue?customer=cus_none",
        ],
        "/queue/views": ["/queue/views"],
        "/queue/done": ["/queue/done"],
        "/alerts/{alert_id:uuid}": [alert],
        "/alerts/{alert_id:uuid}/similar": [f"{alert}/similar"],
        "/alerts/{alert_id:uuid}/timeline": [f"{alert}/timeline"],
        "/alerts/{alert_id:uuid}/dossier": [f"{alert}/dossier"],
        "/alerts/{alert_id:uuid}/what-if": [f"{alert}/what-if"],
        "/alerts/{alert_id:uuid}/record": [f"{alert}/record"],
        "/transactions": [f"/transactions?customer={customer}", "/transactions?amount_from=ten&currency=EUR"],
        "/transactions/{uid:uuid}": [payment],
        "/transactions/{uid:uuid}/reasons/{code:str}": [behind],
        "/labels": ["/labels", "/labels?show=conflict", "/labels?show=imported"],
        "/lists": ["/lists", "/lists?list=deny"],
        "/entities/{kind:str}": [f"/entities/customer?id={customer}"],
        "/entities/{kind:str}/{rest:path}": [f"/entities/customer/{customer}", "/entities/merchant/mer_e2e"],
        "/models": ["/models"],
        "/models/{model_id:str}": [href("/models", "#champion-report")],
        "/dead-letters": ["/dead-letters", "/dead-letters?show=any"],
        "/dead-letters/{letter_id:uuid}": [_a_dead_letter(product)],
        "/audit": ["/audit", f"/audit?object=alert:{alert.rpartition('/')[2]}"],
        "no such page": ["/no"],
    }


def _a_dead_letter(product: Product) -> str:
    """Nothing of ours makes one on demand; the page shows whatever lies in the table."""
    ident = uuid4()

    async def bury() -> None:
        connection = await asyncpg.connect(json.loads((product.data_dir / "run.json").read_text())["database_url"])
        try:
            await connection.execute(
                "INSERT INTO dead_letter (id, queue, message_id, reason, body, state, died_at, payments)"
                " VALUES ($1, 'score.0', $2, 'its queue was full', $3, 'waiting', now(), 0)",
                ident,
                str(ident),
                b"no message of ours",
            )
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as pool:  # the browser's driver has an event loop in this thread
        pool.submit(asyncio.run, bury()).result()
    return f"/dead-letters/{ident}"


def unfold(page: Page) -> None:
    page.evaluate("for (const each of document.querySelectorAll('details:not(.menu)')) each.open = true")


_RUN: Final = """async options => {
  const {passes, violations} = await axe.run(document, options);
  return {rules: passes.length + violations.length, found: violations.map(each => `${each.id}: ${each.nodes[0].html.slice(0, 160)}`)};
}"""


def axe(page: Page) -> tuple[int, list[str]]:
    """(rules that had something to check, findings)."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    result: Any = page.evaluate(_RUN, _RULES)
    return result["rules"], [f"{page.url}: {each}" for each in result["found"]]


@dataclass(frozen=True)
class Seen:
    """One look at one address. rules: how many had something to check."""

    path: str
    theme: str
    rules: int
    findings: list[str]


def visit(page: Page, where: Addresses, look: Callable[[Page, str, str], None]) -> None:
    for path, each in where.items():
        for address in each:
            page.goto(address)
            unfold(page)
            look(page, path, address)


_BEGIN, _END = "<!-- sweep -->", "<!-- /sweep -->"


def write_report(to: Path, seen: Sequence[Seen]) -> None:
    """Between the marks of a page that is there already."""
    rows: dict[tuple[str, str], list[Seen]] = {}
    for each in seen:
        rows.setdefault((each.path, each.theme), []).append(each)
    lines = [
        f"| `{path}` | {theme} | {len(looks)} | {max(look.rules for look in looks)} | {sum(len(look.findings) for look in looks)} |"
        for (path, theme), looks in rows.items()
    ]
    head = "| page | theme | addresses | rules checked | findings |\n|---|---|--:|--:|--:|"
    before, _, rest = to.read_text().partition(_BEGIN)
    after = rest.partition(_END)[2]
    made = f"axe-core {_AXE_VERSION}, tags {', '.join(TAGS)}; made on {date.today().isoformat()}."
    to.write_text(f"{before}{_BEGIN}\n{made}\n\n{head}\n" + "\n".join(lines) + f"\n{_END}{after}")
