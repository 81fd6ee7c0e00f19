"""Write a batch of facts to the graph in sets: a handful of statements, however many events.

Rows are written in the order of their keys, so that two writers could not deadlock. Each
``ON CONFLICT`` merges by the same minimum or maximum as ``lineage.merging``.
"""

from collections.abc import Iterable
from typing import Any

from lineage.merging import Batch, Name
from lineage.services import facets, flows, identities, runs, staleness, versions
from lineage.services.statements import bulk_cursor

Ids = dict[Any, int]


def write(batch: Batch) -> None:
    """Merge a batch into the graph; model versions it may concern become stale.

    Must run inside a transaction that holds the graph's lock.
    """
    datasets = _named_rows("governance_dataset", _DATASETS, batch.datasets)
    jobs = _named_rows("lineage_job", _JOBS, batch.jobs)
    merged = identities.write(batch, datasets)
    versions.ensure_origins(sorted(datasets.values()))
    known = runs.write(batch, jobs, datasets)
    flows.write(batch, known, jobs, datasets)
    facets.write(batch, known, jobs, datasets)
    versions.follow_runs(sorted(known.values()))
    touched = sorted(run.pk for run in known.values())
    late = identities.claim_models(batch, datasets)
    versions.make_model_versions(runs=touched, datasets={*late, *merged})
    staleness.mark(touched)
    staleness.mark_always({*merged, *flows.described(batch, datasets)})


_DATASETS = """
    INSERT INTO governance_dataset
           (uuid, namespace, name, description, categories, location, subject_column,
            subject_scheme, created_at)
    SELECT gen_random_uuid(), namespace, name, '', '{}', '', '', '', clock_timestamp()
      FROM unnest(%s::text[], %s::text[]) AS seen (namespace, name)
     WHERE NOT EXISTS (SELECT 1 FROM governance_dataset d
                        WHERE d.namespace = seen.namespace AND d.name = seen.name)
    ON CONFLICT DO NOTHING
"""
_JOBS = """
    INSERT INTO lineage_job (namespace, name)
    SELECT namespace, name FROM unnest(%s::text[], %s::text[]) AS seen (namespace, name)
     WHERE NOT EXISTS (SELECT 1 FROM lineage_job j
                        WHERE j.namespace = seen.namespace AND j.name = seen.name)
    ON CONFLICT DO NOTHING
"""


def _named_rows(table: str, insert: str, names: Iterable[Name]) -> Ids:
    """Return the keys of named rows; those that are missing are made."""
    ordered = sorted(names)
    if not ordered:
        return {}
    found = _known(table, ordered)
    missing = [name for name in ordered if name not in found]
    if missing:
        with bulk_cursor() as cursor:
            cursor.execute(insert, [[ns for ns, _ in missing], [name for _, name in missing]])
        found |= _known(table, missing)
    return found


def _known(table: str, names: list[Name]) -> Ids:
    with bulk_cursor() as cursor:
        # A name is looked up by the index, each by itself: never by reading the whole table.
        cursor.execute(
            f"""
            SELECT seen.namespace, seen.name, known.id
              FROM unnest(%s::text[], %s::text[]) AS seen (namespace, name)
             CROSS JOIN LATERAL (SELECT t.id FROM {table} t
                                  WHERE t.namespace = seen.namespace AND t.name = seen.name
                                  LIMIT 1) AS known
            """,  # noqa: S608 a name of ours
            [[namespace for namespace, _ in names], [name for _, name in names]],
        )
        return {(namespace, name): pk for namespace, name, pk in cursor.fetchall()}
