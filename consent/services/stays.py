"""Moving people between stays in a data set, and keeping the way back in step.

The caller holds the data set, so nobody else moves people in it. The way back is shared by all
data sets: its blocks are locked in their order, after the data set.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
from django.db import connection
from pyroaring import BitMap

from consent.bitmaps import highs, joined, part
from consent.models import MembershipBlock, MembershipChunk, MembershipSpan
from consent.models.membership import BLOCK_BITS
from consent.selectors.membership import Timeline, people_of, timeline
from governance.models import Dataset
from lineage.models import DatasetVersion

Key = tuple[int, int | None]  # since, until
BLOCKS_TOGETHER = 5_000


class Stays:
    """The stays in a data set around one version, and who is moved between them.

    What is done is seen at once by what is asked next, and written by `write`.
    """

    def __init__(self, dataset_id: int, version: int, around: Timeline) -> None:
        self._dataset, self._version = dataset_id, version
        self._later = around.later
        self._place = {each: n for n, each in enumerate([*around.upto, *around.later])}
        spans = MembershipSpan.objects.filter(dataset_id=dataset_id)
        ids: dict[Key, int] = {
            (since, until): pk
            for pk, since, until in spans.values_list("pk", "since_id", "until_id")
            if self._covers((since, until)) or self._place[since] >= self._place[version]
        }
        people = people_of(ids.values())
        self._people = {key: people.get(pk, BitMap()) for key, pk in ids.items()}
        self._out: defaultdict[Key, BitMap] = defaultdict(BitMap)
        self._into: defaultdict[Key, BitMap] = defaultdict(BitMap)

    def present(self) -> BitMap:
        """Return who is in the version."""
        return BitMap.union(
            BitMap(), *(people for key, people in self._people.items() if self._covers(key))
        )

    def leave(self, people: BitMap) -> None:
        """Let people not be in the version any more; who only came with it never was."""
        for key in list(self._people):
            leaving = self._people[key] & people
            if key[0] == self._version:
                self._move(leaving, key, None)
            elif self._covers(key):
                self._move(leaving, key, (key[0], self._version))

    def enter(self, people: BitMap, *, until: int | None) -> None:
        """Let people be in the version, and on to the next thing that is known of each.

        A late list: who came later than it says has been in since then, unless a complete list in
        between, ``until``, left them out.
        """
        missing = people - self.present()
        end = len(self._place) if until is None else self._place[until]
        after = [key for key in self._people if key[0] in self._place and key[0] in self._later]
        for key in sorted(after, key=lambda each: self._place[each[0]]):
            if self._place[key[0]] <= end:
                found = missing & self._people[key]
                self._move(found, key, (self._version, key[1]))
                missing -= found
        self._move(missing, None, (self._version, until))

    def write(self) -> None:
        """Write down what was done, in both directions."""
        move(dataset_id=self._dataset, out=self._out, into=self._into)

    def _covers(self, key: Key) -> bool:
        since, until = key
        here = self._place[self._version]
        return self._place[since] <= here and (until is None or self._place[until] > here)

    def _move(self, people: BitMap, source: Key | None, target: Key | None) -> None:
        if not people:
            return
        if source is not None:
            self._people[source] = self._people[source] - people
            self._out[source] |= people
        if target is not None:
            self._people[target] = self._people.get(target, BitMap()) | people
            self._into[target] |= people


def begin(*, dataset_id: int, people: BitMap, version: DatasetVersion) -> None:
    """Let people be in a data set from a version on, until something else is known of them."""
    Dataset.objects.select_for_update(no_key=True).get(pk=dataset_id)
    stays = Stays(dataset_id, version.pk, timeline(version))
    stays.enter(people, until=None)
    stays.write()


def end(*, dataset_id: int, people: BitMap, version: DatasetVersion) -> None:
    """Let people be in a data set no longer than up to a version, which is its last."""
    Dataset.objects.select_for_update(no_key=True).get(pk=dataset_id)
    stays = Stays(dataset_id, version.pk, timeline(version))
    stays.leave(people)
    stays.write()


def move(*, dataset_id: int, out: Mapping[Key, BitMap], into: Mapping[Key, BitMap]) -> None:
    """Take people out of stays and into others, which are made where there are none."""
    spans = _spans(dataset_id, [*out, *into])
    removed = {spans[key]: people for key, people in out.items() if people}
    added = {spans[key]: people for key, people in into.items() if people}
    for span in removed.keys() | added.keys():
        _rewrite(span, added.get(span, BitMap()), removed.get(span, BitMap()))
    _turn_back(added, removed)


def _spans(dataset_id: int, keys: Iterable[Key]) -> dict[Key, int]:
    found: dict[Key, int] = {}
    for since, until in set(keys):
        span, _ = MembershipSpan.objects.get_or_create(
            dataset_id=dataset_id, since_id=since, until_id=until
        )
        found[since, until] = span.pk
    return found


def _rewrite(span: int, added: BitMap, removed: BitMap) -> None:
    """Change the chunks of one stay that anybody comes into or goes out of, and no other."""
    touched = highs(added | removed)
    chunks = MembershipChunk.objects.filter(span_id=span, high__in=touched)
    before = dict(chunks.values_list("high", "people"))
    kept, gone = [], []
    for high in touched:
        held = joined([before[high]] if high in before else [])
        held = (held | part(added, high)) - part(removed, high)
        held.run_optimize()
        if held:
            kept.append(MembershipChunk(span_id=span, high=high, people=held.serialize()))
        else:
            gone.append(high)
    MembershipChunk.objects.bulk_create(
        kept, update_conflicts=True, unique_fields=["span", "high"], update_fields=["people"]
    )
    if gone:
        chunks.filter(high__in=gone).delete()


def _turn_back(added: Mapping[int, BitMap], removed: Mapping[int, BitMap]) -> None:
    """Bring the way back in step: the same people and stays, by the people's blocks."""
    coming, going = _by_block(added), _by_block(removed)
    blocks = sorted(coming.keys() | going.keys())
    for start in range(0, len(blocks), BLOCKS_TOGETHER):
        some = blocks[start : start + BLOCKS_TOGETHER]
        empty = BitMap().serialize()
        MembershipBlock.objects.bulk_create(
            [MembershipBlock(block=each, stays=empty) for each in some], ignore_conflicts=True
        )
        held = MembershipBlock.objects.filter(block__in=some).order_by("block").select_for_update()
        stays = []
        for block, before in held.values_list("block", "stays"):
            after = BitMap.deserialize(bytes(before)) | coming.get(block, BitMap())
            stays.append((after - going.get(block, BitMap())).serialize())
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE consent_membershipblock b SET stays = c.stays"
                " FROM unnest(%s::int[], %s::bytea[]) AS c (block, stays)"
                " WHERE b.block = c.block",
                [some, stays],
            )


def _by_block(moved: Mapping[int, BitMap]) -> dict[int, BitMap]:
    """Return stays and people as the way back has them, by block."""
    found: dict[int, BitMap] = {}
    for span, people in moved.items():
        keys = np.asarray(people.to_array(), dtype=np.uint32)
        blocks = keys >> BLOCK_BITS
        pairs = (np.uint32(span) << BLOCK_BITS) | (keys & ((1 << BLOCK_BITS) - 1))
        starts = np.flatnonzero(np.diff(blocks, prepend=np.uint32(0xFFFFFFFF)))
        for block, part_of in zip(blocks[starts], np.split(pairs, starts[1:]), strict=True):
            mine = BitMap(part_of)
            known = found.get(int(block))
            found[int(block)] = mine if known is None else known | mine
    return found
