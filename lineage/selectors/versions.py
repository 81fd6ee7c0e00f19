"""Versions of a data set, by time and by name."""

from uuid import UUID

from governance.errors import NotFoundError
from lineage.models import DatasetVersion


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
