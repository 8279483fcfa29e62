"""What people set for themselves: how they read and work, their password, their sessions."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from litestar import get, post
from litestar.params import FromPath, FromQuery, URLEncodedBody
from pwdlib import PasswordHash

from console.access import ConsoleRequest, public, require, resources_of, safe_next, token_of
from console.i18n import gettext as _
from console.i18n import zones
from console.reading import LANGUAGE_COOKIE
from console.refusals import told
from console.shell import THEME_COOKIE, Page, kept_cookie, render, see_other
from console.views.settings import SAID, settings_view
from core.acts import profiles
from core.acts.profiles import Profile, profile_of
from core.base.clock import utc_now
from core.base.errors import InvalidInput, RondaError
from core.base.hashing import sha256
from core.base.ids import UserId
from core.base.terms import Density, Language, Role, Theme
from core.stores import people

_hasher = PasswordHash.recommended()
Kind = TypeVar("Kind", bound=StrEnum)


def _seen_after(request: ConsoleRequest, now: datetime) -> datetime:
    """Sessions not used since are over, though their rows are still there."""
    return now - timedelta(minutes=resources_of(request).settings.session_idle_minutes)


def _me(request: ConsoleRequest) -> UserId:
    return UserId(request.user.user.id)


async def _page(request: ConsoleRequest, *, said: str = "", problems: Mapping[str, str] | None = None) -> Page:
    now, own = utc_now(), sha256(token_of(request).encode())
    async with resources_of(request).postgres.reading() as work:
        user = await people.user(work, _me(request))
        sessions = await people.sessions_of(work, _me(request), seen_after=_seen_after(request, now))
    assert user is not None  # the session refers to it
    context: dict[str, Any] = {
        "settings": settings_view(user, profile_of(user), sessions, own, now),
        "said": SAID.get(said, ""),
        "problems": problems or {},
    }
    return render(request, "settings.html", context, status=422 if problems else 200)


@get("/settings", guards=[require(Role.VIEWER)])
async def settings_page(request: ConsoleRequest, said: FromQuery[str] = "") -> Page:
    return await _page(request, said=said)


@post("/settings", guards=[require(Role.VIEWER)])
async def save_profile(request: ConsoleRequest, data: URLEncodedBody[dict[str, str]]) -> Page:
    try:
        wanted = _profile(data)
    except InvalidInput as error:
        return await _page(request, problems={"profile": told(error.detail)})
    async with resources_of(request).postgres.unit_of_work() as work:
        await profiles.change_profile(work, _me(request), wanted)
    answer = see_other("/settings?said=profile")
    answer.set_cookie(kept_cookie(request, THEME_COOKIE, wanted.theme.value))  # for the page of signing in
    return answer


def _profile(data: Mapping[str, str]) -> Profile:
    language, zone = data.get("language", ""), data.get("time_zone", "")
    if zone and zone not in zones():
        raise InvalidInput(_("There is no such time zone."))
    return Profile(
        language=_one_of(Language, language) if language else None,
        time_zone=zone or None,
        theme=_one_of(Theme, data.get("theme", Theme.SYSTEM)),
        density=_one_of(Density, data.get("density", Density.COMPACT)),
        single_keys="single_keys" in data,
    )


def _one_of(kind: type[Kind], text: str) -> Kind:
    try:
        return kind(text)
    except ValueError:
        raise InvalidInput(_("This form is damaged. Reload the page.")) from None


@post("/settings/password", guards=[require(Role.VIEWER)])
async def change_password(request: ConsoleRequest, data: URLEncodedBody[dict[str, str]]) -> Page:
    old, new = data.get("old", "")[:1024], data.get("new", "")[:1024]
    if new != data.get("again", ""):
        return await _page(request, problems={"again": _("The new password was typed differently the second time.")})
    refusal: RondaError | None
    try:
        async with resources_of(request).postgres.unit_of_work() as work:
            refusal = await profiles.change_password(
                work, _hasher, _me(request), old=old, new=new, keep=sha256(token_of(request).encode()), now=utc_now()
            )
    except InvalidInput as error:
        return await _page(request, problems={"new": told(error.detail)})
    if refusal:
        return await _page(request, problems={"old": told(refusal.detail)})
    return see_other("/settings?said=password")


@post("/settings/sessions/{ident:str}/end", guards=[require(Role.VIEWER)])
async def end_session(request: ConsoleRequest, ident: FromPath[str]) -> Page:
    async with resources_of(request).postgres.unit_of_work() as work:
        await profiles.end_session(work, _me(request), ident, seen_after=_seen_after(request, utc_now()))
    return see_other("/settings?said=session")


@post("/settings/sessions/end-others", guards=[require(Role.VIEWER)])
async def end_other_sessions(request: ConsoleRequest) -> Page:
    async with resources_of(request).postgres.unit_of_work() as work:
        await profiles.end_other_sessions(work, _me(request), sha256(token_of(request).encode()))
    return see_other("/settings?said=sessions")


@post("/theme", guards=[require(Role.VIEWER)])
async def choose_theme(request: ConsoleRequest, data: URLEncodedBody[dict[str, str]]) -> Page:
    """From the menu of every page; the page's script shows the theme before the answer is here."""
    theme = _one_of(Theme, data.get("theme", ""))
    async with resources_of(request).postgres.unit_of_work() as work:
        await profiles.change_profile(work, _me(request), replace(profile_of(request.user.user), theme=theme))
    answer = see_other(safe_next(data.get("next", "")))
    answer.set_cookie(kept_cookie(request, THEME_COOKIE, theme.value))
    return answer


@post("/settings/keys", guards=[require(Role.VIEWER)])
async def choose_keys(request: ConsoleRequest, data: URLEncodedBody[dict[str, str]]) -> Page:
    """From the map of keys."""
    wanted = replace(profile_of(request.user.user), single_keys="single_keys" in data)
    async with resources_of(request).postgres.unit_of_work() as work:
        await profiles.change_profile(work, _me(request), wanted)
    return see_other(safe_next(data.get("next", "")))


@post("/language", guards=[public])
async def choose_language(request: ConsoleRequest, data: URLEncodedBody[dict[str, str]]) -> Page:
    """Before anybody has signed in: kept in a cookie, which a profile that names a language outweighs."""
    language = _one_of(Language, data.get("language", ""))
    target = safe_next(data.get("next", ""))
    answer = see_other(target if target.startswith("/sign-in") else "/sign-in")
    answer.set_cookie(kept_cookie(request, LANGUAGE_COOKIE, language.value))
    return answer
