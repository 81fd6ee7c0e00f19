"""Paths from many model versions up to data sets, in one query per step of the longest."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

from django.db import connection

from lineage.selectors import walk

Asked = tuple[int, int]
"""A data set version to start from, and the data set to be reached."""


@dataclass(slots=True)
class _Search:
    """One breadth-first search, so its way is a shortest."""

    dataset: int
    edge: list[int]
    came_from: dict[int, int | None] = field(default_factory=dict)
    found: int | None = None

    def advance(self, parents: dict[int, list[tuple[int, int]]]) -> None:
        """Go one step up; stop where the data set is reached, or nothing is left."""
        following = []
        for child in self.edge:
            for version, dataset in parents[child]:
                if version in self.came_from:
                    continue
                self.came_from[version] = child
                if dataset == self.dataset:
                    self.found, self.edge = version, []
                    return
                following.append(version)
        self.edge = following

    def way(self) -> list[int]:
        """Return the way from the start, or nothing if the data set was not reached."""
        steps, at = [], self.found
        while at is not None:
            steps.append(at)
            at = self.came_from[at]
        return steps[::-1]


def ways(asked: Collection[Asked], *, bound: int = walk.BOUND) -> dict[Asked, list[walk.Step]]:
    """Return for each pair a shortest way up, or nothing; cut where the bound is reached."""
    searches = {
        (start, dataset): _Search(dataset, [start], {start: None}) for start, dataset in asked
    }
    parents: dict[int, list[tuple[int, int]]] = {}
    while edge := {version for each in searches.values() for version in each.edge}:
        if len(parents) > bound:
            break
        parents |= _parents(edge - parents.keys())
        for each in searches.values():
            each.advance(parents)
    return _described({key: each.way() for key, each in searches.items()})


def _parents(children: Collection[int]) -> dict[int, list[tuple[int, int]]]:
    """Return of each version what it descends from directly, with their data sets."""
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT child, parent.id, version.dataset_id FROM unnest(%s::bigint[]) AS child"
            " CROSS JOIN LATERAL lineage_parents(child) AS parent"
            " JOIN lineage_datasetversion AS version ON version.id = parent.id"
            " ORDER BY child, parent.id",
            [list(children)],
        )
        for child, version, dataset in cursor.fetchall():
            found[child].append((version, dataset))
    return {child: found[child] for child in children}


def _described(found: dict[Asked, list[int]]) -> dict[Asked, list[walk.Step]]:
    """Name the versions of all ways at once."""
    steps = iter(walk.described(version for way in found.values() for version in way))
    return {key: [next(steps) for _ in way] for key, way in found.items()}
