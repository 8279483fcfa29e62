"""Notes as people wrote them: a small Markdown, made safe before it reaches a page."""

from functools import lru_cache
from typing import Final

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup

_TAGS: Final = {"a", "blockquote", "br", "code", "em", "hr", "li", "ol", "p", "pre", "strong", "ul"}
# Headings would break into the page's outline; an image would tell another host who reads the note, and when.
_MARKDOWN: Final = MarkdownIt("commonmark", {"html": False, "breaks": True}).disable(["heading", "lheading", "image"])


@lru_cache(maxsize=1024)
def note_html(body: str) -> Markup:
    """Emphasis, lists, quotes, code and links. HTML in `body` is shown as the text it is; links go to the web or to mail only."""
    drawn = _MARKDOWN.render(body)
    return Markup(  # noqa: S704 - nh3 has cleaned it
        nh3.clean(
            drawn,
            tags=_TAGS,
            attributes={"a": {"href"}, "ol": {"start"}, "*": set()},
            url_schemes={"http", "https", "mailto"},
            link_rel="noopener noreferrer nofollow",
        )
    )
