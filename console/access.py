"""Who may come in: cookie sessions over core.acts.people, guards by role, CSRF, and the headers of every page.

There are no anonymous sessions: a cookie we did not hand out is ignored, and signing in always makes a new token.
"""

import secrets
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection, Request
from litestar.datastructures import Cookie, MutableScopeHeaders, State
from litestar.enums import ScopeType
from litestar.handlers.base import BaseRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Guard, Message, Receive, Scope, Send

from core.acts.people import SessionUser, session_of
from core.base.clock import utc_now
from core.base.errors import Forbidden, SignInNeeded
from core.base.settings import Settings
from core.base.terms import Role
from core.infra.resources import Resources

ConsoleRequest = Request[SessionUser, Any, State]
Connection = ASGIConnection[Any, Any, Any, Any]

CSRF_HEADER: Final = "x-csrftoken"
CSRF_FIELD: Final = "csrf_token"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
ROLES: Final = tuple(Role)

_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with it a browser sends `Origin: null` with a form, and over plain HTTP that is all we can check.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
    "Vary": "Cookie, HX-Request, Accept-Language",
}


def resources_of(connection: Connection) -> Resources:
    found: Resources = connection.app.state.resources
    return found


def cookie_name(settings: Settings) -> str:
    """`__Host-`: the browser takes it over TLS only, from this very host, for every path."""
    return "__Host-ronda" if settings.secure_cookies else "ronda_session"


def session_cookie(settings: Settings, token: str) -> Cookie:
    return Cookie(
        key=cookie_name(settings),
        value=token,
        path="/",
        httponly=True,
        secure=settings.secure_cookies,
        samesite="lax",
        max_age=settings.session_absolute_hours * 3600,
    )


def expired_cookie(settings: Settings) -> Cookie:
    cookie = session_cookie(settings, "")
    cookie.max_age = 0
    return cookie


def token_of(connection: Connection) -> str:
    """The presented token; empty when there is none."""
    return connection.cookies.get(cookie_name(resources_of(connection).settings), "")


async def who(connection: Connection, *, touch: bool = True) -> SessionUser | None:
    """The signed-in user of this connection, asked of PostgreSQL each time: a killed session is dead at once."""
    token = token_of(connection)
    if not token:
        return None
    resources = resources_of(connection)
    settings = resources.settings
    async with resources.postgres.unit_of_work() as work:
        return await session_of(
            work,
            token,
            utc_now(),
            idle=timedelta(minutes=settings.session_idle_minutes),
            absolute=timedelta(hours=settings.session_absolute_hours),
            touch=touch,
        )


class SessionMiddleware(ASGIMiddleware):
    """Puts the SessionUser, or None, into `scope["user"]`. Writes no cookie."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        scope["user"] = await who(ASGIConnection(scope))
        await next_app(scope, receive, send)


class PageHeaders(ASGIMiddleware):
    """PAGE_HEADERS on every answer that does not say otherwise."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        secure = resources_of(ASGIConnection(scope)).settings.secure_cookies

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableScopeHeaders.from_message(message)
                for name, value in PAGE_HEADERS.items():
                    headers.setdefault(name, value)
                if secure:
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
            await send(message)

        await next_app(scope, receive, with_headers)


def from_here(headers: Mapping[str, str], base_url: str) -> bool:
    """Whether a request that changes something was sent by one of our own pages.

    Every current browser says so itself (Sec-Fetch-Site), older ones name the page's origin. A caller
    that says neither is no browser, so it cannot be one that was tricked.
    """
    site = headers.get("sec-fetch-site", "")
    if site:
        return site == "same-origin"
    origin = headers.get("origin", "")
    if not origin:
        return True
    return urlsplit(origin).netloc in {headers.get("host", ""), urlsplit(base_url).netloc} - {""}


def masked(token: str) -> str:
    """A token as it stands in a page, each time another one: who can see how well pages compress must not guess it bit by bit."""
    secret = token.encode()
    pad = secrets.token_bytes(len(secret))
    return urlsafe_b64encode(pad + _mixed(pad, secret)).decode()


def same_token(presented: str, expected: str) -> bool:
    """presented: what `masked` made."""
    try:
        mixed = b64decode(presented, altchars=b"-_", validate=True)
    except ValueError:
        return False
    half = len(mixed) // 2
    return bool(expected) and secrets.compare_digest(_mixed(mixed[:half], mixed[half:]), expected.encode())


def _mixed(one: bytes, other: bytes) -> bytes:
    return bytes(left ^ right for left, right in zip(one, other, strict=False))


async def only_from_here(connection: Connection, _: BaseRouteHandler) -> None:
    """The router's guard, for every route."""
    if connection.scope["method"] in SAFE_METHODS:  # type: ignore[typeddict-item]
        return
    if not from_here(connection.headers, resources_of(connection).settings.base_url):
        raise Forbidden("This request came from another site, so it was not carried out.")


async def _presented_token(connection: Connection) -> str:
    header = connection.headers.get(CSRF_HEADER)
    if header:
        return header
    assert isinstance(connection, Request)  # the console has no websocket
    return str((await connection.form()).get(CSRF_FIELD, ""))


def public(connection: Connection, _: BaseRouteHandler) -> None:
    """The guard of routes that anyone may see: signing in, and the static files."""


def require(role: Role) -> Guard:
    """A guard: signed in, with `role` or a later one; for anything but reading also this session's CSRF token."""

    async def allowed(connection: Connection, _: BaseRouteHandler) -> None:
        found: SessionUser | None = connection.scope.get("user")
        if found is None:
            raise SignInNeeded("Sign in to go on.")
        if ROLES.index(Role(found.user.role)) < ROLES.index(role):
            raise Forbidden(f"This needs the role {role.value}; yours is {found.user.role}.")
        changes = connection.scope["method"] not in SAFE_METHODS  # type: ignore[typeddict-item]
        if changes and not same_token(await _presented_token(connection), found.csrf_token):
            raise Forbidden("This form is out of date. Reload the page and try again.")

    allowed.__name__ = f"require_{role.value}"
    allowed.needs = role  # type: ignore[attr-defined] # read by the test that lists every route with its role
    return allowed


def may(user: SessionUser, role: Role) -> bool:
    return ROLES.index(Role(user.user.role)) >= ROLES.index(role)


def safe_next(target: str) -> str:
    """A path of ours to go to after signing in; anything else becomes the queue."""
    plain = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    if not plain or "\\" in target or urlsplit(target).netloc:
        return "/queue"
    return target
