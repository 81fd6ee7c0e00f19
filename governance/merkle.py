"""Merkle tree hashing and proofs: RFC 6962 2.1, checked as RFC 9162 2.1.3.2 and 2.1.4.2 say.

Pure. Hashes are kept in the tiles of C2SP tlog-tiles: 256 neighbours of one level, where level 0
holds leaf hashes and each hash of the next level is the root of a full tile below. A hash at
level L and place i covers the leaves from ``i * 256**L`` up to ``(i + 1) * 256**L``.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

HASH_BYTES = 32
TILE_WIDTH = 256
TILE_HEIGHT = 8  # 2 ** 8 hashes

EMPTY_ROOT = hashlib.sha256().digest()


class Tile(NamedTuple):
    """A full tile: 256 hashes end to end, and the root over them."""

    level: int
    number: int
    hashes: bytes
    root: bytes


TileReader = Callable[[int, int], Sequence[bytes]]
"""Gives the hashes that there are so far of the tile at ``(level, number)``."""


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of one leaf."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two subtrees side by side."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes, or over roots of equally large full subtrees.

    Pairing neighbours level by level and letting an odd last one rise gives the same tree as
    splitting at the largest power of two.
    """
    if not hashes:
        return EMPTY_ROOT
    row = list(hashes)
    while len(row) > 1:
        odd = row[-1:] if len(row) % 2 else []
        row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)] + odd
    return row[0]


def split(hashes: bytes) -> list[bytes]:
    """Return hashes stored end to end as a list."""
    return [hashes[i : i + HASH_BYTES] for i in range(0, len(hashes), HASH_BYTES)]


def tile_width(*, level: int, number: int, size: int) -> int:
    """Return how many hashes the tile holds in a tree of ``size`` leaves, at most 256."""
    hashes_of_level = size >> (TILE_HEIGHT * level)
    return max(0, min(TILE_WIDTH, hashes_of_level - number * TILE_WIDTH))


class Growth:
    """The right edge of a tree, grown by appending.

    ``size`` leaves are there already; ``read`` then gives the ragged tile of each level.
    """

    def __init__(self, size: int, read: TileReader) -> None:
        self.size = size
        self._ragged: list[list[bytes]] = []
        while hashes := size >> (TILE_HEIGHT * len(self._ragged)):
            level, number = len(self._ragged), hashes // TILE_WIDTH
            self._ragged.append(list(read(level, number)) if hashes % TILE_WIDTH else [])

    def append(self, leaf_hashes: Iterable[bytes]) -> Iterator[Tile]:
        """Add leaves; give each tile in the moment that it becomes full, lower levels first."""
        for each in leaf_hashes:
            self.size += 1
            yield from self._add(0, each)

    def _add(self, level: int, added: bytes) -> Iterator[Tile]:
        if level == len(self._ragged):
            self._ragged.append([])
        row = self._ragged[level]
        row.append(added)
        if len(row) == TILE_WIDTH:
            number = (self.size - 1) >> (TILE_HEIGHT * (level + 1))
            full = Tile(level, number, b"".join(row), root_of(row))
            row.clear()
            yield full
            yield from self._add(level + 1, full.root)

    def root(self) -> bytes:
        """Return the root over every leaf so far."""
        found: bytes | None = None
        for row in self._ragged:  # from the smallest subtrees, at the right, to the largest
            end = len(row)
            while end:
                start = end - (end & -end)
                subtree = root_of(row[start:end])
                found = subtree if found is None else node_hash(subtree, found)
                end = start
        return EMPTY_ROOT if found is None else found


class Tree:
    """Proofs about a tree whose tiles ``read`` gives; each tile is read once."""

    def __init__(self, read: TileReader) -> None:
        self._read = cache(read)

    def root(self, size: int) -> bytes:
        """Return the root over the first ``size`` leaves."""
        return self._root(0, size)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the proof that leaf ``index`` is in the tree of ``size`` leaves."""
        proof: list[bytes] = []
        low, high = 0, size
        while high - low > 1:
            middle = low + _left_half(high - low)
            if index < middle:
                proof.append(self._root(middle, high))
                high = middle
            else:
                proof.append(self._root(low, middle))
                low = middle
        return proof[::-1]

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the tree of ``new`` leaves begins with the one of ``old``."""
        if old in {0, new}:
            return []
        proof: list[bytes] = []
        low, high = 0, new
        while old != high:
            middle = low + _left_half(high - low)
            if old <= middle:
                proof.append(self._root(middle, high))
                high = middle
            else:
                proof.append(self._root(low, middle))
                low = middle
        if low:  # else the subtree is the old tree, whose root the verifier has
            proof.append(self._root(low, high))
        return proof[::-1]

    def _root(self, low: int, high: int) -> bytes:
        """Return the root over leaves ``low`` to ``high``, a range that the tree's shape has."""
        count = high - low
        if count == 0:
            return EMPTY_ROOT
        if count & (count - 1):
            middle = low + _left_half(count)
            return node_hash(self._root(low, middle), self._root(middle, high))
        level, exponent = divmod(count.bit_length() - 1, TILE_HEIGHT)
        number, start = divmod(low >> (TILE_HEIGHT * level), TILE_WIDTH)
        return root_of(self._read(level, number)[start : start + (1 << exponent)])


def _left_half(count: int) -> int:
    """Return the largest power of two below ``count``."""
    return 1 << ((count - 1).bit_length() - 1)


def proves_inclusion(
    *, index: int, size: int, leaf: bytes, hashes: Sequence[bytes], root: bytes
) -> bool:
    """Tell whether the proof shows ``leaf`` at ``index`` of the tree (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, leaf_hash(leaf)
    for each in hashes:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(each, found)
            place, last = _rise_to_left_child(place, last)
        else:
            found = node_hash(found, each)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def proves_consistency(
    *, old: int, new: int, hashes: Sequence[bytes], old_root: bytes, new_root: bytes
) -> bool:
    """Tell whether the proof shows that the tree only grew (RFC 9162 2.1.4.2).

    Every tree begins with the empty one.
    """
    if not 0 <= old <= new:
        return False
    if old == new:
        return not hashes and old_root == new_root
    if old == 0:
        return not hashes and old_root == EMPTY_ROOT
    path = [old_root, *hashes] if old & (old - 1) == 0 else list(hashes)
    if not hashes:
        return False
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = path[0]
    for each in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            before, after = node_hash(each, before), node_hash(each, after)
            place, last = _rise_to_left_child(place, last)
        else:
            after = node_hash(after, each)
        place, last = place >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root


def _rise_to_left_child(place: int, last: int) -> tuple[int, int]:
    """Skip the levels where the subtree at the right edge has no sibling."""
    while place and not place & 1:
        place, last = place >> 1, last >> 1
    return place, last
