"""Reads the whole trail against its seals, checkpoints and anchors, and names what does not fit.

Proves tampering, does not prevent it. What was changed before its seal (a second after its commit) and rewritten with its leaf is not seen.
"""

from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.acts.audit_seals import FIRST_PREV, checkpoint_sha, entry_over, peaks_at, seal_hash
from core.base.clock import rfc3339
from core.base.hashing import leaf_over
from core.base.merkle import Peaks, root_of
from core.infra.postgres import UnitOfWork
from core.infra.signing import Keys
from core.stores import ledger, seals, trail
from core.stores.trail import TrailRow
from core.tables.ledger import AuditCheckpoint, AuditSeal

CLOCKS_APART = timedelta(seconds=60)
"""Most that a writer's clock may differ from the database's before an event counts as altered."""
EVENTS_AT_ONCE = 100_000
"""About so many are asked for at a time: those of one seal, or of several small ones."""
SEALED_WITHIN_S = 60.0
"""An event that has waited longer for its seal is a finding."""


@dataclass(frozen=True)
class Fault:
    """`what`: event, seal, checkpoint or anchor. `number`: the event's id, the seal's, or how many seals the checkpoint is over."""

    what: str
    number: int
    why: str
    seal: int | None = None
    """Where an event lies."""


@dataclass
class Verification:
    """`faults` is empty when everything reads as it was written. `anchors` is None when there was no anchor file to compare with."""

    events: int = 0
    seals: int = 0
    unsealed: int = 0
    anchors: int | None = None
    faults: list[Fault] = field(default_factory=list)


@dataclass(frozen=True)
class Progress:
    """In events; `all` as it was at the start."""

    done: int
    all: int


@dataclass(frozen=True)
class _Anchor:
    size: int
    root: bytes
    at: datetime
    signature: bytes


async def verify(
    work: UnitOfWork,
    keys: Keys,
    anchor_lines: Sequence[str] | None,
    report: Callable[[Progress], None] = lambda _: None,
) -> Verification:
    """The anchor's lines must have been read before this begins, else the newest would be ahead of the seals looked at."""
    last = await seals.newest(work)
    walk = _Walk(keys, anchor_lines, report, await ledger.count(work))
    until = last.xid_hi if last else 0
    await walk.sealed(work, seals.walk(work, until=last.n if last else 0), until)
    walk.beyond_the_last_seal()
    await walk.not_sealed(work, until)
    waiting = await seals.oldest_unsealed(work)
    if waiting.id is not None and waiting.seconds > SEALED_WITHIN_S:
        why = f"it has waited {waiting.seconds:.0f} s for its seal: does the job `seal` run?"
        walk.found.faults.append(Fault("event", waiting.id, why))
    return walk.found


async def verify_seals(work: UnitOfWork, keys: Keys, first: int, last: int) -> Verification:
    """Seals first..last and their events alone. The tree as it was before `first` is taken from the database, and is found out by the
    signed roots of these seals if it was altered; anchors are not looked at.
    """
    walk = _Walk(keys, None, lambda _: None, 0)
    stored = await seals.hashes(work, [first - 1, last])
    if first > 1:
        walk.goes_on_from(stored[first - 1], await peaks_at(work, first - 1))
    await walk.sealed(work, seals.walk(work, since=first, until=last), stored[last].xid_hi)
    return walk.found


class _Walk:
    def __init__(
        self, keys: Keys, anchor_lines: Sequence[str] | None, report: Callable[[Progress], None], all_events: int
    ) -> None:
        self.found = Verification(anchors=None if anchor_lines is None else len(anchor_lines))
        self._keys, self._report, self._all = keys, report, all_events
        self._anchors: dict[int, list[_Anchor]] = {}
        for place, line in enumerate(anchor_lines or (), start=1):
            self._take_anchor(place, line)
        self._top, self._prev, self._lo = Peaks(), FIRST_PREV, 0
        self._read_to, self._entries = 0, list[bytes]()
        """Every event below that transaction id was read; the entries of those that no seal has closed over yet."""
        self._top_holds = True
        """False once a fault in it was told: every later root differs as well, and would only repeat it."""

    def goes_on_from(self, seal: AuditSeal, top: Peaks) -> None:
        self._top, self._prev, self._lo, self._read_to = top, seal.hash, seal.xid_hi, seal.xid_hi

    def _take_anchor(self, place: int, line: str) -> None:
        anchor = _parsed(line)
        if anchor is None:
            self._fault("anchor", place, "this line of the anchor file is damaged")
        elif self._keys.signer_of(checkpoint_sha(anchor.size, anchor.root, anchor.at), anchor.signature) is None:
            self._fault("anchor", anchor.size, "no trusted key signed it")
        else:
            self._anchors.setdefault(anchor.size, []).append(anchor)

    def _fault(self, what: str, number: int, why: str, seal: int | None = None) -> None:
        self.found.faults.append(Fault(what, number, why, seal))

    async def sealed(
        self, work: UnitOfWork, stored: AsyncIterator[tuple[AuditSeal, AuditCheckpoint | None]], until: int
    ) -> None:
        """`until`: where the last of the seals ends."""
        together: list[tuple[AuditSeal, AuditCheckpoint | None]] = []
        events = 0
        async for seal, checkpoint in stored:
            together.append((seal, checkpoint))
            events += seal.count
            if events >= EVENTS_AT_ONCE:
                await self._close_over(work, together, until)
                together, events = [], 0
        if together:
            await self._close_over(work, together, until)

    async def _close_over(
        self, work: UnitOfWork, together: Sequence[tuple[AuditSeal, AuditCheckpoint | None]], until: int
    ) -> None:
        """Seals that follow one another, and the events below where they end."""
        place = 0

        def close() -> None:
            nonlocal place
            seal, checkpoint = together[place]
            self._seal(seal, self._entries)
            self._checkpoint(seal.n, checkpoint)
            self._entries, place = [], place + 1

        def take(rows: Sequence[TrailRow]) -> None:
            for row in rows:
                while place < len(together) and row.xid >= together[place][0].xid_hi:
                    close()
                self._entries.append(self._entry(row, together[min(place, len(together) - 1)][0].n))
            self._report(Progress(self.found.events, self._all))

        end = min(max(seal.xid_hi for seal, _ in together), until)
        if end > self._read_to:
            await trail.read(work, self._read_to, end, take)
            self._read_to = end
        while place < len(together):
            close()

    def _entry(self, row: TrailRow, seal: int | None) -> bytes:
        self.found.events += 1
        if leaf_over(row.hashed) != row.leaf:
            self._fault("event", row.id, "its content does not match its leaf hash", seal)
        elif row.at[:16] != row.written_at[:16] and _far_apart(row):  # not within the same minute
            self._fault("event", row.id, "its time of entry is far from its writer's time", seal)
        return entry_over(row.id, row.xid, row.at.decode(), row.leaf)

    def _seal(self, seal: AuditSeal, entries: Sequence[bytes]) -> None:
        self.found.seals += 1
        faults_before = len(self.found.faults)
        if seal.n != self._top.size + 1:
            self._fault("seal", self._top.size + 1, f"it is missing: the next one is seal {seal.n}")
        elif seal.prev != self._prev or seal.xid_lo != self._lo:
            self._fault("seal", seal.n, "it does not follow from the seal before it")
        if seal.hash != seal_hash(seal):
            self._fault("seal", seal.n, "its content does not match its hash")
        if len(entries) != seal.count:
            self._fault("seal", seal.n, f"it closes over {seal.count} events, and there are {len(entries)}")
        elif not entries or root_of(entries) != seal.root:
            self._fault("seal", seal.n, "its events are not those it closed over, or not in that order")
        if self._top.append(seal.hash) != seal.subtree and self._top_holds and len(self.found.faults) == faults_before:
            self._fault("seal", seal.n, "its subtree does not match the seals before it")
        self._prev, self._lo = seal.hash, seal.xid_hi
        if seal.n != self._top.size:
            self._top_holds = False

    def _checkpoint(self, size: int, stored: AuditCheckpoint | None) -> None:
        root = self._top.root()
        if stored is None:
            self._fault("checkpoint", size, "it is missing")
        elif self._keys.signer_of(checkpoint_sha(size, stored.root, stored.at), stored.signature) is None:
            self._fault("checkpoint", size, "no trusted key signed it")
        self._compare("checkpoint", size, root, stored.root if stored else root)
        for anchor in self._anchors.pop(size, ()):
            self._compare("anchor", size, root, anchor.root)

    def _compare(self, what: str, size: int, root: bytes, signed: bytes) -> None:
        if signed != root and self._top_holds:
            why = f"its root is not that of the first {size} seals"
            if what == "anchor":
                why = (
                    f"its root is not that of the first {size} seals: they were written anew, or the database was restored "
                    "from an older copy and went on"
                )
            self._fault(what, size, why)
            self._top_holds = False

    def beyond_the_last_seal(self) -> None:
        """One finding, however many anchors remember what is gone: where it begins, and how far it is known to have gone."""
        last, sizes = self._top.size, [size for size in self._anchors if size > self._top.size]
        if sizes:
            first, newest = last + 1, self._anchors[max(sizes)][0]
            why = (
                "the trail is cut off before it, or the database was restored from an older copy: "
                f"seals {first} to {newest.size} are missing, the last one anchored at {rfc3339(newest.at)}"
            )
            self._fault("seal", first, why)

    async def not_sealed(self, work: UnitOfWork, since: int) -> None:
        def take(rows: Sequence[TrailRow]) -> None:
            for row in rows:
                self._entry(row, None)
            self.found.unsealed += len(rows)

        await trail.read(work, since, ledger.NO_END, take)
        self._report(Progress(self.found.events, max(self._all, self.found.events)))


def _far_apart(row: TrailRow) -> bool:
    """Also where a time is none, such as infinity."""
    try:
        at, written_at = (datetime.fromisoformat(time.decode()) for time in (row.at, row.written_at))
    except ValueError:
        return True
    return abs(at - written_at) > CLOCKS_APART


def _parsed(line: str) -> _Anchor | None:
    try:
        size, root, at, _, signature = line.split(" ")
        return _Anchor(int(size), bytes.fromhex(root), datetime.fromisoformat(at), b64decode(signature, validate=True))
    except (ValueError, NotBase64):
        return None
