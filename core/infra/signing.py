"""Ed25519 keys of model artifacts: whoever trains signs, whoever scores holds the public key only.

A key is written as the base64 of its 32 bytes.
"""

import os
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from core.base.errors import InvalidInput
from core.base.hashing import sha256
from core.base.settings import Settings

KEY_BYTES = 32
FINGERPRINT_DIGITS = 16
_PURPOSE = b"ronda model artifact, format 1\0"
"""A signature made for anything else with the same key does not count."""


@dataclass(frozen=True)
class KeyPair:
    """`private` is a secret."""

    private: str
    public: str

    @classmethod
    def new(cls) -> Self:
        key = Ed25519PrivateKey.generate()
        return cls(_text(key.private_bytes_raw()), _text(key.public_key().public_bytes_raw()))


def _text(raw: bytes) -> str:
    return b64encode(raw).decode()


def _raw(key: str, setting: str) -> bytes:
    try:
        raw = b64decode(key, validate=True)
    except NotBase64:
        raw = b""
    if len(raw) != KEY_BYTES:
        raise InvalidInput(f"{setting} must be the base64 of {KEY_BYTES} bytes (`ronda signing-key` makes a pair)")
    return raw


def fingerprint(public: Ed25519PublicKey) -> str:
    """Names a key on screen and in the audit trail."""
    return sha256(public.public_bytes_raw()).hex()[:FINGERPRINT_DIGITS]


class Keys:
    """What one process may do with artifacts. Without a private key it verifies only."""

    def __init__(self, private: str | None, trusted: Sequence[str], private_from: str = "RONDA_SIGNING_KEY") -> None:
        """`private_from` is for the error's words. Raises InvalidInput for what is no key."""
        self._private = Ed25519PrivateKey.from_private_bytes(_raw(private, private_from)) if private else None
        public = [Ed25519PublicKey.from_public_bytes(_raw(key, "RONDA_TRUSTED_KEYS")) for key in trusted]
        if self._private:
            public.append(self._private.public_key())
        self.trusted = {fingerprint(key): key for key in public}

    @property
    def signer(self) -> str:
        """Fingerprint of the key this process signs with. Raises InvalidInput when it has none."""
        return fingerprint(self._signing().public_key())

    def _signing(self) -> Ed25519PrivateKey:
        if self._private is None:
            raise InvalidInput("there is no key to sign models with: set RONDA_SIGNING_KEY (`ronda signing-key`)")
        return self._private

    def sign(self, sha: str) -> bytes:
        """64 bytes over an artifact's SHA-256. Raises InvalidInput without a private key."""
        return self._signing().sign(_PURPOSE + bytes.fromhex(sha))

    def signer_of(self, sha: str, signature: bytes) -> str | None:
        """Fingerprint of the trusted key that made this signature; None = none of them did."""
        for name, key in self.trusted.items():
            with suppress(InvalidSignature):
                key.verify(signature, _PURPOSE + bytes.fromhex(sha))
                return name
        return None


def local_key_file(data_dir: Path) -> Path:
    return data_dir / "signing.key"


def ensure_local_key(settings: Settings) -> None:
    """For one machine: make the private key in the data directory, unless there is one or the settings name keys."""
    path = local_key_file(settings.data_dir)
    if settings.signing_key.get_secret_value() or settings.trusted_keys or path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(KeyPair.new().private)
        file.flush()
        os.fsync(descriptor)
    partial.replace(path)


def keys_of(settings: Settings) -> Keys:
    """From RONDA_SIGNING_KEY and RONDA_TRUSTED_KEYS; with neither set, the data directory's own key, if it has one."""
    private, path = settings.signing_key.get_secret_value(), local_key_file(settings.data_dir)
    if private or settings.trusted_keys or not path.exists():
        return Keys(private or None, settings.trusted_keys)
    try:
        return Keys(path.read_text().strip(), (), private_from=str(path))
    except OSError as error:
        raise InvalidInput(f"cannot read the signing key {path}: {error.strerror}") from error
