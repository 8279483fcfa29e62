"""Notes: what Markdown may do on a page, and what it may not."""

from html.parser import HTMLParser

import pytest

from console.views.notes import note_html


class _Tags(HTMLParser):
    """What a browser would make of it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("asked the shop", "<p>asked the shop</p>"),
        ("**not** his *usual* `dev_1`", "<p><strong>not</strong> his <em>usual</em> <code>dev_1</code></p>"),
        ("first\nsecond", "<p>first<br>\nsecond</p>"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("3. c", '<ol start="3">\n<li>c</li>\n</ol>'),
        (
            "[ticket](https://example.org/1)",
            '<p><a href="https://example.org/1" rel="noopener noreferrer nofollow">ticket</a></p>',
        ),
        ("# not a heading", "<p># not a heading</p>"),
    ],
)
def test_markdown_becomes_html(body: str, expected: str) -> None:
    assert note_html(body).strip() == expected


@pytest.mark.parametrize(
    "body",
    [
        "<script>alert(1)</script>",
        '<img src=x onerror="alert(1)">',
        "[x](javascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "![x](https://example.org/seen.png)",
        '[x](https://example.org "title\\" onmouseover=alert(1)")',
        '<a href="javascript:alert(1)" style="x">y</a>',
    ],
)
def test_nothing_in_a_note_runs_or_fetches(body: str) -> None:
    page = _Tags()
    page.feed(note_html(body))
    assert not page.tags & {"script", "img", "iframe", "style"}
    for name, value in page.attributes:
        assert name in ("href", "rel")
        assert name == "rel" or (value or "").startswith("https://example.org")


def test_html_is_shown_as_the_text_it_is() -> None:
    assert "&lt;b&gt;bold&lt;/b&gt;" in note_html("<b>bold</b>")


def test_deep_nesting_is_bounded() -> None:
    assert len(note_html(">" * 4000)) < 20_000
