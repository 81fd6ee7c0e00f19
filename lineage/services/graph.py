"""Write a batch of facts to the graph in sets: a handful of statements, however many events.

Rows are written in the order of their keys, so that two writers could not deadlock. Each
``ON CONFLICT`` merges by the same minimum or maximum as ``lineage.merging``.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from lineage.merging import Batch, Facets, Name, OutputFacts
from lineage.services import staleness, versions
from lineage.services.statements import bulk_cursor

Ids = dict[Any, int]


def write(batch: Batch) -> None:
    """Merge a batch into the graph; model versions it may concern become stale.

    Must run inside a transaction that holds the graph's lock.
    """
    datasets = _named_rows("governance_dataset", _DATASETS, batch.datasets)
    versions.ensure_origins(sorted(datasets.values()))
    jobs = _named_rows("lineage_job", _JOBS, batch.jobs)
    runs = _write_runs(batch, jobs)
    _write_inputs(batch, runs, datasets)
    _write_outputs(batch, runs, datasets)
    for entity, ids, facets in (
        ("run", runs, batch.run_facets),
        ("job", jobs, batch.job_facets),
        ("dataset", datasets, batch.dataset_facets),
    ):
        _write_facets(entity, ids, facets)
    versions.follow_runs(sorted(runs.values()))
    models = [datasets[name] for name in sorted(batch.models)]
    versions.announce_models(models)
    versions.make_model_versions(sorted(datasets.values()))
    staleness.mark(sorted(runs.values()))


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
    ordered = sorted(names)
    if not ordered:
        return {}
    columns = [[name[0] for name in ordered], [name[1] for name in ordered]]
    with bulk_cursor() as cursor:
        cursor.execute(insert, columns)
        cursor.execute(
            f"SELECT t.namespace, t.name, t.id FROM {table} t"  # noqa: S608 a name of ours
            " JOIN unnest(%s::text[], %s::text[]) AS seen (namespace, name)"
            " USING (namespace, name)",
            columns,
        )
        return {(namespace, name): pk for namespace, name, pk in cursor.fetchall()}


def _write_runs(batch: Batch, jobs: Ids) -> Ids:
    rows = sorted((jobs[name[:2]], name[2], facts) for name, facts in batch.runs.items())
    if not rows:
        return {}
    with bulk_cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO lineage_run AS run
                   (job_id, run_id, state, state_at, started_at, last_heard_at)
            SELECT * FROM unnest(%s::bigint[], %s::text[], %s::smallint[], %s::timestamptz[],
                                 %s::timestamptz[], %s::timestamptz[])
            ON CONFLICT (job_id, run_id) DO UPDATE SET
                (state, state_at) = (
                    SELECT s, t FROM (VALUES (run.state, run.state_at),
                                             (excluded.state, excluded.state_at)) AS said (s, t)
                     ORDER BY s >= 2 DESC, t DESC, s DESC LIMIT 1),
                started_at = least(run.started_at, excluded.started_at),
                last_heard_at = greatest(run.last_heard_at, excluded.last_heard_at)
            RETURNING job_id, run_id, id
            """,
            [
                [job for job, _, _ in rows],
                [run for _, run, _ in rows],
                [int(facts.state) for _, _, facts in rows],
                [facts.state_at for _, _, facts in rows],
                [facts.started_at for _, _, facts in rows],
                [facts.last_heard_at for _, _, facts in rows],
            ],
        )
        known = {(job, run): pk for job, run, pk in cursor.fetchall()}
    return {name: known[jobs[name[:2]], name[2]] for name in batch.runs}


def _write_inputs(batch: Batch, runs: Ids, datasets: Ids) -> None:
    rows = sorted(
        (runs[run], datasets[name], declared, at)
        for (run, name, declared), at in batch.inputs.items()
    )
    if not rows:
        return
    columns = [list(column) for column in zip(*rows, strict=True)]
    with bulk_cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO lineage_runinput AS input (run_id, dataset_id, declared, announced_at)
            SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::timestamptz[])
            ON CONFLICT (run_id, dataset_id, declared) DO UPDATE
               SET announced_at = least(input.announced_at, excluded.announced_at)
            """,
            columns,
        )
    versions.name_versions([(row[1], row[2], row[3]) for row in rows if row[2]])


def _write_outputs(batch: Batch, runs: Ids, datasets: Ids) -> None:
    rows = sorted(
        ((datasets[name], runs[run], facts) for (run, name), facts in batch.outputs.items()),
        key=lambda row: row[:2],
    )
    if not rows:
        return
    with bulk_cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO lineage_datasetversion AS version
                   (kind, dataset_id, run_id, declared, declared_at, lifecycle, lifecycle_at,
                    announced_at, visible_from, complete_at, replaces)
            SELECT 'written', dataset, run, declared, declared_at, lifecycle, lifecycle_at,
                   at, at, at, false
              FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::timestamptz[], %s::text[],
                          %s::timestamptz[], %s::timestamptz[])
                   AS said (dataset, run, declared, declared_at, lifecycle, lifecycle_at, at)
            ON CONFLICT (dataset_id, run_id) WHERE kind = 'written' DO UPDATE SET
                (declared_at, declared) = (
                    SELECT t, w FROM (VALUES (version.declared_at, version.declared),
                                      (excluded.declared_at, excluded.declared)) AS said (t, w)
                     ORDER BY t DESC NULLS LAST, w DESC LIMIT 1),
                (lifecycle_at, lifecycle) = (
                    SELECT t, w FROM (VALUES (version.lifecycle_at, version.lifecycle),
                                      (excluded.lifecycle_at, excluded.lifecycle)) AS said (t, w)
                     ORDER BY t DESC NULLS LAST, w DESC LIMIT 1),
                announced_at = least(version.announced_at, excluded.announced_at)
            """,
            _output_columns(rows),
        )


def _output_columns(rows: list[tuple[int, int, OutputFacts]]) -> list[list[Any]]:
    nothing: tuple[datetime | None, str] = (None, "")
    return [
        [dataset for dataset, _, _ in rows],
        [run for _, run, _ in rows],
        [(facts.declared or nothing)[1] for _, _, facts in rows],
        [(facts.declared or nothing)[0] for _, _, facts in rows],
        [(facts.lifecycle or nothing)[1] for _, _, facts in rows],
        [(facts.lifecycle or nothing)[0] for _, _, facts in rows],
        [facts.announced_at for _, _, facts in rows],
    ]


def _write_facets(entity: str, ids: Mapping[Any, int], facets: Facets) -> None:
    rows = sorted((ids[of], name, at, value) for (of, name), (at, value) in facets.items())
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
