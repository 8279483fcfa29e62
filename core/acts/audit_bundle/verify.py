#!/usr/bin/env python3
"""Checks a copy of Ronda's audit trail, or one event's proof, on any machine: offline, with Python's standard library.

    python verify.py                      the bundle this file lies in
    python verify.py DIR                  another bundle
    python verify.py proof.json           one event's proof
      --key BASE64    the public key you know to be the sealer's; else the one that came along is used, and is said
      --anchor FILE   checkpoints you kept yourself

Exit code 0 = everything fits, 1 = something does not (the first such thing is named), 2 = the files cannot be read.
"""

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

PURPOSE = b"ronda audit checkpoint, format 1\0"
LEAF = ("event_id", "actor_type", "actor_id", "action", "subject_type", "subject_id", "result", "detail", "written_at")
SEAL = ("n", "xid_lo", "xid_hi", "count", "root", "prev", "at")


class Found(Exception):
    """The first thing that does not fit."""


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Found(otherwise)


def hashed(fields: Sequence[Any]) -> bytes:
    """SHA-256 over 0x00 and the fields, each behind its length in 4 bytes."""
    parts = [str(field).encode() for field in fields]
    return hashlib.sha256(b"\x00" + b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(level: list[bytes]) -> bytes:
    while len(level) > 1:
        paired = [node(*level[at : at + 2]) for at in range(0, len(level) - 1, 2)]
        level = paired + level[len(paired) * 2 :]
    return level[0]


def climb(leaf: bytes, index: int, size: int, path: list[str]) -> bytes:
    """RFC 9162, 2.1.3.2. The root above a leaf, if the path fits the place."""
    check(0 <= index < size, "the proof names a place that the tree does not have")
    last = size - 1
    for step in map(bytes.fromhex, path):
        check(last > 0, "the proof's path is too long")
        if index & 1 or index == last:
            leaf = node(step, leaf)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            leaf = node(leaf, step)
        index, last = index >> 1, last >> 1
    check(last == 0, "the proof's path is too short")
    return leaf


def entry_of(event: dict[str, Any]) -> bytes:
    content = hashed([event[name] for name in LEAF]).hex()
    check(content == event["leaf"], f"event {event['id']}: its content does not match its leaf")
    return hashlib.sha256(f"\0{event['id']} {event['xid']} {event['at']} {event['leaf']}".encode()).digest()


def seal_of(seal: dict[str, Any]) -> bytes:
    found = hashed(["seal", *(seal[name] for name in SEAL)])
    check(found.hex() == seal["hash"], f"seal {seal['n']}: its content does not match its hash")
    return found


def signed(line: str, keys: set[str]) -> tuple[int, str]:
    """Size and root of a checkpoint that one of the keys signed."""
    size, root, at, _, signature = line.split(" ")
    message = PURPOSE + hashlib.sha256(f"{size} {root} {at}".encode()).digest()
    holds = any(verified(base64.b64decode(key), base64.b64decode(signature), message) for key in keys)
    check(holds, f"checkpoint {size}: the key did not sign it")
    return int(size), root


# Ed25519 (RFC 8032) with plain integers: slow, some milliseconds each, and needs nothing.
P, Q = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
Point = tuple[int, int, int, int]


def add(a: Point, b: Point) -> Point:
    m, n = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    c, d = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = n - m, d - c, d + c, n + m
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(scalar: int, point: Point) -> Point:
    total: Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point, scalar = add(point, point), scalar >> 1
    return total


def point_of(raw: bytes) -> Point | None:
    number = int.from_bytes(raw, "little")
    y, sign = number & (2**255 - 1), number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def verified(key: bytes, signature: bytes, message: bytes) -> bool:
    a, r, s = point_of(key), point_of(signature[:32]), int.from_bytes(signature[32:], "little")
    if len(key) != 32 or len(signature) != 64 or a is None or r is None or s >= Q or BASE is None:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % Q
    left, right = times(s, BASE), add(r, times(h, a))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 == (left[1] * right[2] - right[1] * left[2]) % P


def rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def kept(file: Path, keys: set[str]) -> dict[int, str]:
    """Roots by size. Two roots of one size are what no honest sealer signs."""
    found: dict[int, str] = {}
    for size, root in (signed(line, keys) for line in file.read_text().splitlines()):
        check(found.setdefault(size, root) == root, f"checkpoint {size}: two roots were signed for it")
    return found


def check_bundle(folder: Path, key: str | None, anchor: Path | None) -> None:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for name, digest in manifest["files"].items():
        with (folder / name).open("rb") as file:
            check(
                hashlib.file_digest(file, "sha256").hexdigest() == digest, f"{name} is not the file that was exported"
            )
    say(f"OK  {len(manifest['files'])} files are those of the manifest")
    keys = {key} if key else set((folder / "keys.txt").read_text().split())
    checkpoints, anchors = kept(folder / "checkpoints.txt", keys), kept(anchor, keys) if anchor else {}
    say(f"OK  {len(checkpoints) + len(anchors)} checkpoints signed")
    say(
        "    by the key you named" if key else "    by the key in this bundle: compare it with the one you know (--key)"
    )
    compared = check_seals(folder, manifest["start"], checkpoints, anchors)
    if anchors:
        say(f"OK  {compared} of {len(anchors)} of your own checkpoints lie in this span, and agree")
        check(compared > 0, "none of your own checkpoints lies in this span")


def check_seals(folder: Path, start: dict[str, Any], checkpoints: dict[int, str], anchors: dict[int, str]) -> int:
    events, number, before, compared = rows(folder / "events.ndjson"), 0, None, 0
    size, peaks = start["size"], [bytes.fromhex(peak) for peak in start["peaks"]]
    if size:
        check(size in checkpoints, f"checkpoint {size}, which this span follows, is missing")
        compared += check_root(size, peaks, checkpoints, anchors)
    for seal in rows(folder / "seals.ndjson"):
        n = seal["n"]
        check(n == size + 1, f"seal {size + 1} is missing")
        entries = []
        for event in (next(events, None) for _ in range(seal["count"])):
            check(event is not None, f"seal {n}: events are missing")
            assert event is not None
            check(seal["xid_lo"] <= event["xid"] < seal["xid_hi"], f"event {event['id']}: it is not of seal {n}")
            entries.append(entry_of(event))
        check(
            bool(entries) and root_of(entries).hex() == seal["root"],
            f"seal {n}: its events are not those it closed over",
        )
        follows = before is None or (seal["prev"], seal["xid_lo"]) == (before["hash"], before["xid_hi"])
        check(follows and (n > 1 or seal["prev"] == "00" * 32), f"seal {n}: it does not follow from the one before")
        peaks, before, number = grown(peaks, size, seal_of(seal)), seal, number + len(entries)
        size = n
        check(size in checkpoints, f"checkpoint {size} is missing")
        compared += check_root(size, peaks, checkpoints, anchors)
    check(next(events, None) is None, "there are events beyond the last seal")
    say(f"OK  {number} events are unaltered, complete and in order, under seals {start['size'] + 1} to {size}")
    return compared


def grown(peaks: list[bytes], size: int, leaf: bytes) -> list[bytes]:
    while size & 1:
        *peaks, left = peaks
        leaf, size = node(left, leaf), size >> 1
    return [*peaks, leaf]


def check_root(size: int, peaks: list[bytes], *known: dict[int, str]) -> int:
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node(peak, root)
    for roots in known:
        check(
            roots.get(size, root.hex()) == root.hex(),
            f"checkpoint {size}: its root is not that of the first {size} seals",
        )
    return int(size in known[-1])


def check_proof(file: Path, key: str | None, anchor: Path | None) -> None:
    proof = json.loads(file.read_text(encoding="utf-8"))
    event, seal, line = proof["event"], proof["seal"], proof["checkpoint"]
    root = climb(entry_of(event), proof["place_in_seal"], seal["count"], proof["path_in_seal"])
    check(root.hex() == seal["root"], f"event {event['id']}: its path does not lead to the root of seal {seal['n']}")
    keys = {key or line.split(" ")[3]}
    size, signed_root = signed(line, keys)
    root = climb(seal_of(seal), seal["n"] - 1, size, proof["path_in_checkpoint"])
    check(root.hex() == signed_root, f"seal {seal['n']}: its path does not lead to the checkpoint's root")
    check(
        not anchor or kept(anchor, keys).get(size) == signed_root,
        f"your own checkpoints have no such root of {size} seals",
    )
    say(f"OK  event {event['id']} is in seal {seal['n']}, under the signed checkpoint of {size} seals")
    say("    by the key you named" if key else "    by the key in the proof: compare it with the one you know (--key)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", type=Path, default=Path(__file__).parent)
    parser.add_argument("--key")
    parser.add_argument("--anchor", type=Path)
    given = parser.parse_args()
    try:
        (check_bundle if given.path.is_dir() else check_proof)(given.path, given.key, given.anchor)
    except Found as found:
        say(f"BAD {found}")
        return 1
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        say(f"BAD cannot be read: {type(error).__name__}: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
