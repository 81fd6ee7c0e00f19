"""Write which names are one data set, and which data sets are models."""

from collections.abc import Iterable, Mapping
from typing import Any

from lineage.merging import Batch
from lineage.services import versions
from lineage.services.statements import bulk_cursor

Ids = Mapping[Any, int]


def write(batch: Batch, datasets: Ids) -> set[int]:
    """Note the aliases; return the data sets whose identity changed.

    An identity is the smallest key among the names that aliases join.
    """
    said: dict[tuple[int, int], Any] = {}
    for (one, other), at in batch.aliases.items():
        low, high = sorted((datasets[one], datasets[other]))
        said[low, high] = min(said.get((low, high), at), at)
    if not said:
        return set()
    rows = sorted((low, high, at) for (low, high), at in said.items())
    with bulk_cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO lineage_alias AS alias (low_id, high_id, announced_at)
            SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[])
            ON CONFLICT (low_id, high_id) DO UPDATE
               SET announced_at = least(alias.announced_at, excluded.announced_at)
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )
    return _join({pk for low, high, _ in rows for pk in (low, high)})


def _join(names: Iterable[int]) -> set[int]:
    """Give every name that aliases join with these the smallest key as its identity."""
    with bulk_cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE joined (name, start) AS (
                SELECT pk, pk FROM unnest(%(names)s::bigint[]) AS pk
                UNION
                SELECT CASE WHEN a.low_id = j.name THEN a.high_id ELSE a.low_id END, j.start
                  FROM joined j JOIN lineage_alias a ON j.name IN (a.low_id, a.high_id)
            ), smallest AS (
                SELECT start, min(name) AS identity FROM joined GROUP BY start
            ), wanted AS (
                SELECT DISTINCT j.name, s.identity FROM joined j JOIN smallest s USING (start)
            )
            INSERT INTO lineage_identity AS known (dataset_id, identity)
            SELECT name, identity FROM wanted
            ON CONFLICT (dataset_id) DO UPDATE SET identity = excluded.identity
             WHERE known.identity <> excluded.identity
            RETURNING dataset_id
            """,
            {"names": list(names)},
        )
        changed = [row[0] for row in cursor.fetchall()]
        cursor.execute(
            """
            UPDATE lineage_datasetversion version SET identity = known.identity
              FROM lineage_identity known
             WHERE version.dataset_id = known.dataset_id AND known.dataset_id = ANY(%s)
               AND version.identity <> known.identity
            """,
            [changed],
        )
    return set(changed)


def claim_models(batch: Batch, datasets: Ids) -> list[int]:
    """Register what events call a model, and since when; return what was not known as one."""
    if not batch.models:
        return []
    rows = sorted((datasets[name], at) for name, at in batch.models.items())
    new = versions.announce_models([dataset for dataset, _ in rows])
    with bulk_cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO lineage_modelclaim AS claim (dataset_id, announced_at)
            SELECT * FROM unnest(%s::bigint[], %s::timestamptz[])
            ON CONFLICT (dataset_id) DO UPDATE
               SET announced_at = least(claim.announced_at, excluded.announced_at)
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )
    return new
