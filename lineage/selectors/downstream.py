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
    """Return every edge between the data sets."""
    with connection.cursor() as cursor:
        cursor.execute(_EDGES, {"datasets": list(datasets)})
        found = cursor.fetchall()
    masked = _masked([(one, other) for one, other, masks in found if masks])
    return [(one, other, (one, other) in masked) for one, other, _ in found]


def _masked(pairs: Collection[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return those of some edges that each run and each design that makes them masks.

    What a run says of its flows is read as `lineage_sources` reads it. Where nothing that was said
    is left, nothing is masked.
    """
    if not pairs:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(
            _MASKED,
            {"inputs": [one for one, _ in pairs], "outputs": [other for _, other in pairs]},
        )
        return set(cursor.fetchall())


# Names of one data set hide nothing from each other.
_EDGES = """
    SELECT input, output, bool_and(masks) FROM (
        SELECT e.input_id, e.output_id, e.masks FROM lineage_datasetedge e
         WHERE e.input_id = ANY(%(datasets)s) AND e.down
        UNION ALL
        SELECT mine.dataset_id, other.dataset_id, false FROM lineage_identity mine
          JOIN lineage_identity other USING (identity)
         WHERE mine.dataset_id = ANY(%(datasets)s)) AS edge (input, output, masks)
     WHERE output = ANY(%(datasets)s)
     GROUP BY input, output
"""
# A run that says several things of a flow masks it if what stands says so of all of it.
_MASKED = """
    WITH asked AS MATERIALIZED (
        SELECT * FROM unnest(%(inputs)s::bigint[], %(outputs)s::bigint[]) AS edge (input, output)),
    told AS MATERIALIZED (
        SELECT DISTINCT f.run_id, f.month, f.output_id FROM asked
          JOIN lineage_flow f ON f.input_id = asked.input AND f.output_id = asked.output
         WHERE f.masked),
    said AS (
        SELECT f.run_id, f.input_id, f.output_id, f.masked,
               f.kind = 'explicit'
               OR (NOT bool_or(f.kind = 'explicit') OVER together
                   AND f.event_at = max(f.event_at) OVER together) AS stands
          FROM told JOIN lineage_flow f USING (run_id, month, output_id)
        WINDOW together AS (PARTITION BY f.run_id, f.output_id)),
    masks AS MATERIALIZED (
        SELECT run_id, input_id, output_id FROM said WHERE stands
         GROUP BY run_id, input_id, output_id HAVING bool_and(masked))
    SELECT input, output FROM (
        SELECT asked.input, asked.output, m.run_id IS NOT NULL
          FROM asked
          JOIN lineage_runinput i ON i.dataset_id = asked.input
          JOIN lineage_datasetversion w ON w.run_id = i.run_id AND w.dataset_id = asked.output
          LEFT JOIN masks m ON m.run_id = i.run_id AND m.input_id = asked.input
                           AND m.output_id = asked.output
        UNION ALL
        SELECT asked.input, asked.output, m.run_id IS NOT NULL
          FROM asked
          JOIN lineage_flow f ON f.input_id = asked.input AND f.output_id = asked.output
          LEFT JOIN masks m USING (run_id, input_id, output_id)
        UNION ALL
        SELECT asked.input, asked.output, d.masked
          FROM asked
          JOIN lineage_design d ON d.input_id = asked.input AND d.output_id = asked.output
        UNION ALL
        SELECT asked.input, asked.output, k.masked
          FROM asked
          JOIN lineage_datasetversion above ON above.dataset_id = asked.input
          JOIN lineage_keptedge k ON k.parent_id = above.id
          JOIN lineage_datasetversion below
            ON below.id = k.child_id AND below.dataset_id = asked.output)
        AS edge (input, output, masked)
     GROUP BY input, output HAVING bool_and(masked)
"""
