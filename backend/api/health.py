"""Liveness, readiness and metrics."""

import asyncio
from typing import Any

from litestar import Request, Response, get
from prometheus_client import CollectorRegistry, generate_latest, multiprocess
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import REGISTRY
from redis.exceptions import RedisError

from backend.auth import metrics_reader, public
from core.base.errors import RondaError
from core.base.telemetry import shares_metrics
from core.infra.resources import Resources

CHECK_S = 2.0


@get("/health/live", guards=[public], sync_to_thread=False)
def live() -> dict[str, str]:
    """The process runs."""
    return {"status": "live"}


@get("/health/ready", guards=[public])
async def ready(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """Transactions can be accepted: PostgreSQL answers. Redis is reported, but accepting does not need it."""
    resources: Resources = request.app.state.resources
    postgres, redis = await asyncio.gather(_postgres(resources), _redis(resources))
    status = "ready" if postgres else "not ready"
    body = {"status": status, "postgres": postgres, "redis": redis}
    return Response(body, status_code=200 if postgres else 503)


async def _postgres(resources: Resources) -> bool:
    try:
        async with asyncio.timeout(CHECK_S), resources.postgres.reading():
            return True
    except (RondaError, TimeoutError):
        return False


async def _redis(resources: Resources) -> bool:
    try:
        async with asyncio.timeout(CHECK_S):
            return bool(await resources.redis.ping())
    except (RedisError, OSError, TimeoutError):
        return False


@get("/metrics", guards=[metrics_reader], include_in_schema=False, sync_to_thread=True)
def metrics() -> Response[bytes]:
    """Prometheus text. On one machine all processes share a directory, so this shows the scorers' counters too."""
    registry = REGISTRY
    if shares_metrics():
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
