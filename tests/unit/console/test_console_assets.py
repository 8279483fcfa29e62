"""Static files and templates: vendored as listed, kept for ever, nothing that the content security policy refuses."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

import console
from console.assets import ASSETS, Assets
from console.router import templates

HOME = Path(console.__file__).parent
VENDOR = HOME / "static" / "vendor"
TEMPLATES = sorted((HOME / "templates").glob("*.html"))
REFUSED = {
    "a style attribute": re.compile(r"<[^>]*\sstyle\s*=", re.I),
    "an event handler": re.compile(r"<[^>]*\son[a-z]+\s*=", re.I),
    "an hx-on handler": re.compile(r"\shx-on", re.I),
    "a script in the page": re.compile(r"<script(?![^>]*\ssrc=)", re.I),
    "a style sheet in the page": re.compile(r"<style", re.I),
    "a javascript address": re.compile(r"javascript:|\bjs:", re.I),
    "unescaped output": re.compile(r"\|\s*safe\b|autoescape"),
    "an address elsewhere": re.compile(r"""(?:src|href)=["'](?:https?:)?//""", re.I),
}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
@pytest.mark.parametrize("what", REFUSED)
def test_templates_hold_nothing_the_policy_refuses(path: Path, what: str) -> None:
    assert not REFUSED[what].search(path.read_text())


def test_the_manifest_tells_every_vendored_file() -> None:
    manifest = json.loads((VENDOR / "manifest.json").read_text())
    for entry in manifest:
        found = hashlib.sha384((VENDOR / entry["file"]).read_bytes()).digest()
        assert base64.b64encode(found).decode() == entry["sha384"], entry["file"]
        assert entry["licence"]
        assert entry["version"]
    told = {entry["file"] for entry in manifest}
    there = {path.name for path in VENDOR.iterdir() if path.suffix in {".js", ".woff2", ".svg", ".css"}}
    assert there == told


def test_every_icon_that_a_template_names_is_in_the_sprite() -> None:
    sprite = (VENDOR / "icons.svg").read_text()
    there = set(re.findall(r'<symbol id="([\w-]+)"', sprite))
    named = set()
    for path in [*TEMPLATES, *(HOME / "views").glob("*.py")]:
        text = path.read_text()
        for call in re.findall(r"icon\((.+?)\)", text):
            named |= set(re.findall(r"'([a-z][a-z-]+)'", call)) - {"lead", "admin", "open", "claimed", "closed"}
    named -= {"fraud", "legitimate", "unsure", "system", "light", "dark", "up", "bad", "good", "warn"}
    assert named, "the test no longer sees how templates name icons"
    assert named <= there


def test_templates_compile_and_refuse_unknown_names() -> None:
    environment = templates()
    for path in TEMPLATES:
        environment.get_template(path.name)
    assert environment.autoescape is True
    assert environment.undefined.__name__ == "StrictUndefined"


def test_an_address_changes_with_any_file(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a{}")
    before = Assets(tmp_path)
    (tmp_path / "b.js").write_text("1")
    after = Assets(tmp_path)
    assert before.href("a.css") != after.href("a.css")
    with pytest.raises(KeyError):
        after.href("missing.css")


def test_only_what_browsers_need_is_served() -> None:
    assert "vendor/manifest.json" not in ASSETS.files
    assert {"console.css", "app.js", "mark.svg", "vendor/htmx.min.js"} <= ASSETS.files.keys()


def test_what_a_page_loads_stays_small() -> None:
    """What every page loads, and the largest sheet that a page adds."""
    size = {name: len(file.zipped) for name, file in ASSETS.files.items() if name.endswith((".css", ".js"))}
    own = {
        "overview.css",
        "trail.css",
        "dossier.css",
        "entities.css",
        "evidence.css",
        "desk.css",
        "desk.js",
        "queue.css",
        "queue.js",
    } & size.keys()
    assert sum(size[name] for name in size.keys() - own) + max(size[name] for name in own) < 40_000
    assert sum(size.values()) < 50_000
