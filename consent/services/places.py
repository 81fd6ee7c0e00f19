"""Where a registered data set lies, for a connector to go there."""

from consent.connectors.base import ConnectorError, Place
from consent.selectors.places import Obstacle, obstacle
from governance.models import Dataset
from governance.selectors.registry import address_of


class NoStorageError(ConnectorError):
    """Nobody has said where the data set lies."""

    code = str(Obstacle.NO_STORAGE)


class UnknownUpstreamError(NoStorageError):
    """Nobody is known to have written the data set, and nobody has registered it.

    It may hold anybody, so it cannot be called clean before somebody has looked.
    """

    code = str(Obstacle.UNKNOWN_UPSTREAM)


class StorageDisabledError(ConnectorError):
    """An operator has switched the storage off."""

    code = str(Obstacle.STORAGE_DISABLED)


def place_of(dataset: Dataset, *, step: str = "", unknown: bool = False) -> Place:
    """Return where a data set lies; ``step`` names work that is tried again.

    ``unknown`` says that nobody answers for what it holds. Raises `NoStorageError`,
    `UnknownUpstreamError` and `StorageDisabledError`.
    """
    storage, found = dataset.storage, obstacle(dataset)
    if storage is None or found is Obstacle.NO_STORAGE:
        error = UnknownUpstreamError if unknown else NoStorageError
        raise error("register the storage and the subject column, or settle it by hand")
    if found is Obstacle.STORAGE_DISABLED:
        raise StorageDisabledError("the storage is switched off: switch it on again")
    return Place(
        storage.kind, address_of(storage), dataset.location, dataset.subject_column,
        options=dataset.erasure_options, step=step,
    )  # fmt: skip
