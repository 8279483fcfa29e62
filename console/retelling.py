"""Sentences that the product wrote into its record in English, recognised by their message and told in the reader's language."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from console.i18n import gettext

Teller = Callable[[str], str]
"""How a value inside a sentence is told."""


class Sentences:
    """messages: as `gettext` takes them, `%(name)s` where a value stands; the first that fits tells. tellers: by a value's name."""

    def __init__(self, messages: Sequence[str], tellers: Mapping[str, Teller], other: Teller) -> None:
        self._messages, self._tellers, self._other = messages, tellers, other

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], str]]:
        return [(re.compile(_pattern(message), re.IGNORECASE | re.DOTALL), message) for message in self._messages]

    def told(self, text: str) -> str | None:
        """None for what no message fits."""
        for pattern, message in self._patterns:
            found = pattern.fullmatch(text)
            if found:
                values = {
                    name: self._tellers.get(name, self._other)(value) for name, value in found.groupdict().items()
                }
                return gettext(message, **values)
        return None


def _pattern(message: str) -> str:
    parts = re.split(r"%\((\w+)\)s", message)
    return "".join(
        re.escape(part.replace("%%", "%")) if place % 2 == 0 else f"(?P<{part}>.+?)" for place, part in enumerate(parts)
    )
