"""A graph of the size that we plan for, made in the database from arithmetic, the same every time.

Data sets come in groups of 250, a team's, in eight layers; each reads three of the layers below
or, now and then, one of fifteen hubs that everybody uses. Each is written ten times in a year by
a job of its own; one in five adds to what was there, the others replace it. One data set in a
hundred, in the last layers, is a model. At 100,000 data sets that is 0.9 million runs, 2.5 million
inputs, 10,000 model versions, and hubs with a thousand consumers.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.db import connection

from lineage.openlineage import EARLIEST
from lineage.services.statements import bulk_cursor

BASE = 10**9  # keys of its own, above those of what events make meanwhile
FULL, SMALL, FIRST = 100_000, 4_000, 1_000
AFTER = datetime(2026, 2, 1, tzinfo=UTC)
ROUNDS, GROUP, LAYER, HUBS = 10, 250, 31, 15

_PART = "FROM generate_series(%(first)s::bigint, %(last)s - 1) AS k"
_RUNS = f"""
    FROM generate_series(%(first)s::bigint, %(last)s - 1) AS k
   CROSS JOIN generate_series(0, {ROUNDS - 1}) AS r
   CROSS JOIN LATERAL (
          SELECT timestamptz '2025-01-05T00:00Z' + r * interval '36 days'
                 + (k %% {GROUP}) / {LAYER} * interval '1 day'
                 + (k %% {GROUP}) * interval '1 minute' AS start) AS began
   CROSS JOIN LATERAL (SELECT start + interval '20 minutes' AS stop,
                              date_trunc('month', start, 'UTC')::date AS month,
                              {BASE} + k * {ROUNDS} + r AS run) AS ended
   WHERE k %% {GROUP} >= {LAYER}
"""
_STATEMENTS = (
    "CREATE TABLE IF NOT EXISTS bench_reads (k bigint, source bigint, UNIQUE (k, source))",
    f"""
    INSERT INTO bench_reads
    SELECT k, CASE WHEN h & 127 < 8 THEN (h >> 8) %% {HUBS}
                   ELSE k - k %% {GROUP} + (h >> 8) %% ((k %% {GROUP}) / {LAYER} * {LAYER}) END
      {_PART} CROSS JOIN generate_series(0, 2) AS i
     CROSS JOIN LATERAL (SELECT hashint4((k * 3 + i)::int) & 2147483647 AS h) AS hashed
     WHERE k %% {GROUP} >= {LAYER}
    ON CONFLICT DO NOTHING
    """,
    f"""
    INSERT INTO governance_dataset (id, uuid, namespace, name, description, categories, location,
                                    subject_column, subject_scheme, created_at)
    SELECT {BASE} + k, gen_random_uuid(), 'bench://graph', 'table_' || k, '', '{{}}', '', '', '',
           now() {_PART}
    """,
    f"""
    INSERT INTO lineage_datasetversion
           (id, kind, dataset_id, identity, declared, lifecycle, announced_at, visible_from,
            complete_at, replaces)
    SELECT {BASE} + k * {ROUNDS + 1}, 'origin', {BASE} + k, {BASE} + k, '', '', %(earliest)s,
           %(earliest)s, %(earliest)s, false {_PART}
    """,
    f"""
    INSERT INTO lineage_job (id, namespace, name) SELECT {BASE} + k, 'bench', 'job_' || k {_PART}
    """,
    f"SELECT lineage_ensure_months(array_agg(DISTINCT month)) {_RUNS}",
    f"""
    INSERT INTO lineage_run (id, month, run_id, job_id, state, state_at, started_at, last_heard_at)
    SELECT run, month, md5(run::text)::uuid::text, {BASE} + k, 2, stop, start, stop {_RUNS}
    """,
    f"""
    INSERT INTO lineage_runevent (run_id, month, at, state)
    SELECT run, month, said.at, said.state FROM (SELECT run, month, start, stop {_RUNS}) AS runs
     CROSS JOIN LATERAL (VALUES (start, 1), (stop, 2)) AS said (at, state)
    """,
    f"""
    INSERT INTO lineage_runinput (run_id, month, dataset_id, declared, announced_at)
    SELECT run, month, {BASE} + reads.source, '', start
      FROM (SELECT k, run, month, start {_RUNS}) AS runs JOIN bench_reads AS reads USING (k)
    """,
    f"""
    INSERT INTO lineage_datasetversion
           (id, kind, dataset_id, identity, run_id, declared, lifecycle, lifecycle_at,
            announced_at, visible_from, complete_at, replaces)
    SELECT {BASE} + k * {ROUNDS + 1} + r + 1, 'written', {BASE} + k, {BASE} + k, run, '',
           CASE WHEN k %% 5 > 0 THEN 'OVERWRITE' ELSE '' END,
           CASE WHEN k %% 5 > 0 THEN stop END, stop, start, stop, k %% 5 > 0 {_RUNS}
    """,
    f"""
    INSERT INTO governance_model (id, uuid, dataset_id, description, created_at)
    SELECT {BASE} + k, gen_random_uuid(), {BASE} + k, '', now() {_PART}
     WHERE k %% {GROUP} IN (231, 241) OR k %% (2 * {GROUP}) = 249
    """,
    f"""
    INSERT INTO lineage_modelversion (model_id, version_id, stale_at)
    SELECT m.id, v.id, now() FROM governance_model m
      JOIN lineage_datasetversion v ON v.dataset_id = m.dataset_id AND v.kind = 'written'
     WHERE m.id BETWEEN {BASE} + %(first)s AND {BASE} + %(last)s - 1
     ORDER BY v.complete_at
    """,
    f"""
    INSERT INTO lineage_inboxevent (uuid, client_id, digest, body_sealed, state, reason,
                                    reason_code, received_at)
    SELECT gen_random_uuid(), %(client)s, sha256(int8send(run)), '', 'done', '', '', now() {_RUNS}
    """,
)


def grow(*, first: int, last: int, client: int) -> None:
    """Add the data sets from ``first`` up to ``last``, with all that happened to them."""
    with connection.cursor() as cursor:
        for statement in _STATEMENTS:
            cursor.execute(
                statement, {"first": first, "last": last, "earliest": EARLIEST, "client": client}
            )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def count_of_runs() -> int:
    """Return how many runs there are."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM lineage_run")
        return int(cursor.fetchone()[0])


class Arrays:
    """The same graph in memory, as compressed rows: of each version, the versions it came from.

    A version of round ``r`` came from its inputs' versions of that round, and from its own of the
    round before where it adds to it; what nobody writes has its origin only.
    """

    def __init__(self, last: int) -> None:
        with bulk_cursor() as cursor:
            cursor.execute("SELECT k, source FROM bench_reads ORDER BY k, source")
            reads = np.array(cursor.fetchall(), dtype=np.int64)
        width, rounds = ROUNDS + 1, np.arange(1, ROUNDS + 1)
        written = reads[:, 1] % GROUP >= LAYER
        child = (reads[:, 0, None] * width + rounds).ravel()
        parent = (reads[:, 1, None] * width + np.where(written[:, None], rounds, 0)).ravel()
        adding = np.arange(0, last, 5)
        adding = adding[adding % GROUP >= LAYER]
        later = (adding[:, None] * width + rounds).ravel()
        child, parent = np.concatenate([child, later]), np.concatenate([parent, later - 1])
        order = np.argsort(child, kind="stable")
        self.parents = parent[order]
        self.starts = np.searchsorted(child[order], np.arange(last * width + 1))

    def ancestors(self, version: int) -> set[int]:
        """Return the keys of the data sets that a version descends from."""
        seen = np.zeros(len(self.starts) - 1, dtype=bool)
        edge = np.array([version - BASE])
        while edge.size:
            spans = [self.parents[self.starts[each] : self.starts[each + 1]] for each in edge]
            above = np.unique(np.concatenate(spans))
            edge = above[~seen[above]]
            seen[edge] = True
        return set((np.flatnonzero(seen) // (ROUNDS + 1) + BASE).tolist())


def events(last: int, count: int, start: int) -> list[dict[str, Any]]:
    """Return events of new runs of jobs from all over the graph."""
    chosen = [k for k in range(last) if k % GROUP >= LAYER]
    step = max(1, len(chosen) // count)
    picked = (chosen[::step] * count)[:count]
    with bulk_cursor() as cursor:
        cursor.execute(
            "SELECT k, array_agg(source) FROM bench_reads WHERE k = ANY(%s) GROUP BY k", [picked]
        )
        reads = dict(cursor.fetchall())
    return [_event(k, reads[k], start + n) for n, k in enumerate(picked)]


def _event(k: int, sources: list[int], number: int) -> dict[str, Any]:
    def named(of: int) -> dict[str, Any]:
        return {"namespace": "bench://graph", "name": f"table_{of}"}

    return {
        "eventType": "COMPLETE",
        "eventTime": (AFTER + timedelta(seconds=number)).isoformat(),
        "producer": "https://example.org/bench",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json",
        "run": {"runId": f"00000000-0000-7000-8000-{number:012}"},
        "job": {"namespace": "bench", "name": f"job_{k}"},
        "inputs": [named(each) for each in sources],
        "outputs": [named(k)],
    }
