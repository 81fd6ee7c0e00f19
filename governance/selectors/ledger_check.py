"""Checking the whole ledger: entries, leaf hashes, tiles, root and head, from the first on.

The check finds whatever was changed without recomputing all that follows from it. Who can rewrite
everything, head included, is caught only by a head that somebody outside has kept.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.db.models import Max

from governance import merkle
from governance.models import LedgerEntry, LedgerTile
from governance.selectors import ledger

CHUNK = 2048


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """What the check found; ``first_bad_index`` is the first entry that cannot be relied on."""

    size: int
    root: bytes
    problem: str = ""
    first_bad_index: int | None = None

    @property
    def ok(self) -> bool:
        """Tell whether everything agrees."""
        return not self.problem


class _BadEntryError(Exception):
    def __init__(self, index: int, problem: str) -> None:
        super().__init__(problem)
        self.index = index
        self.problem = problem


def verify(on_progress: Callable[[int], None] | None = None) -> VerificationReport:
    """Check every entry there is; ``on_progress`` hears how many are done.

    The ledger may grow meanwhile: what comes after the head that was read first is left out.
    """
    head = ledger.head()
    growth = merkle.Growth(0, lambda _level, _number: [])
    try:
        for done, tile in _tiles_of(growth, head.size):
            _check_tile(tile)
            if on_progress:
                on_progress(done)
        if growth.root() != head.root:
            ragged_from = head.size - head.size % merkle.TILE_WIDTH
            start = min(ragged_from, max(head.size - 1, 0))
            raise _BadEntryError(start, "the entries from here on do not add up to the head's root")
        _check_nothing_beyond()
    except _BadEntryError as bad:
        return VerificationReport(head.size, head.root, bad.problem, bad.index)
    if on_progress:
        on_progress(head.size)
    return VerificationReport(head.size, head.root)


def _tiles_of(growth: merkle.Growth, size: int) -> Iterator[tuple[int, merkle.Tile]]:
    """Append every checked leaf hash to ``growth``; give the tiles that must be stored."""
    for leaf_hash in _leaf_hashes(size):
        for tile in growth.append([leaf_hash]):
            yield growth.size, tile
    if growth.size != size:
        raise _BadEntryError(growth.size, "the entry is missing")


def _leaf_hashes(size: int) -> Iterator[bytes]:
    entries = LedgerEntry.objects.filter(index__lt=size).order_by("index")
    rows = entries.values_list("index", "leaf", "leaf_hash").iterator(chunk_size=CHUNK)
    for expected, (index, leaf, leaf_hash) in enumerate(rows):
        if index != expected:
            raise _BadEntryError(expected, "the entry is missing")
        if merkle.leaf_hash(bytes(leaf)) != bytes(leaf_hash):
            raise _BadEntryError(index, "the leaf is not what its hash says")
        yield bytes(leaf_hash)


def _check_tile(tile: merkle.Tile) -> None:
    """Compare a tile that follows from the entries with the one that was stored."""
    stored = LedgerTile.objects.filter(level=tile.level, number=tile.number).first()
    leaves_of_hash = merkle.TILE_WIDTH**tile.level
    first = tile.number * merkle.TILE_WIDTH * leaves_of_hash
    if stored is None:
        raise _BadEntryError(first, f"tile {tile.level}/{tile.number} is missing")
    pairs = zip(merkle.split(tile.hashes), merkle.split(bytes(stored.hashes)), strict=False)
    for place, (follows, kept) in enumerate(pairs):
        if follows != kept:
            index = first + place * leaves_of_hash
            raise _BadEntryError(
                index, f"tile {tile.level}/{tile.number} has another hash for this entry"
            )
    if bytes(stored.root) != tile.root:
        raise _BadEntryError(first, f"tile {tile.level}/{tile.number} has another root")


def _check_nothing_beyond() -> None:
    """Find entries that the head does not count; entry and head always change together."""
    last = LedgerEntry.objects.aggregate(last=Max("index"))["last"]
    size = ledger.head().size
    if last is not None and last >= size:
        raise _BadEntryError(size, "the entry is not counted by the head")
