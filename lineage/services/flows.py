"""Write which inputs flow into which outputs, by run, by design and by column."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from lineage.merging import Batch
from lineage.services.runs import Runs
from lineage.services.statements import bulk_cursor

Ids = Mapping[Any, int]


def write(batch: Batch, known: Runs, jobs: Ids, datasets: Ids) -> None:
    """Merge what the batch says of flows."""
    _write_flows(batch, known, datasets)
    _write_designs(batch, jobs, datasets)
    _write_columns(batch, jobs, datasets)


def described(batch: Batch, datasets: Ids) -> set[int]:
    """Return the data sets that the batch says something of by design."""
    return {datasets[output] for *_, output in batch.designs if output is not None}


def _write_flows(batch: Batch, known: Runs, datasets: Ids) -> None:
    rows = [
        (*known[run], datasets[output], None if source is None else datasets[source],
         "explicit" if explicit else "columns", masked, at)
        for (run, output, explicit, at, source), masked in batch.flows.items()
    ]  # fmt: skip
    _insert(
        """
        INSERT INTO lineage_flow AS flow
               (run_id, month, output_id, input_id, kind, masked, event_at)
        SELECT * FROM unnest(%s::bigint[], %s::date[], %s::bigint[], %s::bigint[], %s::text[],
                             %s::boolean[], %s::timestamptz[])
        ON CONFLICT (run_id, output_id, kind, event_at, input_id, month) DO UPDATE
           SET masked = flow.masked AND excluded.masked
         WHERE flow.masked AND NOT excluded.masked
        """,
        rows,
    )


def _write_designs(batch: Batch, jobs: Ids, datasets: Ids) -> None:
    rows = [
        (None if job is None else jobs[job], None if about is None else datasets[about], at,
         None if source is None else datasets[source],
         None if output is None else datasets[output], masked)
        for (job, about, at, source, output), masked in batch.designs.items()
    ]  # fmt: skip
    _insert(
        """
        INSERT INTO lineage_design AS design
               (job_id, about_id, event_at, input_id, output_id, masked)
        SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[], %s::bigint[],
                             %s::bigint[], %s::boolean[])
        ON CONFLICT (job_id, about_id, event_at, input_id, output_id) DO UPDATE
           SET masked = design.masked AND excluded.masked
         WHERE design.masked AND NOT excluded.masked
        """,
        rows,
    )


def _write_columns(batch: Batch, jobs: Ids, datasets: Ids) -> None:
    rows = []
    for (job, output, flow), (first, last) in batch.columns.items():
        fact: tuple[Any, ...] = (
            None if job is None else jobs[job], datasets[flow.source], flow.source_field,
            datasets[output], flow.target_field, flow.kind, flow.subtype, flow.description,
            flow.masking,
        )  # fmt: skip
        rows.append((*fact, hashlib.sha256(orjson.dumps(fact)).digest(), first, last))
    _insert(
        """
        INSERT INTO lineage_columnedge AS edge
               (job_id, input_id, input_field, output_id, output_field, kind, subtype, description,
                masking, digest, first_at, last_at)
        SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::text[],
                             %s::text[], %s::text[], %s::text[], %s::boolean[], %s::bytea[],
                             %s::timestamptz[], %s::timestamptz[])
        ON CONFLICT (digest) DO UPDATE
           SET first_at = least(edge.first_at, excluded.first_at),
               last_at = greatest(edge.last_at, excluded.last_at)
        """,
        sorted(rows, key=lambda row: row[9]),
    )


def _insert(statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
    columns = [list(column) for column in zip(*rows, strict=True)]
    if columns:
        with bulk_cursor() as cursor:
            cursor.execute(statement, columns)
