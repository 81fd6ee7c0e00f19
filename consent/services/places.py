"""Where a registered data set lies, for a connector to go there."""

from consent.connectors.base import ConnectorError, Place
from governance.models import Dataset, Storage
from governance.selectors.registry import address_of


class NoStorageError(ConnectorError):
    """Nobody has said where the data set lies."""

    code = "no_storage"


class StorageDisabledError(ConnectorError):
    """An operator has switched the storage off."""

    code = "storage_disabled"


def place_of(dataset: Dataset, *, step: str = "") -> Place:
    """Return where a data set lies; ``step`` names work that is tried again.

    Raises `NoStorageError` and `StorageDisabledError`.
    """
    storage = dataset.storage
    by_hand = storage is not None and storage.kind == Storage.Kind.MANUAL
    if storage is None or not (dataset.subject_column or by_hand):
        raise NoStorageError("register the storage and the subject column, or settle it by hand")
    if not storage.enabled:
        raise StorageDisabledError("the storage is switched off: switch it on again")
    return Place(
        storage.kind, address_of(storage), dataset.location, dataset.subject_column,
        options=dataset.erasure_options, step=step,
    )  # fmt: skip
