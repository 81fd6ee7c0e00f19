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
    said = sorted(
        (*key_of(of), name, at, fingerprint, text)
        for (of, name), (at, fingerprint, text) in facets.items()
    )
    if not said:
        return
    known = _say_again(table, columns, [row[:-1] for row in said])
    width = len(columns) + 1
    _replace(table, columns, [row for row in said if row[:width] not in known])


def _say_again(table: str, columns: Columns, said: list[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    """Return the keys and names of what is known with the same words, now said at its latest.

    Producers repeat most facets in every event, and telling so takes less than writing them anew.
    """
    names, types = ", ".join(columns), ", ".join(f"%s::{each}[]" for each in columns.values())
    same = " AND ".join(f"facet.{each} = said.{each}" for each in (*columns, "name", "fingerprint"))
    with bulk_cursor() as cursor:
        cursor.execute(
            f"""
            WITH said AS MATERIALIZED (
                SELECT * FROM unnest({types}, %s::text[], %s::timestamptz[], %s::bytea[])
                           AS said ({names}, name, at, fingerprint)
            ), later AS (
                UPDATE lineage_{table} AS facet SET event_at = said.at
                  FROM said WHERE {same} AND facet.event_at < said.at
            )
            SELECT {", ".join(f"said.{each}" for each in columns)}, said.name
              FROM said JOIN lineage_{table} AS facet ON {same}
            """,  # noqa: S608 the names are ours
            [list(column) for column in zip(*said, strict=True)],
        )
        return set(cursor.fetchall())


def _replace(table: str, columns: Columns, said: list[tuple[Any, ...]]) -> None:
    if not said:
        return
    seal = organisation_key().seal
    rows = [
        (*row[:-1], text.decode() if is_open(name) else None,
         None if is_open(name) else seal(text, PLACE))
        for row in said
        for name, text in [(row[len(columns)], row[-1])]
    ]  # fmt: skip
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
