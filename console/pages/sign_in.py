"""Signing in and out."""

from litestar import get, post
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
from console.i18n import LANGUAGE_NAMES
from console.i18n import gettext as _
from console.refusals import told
from console.shell import Page, render, see_other
from core.acts import people
from core.base.clock import utc_now
from core.base.terms import Role

_hasher = PasswordHash.recommended()


def _form(request: ConsoleRequest, target: str, email: str, problem: str, *, status: int = 200) -> Page:
    context = {"next": target, "email": email, "problem": problem, "languages": LANGUAGE_NAMES}
    return render(request, "sign_in.html", context, status=status)


@get("/sign-in", guards=[public])
async def sign_in_page(request: ConsoleRequest, next: FromQuery[str] = "") -> Page:
    if request.user is not None:
        return see_other(safe_next(next))
    return _form(request, next, "", "")


@post("/sign-in", guards=[public])
async def sign_in(request: ConsoleRequest, data: URLEncodedBody[dict[str, str]]) -> Page:
    email, password, target = data.get("email", ""), data.get("password", ""), data.get("next", "")
    if not email.strip() or not password:
        return _form(request, target, email, _("Enter your e-mail address and your password."), status=422)
    resources = resources_of(request)
    async with resources.postgres.unit_of_work() as work:
        attempt = await people.sign_in(
            work,
            _hasher,
            email[:320],
            password[:1024],
            utc_now(),
            agent=request.headers.get("user-agent", ""),
        )
        if attempt.signed_in and request.user is not None:
            await people.sign_out(work, token_of(request), request.user.actor)
    if attempt.signed_in is None:
        assert attempt.refusal is not None
        return _form(request, target, email, told(attempt.refusal.detail), status=401)
    answer = see_other(safe_next(target))
    answer.set_cookie(session_cookie(resources.settings, attempt.signed_in.token))
    return answer


@get("/session", guards=[require(Role.VIEWER)], status_code=204)
async def stay_signed_in() -> None:
    """Nothing is done here: whatever is asked for keeps the session, and this is the least that can be."""


@post("/sign-out", guards=[require(Role.VIEWER)])
async def sign_out(request: ConsoleRequest) -> Page:
    resources = resources_of(request)
    async with resources.postgres.unit_of_work() as work:
        await people.sign_out(work, token_of(request), request.user.actor)
    answer = see_other("/sign-in")
    answer.set_cookie(expired_cookie(resources.settings))
    return answer
