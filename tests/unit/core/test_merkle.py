"""The trees are those of RFC 9162: checked against its recursive definition, for every size up to 70."""

from hashlib import sha256

import pytest

from core.base.merkle import Peaks, ends_of_peaks, node, path_in_grown, path_of, root_by_path, root_of

LEAVES = [sha256(b"\x00" + bytes([n])).digest() for n in range(70)]
SIZES = [*range(1, 34), 63, 64, 65, 70]


def defined_root(leaves: list[bytes]) -> bytes:
    """MTH of the RFC, word for word."""
    if len(leaves) == 1:
        return leaves[0]
    cut = 1
    while cut * 2 < len(leaves):
        cut *= 2
    return sha256(b"\x01" + defined_root(leaves[:cut]) + defined_root(leaves[cut:])).digest()


@pytest.mark.parametrize("size", SIZES)
def test_root_peaks_and_paths(size: int) -> None:
    leaves = LEAVES[:size]
    root = defined_root(leaves)
    peaks = Peaks()
    subtrees = dict(enumerate((peaks.append(leaf) for leaf in leaves), start=1))
    assert root_of(leaves) == peaks.root() == root
    assert Peaks(size, [subtrees[end] for end in ends_of_peaks(size)]).root() == root
    for index, leaf in enumerate(leaves):
        path = path_of(leaves, index)
        assert path == path_in_grown(index, size, lambda end: leaves[end - 1], subtrees.__getitem__)
        assert root_by_path(leaf, index, size, path) == root


@pytest.mark.parametrize("size", [2, 3, 7, 8, 13])
def test_a_path_proves_one_place_only(size: int) -> None:
    leaves = LEAVES[:size]
    root = root_of(leaves)
    for index, leaf in enumerate(leaves):
        path = path_of(leaves, index)
        for other in [place for place in range(-1, size + 1) if place != index]:
            assert root_by_path(leaf, other, size, path) != root
        assert root_by_path(leaf, index, size, path[:-1]) != root
        assert root_by_path(leaf, index, size, [*path, root]) is None


def test_a_node_is_no_leaf() -> None:
    assert node(LEAVES[0], LEAVES[1]) not in {sha256(b"\x00" + LEAVES[0] + LEAVES[1]).digest(), LEAVES[0]}
