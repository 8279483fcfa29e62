"""The keyboard, as one table: the map on screen is made of it, and the page's script does what the map says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from console.i18n import Words, marked

LISTS, EVERYWHERE, GOING = "lists", "everywhere", "going"
GROUPS: Final = Words(
    {LISTS: marked("In a list"), EVERYWHERE: marked("Everywhere"), GOING: marked("Go to")},
)


@dataclass(frozen=True)
class Shortcut:
    """press: as the script hears it, `mod` being Ctrl or Command. does: what the script calls it."""

    press: str
    does: str
    words: str

    @property
    def caps(self) -> list[str]:
        """What stands on the keys."""
        return [_CAPS.get(part, part) for part in self.press.replace("+", " ").split()]


_CAPS: Final = {"mod": "Ctrl", "J": "Shift j", "K": "Shift k"}

_TABLE: Final[Mapping[str, tuple[Shortcut, ...]]] = {
    LISTS: (
        Shortcut("j", "row:next", marked("Next row")),
        Shortcut("k", "row:previous", marked("Previous row")),
        Shortcut("o", "row:open", marked("Open the row, as Enter does")),
        Shortcut("x", "row:select", marked("Select the row, or take it out of the selection")),
        Shortcut("J", "row:extend-next", marked("Select on, downwards")),
        Shortcut("K", "row:extend-previous", marked("Select on, upwards")),
        Shortcut("]", "list:next", marked("From an alert: the next one of the list")),
        Shortcut("[", "list:previous", marked("From an alert: the one before it in the list")),
        Shortcut("Escape", "clear", marked("Drop the selection")),
    ),
    EVERYWHERE: (
        Shortcut("/", "search", marked("Search")),
        Shortcut("mod+k", "palette", marked("Find a place, an act, an alert or a payment")),
        Shortcut("?", "map", marked("This list")),
    ),
    GOING: (
        Shortcut("g q", "press:nav-queue", marked("Queue")),
        Shortcut("g o", "press:nav-overview", marked("Overview")),
        Shortcut("g t", "press:nav-transactions", marked("Transactions")),
        Shortcut("g l", "press:nav-lists", marked("Lists")),
        Shortcut("g b", "press:nav-labels", marked("Labels")),
        Shortcut("g m", "press:nav-models", marked("Models")),
        Shortcut("g d", "press:nav-dead-letters", marked("Dead letters")),
        Shortcut("g a", "press:nav-audit", marked("Audit")),
        Shortcut("g s", "press:to-settings", marked("Settings")),
    ),
}


@dataclass(frozen=True)
class ShortcutGroup:
    key: str
    title: str
    shortcuts: list[Shortcut]


def shortcuts() -> list[ShortcutGroup]:
    """In the reader's language."""
    words = Words({entry.does: entry.words for table in _TABLE.values() for entry in table})
    return [
        ShortcutGroup(group, GROUPS[group], [Shortcut(entry.press, entry.does, words[entry.does]) for entry in table])
        for group, table in _TABLE.items()
    ]
