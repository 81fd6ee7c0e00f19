"""Which frozen provenance a change may concern.

A model version descends from a data set only if the data set is in its frozen provenance, as a
write or as an origin. So a write to a data set can concern only the model versions on the way
back from it, and of those only the ones that were not finished before the write began.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import connection
from pyroaring import BitMap

from lineage.models import WayBack
from lineage.openlineage import EARLIEST


def mark(runs: Sequence[int]) -> None:
    """Make stale what changes to these runs may concern."""
    with connection.cursor() as cursor:
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
    for dataset, since in sorted(changed.items()):
        blocks = WayBack.objects.filter(dataset_id=dataset, last_trained_at__gte=since)
        for serialised in blocks.values_list("model_versions", flat=True):
            _mark_trained_since(list(BitMap.deserialize(bytes(serialised))), since)


def _mark_trained_since(model_versions: list[int], since: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE lineage_modelversion m SET stale_at = clock_timestamp()
              FROM lineage_datasetversion v
             WHERE m.id = ANY(%s) AND v.id = m.version_id AND v.complete_at >= %s
               AND m.stale_at IS NULL
            """,
            [model_versions, since],
        )
