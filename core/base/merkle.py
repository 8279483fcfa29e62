"""Merkle trees as RFC 9162 builds them: leaves are hashed with the prefix 0x00 by their owner, nodes here with 0x01.

Indexes count from 0, sizes and the ends of subtrees from 1.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

HashAt = Callable[[int], bytes]


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def _above(level: Sequence[bytes]) -> list[bytes]:
    """The next level up; an odd last node is promoted as it is."""
    paired = [sha256(b"\x01" + level[at] + level[at + 1]).digest() for at in range(0, len(level) - 1, 2)]
    return [*paired, level[-1]] if len(level) % 2 else paired


def root_of(leaves: Sequence[bytes]) -> bytes:
    """At least one leaf."""
    level = leaves
    while len(level) > 1:
        level = _above(level)
    return level[0]


def path_of(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The inclusion path of one leaf, from the bottom."""
    path, level = [], leaves
    while len(level) > 1:
        if (sibling := index ^ 1) < len(level):
            path.append(level[sibling])
        level, index = _above(level), index >> 1
    return path


def root_by_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that an inclusion path leads to (RFC 9162, 2.1.3.2); None = no path of that length fits the place."""
    if not 0 <= index < size:
        return None
    found, last = leaf, size - 1
    for step in path:
        if last == 0:
            return None
        if index & 1 or index == last:
            found = node(step, found)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            found = node(found, step)
        index, last = index >> 1, last >> 1
    return found if last == 0 else None


class Peaks:
    """A growing tree, of which only the roots of its perfect subtrees are kept: at most one for each bit of the size."""

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        """`hashes`: largest subtree first, as `ends_of_peaks` lists them."""
        self.size, self.hashes = size, list(hashes)

    def append(self, leaf: bytes) -> bytes:
        """The root of the largest perfect subtree that ends with the new leaf."""
        merged, size = leaf, self.size
        while size & 1:
            merged, size = node(self.hashes.pop(), merged), size >> 1
        self.hashes.append(merged)
        self.size += 1
        return merged

    def root(self) -> bytes:
        """Of a tree with at least one leaf."""
        found = self.hashes[-1]
        for peak in reversed(self.hashes[:-1]):
            found = node(peak, found)
        return found


def ends_of_peaks(size: int) -> list[int]:
    """Where the perfect subtrees of a tree end, the largest first: 7 -> 4, 6, 7."""
    ends = []
    while size:
        ends.append(size)
        size &= size - 1
    return ends[::-1]


def path_in_grown(index: int, size: int, leaf_ending: HashAt, subtree_ending: HashAt) -> list[bytes]:
    """The inclusion path of a leaf in a tree whose leaves, and largest perfect subtree ending with each, are kept.

    Asks for O(log2(size)^2) hashes, whatever they are: a dry run with other answers finds out which.
    """

    def perfect(end: int, width: int) -> bytes:
        if width == 1:
            return leaf_ending(end)
        if end & -end == width:
            return subtree_ending(end)
        return node(perfect(end - width // 2, width // 2), perfect(end, width // 2))

    def whole(start: int, end: int) -> bytes:
        width = end - start
        if width & (width - 1) == 0:
            return perfect(end, width)
        cut = start + _largest_power_below(width)
        return node(whole(start, cut), whole(cut, end))

    path, start, end = [], 0, size
    while end - start > 1:
        cut = start + _largest_power_below(end - start)
        if index < cut:
            path.append(whole(cut, end))
            end = cut
        else:
            path.append(whole(start, cut))
            start = cut
    return path[::-1]


def _largest_power_below(number: int) -> int:
    return 1 << ((number - 1).bit_length() - 1)
