"""The source tree as the house tests read it: files, syntax trees, and who mentions what."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

HOME = Path(__file__).parents[2]
ROOMS = ("core", "models", "workers", "console", "backend")


def python_files(*rooms: str) -> list[Path]:
    return sorted(path for room in rooms or ROOMS for path in (HOME / room).rglob("*.py"))


def name_of(path: Path) -> str:
    """The path inside the repository, with slashes."""
    return path.relative_to(HOME).as_posix()


@cache
def syntax(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def attribute_calls(path: Path, method: str) -> Iterator[ast.Call]:
    """Calls of `anything.method(...)`."""
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method:
            yield node


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """(module, name) of every import, wherever it stands; name is "" for `import module`."""
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)


def kept_files() -> list[Path]:
    """What git keeps or would keep: tracked files, and new ones that are not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=HOME, capture_output=True, check=True).stdout.decode().split("\0")
    return [HOME / name for name in listed if name and (HOME / name).is_file()]
