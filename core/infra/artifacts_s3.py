"""Artifacts in Amazon S3 or what speaks its protocol (MinIO, Ceph, Garage, ...)."""

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from core.base.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from obstore.store import S3Store

TIMEOUT_S = 20
PATIENCE = timedelta(seconds=30)
"""All tries of one request together."""


class S3Blobs:
    """Credentials and region come from where AWS's own tools look: `AWS_ACCESS_KEY_ID`, `AWS_REGION`, a task's role, ..."""

    def __init__(self, url: str, endpoint: str) -> None:
        """`url`: s3://bucket/prefix. `endpoint`: another server than Amazon's, http:// or https://; empty = Amazon's."""
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment or "@" in parts.netloc:
            raise InvalidInput("RONDA_ARTIFACTS_URL must be s3://bucket or s3://bucket/prefix")
        if endpoint and not endpoint.startswith(("http://", "https://")):
            raise InvalidInput("RONDA_ARTIFACTS_ENDPOINT must start with http:// or https://")
        self.place = url
        self._bucket, self._prefix, self._endpoint = parts.netloc, parts.path.strip("/"), endpoint

    @cached_property
    def _store(self) -> "S3Store":
        from obstore.store import S3Store

        return S3Store(
            self._bucket,
            prefix=self._prefix or None,
            config={"endpoint": self._endpoint} if self._endpoint else {},
            client_options={"timeout": f"{TIMEOUT_S}s", "allow_http": self._endpoint.startswith("http://")},
            retry_config={"max_retries": 4, "retry_timeout": PATIENCE},
        )

    def read(self, name: str) -> bytes | None:
        from obstore.exceptions import BaseError, NotFoundError

        try:
            return self._store.get(name).bytes().to_bytes()
        except (NotFoundError, FileNotFoundError):
            return None
        except BaseError as error:
            raise _unavailable(self.place, error) from error

    def write(self, name: str, data: bytes) -> None:
        from obstore.exceptions import BaseError

        try:
            self._store.put(name, data)
        except (BaseError, FileNotFoundError) as error:
            raise _unavailable(self.place, error) from error


def _unavailable(place: str, error: Exception) -> Unavailable:
    # The library's sentence goes on with a dump of its settings.
    told = str(error).split("\n\n")[0].strip().splitlines()
    return Unavailable(f"{place}: {told[0] if told else type(error).__name__}", server="artifacts")
