"""Which frozen provenance a change may concern.

A model version descends from a data set only if the data set is in its frozen provenance, as a
write or as an origin. So a write to a data set can concern only the model versions on the way
back from it, and of those only the ones that were not finished before the write began.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from pyroaring import BitMap

from lineage.openlineage import EARLIEST
from lineage.services.statements import bulk_cursor


def mark(runs: Sequence[int]) -> None:
    """Make stale what changes to these runs may concern."""
    with bulk_cursor() as cursor:
        cursor.execute(
            """
            SELECT v.dataset_id, min(CASE WHEN named.id IS NULL THEN v.visible_from ELSE %s END)
              FROM lineage_datasetversion v
              LEFT JOIN lineage_datasetversion named
                ON v.declared <> '' AND named.dataset_id = v.dataset_id
               AND named.declared = v.declared AND named.kind = 'named'
             WHERE v.run_id = ANY(%s)
             GROUP BY v.dataset_id
            """,
            [EARLIEST, list(runs)],
        )
        changed = dict(cursor.fetchall())
        cursor.execute(
            """
            UPDATE lineage_modelversion m SET stale_at = clock_timestamp()
              FROM lineage_datasetversion v
             WHERE v.run_id = ANY(%s) AND m.version_id = v.id AND m.stale_at IS NULL
            """,
            [list(runs)],
        )
    mark_datasets(changed)


def mark_datasets(changed: Mapping[int, datetime]) -> None:
    """Make stale the model versions that may have read these data sets at or after an instant."""
    concerned: dict[int, datetime] = {}
    for serialised, since in _blocks(changed):
        for pk in BitMap.deserialize(serialised):
            concerned[pk] = min(concerned.get(pk, since), since)
    if not concerned:
        return
    with bulk_cursor() as cursor:
        cursor.execute(
            """
            UPDATE lineage_modelversion m SET stale_at = clock_timestamp()
              FROM unnest(%s::bigint[], %s::timestamptz[]) AS concerned (id, since)
              JOIN lineage_datasetversion v ON v.complete_at >= since
             WHERE m.id = concerned.id AND v.id = m.version_id AND m.stale_at IS NULL
            """,
            [list(concerned), list(concerned.values())],
        )


def mark_always(datasets: Collection[int]) -> None:
    """Make stale every model version that descends from these data sets, whenever it read them."""
    mark_datasets(dict.fromkeys(datasets, EARLIEST))


def _blocks(changed: Mapping[int, datetime]) -> list[tuple[bytes, datetime]]:
    """Return the blocks on the way back from these data sets that a change may concern."""
    with bulk_cursor() as cursor:
        cursor.execute(
            """
            SELECT w.model_versions, since
              FROM unnest(%s::bigint[], %s::timestamptz[]) AS changed (dataset, since)
             CROSS JOIN LATERAL (
                    SELECT changed.dataset AS name UNION
                    SELECT other.dataset_id FROM lineage_identity mine
                      JOIN lineage_identity other USING (identity)
                     WHERE mine.dataset_id = changed.dataset) called
              JOIN lineage_wayback w ON w.dataset_id = called.name AND w.last_trained_at >= since
            """,
            [list(changed), list(changed.values())],
        )
        return [(bytes(serialised), since) for serialised, since in cursor.fetchall()]
