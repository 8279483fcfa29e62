"""The words of the request that is being answered, in its language. In every message a literal per cent sign is written `%%`."""

from contextvars import ContextVar
from gettext import NullTranslations
from typing import Any

from jinja2 import Environment

_translations: ContextVar[NullTranslations] = ContextVar("translations", default=NullTranslations())  # noqa: B039


def gettext(message: str, **values: Any) -> str:
    """`message` in the request's language, its `%(name)s` filled in."""
    return _translations.get().gettext(message) % values


def ngettext(one: str, many: str, n: int, **values: Any) -> str:
    """The form that goes with `n`, which is also the value of `%(num)s`."""
    return _translations.get().ngettext(one, many, n) % {"num": n, **values}


def pgettext(context: str, message: str, **values: Any) -> str:
    """For a word that needs a context to be translated."""
    return _translations.get().pgettext(context, message) % values


def teach(environment: Environment) -> None:
    """Gives templates `_`, `ngettext`, `pgettext` and `{% trans %}`, each time in the language of the request."""
    environment.add_extension("jinja2.ext.i18n")
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        lambda message: _translations.get().gettext(message),
        lambda one, many, n: _translations.get().ngettext(one, many, n),
        newstyle=True,
        pgettext=lambda context, message: _translations.get().pgettext(context, message),
    )
