"""What became of the events that were sent."""

from uuid import UUID

from django.db import connection

from governance.errors import NotFoundError
from governance.models import ApiClient
from lineage.models import InboxEvent, ModelVersion


def event_of(*, client: ApiClient, uuid: UUID) -> InboxEvent:
    """Return a sender's own event, or raise `NotFoundError`."""
    try:
        return InboxEvent.objects.get(client=client, uuid=uuid)
    except InboxEvent.DoesNotExist:
        raise NotFoundError("no such event of yours is known") from None


def late_models() -> list[int]:
    """Return the models of which a write is known that has not made a version yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT m.dataset_id FROM governance_model m
              JOIN lineage_datasetversion v
                ON v.identity = lineage_identity_of(m.dataset_id) AND v.kind = 'written'
             WHERE NOT EXISTS (SELECT 1 FROM lineage_modelversion k WHERE k.version_id = v.id)
            """
        )
        return [row[0] for row in cursor.fetchall()]


def work_waits() -> bool:
    """Say whether an event is to be applied, a provenance to be frozen, or a model to be found."""
    return (
        InboxEvent.objects.filter(state=InboxEvent.State.READY).exists()
        or ModelVersion.objects.filter(stale_at__isnull=False).exists()
        or bool(late_models())
    )
