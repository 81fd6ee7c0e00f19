"""Whose data is in versions of data sets: people, followed down the flows as sets.

The same rule as `consent.selectors.uses` follows for one person: who is in a version is in what
was made of it, unless something stands in between that is known not to hold them: a version whose
complete list leaves them out, one from which they were erased, or one whose run left them out on
the gate's word. Each such version is a barrier for some people and open for all others, so one
pass from the sources down, on bitmaps, answers for everybody at once. The bitmaps hold rows; of
people in several rows each flows for itself, and a list that leaves one out leaves out all.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from django.db.models import Q
from pyroaring import BitMap

from consent.models import ErasureStep, Manifest, Reappearance, Subject, SubjectIdentifier
from consent.selectors import leaning, membership
from consent.selectors.persons import several
from lineage.selectors import walk


@dataclass(frozen=True, slots=True)
class Trace:
    """The people in some versions, and every version that was looked at, by data set."""

    people: BitMap
    versions: dict[int, int]
    truncated: bool


def people_in(version_ids: Collection[int]) -> Trace:
    """Follow everything upstream of some versions, and return whose data is in them."""
    reached = walk.ancestors(version_ids)
    steps = [pair for pair in walk.parents(list(reached.versions)) if pair[1] in reached.versions]
    above: defaultdict[int, set[int]] = defaultdict(set)
    for child, parent in steps:
        above[child].add(parent)
    barriers = _Barriers(reached.versions)
    order, rings = _from_the_sources(reached.versions, above)
    found: dict[int, BitMap] = {}
    while _passed(order, above, barriers, found) and rings:
        pass
    people = BitMap.union(BitMap(), *(found[each] for each in version_ids if each in found))
    return Trace(people, reached.versions, reached.truncated)


def _passed(
    order: Sequence[int],
    above: Mapping[int, Collection[int]],
    barriers: "_Barriers",
    found: dict[int, BitMap],
) -> bool:
    """Bring people down by one pass over the versions; say whether anybody was new anywhere."""
    moved = False
    for version in order:
        came = BitMap.union(
            BitMap(), *(found[each] for each in above.get(version, ()) if each in found)
        )
        held = barriers.members(version) | (came - barriers.holding_back(version, came))
        moved |= held != found.get(version)
        found[version] = held
    return moved


def _from_the_sources(
    versions: Collection[int], above: Mapping[int, Collection[int]]
) -> tuple[list[int], bool]:
    """Return the versions so that each comes after what it was made of, and whether some cannot.

    Two runs that each read what the other wrote at the same time make a ring, which takes more
    passes than one.
    """
    graph = {each: above.get(each, ()) for each in versions}
    try:
        return list(TopologicalSorter(graph).static_order()), False
    except CycleError:
        return sorted(versions), True


class _Barriers:
    """Who is in a version for sure, and who cannot have come into it from above."""

    def __init__(self, versions: dict[int, int]) -> None:
        self._datasets = versions
        self._members = membership.members_of(versions)
        self._left_out = leaning.left_out(versions)
        self._erased: defaultdict[int, BitMap] = defaultdict(BitMap)
        steps = ErasureStep.objects.filter(version__in=versions)
        for version, row, others in steps.values_list(
            "version_id", "request__subject_id", "others"
        ):
            self._erased[version] |= BitMap([row, *others])
        self._lists: defaultdict[int, list[Manifest]] = defaultdict(list)
        for manifest in membership.complete_lists(versions):
            self._lists[manifest.version_id].append(manifest)
        everybody = BitMap.union(BitMap(), *self._members.values())
        self._several = several(everybody) if self._lists else []

    def members(self, version: int) -> BitMap:
        return self._members.get(version, BitMap())

    def holding_back(self, version: int, came: BitMap) -> BitMap:
        """Return those of the people above a version whom it is known not to hold."""
        held = BitMap(came & self._erased[version]) | (came & self._left_out.get(version, BitMap()))
        unproven = came - held - self.members(version)
        for manifest in self._lists[version] if unproven else ():
            held |= self._proven_without(manifest, unproven)
        return held

    def _proven_without(self, manifest: Manifest, people: BitMap) -> BitMap:
        """Return those of some people whom a list leaves out, by any of their rows."""
        joined = [person for person in self._several if person & people]
        proven = _nameable(manifest, BitMap.union(people, *joined))
        for person in joined:
            if person & proven and not person & self.members(manifest.version_id):
                proven |= person
            else:
                proven -= person
        return proven & people


def _nameable(manifest: Manifest, people: BitMap) -> BitMap:
    """Return those of some people whom a list would name if they were there.

    It proves nothing of those who are not known in its scheme; nor, if anybody who was erased had
    come back by then, of the erased.
    """
    named = SubjectIdentifier.objects.filter(scheme=manifest.scheme, subject_id__in=list(people))
    proven = BitMap(named.values_list("subject_id", flat=True))
    back = Reappearance.objects.filter(
        Q(ended_at=None) | Q(ended_at__gt=manifest.received_at), dataset_id=manifest.dataset_id
    )
    if back.exists():
        return proven
    gone = Subject.objects.filter(pk__in=list(people), erased_schemes__contains=[manifest.scheme])
    return proven | BitMap(gone.values_list("pk", flat=True))
