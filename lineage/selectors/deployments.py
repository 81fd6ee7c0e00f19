"""Where versions of models are, or were, in use."""

from uuid import UUID

from django.db.models import QuerySet

from governance.errors import NotFoundError
from lineage.models import Deployment, ModelVersion


def deployments(*, made: ModelVersion | None = None) -> "QuerySet[Deployment]":
    """Return deployments with what is told of them; of one model version where it is given."""
    found = Deployment.objects.select_related("model_version__model__dataset").order_by("uuid")
    return found if made is None else found.filter(model_version=made)


def deployment(uuid: UUID) -> Deployment:
    """Return one deployment, or raise `NotFoundError`."""
    found = deployments().filter(uuid=uuid).first()
    if found is None:
        raise NotFoundError("no such deployment is known")
    return found
