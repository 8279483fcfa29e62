"""Model artifacts over the S3 protocol, against a server of it on the loopback address."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from core.base.errors import ModelRefused, Unavailable
from core.base.settings import Settings
from core.infra.artifacts import SIGNATURE, Artifacts
from core.infra.artifacts_s3 import S3Blobs
from core.infra.resources import make_artifacts
from core.infra.signing import ensure_local_keys

BUCKET, PREFIX = "ronda-models", "team/artifacts"
DATA = bytes(range(256)) * 20_000


@dataclass(frozen=True)
class Store:
    endpoint: str
    client: Any
    artifacts: Artifacts

    def body(self, name: str) -> bytes:
        return bytes(self.client.get_object(Bucket=BUCKET, Key=f"{PREFIX}/{name}")["Body"].read())

    def change(self, name: str, body: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{name}", Body=body)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def store(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    for name, value in {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    settings = Settings(data_dir=tmp_path, artifacts_url=f"s3://{BUCKET}/{PREFIX}", artifacts_endpoint=endpoint)
    ensure_local_keys(settings)
    return Store(endpoint, client, make_artifacts(settings))


def test_an_artifact_comes_back_and_lies_under_its_hash(store: Store) -> None:
    sha = store.artifacts.put(DATA)
    assert store.artifacts.put(DATA) == sha
    assert store.artifacts.get(sha) == DATA
    assert store.body(sha) == DATA
    assert len(store.body(sha + SIGNATURE)) == 64


def test_tampering_in_the_bucket_is_refused(store: Store) -> None:
    sha = store.artifacts.put(DATA)
    store.change(sha + SIGNATURE, bytes(64))
    with pytest.raises(ModelRefused, match="by none"):
        store.artifacts.get(sha)
    store.change(sha, DATA[:-1] + b"!")
    with pytest.raises(ModelRefused, match=f"was changed in s3://{BUCKET}/{PREFIX}"):
        store.artifacts.get(sha)


def test_what_is_not_there_is_refused(store: Store) -> None:
    with pytest.raises(ModelRefused, match="is not in s3://"):
        store.artifacts.get("0" * 64)


def test_a_bucket_that_is_not_there_is_away(store: Store) -> None:
    with pytest.raises(Unavailable, match="s3://no-such-bucket: "):
        S3Blobs("s3://no-such-bucket", store.endpoint).write("name", b"data")


def test_a_server_that_is_away_is_away_and_named_without_secrets(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.infra import artifacts_s3

    monkeypatch.setattr(artifacts_s3, "PATIENCE", artifacts_s3.PATIENCE / 100)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    blobs = S3Blobs(f"s3://{BUCKET}", f"http://127.0.0.1:{port}")
    with pytest.raises(Unavailable, match=f"s3://{BUCKET}: ") as found:
        blobs.read("name")
    assert "secret" not in found.value.detail
    assert "\n" not in found.value.detail
