"""Where a model comes from: JSON of any depth as titles and values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from console.views.words import compact

_LISTED: Final = 8
"""Longer lists are counted; the JSON holds them."""


@dataclass(frozen=True)
class Fact:
    title: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class LineagePart:
    title: str
    facts: list[Fact]


def lineage(found: Mapping[str, Any], title: str = "In short") -> list[LineagePart]:
    """Single values under `title`, then each group of values under its own."""
    single = [Fact(_name(key, title), plain(value)) for key, value in found.items() if not isinstance(value, Mapping)]
    parts = [LineagePart(title, single)] if single else []
    for key, value in found.items():
        if isinstance(value, Mapping):
            own = titled(key) if title == "In short" else f"{title}: {key.replace('_', ' ')}"
            parts += lineage(value, own)
    return parts


def _name(key: str, title: str) -> str:
    """Libraries and label sources stand as they are written elsewhere."""
    return key if title.startswith("Libraries") else titled(key)


def titled(key: str) -> str:
    return key.replace("_", " ").capitalize()


def plain(value: Any) -> str:
    """A JSON value in words; times as people write them."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return compact(value)
        case list() | tuple():
            listed = ", ".join(plain(part) for part in value) or "none"
            return listed if len(value) <= _LISTED else f"{len(value)} entries"
        case Mapping():
            return ", ".join(f"{titled(str(key)).lower()} {plain(part)}" for key, part in value.items())
        case _:
            return _time(str(value))


def _time(text: str) -> str:
    if len(text) < 19 or text[10:11] != "T":
        return text
    try:
        return f"{datetime.fromisoformat(text).astimezone(UTC):%-d %b %Y, %H:%M} UTC"
    except ValueError:
        return text
