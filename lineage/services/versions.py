"""Versions of data sets and of models: made once, and kept in step with their runs."""

from collections.abc import Collection, Sequence
from datetime import date, datetime

from django.db import transaction

from lineage.models import DatasetVersion
from lineage.openlineage import EARLIEST, REPLACING, RunState
from lineage.selectors import identities
from lineage.services import staleness
from lineage.services.locks import wait_for_graph
from lineage.services.statements import bulk_cursor


def ensure_origins(datasets: Collection[int]) -> None:
    """Give data sets the version that stands for what was there before any known write."""
    with bulk_cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO lineage_datasetversion
                   (kind, dataset_id, identity, declared, lifecycle, announced_at, visible_from,
                    complete_at, replaces)
            SELECT 'origin', dataset, lineage_identity_of(dataset), '', '', %s, %s, %s, false
              FROM unnest(%s::bigint[]) AS dataset
             WHERE NOT EXISTS (SELECT 1 FROM lineage_datasetversion v
                                WHERE v.dataset_id = dataset AND v.kind = 'origin')
            ON CONFLICT DO NOTHING
            """,
            [EARLIEST, EARLIEST, EARLIEST, list(datasets)],
        )


def name_versions(named: Sequence[tuple[int, str, datetime]]) -> None:
    """Keep the versions that readers named: (data set, name, when it was read first)."""
    first: dict[tuple[int, str], datetime] = {}
    for dataset, declared, at in named:
        first[dataset, declared] = min(first.get((dataset, declared), at), at)
    if not first:
        return
    rows = sorted((dataset, declared, at) for (dataset, declared), at in first.items())
    with bulk_cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO lineage_datasetversion AS version
                   (kind, dataset_id, identity, declared, lifecycle, announced_at, visible_from,
                    complete_at, replaces)
            SELECT 'named', dataset, lineage_identity_of(dataset), declared, '', at, at, at, false
              FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[])
                   AS said (dataset, declared, at)
            ON CONFLICT (dataset_id, declared) WHERE kind = 'named' DO UPDATE
               SET announced_at = least(version.announced_at, excluded.announced_at),
                   visible_from = least(version.visible_from, excluded.visible_from),
                   complete_at = least(version.complete_at, excluded.complete_at)
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )


def follow_runs(runs: Sequence[tuple[int, date]]) -> None:
    """Set when the runs' versions can be seen and are whole, and whether they replace.

    A run is told by its key and its month. Only a completed run is believed to have replaced; one
    that failed may have left the rest.
    """
    with bulk_cursor() as cursor:
        cursor.execute(
            """
            UPDATE lineage_datasetversion AS version
               SET visible_from = run.started_at,
                   complete_at = CASE WHEN run.state >= %(ended)s THEN run.state_at
                                      ELSE run.last_heard_at END,
                   replaces = run.state = %(complete)s AND version.lifecycle = ANY(%(replacing)s)
              FROM unnest(%(runs)s::bigint[], %(months)s::date[]) AS touched (id, month)
              JOIN lineage_run AS run USING (id, month)
             WHERE version.run_id = touched.id
            """,
            {
                "runs": [pk for pk, _ in runs],
                "months": [month for _, month in runs],
                "ended": int(RunState.COMPLETE),
                "complete": int(RunState.COMPLETE),
                "replacing": list(REPLACING),
            },
        )


def announce_models(datasets: Sequence[int]) -> list[int]:
    """Register the data sets that events call models; return those that were not known as such."""
    with bulk_cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO governance_model (uuid, dataset_id, description, created_at)
            SELECT gen_random_uuid(), dataset, '', clock_timestamp()
              FROM unnest(%s::bigint[]) AS dataset
             WHERE NOT EXISTS (SELECT 1 FROM governance_model m WHERE m.dataset_id = dataset)
            ON CONFLICT (dataset_id) DO NOTHING
            RETURNING dataset_id
            """,
            [list(datasets)],
        )
        return [row[0] for row in cursor.fetchall()]


def make_model_versions(*, runs: Collection[int], datasets: Collection[int]) -> int:
    """Make a model version of every write to a model that has none; return how many.

    Looks at what these runs wrote, and at every write to these data sets under any of their names.
    """
    with bulk_cursor() as cursor:
        cursor.execute(
            """
            WITH touched AS MATERIALIZED (
                SELECT id, kind, dataset_id, complete_at, uuid FROM lineage_datasetversion
                 WHERE run_id = ANY(%(runs)s)
                 UNION
                SELECT v.id, v.kind, v.dataset_id, v.complete_at, v.uuid
                  FROM unnest(%(datasets)s::bigint[]) AS d
                  JOIN lineage_datasetversion v ON v.identity = lineage_identity_of(d)
            )
            INSERT INTO lineage_modelversion (model_id, version_id, stale_at)
            SELECT made.id, v.id, clock_timestamp()
              FROM touched v
             CROSS JOIN LATERAL (
                    SELECT m.id FROM governance_model m
                     WHERE m.dataset_id = v.dataset_id
                        OR m.dataset_id IN (
                            SELECT other.dataset_id FROM lineage_identity mine
                              JOIN lineage_identity other USING (identity)
                             WHERE mine.dataset_id = v.dataset_id)
                     ORDER BY m.id LIMIT 1) AS made
             WHERE v.kind = 'written'
               AND NOT EXISTS (SELECT 1 FROM lineage_modelversion k WHERE k.version_id = v.id)
             ORDER BY v.complete_at, v.uuid
            ON CONFLICT (version_id) DO NOTHING
            """,
            {"runs": list(runs), "datasets": list(datasets)},
        )
        return cursor.rowcount


@transaction.atomic
def record_erasure(*, dataset_id: int, at: datetime) -> DatasetVersion:
    """Note that an erasure has rewritten a data set: a new version begins, carrying the rest on."""
    wait_for_graph()
    ensure_origins([dataset_id])
    version = DatasetVersion.objects.create(
        kind=DatasetVersion.Kind.ERASED, dataset_id=dataset_id,
        identity=identities.identity_of(dataset_id),
        announced_at=at, visible_from=at, complete_at=at,
    )  # fmt: skip
    staleness.mark_datasets({dataset_id: at})
    return version
