"""Ed25519 keys: who trains signs model artifacts, who seals signs the audit trail's checkpoints, and everybody else holds public keys only.

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
from pydantic import SecretStr

from core.base.errors import InvalidInput
from core.base.hashing import sha256
from core.base.settings import Settings

KEY_BYTES = 32
FINGERPRINT_DIGITS = 16


@dataclass(frozen=True)
class Use:
    """What a key is for. A signature made for another purpose with the same key does not count."""

    purpose: bytes
    signs: str
    file: str
    private: str
    trusted: str
    """The two settings."""


ARTIFACTS = Use(b"ronda model artifact, format 1\0", "models", "signing.key", "signing_key", "trusted_keys")
CHECKPOINTS = Use(b"ronda audit checkpoint, format 1\0", "checkpoints", "audit.key", "audit_key", "audit_trusted_keys")


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
    """What one process may do with what is signed. Without a private key it verifies only."""

    def __init__(
        self, private: str | None, trusted: Sequence[str], private_from: str = "", use: Use = ARTIFACTS
    ) -> None:
        """`private_from` is for the error's words. Raises InvalidInput for what is no key."""
        self._use, settings_name = use, f"RONDA_{use.private.upper()}"
        self._private = None
        if private:
            self._private = Ed25519PrivateKey.from_private_bytes(_raw(private, private_from or settings_name))
        public = [Ed25519PublicKey.from_public_bytes(_raw(key, f"RONDA_{use.trusted.upper()}")) for key in trusted]
        if self._private:
            public.append(self._private.public_key())
        self.trusted = {fingerprint(key): key for key in public}

    @property
    def signer(self) -> str:
        """Fingerprint of the key this process signs with. Raises InvalidInput when it has none."""
        return fingerprint(self._signing().public_key())

    @property
    def public_texts(self) -> list[str]:
        """Every trusted key, as it is written."""
        return [_text(key.public_bytes_raw()) for key in self.trusted.values()]

    @property
    def public(self) -> str:
        """The public half of that key. Raises InvalidInput when there is none."""
        return _text(self._signing().public_key().public_bytes_raw())

    def _signing(self) -> Ed25519PrivateKey:
        if self._private is None:
            setting = f"RONDA_{self._use.private.upper()}"
            raise InvalidInput(f"there is no key to sign {self._use.signs} with: set {setting} (`ronda signing-key`)")
        return self._private

    def sign(self, sha: str) -> bytes:
        """64 bytes over a SHA-256. Raises InvalidInput without a private key."""
        return self._signing().sign(self._use.purpose + bytes.fromhex(sha))

    def signer_of(self, sha: str, signature: bytes) -> str | None:
        """Fingerprint of the trusted key that made this signature; None = none of them did."""
        for name, key in self.trusted.items():
            with suppress(InvalidSignature):
                key.verify(signature, self._use.purpose + bytes.fromhex(sha))
                return name
        return None


def local_key_file(data_dir: Path, use: Use = ARTIFACTS) -> Path:
    return data_dir / use.file


def _private_setting(settings: Settings, use: Use) -> str:
    secret: SecretStr = getattr(settings, use.private)
    return secret.get_secret_value()


def ensure_local_keys(settings: Settings) -> None:
    """For one machine: make the private keys in the data directory, unless they are there or the settings name keys."""
    for use in (ARTIFACTS, CHECKPOINTS):
        path = local_key_file(settings.data_dir, use)
        if not (_private_setting(settings, use) or getattr(settings, use.trusted) or path.exists()):
            _make_key(path)


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(KeyPair.new().private)
        file.flush()
        os.fsync(descriptor)
    partial.replace(path)


def keys_of(settings: Settings, use: Use = ARTIFACTS) -> Keys:
    """From the two settings of this use; with neither set, the data directory's own key, if it has one."""
    private, trusted = _private_setting(settings, use), getattr(settings, use.trusted)
    path = local_key_file(settings.data_dir, use)
    if private or trusted or not path.exists():
        return Keys(private or None, trusted, use=use)
    try:
        return Keys(path.read_text().strip(), (), private_from=str(path), use=use)
    except OSError as error:
        raise InvalidInput(f"cannot read the signing key {path}: {error.strerror}") from error
