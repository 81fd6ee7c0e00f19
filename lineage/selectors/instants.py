"""The graph as it stood at an instant: what events with an earlier or equal event time tell.

The tables of the graph are shadowed, until the block ends, by temporary ones of the same names
that hold what was said up to then. So every rule and every question has one home, and asks the
past exactly as it asks the present.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from lineage.openlineage import REPLACING, RunState
from lineage.selectors.horizon import refuse_before_horizon

_SHADOWS = {
    "lineage_alias": """
        SELECT a.* FROM {real}.lineage_alias a
         WHERE a.announced_at <= %(at)s AND a.low_id = ANY(%(scope)s)
    """,
    "lineage_identity": """
        WITH RECURSIVE joined (name, start) AS (
            SELECT low_id, low_id FROM lineage_alias
            UNION
            SELECT high_id, high_id FROM lineage_alias
            UNION
            SELECT CASE WHEN a.low_id = j.name THEN a.high_id ELSE a.low_id END, j.start
              FROM joined j JOIN lineage_alias a ON j.name IN (a.low_id, a.high_id))
        SELECT start AS dataset_id, min(name) AS identity FROM joined GROUP BY start
    """,
    "lineage_run": """
        SELECT r.id, r.uuid, r.month, r.run_id, r.job_id, said.state, said.state_at,
               said.started_at, said.last_heard_at, r.parent_id, r.root_id, r.parent_at
          FROM {real}.lineage_run r
         CROSS JOIN LATERAL (
                SELECT (array_agg(e.state ORDER BY e.state >= %(complete)s DESC, e.state > 0 DESC,
                                                   e.at DESC, e.state DESC))[1] AS state,
                       (array_agg(e.at ORDER BY e.state >= %(complete)s DESC, e.state > 0 DESC,
                                                e.at DESC, e.state DESC))[1] AS state_at,
                       min(e.at) AS started_at, max(e.at) AS last_heard_at
                  FROM {real}.lineage_runevent e
                 WHERE e.run_id = r.id AND e.at <= %(at)s) AS said
         WHERE said.started_at IS NOT NULL
           AND r.id IN (SELECT i.run_id FROM {real}.lineage_runinput i
                         WHERE i.dataset_id = ANY(%(scope)s)
                         UNION
                        SELECT v.run_id FROM {real}.lineage_datasetversion v
                         WHERE v.dataset_id = ANY(%(scope)s))
    """,
    "lineage_runinput": """
        SELECT i.* FROM {real}.lineage_runinput i
         WHERE i.dataset_id = ANY(%(scope)s) AND i.announced_at <= %(at)s
    """,
    "lineage_flow": """
        SELECT f.* FROM {real}.lineage_flow f
         WHERE f.event_at <= %(at)s AND f.run_id IN (SELECT r.id FROM lineage_run r)
    """,
    "lineage_design": """
        SELECT d.* FROM {real}.lineage_design d WHERE d.event_at <= %(at)s
    """,
    "lineage_datasetversion": """
        SELECT v.id, v.uuid, v.dataset_id, lineage_identity_of(v.dataset_id) AS identity, v.kind,
               v.run_id, coalesce(named.declared, '') AS declared, named.at AS declared_at,
               coalesce(changed.lifecycle, '') AS lifecycle, changed.at AS lifecycle_at,
               v.announced_at, r.started_at AS visible_from,
               CASE WHEN r.state >= %(complete)s THEN r.state_at
                    ELSE r.last_heard_at END AS complete_at,
               r.state = %(complete)s
                   AND coalesce(changed.lifecycle, '') = ANY(%(replacing)s) AS replaces
          FROM {real}.lineage_datasetversion v
          JOIN lineage_run r ON r.id = v.run_id
          LEFT JOIN LATERAL (
                SELECT s.declared, s.at FROM {real}.lineage_outputstatement s
                 WHERE s.version_id = v.id AND s.at <= %(at)s AND s.declared <> ''
                 ORDER BY s.at DESC, s.declared DESC LIMIT 1) named ON true
          LEFT JOIN LATERAL (
                SELECT s.lifecycle, s.at FROM {real}.lineage_outputstatement s
                 WHERE s.version_id = v.id AND s.at <= %(at)s AND s.lifecycle <> ''
                 ORDER BY s.at DESC, s.lifecycle DESC LIMIT 1) changed ON true
         WHERE v.kind = 'written' AND v.dataset_id = ANY(%(scope)s) AND v.announced_at <= %(at)s
         UNION ALL
        -- What no run writes, or one whose month is gone.
        SELECT v.id, v.uuid, v.dataset_id, lineage_identity_of(v.dataset_id), v.kind, v.run_id,
               v.declared, v.declared_at, v.lifecycle, v.lifecycle_at, v.announced_at,
               v.visible_from, v.complete_at, v.replaces
          FROM {real}.lineage_datasetversion v
         WHERE v.dataset_id = ANY(%(scope)s) AND v.announced_at <= %(at)s
           AND (v.kind <> 'written'
                OR NOT EXISTS (SELECT 1 FROM {real}.lineage_run r WHERE r.id = v.run_id))
    """,
    "governance_model": """
        SELECT m.* FROM {real}.governance_model m
          LEFT JOIN {real}.lineage_modelclaim c ON c.dataset_id = m.dataset_id
         WHERE m.dataset_id = ANY(%(scope)s)
           AND (c.id IS NULL OR c.announced_at <= %(at)s)
    """,
    "lineage_modelversion": """
        SELECT k.* FROM {real}.lineage_modelversion k
          JOIN lineage_datasetversion v ON v.id = k.version_id
          JOIN governance_model m ON m.id = k.model_id
    """,
}

_INDEXES = (
    "CREATE INDEX ON pg_temp.lineage_identity (dataset_id)",
    "CREATE INDEX ON pg_temp.lineage_run (id)",
    "CREATE INDEX ON pg_temp.lineage_runinput (run_id)",
    "CREATE INDEX ON pg_temp.lineage_flow (run_id, output_id)",
    "CREATE INDEX ON pg_temp.lineage_datasetversion (id)",
    "CREATE INDEX ON pg_temp.lineage_datasetversion (run_id)",
    "CREATE INDEX ON pg_temp.lineage_datasetversion (identity, complete_at)",
    "ANALYZE pg_temp.lineage_run, pg_temp.lineage_runinput, pg_temp.lineage_datasetversion",
)


@contextmanager
def as_it_stood(at: datetime, *, scope: Collection[int]) -> Iterator[None]:
    """Show the graph of these data sets as it stood; questions inside must be read inside.

    ``scope`` are keys of data sets and must be closed for the question: everything downstream of
    what is asked about, or everything upstream of it, under all names.
    """
    refuse_before_horizon(at)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT quote_ident(n.nspname) FROM pg_class c JOIN pg_namespace n"
            " ON n.oid = c.relnamespace WHERE c.oid = 'lineage_run'::regclass"
        )
        real = cursor.fetchone()[0]
        asked: dict[str, Any] = {
            "at": at, "scope": list(scope), "complete": int(RunState.COMPLETE),
            "replacing": list(REPLACING),
        }  # fmt: skip
        for name, shadow in _SHADOWS.items():
            cursor.execute(f"CREATE TEMP TABLE {name} AS {shadow.format(real=real)}", asked)
        for statement in _INDEXES:
            cursor.execute(statement)
        try:
            yield
        finally:
            # Where the block has failed, the savepoint takes the tables back.
            if not connection.needs_rollback:
                cursor.execute(f"DROP TABLE {', '.join(f'pg_temp.{name}' for name in _SHADOWS)}")
