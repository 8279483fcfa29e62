"""The places of the console: who sees which, which one a page belongs to, and how many dead letters wait."""

import time
from dataclasses import dataclass
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from console.access import may, resources_of
from console.i18n import gettext as _
from core.acts.people import SessionUser
from core.base.errors import Unavailable
from core.base.terms import Role
from core.stores import dead_letters

COUNTED: Final = 100
"""A badge needs no more."""
_FRESH_S: Final = 5.0


@dataclass(frozen=True)
class Place:
    """`group`: places of one group stand together. badge: a count in words, empty for none."""

    key: str
    href: str
    title: str
    icon: str
    group: int
    current: bool
    badge: str = ""


_BELONGS: Final = {"/alerts": "/queue", "/entities": "/transactions"}
"""Pages that are reached from another place."""


def is_at(path: str, href: str) -> bool:
    first = f"/{path.split('/')[1]}"
    return _BELONGS.get(first, first) == href


def places(user: SessionUser | None, path: str, waiting: int) -> list[Place]:
    """`waiting`: dead letters, counted up to COUNTED."""
    if user is None:
        return []
    found = [
        ("overview", "/overview", _("Overview"), "chart-column", 0, Role.VIEWER),
        ("queue", "/queue", _("Queue"), "inbox", 0, Role.VIEWER),
        ("transactions", "/transactions", _("Transactions"), "arrow-left-right", 1, Role.VIEWER),
        ("lists", "/lists", _("Lists"), "list-checks", 1, Role.VIEWER),
        ("labels", "/labels", _("Labels"), "tag", 1, Role.VIEWER),
        ("models", "/models", _("Models"), "cpu", 2, Role.VIEWER),
        ("dead-letters", "/dead-letters", _("Dead letters"), "ban", 2, Role.LEAD),
        ("audit", "/audit", _("Audit"), "scroll-text", 2, Role.LEAD),
    ]
    return [
        Place(key, href, title, icon, group, is_at(path, href), _badge(key, waiting))
        for key, href, title, icon, group, role in found
        if may(user, role)
    ]


def _badge(key: str, waiting: int) -> str:
    if key != "dead-letters" or not waiting:
        return ""
    return f"{COUNTED - 1}+" if waiting >= COUNTED else str(waiting)


class WaitingLetters(ASGIMiddleware):
    """Puts the number of waiting dead letters, counted up to COUNTED, into `scope["waiting_letters"]` for those who may see them.

    Asked of PostgreSQL once in some seconds a process: a badge may be that old.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self) -> None:
        self._asked, self._found = float("-inf"), 0

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        user: SessionUser | None = scope.get("user")
        if user and may(user, Role.LEAD):
            scope["waiting_letters"] = await self._waiting(ASGIConnection(scope))  # type: ignore[typeddict-unknown-key]
        await next_app(scope, receive, send)

    async def _waiting(self, connection: ASGIConnection[Any, Any, Any, Any]) -> int:
        if time.monotonic() - self._asked >= _FRESH_S:
            self._asked = time.monotonic()
            try:
                async with resources_of(connection).postgres.unit_of_work() as work:
                    self._found = await dead_letters.count_waiting_up_to(work, COUNTED)
            except Unavailable:
                self._found = 0  # the page itself will say what is wrong
        return self._found
