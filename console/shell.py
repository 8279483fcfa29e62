"""What every page has around it: user, CSRF token, theme; and how an answer is rendered."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from litestar.datastructures import Cookie
from litestar.enums import MediaType
from litestar.response import Redirect, Response, Template

from console.access import Connection, ConsoleRequest, masked, resources_of
from console.i18n import gettext as _
from console.i18n import ngettext
from console.navigation import places
from console.views.settings import THEME_ICONS, THEMES
from core.acts.people import SessionUser
from core.base.clock import utc_now
from core.base.terms import Theme

THEME_COOKIE: Final = "ronda_theme"
_YEAR_S: Final = 365 * 86400


def theme_of(connection: Connection) -> str:
    """A profile's; before signing in the one that was chosen last in this browser."""
    user: SessionUser | None = connection.scope.get("user")
    chosen = user.user.theme if user else connection.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in set(Theme) else Theme.SYSTEM.value


def kept_cookie(connection: Connection, key: str, value: str) -> Cookie:
    """For a choice that is no secret: the page's script may read it."""
    secure = resources_of(connection).settings.secure_cookies
    return Cookie(key=key, value=value, path="/", max_age=_YEAR_S, samesite="lax", secure=secure)


def is_fragment(connection: Connection) -> bool:
    """htmx wants a part of the page; its history restore wants the whole one."""
    headers = connection.headers
    return (
        headers.get("hx-request") == "true"
        and headers.get("hx-request-type") != "full"
        and "hx-history-restore-request" not in headers
    )


@dataclass(frozen=True)
class SessionLeft:
    """What the page's script needs to say in time that the session ends. left_s: whatever is done until then."""

    idle_s: int
    left_s: int
    words: dict[str, str]


def _session(connection: Connection, user: SessionUser) -> SessionLeft:
    settings = resources_of(connection).settings
    hours = settings.session_absolute_hours
    left = user.signed_in_at + timedelta(hours=hours) - utc_now()
    return SessionLeft(
        settings.session_idle_minutes * 60,
        int(left.total_seconds()),
        {
            "idle": _("You will be signed out in %(time)s, because nothing was asked for in a while.", time="{time}"),
            "last": ngettext(
                "You will be signed out in %(time)s: nobody stays signed in for more than %(num)s hour. Finish what you are typing.",
                "You will be signed out in %(time)s: nobody stays signed in for more than %(num)s hours. Finish what you are typing.",
                hours,
                time="{time}",
            ),
            "over": _("You have been signed out. Copy what you have typed, if anything."),
        },
    )


def shell(connection: Connection) -> dict[str, Any]:
    user: SessionUser | None = connection.scope.get("user")
    waiting: int = connection.scope.get("waiting_letters", 0)  # type: ignore[assignment]
    return {
        "user": user.user if user else None,
        "csrf_token": masked(user.csrf_token) if user else "",
        "session": _session(connection, user) if user else None,
        "theme": theme_of(connection),
        "themes": [(theme.value, THEMES[theme], THEME_ICONS[theme]) for theme in Theme],
        "path": connection.url.path,
        "places": places(user, connection.url.path, waiting),
    }


def render(request: ConsoleRequest, template: str, context: Mapping[str, Any], *, status: int = 200) -> Template:
    return Template(template, context={**shell(request), **context}, status_code=status, media_type=MediaType.HTML)


def see_other(path: str) -> Redirect:
    """After a form: 303, so that reloading does not send it again."""
    return Redirect(path, status_code=303)


Page = Response[Any]
"""What page handlers return: a Template, or a Redirect to one."""
