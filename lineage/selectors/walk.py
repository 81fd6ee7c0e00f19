"""Walk the version graph upward. One step is the database function ``lineage_parents``."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from governance.fields import among
from lineage.models import DatasetVersion

BOUND = 200_000


@dataclass(frozen=True, slots=True)
class Walk:
    """The versions reached, by data set. ``truncated`` says that the bound cut the walk.

    ``masks`` says that some step on the way is masked; then ``unmasked`` are the data sets that
    are reached without passing one.
    """

    versions: dict[int, int]  # version: its data set
    truncated: bool
    masks: bool = False
    unmasked: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Step:
    """One version on a path, and the run that wrote it, if one did."""

    version: UUID
    dataset: UUID
    namespace: str
    name: str
    run: UUID | None


def ancestors(starts: Collection[int], *, bound: int = BOUND) -> Walk:
    """Return everything that versions descend from, themselves included."""
    reached = _up(starts, bound, "")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, dataset_id FROM lineage_datasetversion WHERE id = ANY(%s)",
            [reached[:bound]],
        )
        versions = dict(cursor.fetchall())
        cursor.execute(
            """
            SELECT EXISTS (SELECT 1 FROM lineage_flow f
                             JOIN lineage_datasetversion v ON v.run_id = f.run_id
                            WHERE f.masked AND v.id = ANY(%(reached)s))
                OR EXISTS (SELECT 1 FROM lineage_design WHERE masked)
                OR EXISTS (SELECT 1 FROM lineage_keptedge k
                            WHERE k.masked AND k.child_id = ANY(%(reached)s))
            """,
            {"reached": reached[:bound]},
        )
        masks = bool(cursor.fetchone()[0])
    clear = _up(starts, bound, "WHERE NOT parent.masked")[:bound] if masks else []
    unmasked = frozenset(versions[each] for each in clear if each in versions)
    return Walk(versions, len(reached) > bound, masks, unmasked)


def _up(starts: Collection[int], bound: int, only: str) -> list[int]:
    with connection.cursor() as cursor:
        # The recursion holds node ids alone: a depth or a join in it would multiply the work.
        cursor.execute(
            f"""
            WITH RECURSIVE up (id) AS (
                SELECT unnest(%s::bigint[])
                UNION
                SELECT parent.id FROM up CROSS JOIN LATERAL lineage_parents(up.id) AS parent {only}
            )
            SELECT array_agg(id) FROM (SELECT id FROM up LIMIT %s) AS reached
            """,  # noqa: S608 the condition is ours
            [list(starts), bound + 1],
        )
        return list(cursor.fetchone()[0] or [])


def all_edges() -> list[tuple[int, int, bool]]:
    """Return every edge of the graph in sight as (child, parent, masked).

    For a graph that `as_it_stood` shows; of the whole present one it would never end.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT v.id, parent.id, parent.masked FROM lineage_datasetversion v"
            " CROSS JOIN LATERAL lineage_parents(v.id) AS parent"
        )
        return list(cursor.fetchall())


def path(
    start: int, targets: Collection[int], *, stops: Collection[int] = (), bound: int = BOUND
) -> list[int] | None:
    """Return a shortest way up from a version to one of the targets, or nothing.

    The way never goes on above a stop or a target. ``start`` itself is neither.
    """
    wanted, walls = set(targets), set(stops)
    came_from: dict[int, int | None] = {start: None}
    edge = [] if start in walls else [start]
    while edge and len(came_from) <= bound:
        following = []
        for child, parent in parents(edge):
            if parent in came_from:
                continue
            came_from[parent] = child
            if parent in wanted:
                return _backwards(came_from, parent)
            if parent not in walls:
                following.append(parent)
        edge = following
    return None


def described(versions: Iterable[int]) -> list[Step]:
    """Name the versions of a path, in its order."""
    ordered = list(versions)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT v.uuid, d.uuid, d.namespace, d.name, r.uuid
              FROM unnest(%s::bigint[]) WITH ORDINALITY AS step (id, place)
              JOIN lineage_datasetversion v ON v.id = step.id
              JOIN governance_dataset d ON d.id = v.dataset_id
              LEFT JOIN lineage_run r ON r.id = v.run_id
             ORDER BY step.place
            """,
            [ordered],
        )
        return [Step(*row) for row in cursor.fetchall()]


def parents(children: Collection[int]) -> list[tuple[int, int]]:
    """Return every step up from some versions, as (child, parent)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT child, parent.id FROM unnest(%s::bigint[]) AS child"
            " CROSS JOIN LATERAL lineage_parents(child) AS parent ORDER BY child, parent.id",
            [list(children)],
        )
        return list(cursor.fetchall())


def _backwards(came_from: dict[int, int | None], end: int) -> list[int]:
    way: list[int] = []
    at: int | None = end
    while at is not None:
        way.append(at)
        at = came_from[at]
    return way[::-1]


def datasets_of(versions: Collection[int]) -> dict[int, int]:
    """Return of each version its data set."""
    found = DatasetVersion.objects.filter(pk__in=among(versions))
    return dict(found.values_list("pk", "dataset_id"))
