"""Where a model comes from: JSON of any depth as titles and values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from console.i18n import gettext as _
from console.views.words import compact, middle, minute

_LISTED: Final = 8
"""Longer lists are counted; the JSON holds them."""


_ORDER: Final = ("data", "labels", "slices", "train", "calibration", "test", "libraries")
_FOLDED: Final = ("Options", "Chosen")
_DIGITS: Final = 19
"""Of longer words, such as hashes, both ends are shown."""


@dataclass(frozen=True)
class Fact:
    title: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class LineagePart:
    title: str
    facts: list[Fact]
    folded: bool = False
    """Settings in full: to be looked up, not read."""


def lineage(found: Mapping[str, Any], title: str = "") -> list[LineagePart]:
    """Single values under `title`, then each group of values under its own."""
    single = [Fact(_name(key, title), plain(value)) for key, value in found.items() if not isinstance(value, Mapping)]
    parts = [LineagePart(title or _("In short"), single, title.startswith(_FOLDED))] if single else []
    for key in sorted(found, key=_rank):
        if isinstance(found[key], Mapping):
            parts += lineage(found[key], f"{title}: {key.replace('_', ' ')}" if title else titled(key))
    return parts


def _rank(key: str) -> tuple[int, str]:
    """PostgreSQL keeps no order of keys: what a person asks first comes first."""
    return (_ORDER.index(key) if key in _ORDER else len(_ORDER), key)


def _name(key: str, title: str) -> str:
    """Libraries and label sources stand as they are written elsewhere."""
    return key if title.startswith("Libraries") else titled(key)


def titled(key: str) -> str:
    return key.replace("_", " ").capitalize()


def plain(value: Any) -> str:
    """A JSON value in words; times as people write them."""
    match value:
        case None:
            return _("none")
        case bool():
            return _("yes") if value else _("no")
        case int() | float():
            return compact(value)
        case list() | tuple():
            if len(value) > _LISTED or any(isinstance(part, Mapping) for part in value):
                return _("%(count)s entries", count=len(value))
            return ", ".join(plain(part) for part in value) or _("none")
        case Mapping():
            return _("%(count)s entries", count=len(value))
        case _:
            return _time(str(value))


def _time(text: str) -> str:
    if len(text) < 19 or text[10:11] != "T":
        return text if " " in text else middle(text, _DIGITS)
    try:
        return minute(datetime.fromisoformat(text))
    except ValueError:
        return text
