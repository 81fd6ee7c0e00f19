"""Write facets: of one name and one thing, the last by event time stands."""

from collections.abc import Mapping
from typing import Any

from lineage.merging import Batch, Facets
from lineage.services.runs import Runs
from lineage.services.statements import bulk_cursor


def write(batch: Batch, known: Runs, jobs: Mapping[Any, int], datasets: Mapping[Any, int]) -> None:
    """Merge the batch's facets of runs, jobs and data sets."""
    runs = {name: run.pk for name, run in known.items()}
    for entity, ids, said in (
        ("run", runs, batch.run_facets),
        ("job", jobs, batch.job_facets),
        ("dataset", datasets, batch.dataset_facets),
    ):
        _write(entity, ids, said)


def _write(entity: str, ids: Mapping[Any, int], facets: Facets) -> None:
    rows = sorted((ids[of], name, at, value.decode()) for (of, name), (at, value) in facets.items())
    if not rows:
        return
    with bulk_cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO lineage_{entity}facet AS facet ({entity}_id, name, event_at, value)
            SELECT of, name, at, value::jsonb
              FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::text[])
                   AS said (of, name, at, value)
            ON CONFLICT ({entity}_id, name) DO UPDATE
               SET event_at = excluded.event_at, value = excluded.value
             WHERE (excluded.event_at, excluded.value) > (facet.event_at, facet.value)
            """,  # noqa: S608 the table's name is one of three of ours
            [list(column) for column in zip(*rows, strict=True)],
        )
