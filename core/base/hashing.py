"""Hashes whose bytes are fixed for ever: request bodies, audit leaves, API keys, artifacts, shards."""

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no blanks, non-ASCII kept."""
    return _canonical.encode(value)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def body_sha(body: Mapping[str, Any]) -> bytes:
    """The hash that tells a repeated transaction from another one under the same id."""
    return sha256(canonical_json(body).encode())


def audit_leaf(fields: Iterable[str]) -> bytes:
    """SHA-256(0x00 || length-prefixed fields): no two different field lists share a leaf's input (RFC 6962 leaf prefix)."""
    parts = [field.encode() for field in fields]
    return leaf_over(b"".join([len(part).to_bytes(4, "big") + part for part in parts]))


def leaf_over(prefixed: bytes) -> bytes:
    """Of fields that stand behind their lengths already."""
    return sha256(b"\x00" + prefixed)


def shard_of(customer_id: str, shards: int) -> int:
    """One customer's payments always meet on one shard, so they are scored in order."""
    return zlib.crc32(customer_id.encode()) % shards


def lot(purpose: bytes, key: bytes) -> float:
    """A number in [0, 1), even over keys and always the same for one: chance that a repetition cannot turn."""
    return int.from_bytes(sha256(purpose + b"\x00" + key)[:8], "big") / 2**64
