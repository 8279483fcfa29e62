"""Pictures of every page of a running `ronda demo`, for docs/screens: python -m tests.e2e.screens URL DATA_DIR TO

Light and dark at 1440 px, light at 390 px. `pngquant`, where it is installed, makes the files a third as large.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

FORMS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1440, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1440, "height": 900}},
    "narrow": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}},
}
PLACES = {
    "overview": "/overview",
    "queue": "/queue",
    "transactions": "/transactions",
    "lists": "/lists",
    "labels": "/labels",
    "models": "/models",
    "dead-letters": "/dead-letters",
    "audit": "/audit",
    "settings": "/settings",
}


def main(url: str, data_dir: Path, to: Path) -> None:
    known = json.loads((data_dir / "demo-secrets.json").read_text())
    lead = next(user for user in known["users"] if user["role"] == "lead")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for form, look in FORMS.items():
            page = browser.new_context(base_url=url, reduced_motion="reduce", **look).new_page()
            page.goto("/sign-in")
            _take(page, to / f"sign-in-{form}.png")
            page.locator("[name=email]").fill(lead["email"])
            page.locator("[name=password]").fill(lead["password"])
            page.locator("form[action='/sign-in'] button[type=submit]").click()
            page.wait_for_url(re.compile("/(queue|overview)"))
            for name, address in _pages(page):
                page.goto(address)
                _take(page, to / f"{name}-{form}.png")
        browser.close()


def _pages(page: Page) -> Iterator[tuple[str, str]]:
    """Each with its name. The alert is the first of the queue whose customer has a past to compare with."""
    yield from PLACES.items()
    page.goto("/queue")
    rows = page.locator("tr.alert-row a.row-link")
    alerts = [row.get_attribute("href") or "" for row in rows.all()[:20]]
    assert alerts, "the queue is empty"
    alert = next((each for each in alerts if page.goto(each) and page.locator("#normal .strip").count()), alerts[0])
    yield "alert", alert
    page.goto(alert)
    for kind in ("customer", "merchant"):
        found = page.locator(f"main a[href^='/entities/{kind}/']").first
        if address := found.get_attribute("href"):
            yield kind, address
        page.goto(alert)
    page.goto("/models")
    if report := page.locator("#champion-report").get_attribute("href"):
        yield "model", report


def _take(page: Page, to: Path) -> None:
    page.wait_for_timeout(400)
    page.screenshot(path=to)
    if quantizer := shutil.which("pngquant"):
        subprocess.run([quantizer, "--force", "--skip-if-larger", "--output", to, "64", "--", to], check=False)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
