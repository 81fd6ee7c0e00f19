"""Write facets: of one name and one thing, the last by event time stands."""

from collections.abc import Mapping
from typing import Any

from governance.keys import organisation_key
from lineage.facets.kept import PLACE, is_open
from lineage.merging import Batch, Facets
from lineage.services.runs import Runs
from lineage.services.statements import bulk_cursor

Columns = Mapping[str, str]
"""What tells a thing's facets apart, besides their names: columns with their types."""


def write(batch: Batch, known: Runs, jobs: Mapping[Any, int], datasets: Mapping[Any, int]) -> None:
    """Merge the batch's facets of runs, jobs, data sets, and of runs' uses of data sets."""
    _write("runfacet", {"run_id": "bigint"}, batch.run_facets, lambda run: (known[run].pk,))
    _write("jobfacet", {"job_id": "bigint"}, batch.job_facets, lambda job: (jobs[job],))
    _write(
        "datasetfacet", {"dataset_id": "bigint"}, batch.dataset_facets,
        lambda dataset: (datasets[dataset],),
    )  # fmt: skip
    _write(
        "usefacet", {"run_id": "bigint", "dataset_id": "bigint", "written": "boolean"},
        batch.use_facets, lambda use: (known[use[0]].pk, datasets[use[1]], use[2]),
    )  # fmt: skip


def _write(table: str, columns: Columns, facets: Facets, key_of: Any) -> None:
    seal = organisation_key().seal
    rows = sorted(
        (*key_of(of), name, at, fingerprint,
         text.decode() if is_open(name) else None,
         None if is_open(name) else seal(text, PLACE))
        for (of, name), (at, fingerprint, text) in facets.items()
    )  # fmt: skip
    if not rows:
        return
    names, types = ", ".join(columns), ", ".join(f"%s::{each}[]" for each in columns.values())
    with bulk_cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO lineage_{table} AS facet
                   ({names}, name, event_at, fingerprint, value, sealed)
            SELECT {names}, name, at, fingerprint, value::jsonb, sealed
              FROM unnest({types}, %s::text[], %s::timestamptz[], %s::bytea[], %s::text[],
                          %s::bytea[])
                   AS said ({names}, name, at, fingerprint, value, sealed)
            ON CONFLICT ({names}, name) DO UPDATE
               SET event_at = excluded.event_at, fingerprint = excluded.fingerprint,
                   value = excluded.value, sealed = excluded.sealed
             WHERE (excluded.event_at, excluded.fingerprint) > (facet.event_at, facet.fingerprint)
            """,  # noqa: S608 the names are ours
            [list(column) for column in zip(*rows, strict=True)],
        )
