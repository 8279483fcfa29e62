"""The messages of the console and their translations: one .po file a language, read as it is (nothing is compiled beforehand).

`python -m console.catalogue` brings the .po files up to date with the marked messages; a test fails while they are not.
"""

import sys
from collections.abc import Iterator
from functools import lru_cache
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from babel.support import Translations

from core.base.terms import Language

HOUSE: Final = Path(__file__).parents[1]
LOCALES: Final = {Language.PT_BR: "pt_BR"}
"""English is what the messages are written in."""
_FOLDERS: Final = ("console", "core/acts")
"""Where messages are marked: pages, and what acts and rules say."""
_METHODS: Final = [("templates/**.html", "jinja2"), ("**.py", "python")]
_OPTIONS: Final = {"templates/**.html": {"trimmed": "true", "newstyle_gettext": "true"}}
KEYWORDS: Final = {
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
    "marked": None,
    **dict.fromkeys(("InvalidInput", "NotAllowedNow", "NotFound", "StaleVersion", "Forbidden", "SignInNeeded")),
    **dict.fromkeys(("TooManyAttempts", "BadCredentials", "Unavailable")),
}
"""Errors carry sentences for people: their first argument is a message."""
_HEADER: Final = r"""# Ronda's console. `python -m console.catalogue` adds and drops messages; translations are written by hand.
msgid ""
msgstr ""
"Language: {locale}\n"
"Content-Type: text/plain; charset=utf-8\n"
"Content-Transfer-Encoding: 8bit\n"
"Plural-Forms: {plural}\n"

"""


def po_file(language: Language) -> Path:
    return HOUSE / "console" / "locale" / LOCALES[language] / "LC_MESSAGES" / "console.po"


@lru_cache(maxsize=len(Language))
def translations(language: Language) -> NullTranslations:
    if language not in LOCALES:
        return NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, catalogue(language))
    compiled.seek(0)
    return Translations(compiled)


def catalogue(language: Language) -> Catalog:
    with po_file(language).open("rb") as file:
        return read_po(file, locale=LOCALES[language], domain="console")


def extracted() -> Catalog:
    """Every message that the source marks."""
    found = Catalog(domain="console", project="Ronda", charset="utf-8")
    for folder in _FOLDERS:
        rows = extract_from_dir(HOUSE / folder, _METHODS, _OPTIONS, KEYWORDS, comment_tags=("For translators:",))
        for name, line, message, comments, context in rows:
            found.add(message, locations=[(f"{folder}/{name}", line)], auto_comments=comments, context=context)
    return found


def faults(language: Language) -> list[str]:
    """What `python -m console.catalogue` and a translator have still to do; empty when the catalogue is whole."""
    wanted, have = extracted(), catalogue(language)
    missing = [f"not in the catalogue: {_key(message)}" for message in _messages(wanted) if _of(have, message) is None]
    stale = [f"no longer marked: {_key(message)}" for message in _messages(have) if _of(wanted, message) is None]
    untold = [f"not translated: {_key(message)}" for message in _messages(have) if not _whole(message)]
    fuzzy = [f"fuzzy: {_key(message)}" for message in _messages(have) if message.fuzzy]
    wrong = [f"{error}: {_key(message)}" for message, errors in have.check() for error in errors]
    return [*missing, *stale, *untold, *fuzzy, *wrong]


def _messages(of: Catalog) -> Iterator[Message]:
    return (message for message in of if message.id)


def _of(where: Catalog, message: Message) -> Message | None:
    """The same message there, with as many forms."""
    found = where.get(message.id, message.context)
    return found if found is not None and found.id == message.id else None


def _key(message: Message) -> str:
    return repr(message.id if isinstance(message.id, str) else message.id[0])


def _whole(message: Message) -> bool:
    forms = [message.string] if isinstance(message.string, str) else list(message.string or ())
    return bool(forms) and all(forms)


def refresh(language: Language) -> None:
    """Adds what is new, drops what is gone; a translation that stays is not touched, and none is guessed."""
    path = po_file(language)
    found = catalogue(language) if path.exists() else Catalog(locale=LOCALES[language], domain="console")
    found.update(extracted(), no_fuzzy_matching=True)
    found.obsolete.clear()
    for message in _messages(found):
        message.locations = sorted({(name, 0) for name, _ in message.locations})
    path.parent.mkdir(parents=True, exist_ok=True)
    save(language, found)


def save(language: Language, found: Catalog) -> None:
    """Without dates and line numbers: a file changes only where a message does."""
    with po_file(language).open("wb") as file:
        file.write(_HEADER.format(locale=LOCALES[language], plural=found.plural_forms).encode())
        write_po(file, found, width=0, omit_header=True, include_lineno=False, sort_output=True)


def main() -> int:
    for language in LOCALES:
        refresh(language)
    left = [fault for language in LOCALES for fault in faults(language)]
    sys.stdout.write("".join(f"{fault}\n" for fault in left) or "every message is translated\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
