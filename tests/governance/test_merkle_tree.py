"""Our tree against pymerkle, and every proof against a changed one."""

import random

import pytest
from pymerkle import InmemoryTree

from governance import merkle

SIZES = 301
LEAVES = [f"leaf {n}".encode() for n in range(SIZES - 1)]
HASHES = [merkle.leaf_hash(leaf) for leaf in LEAVES]


@pytest.fixture(scope="module")
def oracle():
    tree = InmemoryTree(algorithm="sha256")
    tree.append_entries(LEAVES)
    return tree


def read(level, number):
    """Give tiles of the tree of 300 leaves."""
    if level == 0:
        return HASHES[number * 256 : number * 256 + 256]
    assert (level, number) == (1, 0)
    return [merkle.root_of(HASHES[:256])]


@pytest.fixture(scope="module")
def tree():
    return merkle.Tree(read)


def test_the_root_of_every_size_is_the_oracles(tree, oracle):
    growth = merkle.Growth(0, lambda _level, _number: [])
    for size in range(SIZES):
        expected = oracle.get_root(size)
        assert tree.root(size) == expected
        assert merkle.root_of(HASHES[:size]) == expected
        assert growth.root() == expected
        tiles = list(growth.append(HASHES[size : size + 1]))
        assert [tile[:2] for tile in tiles] == ([(0, 0)] if size == 255 else [])


def test_growth_goes_on_from_any_size(oracle):
    for size in (1, 7, 255, 256, 257, 299):
        growth = merkle.Growth(size, lambda level, number, n=size: read_at(n, level, number))
        list(growth.append(HASHES[size:]))
        assert growth.root() == oracle.get_root(300)


def read_at(size, level, number):
    width = merkle.tile_width(level=level, number=number, size=size)
    return list(read(level, number))[:width]


def test_inclusion_proofs_are_the_oracles_and_hold(tree, oracle):
    for size in range(1, SIZES):
        root = oracle.get_root(size)
        for index in {0, size // 2, size - 1, random.Random(size).randrange(size)}:
            hashes = tree.inclusion(index, size)
            assert sorted(hashes) == sorted(others(oracle.prove_inclusion(index + 1, size)))
            assert merkle.proves_inclusion(
                index=index, size=size, leaf=LEAVES[index], hashes=hashes, root=root
            )


def others(proof):
    """Return the oracle's path without the leaf itself, which it begins with."""
    path = [bytes.fromhex(each) for each in proof.serialize()["path"]]
    return [each for each in path if each != HASHES[proof.get_metadata()["index"] - 1]]


def test_consistency_proofs_hold_between_all_sizes(tree, oracle):
    for new in range(1, SIZES, 7):
        for old in range(new + 1):
            assert merkle.proves_consistency(
                old=old,
                new=new,
                hashes=tree.consistency(old, new),
                old_root=oracle.get_root(old),
                new_root=oracle.get_root(new),
            )


def test_a_tree_of_70_000_leaves_has_the_tiles_that_the_specification_counts():
    hashes = [merkle.leaf_hash(n.to_bytes(4, "big")) for n in range(70_000)]
    growth = merkle.Growth(0, lambda _level, _number: [])
    tiles = list(growth.append(hashes))
    assert [sum(tile.level == level for tile in tiles) for level in (0, 1, 2)] == [273, 1, 0]
    assert growth.root() == merkle.root_of(hashes)


def test_a_changed_inclusion_proof_is_refused(tree, oracle):
    size, index = 300, 77
    good = {
        "index": index,
        "size": size,
        "leaf": LEAVES[index],
        "hashes": tree.inclusion(index, size),
        "root": oracle.get_root(size),
    }
    assert merkle.proves_inclusion(**good)
    hashes = good["hashes"]
    changes = [
        {"index": 78},
        {"index": -1},
        {"index": 300},
        {"size": 77},
        {"size": 1024},
        {"leaf": b"another"},
        {"root": bytes(32)},
        {"hashes": hashes[:-1]},
        {"hashes": [*hashes, bytes(32)]},
        {"hashes": hashes[::-1]},
        {"hashes": []},
        *({"hashes": [*hashes[:i], bytes(32), *hashes[i + 1 :]]} for i in range(len(hashes))),
    ]
    assert [change for change in changes if merkle.proves_inclusion(**good | change)] == []


def test_a_changed_consistency_proof_is_refused(tree, oracle):
    for old in (64, 77, 256):
        good = {
            "old": old,
            "new": 300,
            "hashes": tree.consistency(old, 300),
            "old_root": oracle.get_root(old),
            "new_root": oracle.get_root(300),
        }
        assert merkle.proves_consistency(**good)
        hashes = good["hashes"]
        changes = [
            {"old": old + 1},
            {"old": 301},
            {"old": 0},
            {"old": 300},
            {"old": -1},
            {"new": 2000},
            {"old_root": bytes(32)},
            {"new_root": bytes(32)},
            {"hashes": hashes[:-1]},
            {"hashes": [*hashes, bytes(32)]},
            {"hashes": []},
            *({"hashes": [*hashes[:i], bytes(32), *hashes[i + 1 :]]} for i in range(len(hashes))),
        ]
        assert [change for change in changes if merkle.proves_consistency(**good | change)] == []


def test_every_tree_begins_with_the_empty_one_and_only_with_it():
    root = merkle.root_of(HASHES[:3])
    facts = {"old": 0, "new": 3, "hashes": [], "new_root": root}
    assert merkle.proves_consistency(**facts, old_root=merkle.EMPTY_ROOT)
    assert not merkle.proves_consistency(**facts, old_root=bytes(32))
