"""The words of whoever is reading: language and time zone of the request that is being answered.

In every message a literal per cent sign is written `%%`. A word that is chosen at import is wrapped in `marked` or kept in `Words`,
and put into the reader's language when it is asked for.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from gettext import NullTranslations
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale
from jinja2 import Environment

from console.catalogue import translations
from core.base.terms import Language

UTC_ZONE: Final = "UTC"
LANGUAGE_NAMES: Final[Mapping[Language, str]] = {Language.EN: "English", Language.PT_BR: "Português (Brasil)"}
"""Each in itself: whoever lost their way finds the way back."""
_LOCALES: Final = {Language.EN: Locale("en"), Language.PT_BR: Locale("pt", "BR")}


@dataclass(frozen=True)
class Reader:
    """How somebody reads. Equal readers are sent equal text."""

    language: Language = Language.EN
    zone: str = UTC_ZONE
    """IANA name."""

    @property
    def locale(self) -> Locale:
        return _LOCALES[self.language]

    @property
    def tz(self) -> ZoneInfo:
        return ZoneInfo(self.zone)


_reader: ContextVar[Reader] = ContextVar("reader", default=Reader())  # noqa: B039 # frozen


def reader() -> Reader:
    return _reader.get()


def speak_to(who: Reader) -> None:
    """For the rest of this task: a server answers each request in a task of its own."""
    _reader.set(who)


@contextmanager
def speaking_to(who: Reader) -> Iterator[None]:
    token = _reader.set(who)
    try:
        yield
    finally:
        _reader.reset(token)


@lru_cache(maxsize=1)
def zones() -> frozenset[str]:
    """The IANA names that this machine knows."""
    return frozenset(available_timezones())


def language_of(accepted: str) -> Language:
    """The first language of an Accept-Language header that we speak, by its weights; English when none is. Any Portuguese is Brazil's."""
    found: list[tuple[float, int, Language]] = []
    for place, part in enumerate(accepted.split(",")[:20]):
        tag, _, rest = part.strip().partition(";")
        weight = rest.strip().removeprefix("q=")
        spoken = {"en": Language.EN, "pt": Language.PT_BR}.get(tag.strip().lower().partition("-")[0])
        if spoken:
            found.append((-_weight(weight), place, spoken))
    return min(found)[2] if found else Language.EN


def _weight(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0


def _known() -> NullTranslations:
    return translations(_reader.get().language)


def gettext(message: str, **values: Any) -> str:
    """`message` in the reader's language, its `%(name)s` filled in."""
    return _known().gettext(message) % values


def ngettext(one: str, many: str, n: int, **values: Any) -> str:
    """The form that goes with `n`, which is also the value of `%(num)s`."""
    return _known().ngettext(one, many, n) % {"num": n, **values}


def pgettext(context: str, message: str, **values: Any) -> str:
    """For a word that needs a context to be translated."""
    return _known().pgettext(context, message) % values


def npgettext(context: str, one: str, many: str, n: int, **values: Any) -> str:
    return _known().npgettext(context, one, many, n) % {"num": n, **values}


def marked(message: str) -> str:
    """`message` as it is: the catalogue finds it here, `gettext` or `stored` translates it when it is shown."""
    return message


def stored(text: str) -> str:
    """A text that comes out of the database in English: translated where the catalogue knows it, else as it is."""
    return _known().gettext(text) if text else text


Key = TypeVar("Key")


class Words(Mapping[Key, str]):
    """Messages by key, in the language of whoever asks."""

    def __init__(self, messages: Mapping[Key, str]) -> None:
        self._messages = messages

    def __getitem__(self, key: Key) -> str:
        return gettext(self._messages[key])

    def __iter__(self) -> Iterator[Key]:
        return iter(self._messages)

    def __len__(self) -> int:
        return len(self._messages)


def script_words() -> dict[str, str]:
    """What the page's script says by itself."""
    return {
        "now": gettext("now"),
        "ahead": gettext("in %(time)s", time="{time}"),
        "off": gettext("Connecting"),
        "live": gettext("Live"),
        "paused": gettext("Paused"),
        "lost": gettext("Reconnecting"),
    }


def teach(environment: Environment) -> None:
    """Gives templates `_`, `ngettext`, `pgettext` and `{% trans %}`, each time in the language of the request."""
    environment.globals |= {"reader": reader, "script_words": script_words}
    environment.add_extension("jinja2.ext.i18n")
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        lambda message: _known().gettext(message),
        lambda one, many, n: _known().ngettext(one, many, n),
        newstyle=True,
        pgettext=lambda context, message: _known().pgettext(context, message),
        npgettext=lambda context, one, many, n: _known().npgettext(context, one, many, n),
    )
