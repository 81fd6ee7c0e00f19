"""What exists. Every list is ordered by ``uuid``, the order in which things were named."""

from typing import TypeVar
from uuid import UUID

from django.db.models import Model as Row
from django.db.models import QuerySet

from governance.errors import NotFoundError
from governance.keys import organisation_key
from governance.models import Dataset, Model, Storage

Named = TypeVar("Named", bound=Row)


def storages() -> QuerySet[Storage]:
    """Return every storage."""
    return Storage.objects.order_by("uuid")


def storage_named(name: str) -> Storage:
    """Return a storage by its name, or raise `NotFoundError`."""
    return _the_one(storages().filter(name=name), "there is no storage of this name")


def address_place(storage: Storage) -> str:
    """Return the place that a storage's address is sealed for."""
    return f"storage-address/{storage.uuid}"


def address_of(storage: Storage) -> str:
    """Return a storage's address in clear; it may hold a password, so never show or log it."""
    sealed = bytes(storage.address_sealed)
    return organisation_key().open(sealed, address_place(storage)).decode()


def datasets(*, namespace: str = "", name: str = "") -> QuerySet[Dataset]:
    """Return data sets, with their storage; of one namespace or name where given."""
    found = Dataset.objects.select_related("storage").order_by("uuid")
    if namespace:
        found = found.filter(namespace=namespace)
    return found.filter(name=name) if name else found


def dataset(uuid: UUID) -> Dataset:
    """Return one data set, or raise `NotFoundError`."""
    return _the_one(datasets().filter(uuid=uuid), "there is no such data set")


def models() -> QuerySet[Model]:
    """Return every model, with its data set."""
    return Model.objects.select_related("dataset").order_by("uuid")


def model(uuid: UUID) -> Model:
    """Return one model, or raise `NotFoundError`."""
    return _the_one(models().filter(uuid=uuid), "there is no such model")


def _the_one(found: QuerySet[Named], otherwise: str) -> Named:
    row = found.first()
    if row is None:
        raise NotFoundError(otherwise)
    return row
