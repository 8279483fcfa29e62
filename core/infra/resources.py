"""The one place that chooses implementations from settings and opens clients."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.base.errors import InvalidInput
from core.base.settings import Settings
from core.infra.artifacts import Artifacts, Blobs, FolderBlobs, SignedArtifacts
from core.infra.bus import Bus
from core.infra.postgres import Postgres, connect_postgres
from core.infra.redis import Redis, connect_redis

if TYPE_CHECKING:
    from core.infra.signing import Keys


@dataclass(frozen=True)
class Resources:
    """What a process works with. Closed by `open_resources`."""

    settings: Settings
    postgres: Postgres
    redis: Redis
    bus: Bus
    artifacts: Artifacts


def make_bus(settings: Settings) -> Bus:
    """RabbitMQ or Redis Streams by the URL's scheme. Connects on first use."""
    url = settings.bus_url.get_secret_value()
    if url.startswith(("amqp://", "amqps://")):
        from core.infra.rabbit import RabbitBus

        return RabbitBus(url, publish_timeout_s=settings.publish_timeout_s)
    if url.startswith(("redis://", "rediss://", "unix://")):
        from core.infra.streams import StreamsBus

        return StreamsBus(url, publish_timeout_s=settings.publish_timeout_s)
    raise InvalidInput("RONDA_BUS_URL must start with amqp://, amqps://, redis://, rediss:// or unix://")


def make_artifacts(settings: Settings) -> Artifacts:
    """A folder or an S3-compatible store by the URL's scheme. Asks nothing and nobody before first use."""

    def keys() -> "Keys":
        from core.infra.signing import keys_of

        return keys_of(settings)

    return SignedArtifacts(_blobs(settings), keys)


def _blobs(settings: Settings) -> Blobs:
    url = settings.artifacts_url
    if url.startswith("s3://"):
        from core.infra.artifacts_s3 import S3Blobs

        return S3Blobs(url, settings.artifacts_endpoint)
    if "://" in url and not url.startswith("file://"):
        raise InvalidInput("RONDA_ARTIFACTS_URL must be a folder, file:///folder or s3://bucket/prefix")
    path = url.removeprefix("file://")
    return FolderBlobs(Path(path) if path else settings.data_dir / "artifacts")


@asynccontextmanager
async def open_resources(settings: Settings, process: str) -> AsyncIterator[Resources]:
    """`process` names us in PostgreSQL's own views and in the audit trail. Opens lazily: no server is asked yet."""
    for name in ("database_url", "redis_url", "bus_url"):
        if not getattr(settings, name).get_secret_value():
            raise InvalidInput(f"RONDA_{name.upper()} is not set (`ronda up` starts that server for you)")
    postgres = connect_postgres(
        settings.database_url.get_secret_value(),
        role=settings.database_role,
        pool=settings.database_pool,
        application=process,
    )
    redis = connect_redis(settings.redis_url.get_secret_value(), settings.redis_timeout_s)
    bus = make_bus(settings)
    try:
        yield Resources(settings, postgres, redis, bus, make_artifacts(settings))
    finally:
        await bus.close()
        await redis.aclose()
        await postgres.close()
