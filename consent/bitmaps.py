"""Sets of people as roaring bitmaps, cut into chunks so that a change rewrites little.

Pure. A chunk holds the members that share their high 16 bits, so it has at most 65,536 of them
and at most about 8 kB; it is serialised whole (portable format) and needs nothing to be read.
"""

from collections.abc import Iterable

from pyroaring import BitMap

CHUNK_BITS = 16
MOST_CHUNK_BYTES = 8 * 1024 + 64  # a full container, and what goes before it


def split(people: BitMap) -> dict[int, bytes]:
    """Return the chunks of a set, serialised, by their high bits; none is empty."""
    found = {}
    for high in highs(people):
        chunk = part(people, high)
        chunk.run_optimize()
        found[high] = chunk.serialize()
    return found


def highs(people: BitMap) -> list[int]:
    """Return the high bits of the chunks that a set has, in order."""
    found, at = [], 0
    while at < len(people):
        high = people[at] >> CHUNK_BITS
        found.append(high)
        at = people.rank(((high + 1) << CHUNK_BITS) - 1)
    return found


def part(people: BitMap, high: int) -> BitMap:
    """Return the members of a set that share their high bits."""
    return people & BitMap(range(high << CHUNK_BITS, (high + 1) << CHUNK_BITS))


def joined(chunks: Iterable[bytes | memoryview]) -> BitMap:
    """Return the set that serialised chunks are of."""
    return BitMap.union(BitMap(), *(BitMap.deserialize(bytes(each)) for each in chunks))
