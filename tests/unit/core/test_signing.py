"""Artifacts: what is stored comes back only whole, and only signed by a trusted key."""

import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.base.errors import InvalidInput, ModelRefused, Unavailable
from core.base.hashing import sha256
from core.base.settings import Settings
from core.infra.artifacts import SIGNATURE, FolderBlobs, SignedArtifacts
from core.infra.resources import make_artifacts
from core.infra.signing import CHECKPOINTS, KeyPair, Keys, ensure_local_keys, keys_of, local_key_file

DATA = b"a model's bytes"
TRAINER, STRANGER = KeyPair.new(), KeyPair.new()


def artifacts(folder: Path, private: str | None, *trusted: str) -> SignedArtifacts:
    return SignedArtifacts(FolderBlobs(folder), partial(Keys, private, trusted))


def test_a_scorer_needs_the_public_key_only(tmp_path: Path) -> None:
    sha = artifacts(tmp_path, TRAINER.private).put(DATA)
    scorer = artifacts(tmp_path, None, STRANGER.public, TRAINER.public)
    assert scorer.get(sha) == DATA
    assert sha == sha256(DATA).hex()
    with pytest.raises(InvalidInput, match="no key to sign"):
        scorer.put(DATA)


def test_the_trainer_reads_what_it_wrote_and_names_its_key(tmp_path: Path) -> None:
    trainer = artifacts(tmp_path, TRAINER.private)
    assert trainer.get(trainer.put(DATA)) == DATA
    assert [trainer.signer] == list(Keys(None, [TRAINER.public]).trusted)


def changed(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("tamper", "suffix", "words"),
    [
        (changed, "", "was changed"),
        (cut, "", "was changed"),
        (Path.unlink, "", "is not in"),
        (changed, SIGNATURE, "by none of the 1 keys"),
        (cut, SIGNATURE, "by none of the 1 keys"),
        (Path.unlink, SIGNATURE, "not signed"),
    ],
)
def test_tampering_is_refused_with_words(
    tmp_path: Path, tamper: Callable[[Path], None], suffix: str, words: str
) -> None:
    store = artifacts(tmp_path, TRAINER.private)
    sha = store.put(DATA)
    tamper(tmp_path / (sha + suffix))
    with pytest.raises(ModelRefused, match=words):
        store.get(sha)
    store.put(DATA)
    assert store.get(sha) == DATA


def test_another_models_signature_does_not_fit(tmp_path: Path) -> None:
    store = artifacts(tmp_path, TRAINER.private)
    sha, other = store.put(DATA), store.put(b"another model")
    (tmp_path / (sha + SIGNATURE)).write_bytes((tmp_path / (other + SIGNATURE)).read_bytes())
    with pytest.raises(ModelRefused, match="by none"):
        store.get(sha)


def test_a_strangers_model_is_refused_even_when_it_is_whole(tmp_path: Path) -> None:
    sha = artifacts(tmp_path, STRANGER.private).put(DATA)
    with pytest.raises(ModelRefused, match="by none of the 1 keys"):
        artifacts(tmp_path, None, TRAINER.public).get(sha)
    with pytest.raises(ModelRefused, match="RONDA_TRUSTED_KEYS"):
        artifacts(tmp_path, None).get(sha)


def test_a_plain_signature_of_the_hash_is_for_no_purpose_of_ours(tmp_path: Path) -> None:
    from base64 import b64decode

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    raw = Ed25519PrivateKey.from_private_bytes(b64decode(TRAINER.private))
    sha = sha256(DATA).hex()
    keys = Keys(None, [TRAINER.public])
    assert keys.signer_of(sha, raw.sign(bytes.fromhex(sha))) is None
    assert keys.signer_of(sha, Keys(TRAINER.private, []).sign(sha)) is not None


def test_putting_again_signs_with_the_new_key(tmp_path: Path) -> None:
    sha = artifacts(tmp_path, STRANGER.private).put(DATA)
    artifacts(tmp_path, TRAINER.private).put(DATA)
    assert artifacts(tmp_path, None, TRAINER.public).get(sha) == DATA


@pytest.mark.parametrize(
    "key", ["", "secret", "AAAA", TRAINER.private[:-2]], ids=["empty", "a word", "short", "cut short"]
)
def test_what_is_no_key_is_said_to_be_none(key: str) -> None:
    with pytest.raises(InvalidInput, match="RONDA_TRUSTED_KEYS must be"):
        Keys(None, [key])


def test_the_local_key_is_made_once_and_private(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new")
    ensure_local_keys(settings)
    path = local_key_file(settings.data_dir)
    written = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    ensure_local_keys(settings)
    assert path.read_text() == written
    assert sorted(os.listdir(settings.data_dir)) == ["audit.key", path.name]
    store = make_artifacts(settings)
    assert store.get(store.put(DATA)) == DATA


def test_named_keys_outweigh_the_local_one(tmp_path: Path) -> None:
    local = Settings(data_dir=tmp_path)
    ensure_local_keys(local)
    sha = make_artifacts(local).put(DATA)
    named = local.model_copy(update={"trusted_keys": (TRAINER.public,)})
    with pytest.raises(ModelRefused, match="by none"):
        make_artifacts(named).get(sha)
    signing = local.model_copy(update={"signing_key": SecretStr(TRAINER.private)})
    assert list(keys_of(signing).trusted) == list(keys_of(named).trusted)
    elsewhere = Settings(data_dir=tmp_path / "empty", signing_key=SecretStr(TRAINER.private))
    ensure_local_keys(elsewhere)
    assert not local_key_file(elsewhere.data_dir).exists()


def test_a_broken_local_key_names_its_file(tmp_path: Path) -> None:
    local_key_file(tmp_path).write_text("not a key")
    with pytest.raises(InvalidInput, match=r"signing\.key must be"):
        keys_of(Settings(data_dir=tmp_path))


def test_trusted_keys_come_with_commas_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RONDA_TRUSTED_KEYS", f"{TRAINER.public}, {STRANGER.public}")
    assert Settings().trusted_keys == (TRAINER.public, STRANGER.public)


def test_a_folder_that_cannot_be_read_is_away_not_refused(tmp_path: Path) -> None:
    store = artifacts(tmp_path, TRAINER.private)
    sha = store.put(DATA)
    (tmp_path / sha).unlink()
    (tmp_path / sha).mkdir()
    with pytest.raises(Unavailable, match="cannot read"):
        store.get(sha)


@pytest.mark.parametrize(
    ("url", "endpoint", "words"),
    [
        ("gs://bucket", "", "folder, file:///folder or s3://"),
        ("s3://", "", "s3://bucket"),
        ("s3://bucket?region=x", "", "s3://bucket"),
        ("s3://key:secret@bucket/x", "", "s3://bucket"),
        ("s3://bucket", "minio:9000", "http:// or https://"),
    ],
)
def test_a_bad_address_is_refused_at_once(tmp_path: Path, url: str, endpoint: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        make_artifacts(Settings(data_dir=tmp_path, artifacts_url=url, artifacts_endpoint=endpoint))


def test_a_key_signs_for_one_purpose_only() -> None:
    sha = "ab" * 32
    sealer = Keys(TRAINER.private, (), use=CHECKPOINTS)
    assert sealer.signer_of(sha, sealer.sign(sha)) == Keys(None, [TRAINER.public]).signer_of(
        sha, Keys(TRAINER.private, ()).sign(sha)
    )
    assert sealer.signer_of(sha, Keys(TRAINER.private, ()).sign(sha)) is None
