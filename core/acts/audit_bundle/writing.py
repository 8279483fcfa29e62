"""Writes the bundle. Whole seals only: an event's neighbours in its seal are needed to prove that none is missing."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from core.acts import audit
from core.acts.audit import Actor, Event
from core.acts.audit_proof import event_as_json, seal_as_json
from core.acts.audit_seals import checkpoint_line, peaks_at
from core.base.clock import exact_text, utc_now
from core.base.errors import InvalidInput, NotFound
from core.base.terms import Action
from core.infra.anchor import read_lines
from core.infra.postgres import Postgres, UnitOfWork
from core.infra.signing import Keys
from core.stores import ledger, seals

PROGRAM = Path(__file__).with_name("verify.py")
README = """A copy of Ronda's audit trail, whole seals at a time. Check it with: python verify.py (Python 3.11 or newer, nothing else).
Use --key with the public key you were given by another way, and --anchor with checkpoints you kept yourself.
An event can have been rewritten before it was sealed, about a second after its commit; nothing here shows that.
"""


@dataclass(frozen=True)
class Bundle:
    """What was written. Times of entry, as the database's clock gave them."""

    folder: str
    first_seal: int
    last_seal: int
    events: int
    first_at: str
    last_at: str
    manifest_sha256: str


@dataclass(frozen=True)
class Span:
    """Events entered in [since, until); None = no bound. The seals around them are exported whole."""

    since: datetime | None = None
    until: datetime | None = None


async def export(
    postgres: Postgres,
    keys: Keys,
    folder: Path,
    span: Span,
    *,
    anchor: Path | None,
    by: Actor,
    report: Callable[[float], None] = lambda _: None,
) -> Bundle:
    """Into a folder that is new or empty; it appears when it is whole, and then is on the trail.

    report: the share of seals that are written. Raises InvalidInput, NotFound when no sealed event lies in the span.
    """
    with _appearing(folder) as partial:
        async with postgres.reading() as work:
            bundle = await _write(work, keys, partial, folder, span, anchor, by, report)
        async with postgres.unit_of_work() as work:
            event = Event(by, Action.AUDIT_EXPORT, "audit_seal", str(bundle.last_seal), asdict(bundle))
            await audit.record(work, event)
    return bundle


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """Another folder to write into, which takes this one's name if all goes well."""
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InvalidInput(f"{folder} is not empty")
        partial.mkdir(parents=True, mode=0o700)
        yield partial
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    except OSError as error:
        raise InvalidInput(f"cannot write {error.filename or folder}: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


async def _write(
    work: UnitOfWork,
    keys: Keys,
    partial: Path,
    folder: Path,
    span: Span,
    anchor: Path | None,
    by: Actor,
    report: Callable[[float], None],
) -> Bundle:
    found = await seals.span(work, span.since, span.until)
    if found is None:
        raise NotFound("no sealed event was entered in that time")
    first, last = found
    lo, hi = await _write_seals(work, partial, first, last)
    ends: list[str] = []
    events = 0
    with (partial / "events.ndjson").open("w", encoding="utf-8") as file:
        async for row in ledger.in_commit_order(work, since=lo, until=hi):
            file.write(json.dumps(event_as_json(row), ensure_ascii=False) + "\n")
            ends, events = [*ends[:1], exact_text(row.at)], events + 1
            report((row.xid - lo) / (hi - lo))
    _copy(partial, keys, read_lines(anchor) if anchor else None)
    manifest = {
        "format": 1,
        "made_at": exact_text(utc_now()),
        "made_by": str(by),
        "filters": {name: value and exact_text(value) for name, value in vars(span).items()},
        "seals": {"first": first, "last": last},
        "events": {"count": events, "first_at": ends[0], "last_at": ends[-1]},
        "clock": "at: the database's; written_at: the writing process's",
        "start": {"size": first - 1, "peaks": [peak.hex() for peak in (await peaks_at(work, first - 1)).hashes]},
        "files": _digests(partial),
    }
    path = partial / "manifest.json"
    path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return Bundle(str(folder), first, last, events, ends[0], ends[-1], _digest(path))


async def _write_seals(work: UnitOfWork, partial: Path, first: int, last: int) -> tuple[int, int]:
    """The transaction ids they close over. The checkpoint before the first one comes along: it vouches for what is not here."""
    lo = hi = 0
    with (
        (partial / "seals.ndjson").open("w", encoding="utf-8") as seal_file,
        (partial / "checkpoints.txt").open("w", encoding="utf-8") as checkpoint_file,
    ):
        async for seal, checkpoint in seals.walk(work, since=max(first - 1, 1), until=last):
            if checkpoint:
                checkpoint_file.write(checkpoint_line(checkpoint) + "\n")
            if seal.n >= first:
                lo, hi = (seal.xid_lo if seal.n == first else lo), seal.xid_hi
                seal_file.write(json.dumps(seal_as_json(seal)) + "\n")
    return lo, hi


def _copy(partial: Path, keys: Keys, anchor: Sequence[str] | None) -> None:
    (partial / "keys.txt").write_text("".join(f"{key}\n" for key in keys.public_texts))
    (partial / "README.txt").write_text(README)
    shutil.copyfile(PROGRAM, partial / "verify.py")
    if anchor is not None:
        (partial / "anchor.txt").write_text("".join(f"{line}\n" for line in anchor))


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: _digest(path) for path in sorted(folder.iterdir())}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
