"""docs/reliability.md names the tests behind its rows: they must be there, and a row without one must say so."""

import re

from tests.house.tree import HOME

PAGE = (HOME / "docs" / "reliability.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| failure |")]
NOT_COVERED = "no test of its own"


def functions() -> set[str]:
    sources = (path.read_text(encoding="utf-8") for path in (HOME / "tests").rglob("test_*.py"))
    return {name for source in sources for name in re.findall(r"^(?:async )?def (test_\w+)\(", source, re.MULTILINE)}


def test_every_test_that_is_named_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 30
    assert named - functions() == set()


def test_every_failure_has_a_test_or_says_that_it_has_none() -> None:
    assert len(ROWS) > 30
    assert [row for row in ROWS if ("`test_" in row.rsplit("|", 2)[1]) == (NOT_COVERED in row)] == []
