"""What became of the events that were sent."""

from uuid import UUID

from governance.errors import NotFoundError
from governance.models import ApiClient, Model
from lineage.models import DatasetVersion, InboxEvent, ModelVersion


def event_of(*, client: ApiClient, uuid: UUID) -> InboxEvent:
    """Return a sender's own event, or raise `NotFoundError`."""
    try:
        return InboxEvent.objects.get(client=client, uuid=uuid)
    except InboxEvent.DoesNotExist:
        raise NotFoundError("no such event of yours is known") from None


def work_waits() -> bool:
    """Say whether an event is to be applied, a provenance to be frozen, or a model to be found."""
    late = DatasetVersion.objects.filter(
        kind=DatasetVersion.Kind.WRITTEN, model_version=None,
        dataset__in=Model.objects.values("dataset"),
    )  # fmt: skip
    return (
        InboxEvent.objects.filter(state=InboxEvent.State.READY).exists()
        or ModelVersion.objects.filter(stale_at__isnull=False).exists()
        or late.exists()
    )
