"""Who may do what: the rules without a server. tests/integration/test_console.py tries them over one."""

import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from console.access import cookie_name, from_here, masked, only_from_here, public, safe_next, same_token, session_cookie
from console.router import make_console_router, static_router, template_config
from core.base.settings import Settings

ROLES = {
    "GET /": "viewer",
    "GET /overview": "viewer",
    "GET /queue": "viewer",
    "GET /session": "viewer",
    "GET /queue/views": "viewer",
    "POST /queue/views": "viewer",
    "POST /queue/views/{view_id:uuid}/rename": "viewer",
    "POST /queue/views/{view_id:uuid}/share": "analyst",
    "POST /queue/views/{view_id:uuid}/delete": "viewer",
    "GET /alerts/{alert_id:uuid}": "viewer",
    "GET /alerts/{alert_id:uuid}/similar": "viewer",
    "GET /alerts/{alert_id:uuid}/dossier": "viewer",
    "GET /alerts/{alert_id:uuid}/record": "viewer",
    "GET /alerts/{alert_id:uuid}/timeline": "viewer",
    "POST /queue/next": "analyst",
    "POST /queue/bulk/preview": "analyst",
    "POST /queue/bulk": "analyst",
    "POST /queue/bulk/{batch_id:uuid}/undo": "analyst",
    "GET /queue/done": "viewer",
    "POST /alerts/{alert_id:uuid}/keep": "analyst",
    "POST /alerts/{alert_id:uuid}/hand-over": "analyst",
    "POST /alerts/{alert_id:uuid}/undo": "analyst",
    "POST /alerts/{alert_id:uuid}/reopen": "analyst",
    "GET /alerts/{alert_id:uuid}/what-if": "viewer",
    "POST /alerts/{alert_id:uuid}/claim": "analyst",
    "POST /alerts/{alert_id:uuid}/release": "analyst",
    "POST /alerts/{alert_id:uuid}/decide": "analyst",
    "POST /alerts/{alert_id:uuid}/notes": "analyst",
    "GET /entities/{kind:str}": "viewer",
    "GET /entities/{kind:str}/{rest:path}": "viewer",
    "GET /lists": "viewer",
    "POST /lists": "analyst",
    "POST /lists/{entry_id:uuid}/extend": "analyst",
    "POST /lists/{entry_id:uuid}/end": "analyst",
    "GET /transactions": "viewer",
    "GET /transactions/{uid:uuid}": "viewer",
    "GET /transactions/{uid:uuid}/reasons/{code:str}": "viewer",
    "GET /labels": "viewer",
    "GET /models": "viewer",
    "POST /models/train": "lead",
    "POST /models/runs/{run_id:uuid}/cancel": "lead",
    "POST /models/rollback": "lead",
    "POST /models/{model_id:str}/shadow": "lead",
    "POST /models/{model_id:str}/stop-shadow": "lead",
    "POST /models/{model_id:str}/promote": "lead",
    "POST /models/{model_id:str}/refuse": "lead",
    "GET /models/{model_id:str}": "viewer",
    "GET /models/{model_id:str}/report.json": "viewer",
    "GET /models/{model_id:str}/card.md": "viewer",
    "GET /dead-letters": "lead",
    "GET /dead-letters/{letter_id:uuid}": "lead",
    "POST /dead-letters/redrive": "lead",
    "POST /dead-letters/{letter_id:uuid}/discard": "lead",
    "POST /dead-letters/{letter_id:uuid}/redrive": "lead",
    "GET /audit": "lead",
    "GET /audit/{event_id:uuid}/proof": "lead",
    "POST /audit/verify": "lead",
    "POST /audit/export": "lead",
    "GET /stream/queue": "viewer",
    "GET /stream/alerts/{alert_id:uuid}": "viewer",
    "GET /stream/models": "viewer",
    "GET /sign-in": "public",
    "POST /sign-in": "public",
    "POST /sign-out": "viewer",
    "POST /theme": "viewer",
    "POST /language": "public",
    "POST /settings/keys": "viewer",
    "GET /jump": "viewer",
    "GET /settings": "viewer",
    "POST /settings": "viewer",
    "POST /settings/password": "viewer",
    "POST /settings/sessions/{ident:str}/end": "viewer",
    "POST /settings/sessions/end-others": "viewer",
    "GET /static/{version:str}/{name:path}": "public",
}
"""Every route and the least role it needs. A new route has to be entered here."""


def handlers() -> list[tuple[str, HTTPRouteHandler]]:
    app = Litestar([make_console_router(), static_router()], template_config=template_config(), openapi_config=None)
    return [
        (f"{method} {route.path}", handler)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in handler.http_methods
        if method != "OPTIONS"
    ]


def roles_of(handler: HTTPRouteHandler) -> list[str]:
    """What each guard demands. Litestar wraps plain functions, so a guard is known by its name or its role."""
    found = []
    for guard in handler.resolve_guards():
        inner = getattr(guard, "func", guard)
        if getattr(inner, "needs", None):
            found.append(str(inner.needs))
        elif inner is public:
            found.append("public")
        else:
            assert inner is only_from_here
    return found


def test_every_route_has_exactly_the_role_it_is_listed_with() -> None:
    assert {name: roles_of(handler) for name, handler in handlers()} == {name: [role] for name, role in ROLES.items()}


def test_every_console_route_checks_where_a_change_comes_from() -> None:
    for name, handler in handlers():
        inner = [getattr(guard, "func", guard) for guard in handler.resolve_guards()]
        assert (only_from_here in inner) is not name.startswith("GET /static/")


def test_no_page_is_part_of_the_api_description() -> None:
    assert not any(handler.resolve_include_in_schema() for _, handler in handlers())


BASE = "https://ronda.example.org"


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": BASE}, False),  # the browser's word counts more
        ({"sec-fetch-site": "none"}, False),
        ({"origin": BASE}, True),
        ({"origin": "http://127.0.0.1:8080", "host": "127.0.0.1:8080"}, True),
        ({"origin": "https://evil.example", "host": "ronda.example.org"}, False),
        ({"origin": "https://ronda.example.org.evil.example", "host": "ronda.example.org"}, False),
        ({"origin": "null", "host": "ronda.example.org"}, False),
        ({"origin": "null"}, False),
        ({}, True),  # no browser
    ],
)
def test_changes_are_taken_from_our_own_pages_only(headers: dict[str, str], allowed: bool) -> None:
    assert from_here(headers, BASE) is allowed


def test_tokens_are_compared_whole_and_an_empty_one_never_fits() -> None:
    assert same_token(masked("abc"), "abc")
    whole = masked("abc")
    for presented in (masked("abd"), f"{whole}A", whole[:-4], masked(""), "abc", "", "é"):
        assert not same_token(presented, "abc"), presented
    for presented in (masked(""), masked("abc"), ""):
        assert not same_token(presented, "")


def test_no_two_pages_show_the_same_token() -> None:
    assert masked("abc") != masked("abc")


@pytest.mark.parametrize(
    "target",
    [
        "",
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/a\nb",
        "queue",
        "/\t/evil.example",
        "/x\\y",
    ],
)
def test_signing_in_leads_nowhere_else(target: str) -> None:
    assert safe_next(target) == "/queue"


@pytest.mark.parametrize("target", ["/alerts/1", "/transactions?customer=a%26b", "/queue?status=closed"])
def test_signing_in_leads_back(target: str) -> None:
    assert safe_next(target) == target


def test_the_session_cookie_is_for_this_host_and_no_script() -> None:
    secure = session_cookie(Settings(public_url=BASE), "token")
    assert secure.key == "__Host-ronda"
    assert (secure.secure, secure.httponly, secure.samesite, secure.path, secure.domain) == (
        True,
        True,
        "lax",
        "/",
        None,
    )


def test_without_tls_the_cookie_has_another_name() -> None:
    """A browser refuses `__Host-` without Secure."""
    plain = session_cookie(Settings(), "token")
    assert (cookie_name(Settings()), plain.secure, plain.httponly) == ("ronda_session", False, True)
