"""Seals over the audit trail: what is hashed, and the act of closing over what has ended.

An event's *entry* hashes its leaf with what the server set (id, xid, time of entry). A *seal* is a Merkle tree over the entries of a
range of transaction ids. The *top tree* grows by one leaf a seal; a *checkpoint* is its signed root.
"""

from base64 import b64encode
from datetime import datetime

from core.base.clock import exact_text, utc_now
from core.base.errors import NotAllowedNow
from core.base.hashing import audit_leaf, sha256
from core.base.merkle import Peaks, ends_of_peaks, root_of
from core.infra.postgres import UnitOfWork
from core.infra.signing import Keys
from core.stores import ledger, seals
from core.stores.ledger import SealableEvent
from core.tables.ledger import AuditCheckpoint, AuditSeal

FIRST_PREV = bytes(32)
MOST_EVENTS = 20_000
"""Of one seal; a backlog becomes several."""


def entry_of(row: SealableEvent) -> bytes:
    return entry_over(row.id, row.xid, exact_text(row.at), row.leaf)


def entry_over(ident: int, xid: int, at: str, leaf: bytes) -> bytes:
    return sha256(f"\0{ident} {xid} {at} {leaf.hex()}".encode())


def seal_hash(seal: AuditSeal) -> bytes:
    """The word in front keeps a seal from being shown as an event's entry."""
    fields = (seal.n, seal.xid_lo, seal.xid_hi, seal.count, seal.root.hex(), seal.prev.hex(), exact_text(seal.at))
    return audit_leaf(("seal", *map(str, fields)))


def checkpoint_sha(size: int, root: bytes, at: datetime) -> str:
    """What a checkpoint's signature is over, in hex."""
    return sha256(f"{size} {root.hex()} {exact_text(at)}".encode()).hex()


async def seal_next(work: UnitOfWork, keys: Keys, *, most: int = MOST_EVENTS) -> AuditSeal | None:
    """Close over the events whose transactions have all ended; None = there are none, or another sealer is at it.

    Complete, because a transaction id below the snapshot's xmin belongs to a transaction that has ended: a sequence would not tell.
    """
    if not await seals.take_turn(work):
        return None
    last = await seals.newest(work)
    lo = last.xid_hi if last else 0
    limit = await seals.horizon(work, lo, most)
    if limit.finished < lo:
        raise NotAllowedNow(
            "the database's transaction ids are below those already sealed: it was restored from a dump, and is not sealed any further"
        )
    rows = await ledger.of_a_seal(work, lo, limit.hi)
    if not rows:
        return None
    return await _append(work, keys, last, limit.hi, [entry_of(row) for row in rows])


async def _append(work: UnitOfWork, keys: Keys, last: AuditSeal | None, hi: int, entries: list[bytes]) -> AuditSeal:
    size, now = (last.n if last else 0), utc_now()
    seal = AuditSeal(
        n=size + 1,
        xid_lo=last.xid_hi if last else 0,
        xid_hi=hi,
        count=len(entries),
        root=root_of(entries),
        prev=last.hash if last else FIRST_PREV,
        hash=b"",
        subtree=b"",
        at=now,
    )
    seal.hash = seal_hash(seal)
    peaks = await peaks_at(work, size)
    seal.subtree = peaks.append(seal.hash)
    await seals.append(work, seal, signed_checkpoint(keys, seal.n, peaks.root(), now))
    return seal


async def peaks_at(work: UnitOfWork, size: int) -> Peaks:
    """The top tree when it had `size` seals."""
    ends = ends_of_peaks(size)
    stored = await seals.hashes(work, ends)
    return Peaks(size, [stored[end].subtree for end in ends])


def signed_checkpoint(keys: Keys, size: int, root: bytes, at: datetime) -> AuditCheckpoint:
    signature = keys.sign(checkpoint_sha(size, root, at))
    return AuditCheckpoint(size=size, root=root, at=at, key=keys.public, signature=signature)


def checkpoint_line(checkpoint: AuditCheckpoint) -> str:
    """One line of an anchor file, without its end."""
    signature = b64encode(checkpoint.signature).decode()
    return f"{checkpoint.size} {checkpoint.root.hex()} {exact_text(checkpoint.at)} {checkpoint.key} {signature}"
