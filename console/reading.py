"""How the person behind a request reads: profile before cookie before what their browser says."""

from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from console.i18n import UTC_ZONE, Reader, language_of, speak_to, zones
from core.acts.people import SessionUser
from core.base.terms import Language

LANGUAGE_COOKIE: Final = "ronda_language"
ZONE_COOKIE: Final = "ronda_zone"
"""The browser's own time zone: the page's script writes it down."""

Connection = ASGIConnection[Any, Any, Any, Any]


def reader_of(connection: Connection) -> Reader:
    cookies = connection.cookies
    found: SessionUser | None = connection.scope.get("user")
    chosen = (found.user.language if found else None) or cookies.get(LANGUAGE_COOKIE, "")
    spoken = Language(chosen) if chosen in set(Language) else language_of(connection.headers.get("accept-language", ""))
    zone = (found.user.time_zone if found else None) or cookies.get(ZONE_COOKIE, "")
    return Reader(spoken, zone if zone in zones() else UTC_ZONE)


class ReaderMiddleware(ASGIMiddleware):
    """After the session is known."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        speak_to(reader_of(ASGIConnection(scope)))
        await next_app(scope, receive, send)
