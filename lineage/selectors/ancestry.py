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
    return _closed(_STEP.format(start="input_id", end="output_id", way="down"), datasets, bound)


def sources(datasets: Collection[int], *, bound: int = walk.BOUND) -> Ancestry:
    """Return every data set that content of these may ever have come from, themselves included."""
    return _closed(_STEP.format(start="output_id", end="input_id", way="up"), datasets, bound)


def _closed(step: str, datasets: Collection[int], bound: int) -> Ancestry:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH RECURSIVE reached (id) AS (
                SELECT unnest(%s::bigint[])
                UNION
                SELECT next.id FROM reached CROSS JOIN LATERAL ({step}) AS next
            )
            SELECT array_agg(id) FROM (SELECT id FROM reached LIMIT %s) AS found
            """,  # noqa: S608 the step is ours
            [list(datasets), bound + 1],
        )
        found = cursor.fetchone()[0] or []
    return Ancestry(frozenset(found[:bound]) | frozenset(datasets), len(found) > bound)


_STEP = """
    SELECT e.{end} AS id FROM lineage_datasetedge e WHERE e.{start} = reached.id AND e.{way}
    UNION ALL
    SELECT other.dataset_id FROM lineage_identity mine
      JOIN lineage_identity other USING (identity)
     WHERE mine.dataset_id = reached.id
"""
