"""What every page has around it: user, CSRF token, theme; and how an answer is rendered."""

from collections.abc import Mapping
from typing import Any, Final

from litestar.enums import MediaType
from litestar.response import Redirect, Response, Template

from console.access import Connection, ConsoleRequest
from console.i18n import Words, marked
from core.acts.people import SessionUser

THEME_COOKIE: Final = "ronda_theme"
THEMES: Final = Words({"system": marked("System"), "light": marked("Light"), "dark": marked("Dark")})


def theme_of(connection: Connection) -> str:
    chosen = connection.cookies.get(THEME_COOKIE, "system")
    return chosen if chosen in THEMES else "system"


def is_fragment(connection: Connection) -> bool:
    """htmx wants a part of the page; its history restore wants the whole one."""
    headers = connection.headers
    return (
        headers.get("hx-request") == "true"
        and headers.get("hx-request-type") != "full"
        and "hx-history-restore-request" not in headers
    )


def shell(connection: Connection) -> dict[str, Any]:
    user: SessionUser | None = connection.scope.get("user")
    return {
        "user": user.user if user else None,
        "csrf_token": user.csrf_token if user else "",
        "theme": theme_of(connection),
        "themes": THEMES,
        "path": connection.url.path,
    }


def render(request: ConsoleRequest, template: str, context: Mapping[str, Any], *, status: int = 200) -> Template:
    return Template(template, context={**shell(request), **context}, status_code=status, media_type=MediaType.HTML)


def see_other(path: str) -> Redirect:
    """After a form: 303, so that reloading does not send it again."""
    return Redirect(path, status_code=303)


Page = Response[Any]
"""What page handlers return: a Template, or a Redirect to one."""
