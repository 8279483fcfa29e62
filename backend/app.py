"""The web application: ingest API, console, health, in one Litestar app."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from backend.api.decisions import export_decisions
from backend.api.health import live, metrics, ready
from backend.api.labels import post_labels
from backend.api.transactions import look_up, post_batch, post_transaction
from backend.auth import ApiKeys
from backend.backlog import Backlog
from backend.ingest import Ingest
from backend.problems import EXCEPTION_HANDLERS
from backend.waiting import DecisionWaiters
from console.router import live_updates, make_console_router, static_router, template_config
from core.base.settings import Settings
from core.infra.resources import open_resources

VERSION = "0.1.0"

_OPENAPI = OpenAPIConfig(
    title="Ronda ingest API",
    version=VERSION,
    path="/schema",
    description="Post payments, read decisions, report labels. Every error is RFC 9457 problem+json.",
    render_plugins=[JsonRenderPlugin(path=["/openapi.json", "/"])],
    components=Components(security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer")}),
)


def api_router() -> Router:
    transactions = Router(
        "/transactions", route_handlers=[post_transaction, post_batch, look_up], tags=["transactions"]
    )
    decisions = Router("/decisions", route_handlers=[export_decisions], tags=["decisions"])
    labels = Router("/labels", route_handlers=[post_labels], tags=["labels"])
    return Router("/v1", route_handlers=[transactions, decisions, labels])


def create_app(settings: Settings) -> Litestar:
    """Servers are first asked when a request needs them, so the app starts while they do."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with open_resources(settings, "web") as resources:
            app.state.resources = resources
            app.state.api_keys = ApiKeys(resources)
            app.state.ingest = Ingest(resources)
            app.state.waiters = DecisionWaiters(resources)
            app.state.backlog = Backlog(resources)
            app.state.ingest.start()
            app.state.waiters.start()
            app.state.backlog.start()
            try:
                yield
            finally:
                await app.state.ingest.stop()
                await app.state.waiters.stop()
                await app.state.backlog.stop()

    return Litestar(
        route_handlers=[api_router(), live, ready, metrics, make_console_router(), static_router()],
        lifespan=[lifespan, live_updates],
        exception_handlers=EXCEPTION_HANDLERS,
        template_config=template_config(),
        openapi_config=_OPENAPI,
        request_max_body_size=None,
        debug=False,
        logging_config=None,
    )
