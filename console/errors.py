"""Errors as people read them: a page, or a fragment for htmx. HTTP numbers are chosen by the caller."""

from typing import Any, Final
from urllib.parse import urlencode

from litestar import Request
from litestar.enums import MediaType
from litestar.response import Redirect, Response, Template

from console.access import PAGE_HEADERS, SAFE_METHODS
from console.i18n import Words, marked, speak_to
from console.reading import reader_of
from console.refusals import told
from console.shell import is_fragment, shell

_TITLES: Final = Words(
    {
        400: marked("That did not work"),
        401: marked("Sign in to go on"),
        403: marked("Not allowed"),
        404: marked("Not found"),
        405: marked("Not possible here"),
        409: marked("That cannot be done now"),
        413: marked("Too large"),
        422: marked("That cannot be read"),
        429: marked("Too many attempts"),
        500: marked("Something broke"),
        503: marked("A server does not answer"),
    }
)

_ICONS: Final = {403: "lock", 404: "search", 409: "refresh-cw", 429: "clock", 500: "triangle-alert", 503: "wifi-off"}
_HINTS: Final = Words(
    {
        403: marked("Somebody with that role can do it, or give it to you."),
        404: marked("The link may be old, or a letter of it is missing."),
        409: marked("Somebody else was faster, or it is over already. Look at its current state."),
        422: marked("Go back: what you had filled in is still there."),
        429: marked("Wait a little, then try again."),
        500: marked("It is in the log with everything about it. Trying again is safe: nothing was half done."),
        503: marked("It usually comes back by itself. Trying again is safe: nothing was half done."),
    }
)


def render_error(request: Request[Any, Any, Any], status: int, code: str, detail: str) -> Response[Any]:
    """A page; for htmx a fragment. Without a session: 303 to signing in for a page, 401 + HX-Redirect for htmx.

    The live stream gets a plain 401: a redirect would make its client retry without pause.
    """
    speak_to(reader_of(request))  # an unknown address passes no middleware
    headers = dict(PAGE_HEADERS)
    if status == 401:
        return _sign_in_first(request, headers)
    scope_user = request.scope.get("user")
    request.scope.setdefault("user", None)
    context = {
        **shell(request),
        "title": _TITLES[status if status in _TITLES else 400],
        "status": str(status),
        "code": code,
        "detail": "" if detail == "Not Found" else told(detail),  # the router's own words say no more than the title
        "icon_name": _ICONS.get(status, "circle-alert"),
        "hint": _HINTS.get(status, ""),
        "again_href": str(request.url.path)
        if status in (409, 429, 500, 503) and request.method in SAFE_METHODS
        else "",
        "signed_in": scope_user is not None,
    }
    if is_fragment(request):
        # The message goes to the page's alert region; what the user was looking at stays.
        headers |= {"HX-Retarget": "#alert-region", "HX-Reswap": "innerHTML"}
        return Template("_error.html", context=context, status_code=status, headers=headers, media_type=MediaType.HTML)
    return Template("error.html", context=context, status_code=status, headers=headers, media_type=MediaType.HTML)


def _sign_in_first(request: Request[Any, Any, Any], headers: dict[str, str]) -> Response[Any]:
    streaming = "text/event-stream" in request.headers.get("accept", "")
    htmx = request.headers.get("hx-request") == "true"
    back = request.headers.get("hx-current-url", "") if htmx else str(request.url.path)
    if htmx or streaming:
        if htmx:
            headers["HX-Redirect"] = _sign_in_path(_path_of(back))
        return Response("Sign in to go on.", status_code=401, headers=headers, media_type=MediaType.TEXT)
    if request.method in SAFE_METHODS and request.url.query:
        back = f"{back}?{request.url.query}"
    target = back if request.method in SAFE_METHODS else ""
    return Redirect(_sign_in_path(target), status_code=303, headers=headers)


def _path_of(url: str) -> str:
    """Path and query of one of our own pages' addresses."""
    _, _, rest = url.partition("://")
    _, slash, path = rest.partition("/")
    return slash + path


def _sign_in_path(back: str) -> str:
    return f"/sign-in?{urlencode({'next': back})}" if back not in {"", "/", "/queue"} else "/sign-in"
