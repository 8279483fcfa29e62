"""What acts refuse, in the reader's language. They say it in English, as the API and the command line do."""

import re
from functools import lru_cache
from typing import Final

from console.i18n import gettext, marked, stored

_WITH_VALUES: Final = (
    marked("this needs the role %(role)s; yours is %(own)s"),
    marked("there is no queue %(queue)s any more; it can only be discarded"),
    marked("it was %(how)s by %(who)s"),
    marked("this training is %(status)s already"),
    marked("allow and deny for more than %(days)s days, or without an end, need a lead"),
    marked("this %(kind)s is on the %(list)s list already"),
    marked("a view's name has 1 to %(most)s characters"),
    marked("you have a view named %(name)s already"),
    marked("you keep %(most)s views already. Delete one first"),
    marked("choose 1 to %(most)s alerts"),
    marked("there is no model %(model)s"),
    marked("model %(model)s is refused: %(reasons)s"),
    marked("only a candidate can begin to shadow; this model is %(stage)s"),
    marked("%(most)s models shadow already; stop one first"),
    marked("this model does not shadow; it is %(stage)s"),
    marked("this model is %(stage)s"),
    marked("the champion before, %(model)s, reads feature catalogue %(version)s and would not load"),
    marked("%(reason)s is no reason for %(label)s"),
    marked("a password has %(least)s to %(most)s characters"),
    marked("a note has 1 to %(most)s characters"),
    marked("something went wrong on our side. Quote incident %(incident)s"),
)
_WITHOUT: Final = (
    marked("PostgreSQL does not answer"),
    marked("PostgreSQL does not take work now"),
    marked("PostgreSQL closed the connection"),
    marked("there is no seal yet"),
    marked("every seal there is has been checked"),
    marked("Not Found"),
    marked("Method Not Allowed"),
    marked("Bad Request"),
    marked("Request Entity Too Large"),
)
"""The servers' and the framework's own."""


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    def pattern(message: str) -> str:
        parts = re.split(r"%\((\w+)\)s", message)
        return "".join(re.escape(part) if place % 2 == 0 else f"(?P<{part}>.+)" for place, part in enumerate(parts))

    return tuple((re.compile(pattern(message), re.IGNORECASE), message) for message in _WITH_VALUES)


def told(detail: str) -> str:
    """A sentence, as a person reads it. What no catalogue knows stays as it was said."""
    plain = detail.rstrip(".")
    for pattern, message in _patterns():
        found = pattern.fullmatch(plain)
        if found:
            return _sentence(gettext(message, **{name: stored(value) for name, value in found.groupdict().items()}))
    for written in (detail, plain):
        known = stored(written)
        if known != written:
            return _sentence(known)
    return _sentence(detail)


def _sentence(text: str) -> str:
    text = f"{text[:1].upper()}{text[1:]}"
    return text if text.endswith((".", "?", "!")) else f"{text}."
