"""Whether a data set can be reached to erase from, as it is registered now."""

from enum import StrEnum

from governance.models import Dataset, Storage


class Obstacle(StrEnum):
    """What stands in the way before anything is tried; the codes are those of a blocked step."""

    NO_STORAGE = "no_storage"
    STORAGE_DISABLED = "storage_disabled"
    PERSON_NEEDED = "person_needed"
    UNKNOWN_UPSTREAM = "unknown_upstream"


def obstacle(dataset: Dataset) -> Obstacle | None:
    """Return what stands in the way of erasing from a data set; nothing if it can be tried."""
    storage = dataset.storage
    by_hand = storage is not None and storage.kind == Storage.Kind.MANUAL
    if storage is None or not (dataset.subject_column or by_hand):
        return Obstacle.NO_STORAGE
    if not storage.enabled:
        return Obstacle.STORAGE_DISABLED
    return Obstacle.PERSON_NEEDED if by_hand else None
