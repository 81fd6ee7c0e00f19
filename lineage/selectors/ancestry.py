"""Which data sets flow into which, now."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from lineage.selectors import walk


@dataclass(frozen=True, slots=True)
class Ancestry:
    """Data sets upstream, the ones asked about included; ``truncated`` if the walk was cut."""

    dataset_ids: frozenset[int]
    truncated: bool


def current_versions(datasets: Collection[int], *, at: datetime | None = None) -> list[int]:
    """Return, of each data set, the version that was whole last, or the origin.

    Each is looked up in the index of its timeline, so that it costs nothing how long that is.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT last.id
              FROM (SELECT DISTINCT coalesce(n.identity, asked.id) AS identity
                      FROM unnest(%(datasets)s::bigint[]) AS asked (id)
                      LEFT JOIN lineage_identity n ON n.dataset_id = asked.id) AS one
             CROSS JOIN LATERAL (
                    SELECT v.id FROM lineage_datasetversion v
                     WHERE v.identity = one.identity AND v.kind <> 'named'
                       AND v.complete_at <= coalesce(%(at)s::timestamptz, 'infinity')
                     ORDER BY v.complete_at DESC, v.id DESC LIMIT 1) AS last
             ORDER BY one.identity
            """,
            {"datasets": list(datasets), "at": at},
        )
        return [row[0] for row in cursor.fetchall()]


def ancestors(datasets: Collection[int], *, at: datetime | None = None) -> Ancestry:
    """Return every data set whose content may be in these, as they stand or stood at ``at``.

    A view that is known by its design alone brings what lies behind it.
    """
    behind = _behind(datasets, at)
    reached = walk.ancestors(current_versions({*datasets, *behind}, at=at))
    found = {*reached.versions.values(), *datasets, *behind}
    return Ancestry(frozenset(found), reached.truncated)


def _behind(datasets: Collection[int], at: datetime | None) -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT behind.identity
              FROM unnest(%s::bigint[]) AS asked (id)
             CROSS JOIN coalesce(%s::timestamptz, clock_timestamp()) AS instant
             CROSS JOIN LATERAL lineage_behind(lineage_identity_of(asked.id), instant, instant)
                        AS behind
            """,
            [list(datasets), at],
        )
        return {row[0] for row in cursor.fetchall()}


def descendants(datasets: Collection[int], *, bound: int = walk.BOUND) -> Ancestry:
    """Return every data set that content of these may have flowed into, themselves included.

    It follows any run that read any version, whatever its state, every design, and every name:
    the safe side for an erasure.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE down (id) AS (
                SELECT unnest(%s::bigint[])
                UNION
                SELECT next.id FROM down CROSS JOIN LATERAL (
                    SELECT written.dataset_id AS id
                      FROM lineage_runinput i
                      JOIN lineage_datasetversion written ON written.run_id = i.run_id
                     WHERE i.dataset_id = down.id
                    UNION ALL
                    SELECT f.output_id FROM lineage_flow f WHERE f.input_id = down.id
                    UNION ALL
                    SELECT d.output_id FROM lineage_design d
                     WHERE d.input_id = down.id AND d.output_id IS NOT NULL
                    UNION ALL
                    SELECT below.dataset_id FROM lineage_datasetversion above
                      JOIN lineage_keptedge k ON k.parent_id = above.id
                      JOIN lineage_datasetversion below ON below.id = k.child_id
                     WHERE above.dataset_id = down.id
                    UNION ALL
                    SELECT other.dataset_id FROM lineage_identity mine
                      JOIN lineage_identity other USING (identity)
                     WHERE mine.dataset_id = down.id) AS next
            )
            SELECT array_agg(id) FROM (SELECT id FROM down LIMIT %s) AS reached
            """,
            [list(datasets), bound + 1],
        )
        reached = cursor.fetchone()[0] or []
    return Ancestry(frozenset(reached[:bound]) | frozenset(datasets), len(reached) > bound)


def sources(datasets: Collection[int], *, bound: int = walk.BOUND) -> Ancestry:
    """Return every data set that content of these may ever have come from, themselves included."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE up (id) AS (
                SELECT unnest(%s::bigint[])
                UNION
                SELECT next.id FROM up CROSS JOIN LATERAL (
                    SELECT i.dataset_id AS id
                      FROM lineage_datasetversion written
                      JOIN lineage_runinput i ON i.run_id = written.run_id
                     WHERE written.dataset_id = up.id
                    UNION ALL
                    SELECT f.input_id FROM lineage_datasetversion written
                      JOIN lineage_flow f ON f.run_id = written.run_id
                     WHERE written.dataset_id = up.id AND f.input_id IS NOT NULL
                    UNION ALL
                    SELECT d.input_id FROM lineage_design d
                     WHERE d.output_id = up.id AND d.input_id IS NOT NULL
                    UNION ALL
                    SELECT above.dataset_id FROM lineage_datasetversion below
                      JOIN lineage_keptedge k ON k.child_id = below.id
                      JOIN lineage_datasetversion above ON above.id = k.parent_id
                     WHERE below.dataset_id = up.id
                    UNION ALL
                    SELECT other.dataset_id FROM lineage_identity mine
                      JOIN lineage_identity other USING (identity)
                     WHERE mine.dataset_id = up.id) AS next
            )
            SELECT array_agg(id) FROM (SELECT id FROM up LIMIT %s) AS reached
            """,
            [list(datasets), bound + 1],
        )
        reached = cursor.fetchone()[0] or []
    return Ancestry(frozenset(reached[:bound]) | frozenset(datasets), len(reached) > bound)
