"""Where model artifacts are kept: content-addressed and signed, in a folder or an S3-compatible store."""

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from core.base.errors import ModelRefused, Unavailable
from core.base.hashing import sha256

if TYPE_CHECKING:
    from core.infra.signing import Keys

SIGNATURE = ".sig"
"""Beside the artifact: 64 bytes over its SHA-256."""


class Artifacts(Protocol):
    """Blocking: call from a thread."""

    @property
    def signer(self) -> str:
        """Fingerprint of the key that `put` signs with. Raises InvalidInput in a process that may not sign."""

    def put(self, data: bytes) -> str:
        """Store, sign, and return the SHA-256 in hex. Idempotent."""

    def get(self, sha: str) -> bytes:
        """The bytes, their hash and signature verified before anyone parses them.

        Raises ModelRefused when they do not hold, Unavailable when the store does not answer.
        """


class Blobs(Protocol):
    """Named bytes. `place` tells people where. Both raise Unavailable."""

    @property
    def place(self) -> str: ...

    def read(self, name: str) -> bytes | None:
        """None = there is nothing of that name."""

    def write(self, name: str, data: bytes) -> None:
        """All of it or nothing."""


class SignedArtifacts:
    """`keys` is asked on first use: a process that touches no artifact needs no keys, and not the library either."""

    def __init__(self, blobs: Blobs, keys: "Callable[[], Keys]") -> None:
        self._blobs, self._load_keys = blobs, keys

    @cached_property
    def _keys(self) -> "Keys":
        return self._load_keys()

    @property
    def signer(self) -> str:
        return self._keys.signer

    def put(self, data: bytes) -> str:
        sha = sha256(data).hex()
        signature = self._keys.sign(sha)
        if self._blobs.read(sha) != data:
            self._blobs.write(sha, data)
        # Last, so that what is signed is there.
        if self._blobs.read(sha + SIGNATURE) != signature:
            self._blobs.write(sha + SIGNATURE, signature)
        return sha

    def get(self, sha: str) -> bytes:
        data = self._blobs.read(sha)
        if data is None:
            raise ModelRefused(f"the model artifact {sha[:12]} is not in {self._blobs.place}")
        if sha256(data).hex() != sha:
            raise ModelRefused(f"the model artifact {sha[:12]} was changed in {self._blobs.place}")
        self._verify(sha)
        return data

    def _verify(self, sha: str) -> None:
        if not self._keys.trusted:
            raise ModelRefused("no key is trusted here, so no model can be used: set RONDA_TRUSTED_KEYS")
        signature = self._blobs.read(sha + SIGNATURE)
        if signature is None:
            raise ModelRefused(f"the model artifact {sha[:12]} is not signed")
        if self._keys.signer_of(sha, signature) is None:
            raise ModelRefused(
                f"the signature of the model artifact {sha[:12]} is by none of the {len(self._keys.trusted)} keys trusted here"
            )


class FolderBlobs:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def place(self) -> str:
        return str(self._folder)

    def read(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"cannot read {name} in {self._folder}: {error.strerror}") from error

    def write(self, name: str, data: bytes) -> None:
        target = self._folder / name
        partial = target.with_name(f"{name}.{os.getpid()}.partial")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(data)
            partial.replace(target)
        except OSError as error:
            raise Unavailable(f"cannot write in {self._folder}: {error.strerror}") from error
