"""Sets of people lose nobody when they are cut up, and stays follow what lists say."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from consent import bitmaps
from consent.models import Manifest
from consent.selectors import membership
from consent.selectors.subjects import by_identifier
from tests.factories.consent import registered, take, version_after
from tests.factories.governance import DatasetFactory

PEOPLE = ["ada", "bob", "cy"]
KEYS = st.sets(st.integers(1, (1 << 32) - 1) | st.integers(1, 200_000), max_size=60)


@given(KEYS)
def test_a_set_is_what_its_chunks_are_joined_to(keys):
    people = BitMap(keys)
    chunks = bitmaps.split(people)
    assert bitmaps.joined(chunks.values()) == people
    assert sorted(chunks) == sorted({key >> 16 for key in keys})
    for high, chunk in chunks.items():
        assert {key >> 16 for key in BitMap.deserialize(chunk)} == {high}


def test_a_full_chunk_is_small():
    for people in (BitMap(range(65_536)), BitMap(range(0, 65_536, 2)), BitMap(range(0, 65_536, 3))):
        [chunk] = bitmaps.split(people).values()
        assert len(chunk) <= bitmaps.MOST_CHUNK_BYTES


class Lists:
    """What lists say of one person, kept as rows of [since, until), as plainly as can be."""

    def __init__(self) -> None:
        self.rows: list[list] = []
        self.complete: set[int] = set()

    def take(self, at: int, mode: str, named: bool) -> None:
        if mode == "replace":
            self.complete.add(at)
        if (mode == "remove" and named) or (mode == "replace" and not named):
            self.rows = [row for row in self.rows if row[0] != at]
            for row in self.rows:
                if row[0] < at and (row[1] is None or row[1] > at):
                    row[1] = at
        elif named and not self.holds(at):
            until = min((each for each in self.complete if each > at), default=None)
            later = sorted(row for row in self.rows if row[0] > at)
            if later and (until is None or later[0][0] <= until):
                later[0][0] = at
            else:
                self.rows.append([at, until])

    def holds(self, version: int) -> bool:
        return any(a <= version and (b is None or version < b) for a, b in self.rows)


LISTS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["add", "remove", "replace"]),
              st.sets(st.sampled_from(PEOPLE))),
    max_size=7,
)  # fmt: skip


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(LISTS)
def test_stays_follow_any_lists_that_are_taken(lists):
    dataset = DatasetFactory()
    made = [version_after(dataset, hours) for hours in range(1, 5)]
    for each in PEOPLE:
        if by_identifier("opaque", each) is None:
            registered(("opaque", each))
    keys = {each: by_identifier("opaque", each).pk for each in PEOPLE}
    said = {each: Lists() for each in PEOPLE}
    for at, mode, named in dict.fromkeys((at, mode, frozenset(who)) for at, mode, who in lists):
        complete = said["ada"].complete
        lists_later = any(told > at for told in complete | _told(dataset, made))
        if mode != "add" and lists_later:
            continue  # refused: who left in between cannot be told any more
        take(dataset, sorted(named), mode=mode, version=made[at])
        for each in PEOPLE:
            said[each].take(at, mode, each in named)
    held = membership.members_of([each.pk for each in made])
    for n, version in enumerate(made):
        expected = {keys[each] for each in PEOPLE if said[each].holds(n)}
        assert set(held.get(version.pk, BitMap())) == expected, (n, lists)
    for each in PEOPLE:
        subject = by_identifier("opaque", each)
        there = membership.versions_holding(subject, [version.pk for version in made])
        assert there == {v.pk for n, v in enumerate(made) if said[each].holds(n)}


def _told(dataset, made) -> set[int]:
    told = set(Manifest.objects.filter(dataset=dataset).values_list("version_id", flat=True))
    return {n for n, version in enumerate(made) if version.pk in told}
