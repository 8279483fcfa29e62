"""Signing in and out, and the theme."""

from litestar import get, post
from litestar.datastructures import Cookie
from litestar.params import FromQuery, URLEncodedBody
from pwdlib import PasswordHash

from console.access import (
    ConsoleRequest,
    expired_cookie,
    public,
    require,
    resources_of,
    safe_next,
    session_cookie,
    token_of,
)
from console.shell import THEME_COOKIE, THEMES, Page, render, see_other
from core.acts import people
from core.base.clock import utc_now
from core.base.terms import Role

_YEAR_S = 365 * 86400
_hasher = PasswordHash.recommended()


def _form(request: ConsoleRequest, target: str, email: str, problem: str, *, status: int = 200) -> Page:
    return render(request, "sign_in.html", {"next": target, "email": email, "problem": problem}, status=status)


@get("/sign-in", guards=[public])
async def sign_in_page(request: ConsoleRequest, next: FromQuery[str] = "") -> Page:
    if request.user is not None:
        return see_other(safe_next(next))
    return _form(request, next, "", "")


@post("/sign-in", guards=[public])
async def sign_in(request: ConsoleRequest, data: URLEncodedBody[dict[str, str]]) -> Page:
    email, password, target = data.get("email", ""), data.get("password", ""), data.get("next", "")
    if not email.strip() or not password:
        return _form(request, target, email, "Enter your e-mail address and your password.", status=422)
    resources = resources_of(request)
    async with resources.postgres.unit_of_work() as work:
        attempt = await people.sign_in(work, _hasher, email[:320], password[:1024], utc_now())
        if attempt.signed_in and request.user is not None:
            await people.sign_out(work, token_of(request), request.user.actor)
    if attempt.signed_in is None:
        assert attempt.refusal is not None
        return _form(request, target, email, attempt.refusal.detail, status=401)
    answer = see_other(safe_next(target))
    answer.set_cookie(session_cookie(resources.settings, attempt.signed_in.token))
    return answer


@post("/sign-out", guards=[require(Role.VIEWER)])
async def sign_out(request: ConsoleRequest) -> Page:
    resources = resources_of(request)
    async with resources.postgres.unit_of_work() as work:
        await people.sign_out(work, token_of(request), request.user.actor)
    answer = see_other("/sign-in")
    answer.set_cookie(expired_cookie(resources.settings))
    return answer


@post("/theme", guards=[require(Role.VIEWER)])
async def choose_theme(request: ConsoleRequest, data: URLEncodedBody[dict[str, str]]) -> Page:
    """Kept in a cookie that the page is rendered with, so the other theme never flashes. The page's script may write it too."""
    theme = data.get("theme", "")
    chosen = theme if theme in THEMES else "system"
    answer = see_other(safe_next(data.get("next", "")))
    answer.set_cookie(
        Cookie(
            key=THEME_COOKIE,
            value=chosen,
            path="/",
            max_age=_YEAR_S,
            samesite="lax",
            secure=resources_of(request).settings.secure_cookies,
        )
    )
    return answer
