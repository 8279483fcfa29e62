"""No word reaches a person that the catalogue does not know: templates and views hold no text that is not marked."""

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from console.catalogue import KEYWORDS, LOCALES, faults
from core.base.terms import Language

HOME = Path(__file__).parents[3] / "console"
TEMPLATES = sorted((HOME / "templates").glob("*.html"))
SOURCES = [
    path
    for path in sorted((HOME / "views").glob("*.py")) + sorted((HOME / "pages").glob("*.py"))
    if path.stem != "__init__"
]

ALL_SOURCES = [path for path in sorted(HOME.rglob("*.py")) if path.stem != "__init__"]

# ---- templates ----
_TRANS = re.compile(r"\{% trans.*?\{% endtrans %\}", re.DOTALL)
_CODE = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
_LITERAL = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_MARKED = re.compile(r"\b(?:_|ngettext|pgettext|npgettext)\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)")
_OUTPUT = re.compile(r"\{\{\s*'([^']*)'\s+if\b|\belse\s+'([^']*)'\s*\}\}")
"""What an expression itself puts onto the page."""
_WORD = re.compile(r"[A-Za-zÀ-ÿ]{2,}")
_SPOKEN = ("title", "aria-label", "placeholder", "alt", "label", "data-key-title")
_ASIDE = {"script", "style", "code", "kbd"}
TECHNICAL = {
    "Options",  # titles made of keys of a lineage
    "Chosen",
    "Libraries",
    "Amount minor",
    "noopener noreferrer nofollow",
    "precision open",  # classes
    "saved open",
    "Edge",  # names of browsers and systems
    "Opera",
    "Firefox",
    "Chrome",
    "Safari",
    "Windows",
    "Android",
    "Mac OS X",
    "Linux",
}
NAMES = {"Ronda", "Redis", "PostgreSQL", "min", "JSON", "Markdown", "UTC", "English"}
"""What is called so in every language."""


class Spoken(HTMLParser):
    """Text and spoken attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.aside = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.aside += tag in _ASIDE
        self.found += [value for name, value in attrs if name in _SPOKEN and value]

    def handle_endtag(self, tag: str) -> None:
        self.aside -= tag in _ASIDE

    def handle_data(self, data: str) -> None:
        if not self.aside:
            self.found.append(data)


def unmarked_in(template: str) -> list[str]:
    text = _TRANS.sub(" ", template)
    spoken = Spoken()
    spoken.feed(_CODE.sub(lambda code: " ".join(["", *("".join(said) for said in _OUTPUT.findall(code[0])), ""]), text))
    found = [words.strip() for words in spoken.found if set(_WORD.findall(words)) - NAMES and '="' not in words]
    for code in re.findall(r"\{\{.*?\}\}|\{% (?:set|for|call|with) .*?%\}", text, re.DOTALL):
        literals = ["".join(parts) for parts in _LITERAL.findall(_MARKED.sub("", code))]
        found += [each for each in literals if sentence(each)]
    return list(dict.fromkeys(found))


def sentence(text: str) -> bool:
    """Whether people would read it: words with a space between, or one with a capital."""
    return (
        bool(re.search(r"[A-Za-z]{2,} [A-Za-z]{2,}|^[A-Z][a-z]{2,}$", text.strip()))
        and text.strip() not in NAMES | TECHNICAL
    )


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_word_of_a_template_is_marked(path: Path) -> None:
    assert unmarked_in(path.read_text()) == []


# ---- views and pages ----
_MARKING = set(KEYWORDS)
_NOT_SPOKEN = {
    "get",
    "post",
    "get_template",
    "render",
    "getLogger",
    "execute",
    "Query",
    "strptime",
    "strftime",
    "TypeVar",
}


def unmarked_of(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    passed: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name_of(node.func) in _MARKING | _NOT_SPOKEN:
            passed |= {
                id(inner)
                for argument in (*node.args, *(each.value for each in node.keywords))
                for inner in ast.walk(argument)
            }
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            passed.add(id(node.value))  # a docstring
        if isinstance(node, ast.Dict):
            passed |= {id(key) for key in node.keys}
        if isinstance(node, ast.Raise | ast.Assert):
            passed |= {id(inner) for inner in ast.walk(node)} if not raises_for_people(node) else set()
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in passed
            and sentence(node.value)
        ):
            yield f"{path.name}:{node.lineno}: {node.value}"


def name_of(function: ast.expr) -> str:
    return (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )


def raises_for_people(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and name_of(node.exc.func) not in ("AssertionError", "ValueError", "KeyError")
    )


@pytest.mark.parametrize("path", ALL_SOURCES, ids=lambda path: path.relative_to(HOME).as_posix())
def test_no_message_hides_inside_an_f_string(path: Path) -> None:
    """The catalogue would not find it there."""
    strings = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.JoinedStr)]
    calls = [node for string in strings for node in ast.walk(string) if isinstance(node, ast.Call)]
    assert [ast.unparse(call) for call in calls if name_of(call.func) in _MARKING] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_every_sentence_of_a_view_is_marked(path: Path) -> None:
    assert list(unmarked_of(path)) == []


@pytest.mark.parametrize(
    ("template", "seen"),
    [
        ("<p>{{ _('Told') }}</p>", []),
        ("<p>Untold</p>", ["Untold"]),
        ('<a title="Untold">{{ x }}</a>', ["Untold"]),
        ("{{ 'Release' if mine else _('Claim') }}", ["Release"]),
        ("{% trans n=count %}One{% pluralize %}{{ n }} things{% endtrans %}", []),
        ("<b>{{ a }} · Ronda</b><kbd>Enter</kbd>", []),
        ("<td>{{ 'chosen' if row.chosen else '' }}</td>", ["chosen"]),
        ("<td class=\"{{ 'up' if row.up else 'down' }}\">{{ _('up') if row.up else '' }}</td>", []),
        ("{% for key, name in [('up', _('Up')), ('down', 'Down')] %}{{ name }}{% endfor %}", ["Down"]),
    ],
)
def test_the_check_sees_what_is_not_marked(template: str, seen: list[str]) -> None:
    assert unmarked_in(template) == seen


@pytest.mark.parametrize("language", LOCALES)
def test_the_catalogue_is_whole(language: Language) -> None:
    """Nothing missing, stale, fuzzy or without a translation: `python -m console.catalogue` brings it up to date and says what is left."""
    assert faults(language) == []
