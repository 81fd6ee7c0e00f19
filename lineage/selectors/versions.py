"""Versions of a data set, by time and by name."""

from uuid import UUID

from django.db import connection

from governance.errors import NotFoundError
from lineage.models import DatasetVersion, Run
from lineage.openlineage import RunState


def current(dataset_id: int) -> DatasetVersion:
    """Return the version that was whole last, or raise `NotFoundError` for one never seen."""
    timeline = DatasetVersion.objects.filter(dataset_id=dataset_id).exclude(kind="named")
    version = timeline.order_by("-complete_at", "-pk").first()
    if version is None:
        raise NotFoundError("no version of this data set is known")
    return version


def named(dataset_id: int, declared: str) -> DatasetVersion:
    """Return the version that was declared under a name, or raise `NotFoundError`."""
    found = DatasetVersion.objects.filter(dataset_id=dataset_id, declared=declared)
    version = found.order_by("-kind", "-complete_at", "-pk").first()
    if version is None:
        raise NotFoundError("no version of that name is known for this data set")
    return version


def by_id(uuid: UUID) -> DatasetVersion:
    """Return a version by its public id, or raise `NotFoundError`."""
    version = DatasetVersion.objects.filter(uuid=uuid).first()
    if version is None:
        raise NotFoundError("no such version of a data set is known")
    return version


def read_by(run: Run) -> list[int]:
    """Return every version that a run read, by the rule of what a run reads; made it or not.

    It read until it ended, or, while it has not, until it was last heard of. What lies behind a
    view that is known by its design alone is among them.
    """
    ended = run.state_at if RunState(run.state).terminal else run.last_heard_at
    with connection.cursor() as cursor:
        cursor.execute(_READ_BY, {"run": run.pk, "since": run.started_at, "until": ended})
        return [row[0] for row in cursor.fetchall()]


_READ_BY = """
    WITH said AS (
        SELECT i.dataset_id, i.declared FROM lineage_runinput i
         WHERE i.run_id = %(run)s
           AND (i.declared <> '' OR NOT EXISTS (
                SELECT 1 FROM lineage_runinput o
                 WHERE o.run_id = i.run_id AND o.dataset_id = i.dataset_id AND o.declared <> '')))
    SELECT seen.id FROM said
     CROSS JOIN LATERAL lineage_versions_read(
            lineage_identity_of(said.dataset_id), said.declared,
            %(since)s, %(until)s, %(run)s, 0) seen
    UNION
    SELECT seen.id FROM said
     CROSS JOIN LATERAL lineage_behind(
            lineage_identity_of(said.dataset_id), %(since)s, %(until)s) behind
     CROSS JOIN LATERAL lineage_versions_read(
            behind.identity, '', %(since)s, %(until)s, %(run)s, 0) seen
     WHERE said.declared = '' AND EXISTS (SELECT 1 FROM lineage_design)
     ORDER BY id
"""
