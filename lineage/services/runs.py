"""Write runs, what they read and what they wrote."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

from lineage.merging import Batch, OutputFacts
from lineage.openlineage import RunName
from lineage.services import versions
from lineage.services.statements import bulk_cursor

Ids = Mapping[Any, int]


class KnownRun(NamedTuple):
    """Where a run is: its key, and the month whose partition holds it."""

    pk: int
    month: date


Runs = dict[RunName, KnownRun]


def write(batch: Batch, jobs: Ids, datasets: Ids) -> Runs:
    """Merge the batch's runs with their events, inputs and outputs; return where each is."""
    if not batch.runs:
        return {}
    known = _find(batch.runs, jobs)
    _merge(batch, jobs, known)
    known |= _find([name for name in batch.runs if name not in known], jobs)
    _write_relatives(batch, known)
    _write_events(batch, known)
    _write_inputs(batch, known, datasets)
    _write_outputs(batch, known, datasets)
    return known


def _find(names: Iterable[RunName], jobs: Ids) -> Runs:
    wanted = {(jobs[name[:2]], name[2]): name for name in names}
    if not wanted:
        return {}
    with bulk_cursor() as cursor:
        cursor.execute(
            "SELECT r.job_id, r.run_id, r.id, r.month FROM lineage_run r"
            " JOIN unnest(%s::bigint[], %s::text[]) AS seen (job, run)"
            " ON r.job_id = seen.job AND r.run_id = seen.run",
            [[job for job, _ in wanted], [run for _, run in wanted]],
        )
        return {wanted[job, run]: KnownRun(pk, month) for job, run, pk, month in cursor.fetchall()}


def _merge(batch: Batch, jobs: Ids, known: Runs) -> None:
    """Insert or merge the runs; one that is new belongs to the month in which it began."""
    rows = sorted(
        (
            jobs[name[:2]], name[2],
            known[name].month if name in known else facts.started_at.date().replace(day=1),
            int(facts.state), facts.state_at, facts.started_at, facts.last_heard_at,
        )
        for name, facts in batch.runs.items()
    )  # fmt: skip
    new = sorted({row[2] for row in rows} - {run.month for run in known.values()})
    with bulk_cursor() as cursor:
        if new:
            cursor.execute("SELECT lineage_ensure_months(%s::date[])", [new])
        cursor.execute(
            """
            INSERT INTO lineage_run AS run
                   (job_id, run_id, month, state, state_at, started_at, last_heard_at)
            SELECT * FROM unnest(%s::bigint[], %s::text[], %s::date[], %s::smallint[],
                                 %s::timestamptz[], %s::timestamptz[], %s::timestamptz[])
            ON CONFLICT (job_id, run_id, month) DO UPDATE SET
                (state, state_at) = (
                    SELECT s, t FROM (VALUES (run.state, run.state_at),
                                             (excluded.state, excluded.state_at)) AS said (s, t)
                     ORDER BY s >= 2 DESC, s > 0 DESC, t DESC, s DESC LIMIT 1),
                started_at = least(run.started_at, excluded.started_at),
                last_heard_at = greatest(run.last_heard_at, excluded.last_heard_at)
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )


def _write_relatives(batch: Batch, known: Runs) -> None:
    rows = sorted(
        (known[name].pk, known[facts.relatives[1]].pk, known[facts.relatives[2]].pk,
         facts.relatives[0])
        for name, facts in batch.runs.items()
        if facts.relatives is not None
    )  # fmt: skip
    if not rows:
        return
    with bulk_cursor() as cursor:
        cursor.execute(
            """
            UPDATE lineage_run run
               SET parent_id = said.parent, root_id = said.root, parent_at = said.at
              FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[])
                   AS said (run, parent, root, at)
             WHERE run.id = said.run
               AND (run.parent_at IS NULL
                    OR (run.parent_at, run.parent_id, run.root_id)
                       < (said.at, said.parent, said.root))
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )


def _write_events(batch: Batch, known: Runs) -> None:
    rows = sorted(
        (*known[name], at, int(state)) for name, at, state in batch.run_events
    )  # fmt: skip
    with bulk_cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO lineage_runevent (run_id, month, at, state)
            SELECT * FROM unnest(%s::bigint[], %s::date[], %s::timestamptz[], %s::smallint[])
            ON CONFLICT DO NOTHING
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )


def _write_inputs(batch: Batch, known: Runs, datasets: Ids) -> None:
    rows = sorted(
        (*known[run], datasets[name], declared, at)
        for (run, name, declared), at in batch.inputs.items()
    )
    if not rows:
        return
    with bulk_cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO lineage_runinput AS input
                   (run_id, month, dataset_id, declared, announced_at)
            SELECT * FROM unnest(%s::bigint[], %s::date[], %s::bigint[], %s::text[],
                                 %s::timestamptz[])
            ON CONFLICT (run_id, dataset_id, declared, month) DO UPDATE
               SET announced_at = excluded.announced_at
             WHERE excluded.announced_at < input.announced_at
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )
    versions.name_versions([(row[2], row[3], row[4]) for row in rows if row[3]])


def _write_outputs(batch: Batch, known: Runs, datasets: Ids) -> None:
    rows = sorted(
        ((datasets[name], known[run], facts) for (run, name), facts in batch.outputs.items()),
        key=lambda row: row[:2],
    )
    if not rows:
        return
    with bulk_cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO lineage_datasetversion AS version
                   (kind, dataset_id, identity, run_id, declared, declared_at, lifecycle,
                    lifecycle_at, announced_at, visible_from, complete_at, replaces)
            SELECT 'written', dataset, lineage_identity_of(dataset), run, declared, declared_at,
                   lifecycle, lifecycle_at, at, at, at, false
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
            RETURNING dataset_id, run_id, id
            """,
            _output_columns(rows),
        )
        made = {(dataset, run): pk for dataset, run, pk in cursor.fetchall()}
    _write_statements(rows, made)


def _write_statements(
    rows: list[tuple[int, KnownRun, OutputFacts]], made: Mapping[tuple[int, int], int]
) -> None:
    said = sorted(
        (made[dataset, run.pk], run.month, at, declared, lifecycle)
        for dataset, run, facts in rows
        for at, declared, lifecycle in facts.statements
    )
    if not said:
        return
    with bulk_cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO lineage_outputstatement (version_id, month, at, declared, lifecycle)
            SELECT * FROM unnest(%s::bigint[], %s::date[], %s::timestamptz[], %s::text[],
                                 %s::text[])
            ON CONFLICT DO NOTHING
            """,
            [list(column) for column in zip(*said, strict=True)],
        )


def _output_columns(rows: list[tuple[int, KnownRun, OutputFacts]]) -> list[list[Any]]:
    nothing: tuple[datetime | None, str] = (None, "")
    return [
        [dataset for dataset, _, _ in rows],
        [run.pk for _, run, _ in rows],
        [(facts.declared or nothing)[1] for _, _, facts in rows],
        [(facts.declared or nothing)[0] for _, _, facts in rows],
        [(facts.lifecycle or nothing)[1] for _, _, facts in rows],
        [(facts.lifecycle or nothing)[0] for _, _, facts in rows],
        [facts.announced_at for _, _, facts in rows],
    ]
