"""Where model artifacts are kept: a folder of content-addressed files. (An S3 store can stand behind the same three calls.)"""

import os
from pathlib import Path
from typing import Protocol

from core.base.errors import ModelRefused
from core.base.hashing import sha256


class Artifacts(Protocol):
    def put(self, data: bytes) -> str:
        """Store and return the SHA-256 in hex. Idempotent."""

    def get(self, sha: str) -> bytes:
        """The bytes, verified against the hash before anyone parses them. Raises ModelRefused."""


class FolderArtifacts:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, data: bytes) -> str:
        sha = sha256(data).hex()
        target = self._folder / sha
        if not target.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            partial = target.with_suffix(f".{os.getpid()}.partial")
            partial.write_bytes(data)
            partial.replace(target)
        return sha

    def get(self, sha: str) -> bytes:
        try:
            data = (self._folder / sha).read_bytes()
        except OSError as error:
            raise ModelRefused(f"the model artifact {sha[:12]} is not in {self._folder}") from error
        if sha256(data).hex() != sha:
            raise ModelRefused(f"the model artifact {sha[:12]} was changed on disk")
        return data
