"""Which data sets flow into which, now."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from lineage.models import DatasetVersion
from lineage.selectors import walk


@dataclass(frozen=True, slots=True)
class Ancestry:
    """Data sets upstream, the ones asked about included; ``truncated`` if the walk was cut."""

    dataset_ids: frozenset[int]
    truncated: bool


def current_versions(datasets: Collection[int], *, at: datetime | None = None) -> list[int]:
    """Return, of each data set, the version that was whole last, or the origin."""
    found = DatasetVersion.objects.filter(dataset_id__in=list(datasets)).exclude(kind="named")
    if at is not None:
        found = found.filter(complete_at__lte=at)
    latest = found.order_by("dataset_id", "-complete_at", "-pk").distinct("dataset_id")
    return list(latest.values_list("pk", flat=True))


def ancestors(datasets: Collection[int], *, at: datetime | None = None) -> Ancestry:
    """Return every data set whose content may be in these, as they stand or stood at ``at``."""
    reached = walk.ancestors(current_versions(datasets, at=at))
    return Ancestry(frozenset(reached.versions.values()) | frozenset(datasets), reached.truncated)


def descendants(datasets: Collection[int], *, bound: int = walk.BOUND) -> Ancestry:
    """Return every data set that content of these may have flowed into, themselves included.

    It follows any run that read any version, whatever its state: the safe side for an erasure.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE down (id) AS (
                SELECT unnest(%s::bigint[])
                UNION
                SELECT written.dataset_id
                  FROM down
                  JOIN lineage_runinput i ON i.dataset_id = down.id
                  JOIN lineage_datasetversion written ON written.run_id = i.run_id
            )
            SELECT array_agg(id) FROM (SELECT id FROM down LIMIT %s) AS reached
            """,
            [list(datasets), bound + 1],
        )
        reached = cursor.fetchone()[0] or []
    return Ancestry(frozenset(reached[:bound]) | frozenset(datasets), len(reached) > bound)
