"""What content of some data sets flowed into, in one pass: how far down, and past a mask or not."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from django.db import connection

from lineage.selectors import ancestry

Edge = tuple[int, int, bool]
"""An input, an output, and whether every flow between them is masked."""


@dataclass(frozen=True, slots=True)
class Downstream:
    """The data sets below some, themselves included. ``truncated`` if a bound cut the walk.

    ``depth`` is larger than that of everything that flows in, but for circles, whose members
    share one. ``clear`` are those that some way leads to without passing a mask.
    """

    depth: Mapping[int, int]
    clear: frozenset[int]
    truncated: bool


def downstream(datasets: Collection[int]) -> Downstream:
    """Follow the flows down as `ancestry.descendants` does, which is the safe side."""
    reached = ancestry.descendants(datasets)
    edges = _edges(reached.dataset_ids)
    clear = _reached((each for each in edges if not each[2]), datasets)
    return Downstream(_depths(reached.dataset_ids, edges), frozenset(clear), reached.truncated)


def _reached(edges: Iterable[Edge], starts: Collection[int]) -> set[int]:
    below: dict[int, list[int]] = defaultdict(list)
    for one, other, _ in edges:
        below[one].append(other)
    found, edge = set(starts), list(starts)
    while edge:
        following = {each for one in edge for each in below[one]} - found
        found |= following
        edge = list(following)
    return found


def _depths(datasets: Collection[int], edges: Collection[Edge]) -> dict[int, int]:
    """Return of each data set the length of the longest way to it, a circle counting as one."""
    import igraph

    keys = sorted(datasets)
    place = {pk: n for n, pk in enumerate(keys)}
    pairs = [(place[one], place[other]) for one, other, _ in edges if one != other]
    circles = igraph.Graph(n=len(keys), edges=pairs, directed=True).connected_components("strong")
    of = circles.membership
    below: dict[int, set[int]] = defaultdict(set)
    for one, other in pairs:
        if of[one] != of[other]:
            below[of[one]].add(of[other])
    depth = [0] * len(circles)
    lines = [(one, other) for one, others in below.items() for other in others]
    for one in igraph.Graph(n=len(circles), edges=lines, directed=True).topological_sorting():
        for other in below[one]:
            depth[other] = max(depth[other], depth[one] + 1)
    return {pk: depth[of[n]] for n, pk in enumerate(keys)}


def _edges(datasets: Collection[int]) -> list[Edge]:
    """Return every edge that leaves one of the data sets.

    Masked is an edge if each run and each design that makes it masks it; what a run says of its
    flows is read as `lineage_sources` reads it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_EDGES, {"datasets": list(datasets)})
        return list(cursor.fetchall())


# A run that says several things of a flow masks it if what stands says so of all of it.
_EDGES = """
    WITH masks AS MATERIALIZED (
        SELECT DISTINCT f.run_id, f.input_id, f.output_id FROM lineage_flow f
         WHERE f.masked AND f.input_id = ANY(%(datasets)s)
           AND (SELECT bool_and(s.masked) FROM lineage_sources(f.run_id, f.output_id) s
                 WHERE s.dataset_id = f.input_id))
    SELECT input, output, bool_and(masked) FROM (
        SELECT i.dataset_id AS input, w.dataset_id AS output, m.run_id IS NOT NULL AS masked
          FROM lineage_runinput i
          JOIN lineage_datasetversion w ON w.run_id = i.run_id
          LEFT JOIN masks m ON m.run_id = i.run_id AND m.input_id = i.dataset_id
                           AND m.output_id = w.dataset_id
         WHERE i.dataset_id = ANY(%(datasets)s)
        UNION ALL
        SELECT f.input_id, f.output_id, m.run_id IS NOT NULL FROM lineage_flow f
          LEFT JOIN masks m USING (run_id, input_id, output_id)
         WHERE f.input_id = ANY(%(datasets)s)
        UNION ALL
        SELECT d.input_id, d.output_id, d.masked FROM lineage_design d
         WHERE d.input_id = ANY(%(datasets)s) AND d.output_id IS NOT NULL
        UNION ALL
        SELECT above.dataset_id, below.dataset_id, k.masked
          FROM lineage_datasetversion above
          JOIN lineage_keptedge k ON k.parent_id = above.id
          JOIN lineage_datasetversion below ON below.id = k.child_id
         WHERE above.dataset_id = ANY(%(datasets)s)
        UNION ALL
        SELECT mine.dataset_id, other.dataset_id, false FROM lineage_identity mine
          JOIN lineage_identity other USING (identity)
         WHERE mine.dataset_id = ANY(%(datasets)s)) AS edge
     WHERE output = ANY(%(datasets)s)
     GROUP BY input, output
"""
