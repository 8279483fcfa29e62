"""A copy of the trail, and one event's proof, as an auditor checks them: by a program of their own process, with Python alone."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.acts import audit
from core.acts.audit import Event, system
from core.acts.audit_bundle.writing import PROGRAM, Span, export
from core.acts.audit_proof import prove
from core.acts.audit_seals import checkpoint_line
from core.base.clock import utc_now
from core.base.errors import InvalidInput, NotAllowedNow, NotFound
from core.base.ids import new_uuid
from core.base.settings import Settings
from core.base.terms import Action
from core.infra.resources import Resources
from core.infra.signing import CHECKPOINTS, KeyPair, Keys
from core.stores import ledger, seals
from workers.seal import connect_sealer, seal_all

SEALS = 7
AUDITOR = system("auditor")
KEYS = Keys(KeyPair.new().private, (), use=CHECKPOINTS)


def checked(*arguments: str | Path) -> tuple[int, str]:
    """-I: none of our packages, and none of the environment's, can be imported by accident; -S: no site-packages at all."""
    command = [sys.executable, "-I", "-S", *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert not ran.stderr
    return ran.returncode, ran.stdout


@pytest.fixture
async def sealed(resources: Resources, settings: Settings) -> Keys:
    """A trail with some more seals of several events each."""
    keys, sealer = KEYS, connect_sealer(settings)
    await seal_all(sealer, keys)
    for place in range(SEALS):
        async with resources.postgres.unit_of_work() as work:
            subjects = [f"s{place}-{n}" for n in range(1 + place % 4)]
            await audit.record(
                work, *(Event(system("test"), Action.SOURCE_ADD, "source", each, {"é\n": 1}) for each in subjects)
            )
        await seal_all(sealer, keys)
    await sealer.close()
    return keys


@pytest.fixture
async def bundle(resources: Resources, sealed: Keys, tmp_path: Path) -> Path:
    """Of the newest events only: what is before them is vouched for by a checkpoint."""
    async with resources.postgres.reading() as work:
        last = await seals.newest(work)
        assert last is not None
        first = (await seals.hashes(work, [last.n - 4]))[last.n - 4]
        rows = await ledger.of_a_seal(work, first.xid_lo, first.xid_hi)
    await export(resources.postgres, sealed, tmp_path / "out", Span(since=rows[0].at), anchor=None, by=AUDITOR)
    return tmp_path / "out"


async def test_a_bundle_checks_out_and_is_on_the_trail(bundle: Path, resources: Resources, sealed: Keys) -> None:
    code, said = checked(bundle / "verify.py", "--key", sealed.public_texts[0])
    assert (code, said.count("OK")) == (0, 3), said
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["seals"]["last"] - manifest["seals"]["first"] == 4
    async with resources.postgres.reading() as work:
        [event] = await ledger.page(work, ledger.AuditFilter(action="audit.export"), before_id=None, limit=1)
    assert event.actor_id == "auditor"
    assert json.loads(event.detail)["events"] == manifest["events"]["count"]


def changed_row(name: str, change: Callable[[list[dict[str, Any]]], object]) -> Callable[[Path], None]:
    def falsify(folder: Path) -> None:
        rows = [json.loads(line) for line in (folder / name).read_text().splitlines()]
        change(rows)
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    return falsify


def signed_by_another(folder: Path) -> None:
    lines = (folder / "checkpoints.txt").read_text().splitlines()
    lines[-1] = lines[-1].rpartition(" ")[0] + " " + "A" * 86 + "=="
    (folder / "checkpoints.txt").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("falsify", "said"),
    [
        (changed_row("events.ndjson", lambda rows: rows[3].update(actor_id="x")), "its content does not match its leaf"),
        (changed_row("events.ndjson", lambda rows: rows[3].update(at=rows[4]["at"])), "its events are not those"),
        (changed_row("events.ndjson", lambda rows: rows.pop(2)), "not"),
        (changed_row("events.ndjson", lambda rows: rows.pop()), "events are missing"),
        (changed_row("events.ndjson", lambda rows: rows.append(rows[-1])), "beyond the last seal"),
        (changed_row("events.ndjson", lambda rows: rows.insert(0, rows.pop(1))), "not"),
        (changed_row("seals.ndjson", lambda rows: rows.pop(1)), "is missing"),
        (changed_row("seals.ndjson", lambda rows: rows[1].update(prev="00" * 32)), "does not follow"),
        (changed_row("seals.ndjson", lambda rows: rows[0].update(prev="00" * 32)), "does not match its hash"),
        (signed_by_another, "did not sign it"),
    ],
)  # fmt: skip
async def test_a_falsified_bundle_is_found(bundle: Path, falsify: Callable[[Path], None], said: str) -> None:
    falsify(bundle)
    assert "is not the file that was exported" in checked(bundle / "verify.py")[1]
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"] = {}  # whoever falsifies a file can write its hash as well
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    code, answer = checked(bundle / "verify.py")
    assert code == 1
    assert said in answer.splitlines()[-1]


async def test_the_auditors_own_checkpoints_and_key_decide(
    bundle: Path, sealed: Keys, resources: Resources, tmp_path: Path
) -> None:
    async with resources.postgres.reading() as work:
        newest = await seals.newest_checkpoint(work)
        assert newest is not None
    own = tmp_path / "own.txt"
    own.write_text(checkpoint_line(newest) + "\n")
    code, said = checked(bundle / "verify.py", "--anchor", own)
    assert (code, "1 of 1 of your own checkpoints" in said) == (0, True), said
    newest.signature = sealed.sign("00" * 32)
    own.write_text(checkpoint_line(newest) + "\n")
    assert checked(bundle / "verify.py", "--anchor", own)[0] == 1
    code, said = checked(bundle / "verify.py", "--key", KeyPair.new().public)
    assert (code, "did not sign it" in said) == (1, True)


async def test_a_folder_that_is_not_empty_is_left_alone(bundle: Path, resources: Resources, sealed: Keys) -> None:
    with pytest.raises(InvalidInput, match="is not empty"):
        await export(resources.postgres, sealed, bundle, Span(), anchor=None, by=AUDITOR)
    future = Span(since=utc_now().replace(year=2999))
    with pytest.raises(NotFound, match="no sealed event"):
        await export(resources.postgres, sealed, bundle.with_name("later"), future, anchor=None, by=AUDITOR)
    assert sorted(path.name for path in bundle.parent.iterdir() if path.suffix == ".partial") == []
    shutil.rmtree(bundle)
    await export(resources.postgres, sealed, bundle, Span(), anchor=None, by=AUDITOR)
    assert checked(bundle / "verify.py")[0] == 0


async def test_every_event_has_a_proof(resources: Resources, sealed: Keys, tmp_path: Path) -> None:
    async with resources.postgres.reading() as work:
        rows = [row async for row in ledger.in_commit_order(work)]
        proofs = [await prove(work, row.event_id) for row in rows[-12:]]
    for proof in proofs:
        (tmp_path / "proof.json").write_text(json.dumps(proof))
        code, said = checked(PROGRAM, tmp_path / "proof.json", "--key", sealed.public_texts[0])
        assert (code, said[:2]) == (0, "OK"), said


async def test_what_is_not_sealed_has_no_proof_yet(resources: Resources, sealed: Keys) -> None:
    async with resources.postgres.unit_of_work() as work:
        await audit.record(work, Event(system("test"), Action.SOURCE_ADD, "source", "late"))
    async with resources.postgres.reading() as work:
        [event] = await ledger.page(work, ledger.AuditFilter(), before_id=None, limit=1)
        with pytest.raises(NotAllowedNow, match="not sealed yet"):
            await prove(work, event.event_id)
        with pytest.raises(NotFound):
            await prove(work, new_uuid())
