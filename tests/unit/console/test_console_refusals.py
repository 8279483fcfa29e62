"""Whatever an act refuses, and whatever server is away, is said in the reader's language."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.i18n import Reader, speaking_to
from console.refusals import told
from core.base.terms import Language

HOME = Path(__file__).parents[3]
ERRORS = {
    "BadCredentials",
    "Forbidden",
    "InvalidInput",
    "NotAllowedNow",
    "NotFound",
    "StaleVersion",
    "TooManyAttempts",
    "Unavailable",
}
ONLY_TYPED = {"audit_bundle"}
TYPED = re.compile("is not an e-mail address|there is already a user|there is no source|there is no live key")
"""Said on the command line alone."""
SOURCES = [
    path
    for path in [*(HOME / "core/acts").rglob("*.py"), HOME / "core/infra/postgres.py"]
    if not ONLY_TYPED & set(path.parts)
]


def details(path: Path) -> Iterator[str]:
    """What errors are raised with, `7` in place of each value."""
    tree = ast.parse(path.read_text())
    named = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for node in ast.walk(tree):
        if not (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS and node.args
        ):
            continue
        detail = node.args[0]
        detail = named.get(detail.id, detail) if isinstance(detail, ast.Name) else detail
        if isinstance(detail, ast.Constant):
            yield str(detail.value)
        elif isinstance(detail, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in detail.values)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_every_refusal_is_translated(path: Path) -> None:
    with speaking_to(Reader(Language.PT_BR)):
        said = [detail for detail in details(path) if not TYPED.search(detail)]
        left = [detail for detail in said if told(detail).rstrip(".").lower() == detail.rstrip(".").lower()]
    assert left == []


def test_there_is_something_to_translate() -> None:
    assert sum(len(list(details(path))) for path in SOURCES) > 40
