"""Registering what exists: storages, data sets and models.

Registering again under the same name states all facts anew; the same facts again change nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import models, transaction
from django.utils import timezone

from governance.addresses import check_address
from governance.errors import ColophonError
from governance.keys import organisation_key
from governance.models import Dataset, Model, Storage
from governance.selectors.registry import address_of, address_place
from governance.services import ledger
from governance.strictjson import JSON

# A unique index holds at most 2,704 bytes of namespace and name together (PostgreSQL's btree).
NAME_BYTES = 2_000

Thing = TypeVar("Thing", bound=models.Model)


class DatasetIncompleteError(ColophonError):
    """One fact about a data set makes another necessary, named in ``missing``."""

    code = "dataset_incomplete"
    status = 400


class StorageKindFixedError(ColophonError):
    """A storage does not turn into one of another kind: data sets lie in it."""

    code = "storage_kind_fixed"
    status = 409


class NameTooLongError(ColophonError):
    """Namespace and name together are longer than can be kept unique."""

    code = "name_too_long"
    status = 400


@dataclass(frozen=True, slots=True)
class Registered(Generic[Thing]):
    """What is registered now; ``created`` tells whether this call registered it first."""

    thing: Thing
    created: bool


@transaction.atomic
def register_storage(
    *, name: str, kind: str, address: str, enabled: bool = True
) -> Registered[Storage]:
    """Register a storage, or give the one of that name a new address.

    Raises `StorageAddressUnusableError` and `StorageKindFixedError`.
    """
    check_address(kind=kind, address=address)
    storage, created = Storage.objects.select_for_update().get_or_create(
        name=name, defaults={"kind": kind, "enabled": enabled, "address_sealed": b""}
    )
    if storage.kind != kind:
        raise StorageKindFixedError(f"the storage is one of kind {storage.kind}", kind=storage.kind)
    moved = created or address_of(storage) != address
    if not _changed(storage, {"enabled": enabled}) and not moved:
        return Registered(storage, created=False)
    if moved:
        storage.address_sealed = organisation_key().seal(address.encode(), address_place(storage))
    storage.save(update_fields=["address_sealed", "enabled"])
    ledger.append(
        kind="storage.registered" if created else "storage.changed",
        facts={
            "storage": str(storage.uuid),
            "name": name,
            "kind": kind,
            "enabled": enabled,
            "address_changed": moved,
        },
    )
    return Registered(storage, created=created)


@transaction.atomic
def register_dataset(
    *,
    namespace: str,
    name: str,
    description: str = "",
    categories: Sequence[str] = (),
    storage: Storage | None = None,
    location: str = "",
    subject_column: str = "",
    subject_scheme: str = "",
    erasure_options: Mapping[str, JSON] | None = None,
) -> Registered[Dataset]:
    """Register a data set, or state its facts anew; one known from events becomes registered.

    Raises `DatasetIncompleteError` for a storage without a location, or a subject column
    without its scheme, and `NameTooLongError`.
    """
    _check_name(namespace, name)
    _check_complete(storage, location, subject_column, subject_scheme)
    facts: dict[str, Any] = {
        "description": description,
        "categories": list(categories),
        "storage": storage,
        "location": location,
        "subject_column": subject_column,
        "subject_scheme": subject_scheme,
        "erasure_options": dict(erasure_options or {}),
    }
    dataset, created = Dataset.objects.select_for_update(of=("self",)).get_or_create(
        namespace=namespace, name=name, defaults={**facts, "registered_at": timezone.now()}
    )
    first = created or dataset.registered_at is None
    changed = _changed(dataset, facts)
    if first or changed:
        dataset.registered_at = dataset.registered_at or timezone.now()
        dataset.save(update_fields=[*facts, "registered_at"])
        kind = "dataset.registered" if first else "dataset.changed"
        ledger.append(kind=kind, facts=_dataset_facts(dataset))
    return Registered(dataset, created=first)


@transaction.atomic
def register_model(*, namespace: str, name: str, description: str = "") -> Registered[Model]:
    """Register a model and, where nobody has, the data set that its versions are written to.

    Raises `NameTooLongError`.
    """
    _check_name(namespace, name)
    dataset, _ = Dataset.objects.select_for_update(of=("self",)).get_or_create(
        namespace=namespace, name=name
    )
    if dataset.registered_at is None:
        dataset.registered_at = timezone.now()
        dataset.save(update_fields=["registered_at"])
        ledger.append(kind="dataset.registered", facts=_dataset_facts(dataset))
    model, created = Model.objects.get_or_create(
        dataset=dataset, defaults={"description": description}
    )
    changed = _changed(model, {"description": description})
    if changed:
        model.save(update_fields=["description"])
    if created or changed:
        ledger.append(
            kind="model.registered" if created else "model.changed",
            facts={
                "model": str(model.uuid),
                "dataset": str(dataset.uuid),
                "namespace": namespace,
                "name": name,
            },
        )
    return Registered(model, created=created)


def _check_complete(
    storage: Storage | None, location: str, subject_column: str, subject_scheme: str
) -> None:
    if storage and not location:
        raise DatasetIncompleteError("say where in the storage it lies", missing="location")
    if subject_column and not subject_scheme:
        raise DatasetIncompleteError(
            "say what kind of identifier the subject column holds", missing="subject_scheme"
        )


def _check_name(namespace: str, name: str) -> None:
    if len(namespace.encode()) + len(name.encode()) > NAME_BYTES:
        raise NameTooLongError(
            f"namespace and name together have more than {NAME_BYTES} bytes", limit=NAME_BYTES
        )


def _changed(row: models.Model, facts: Mapping[str, Any]) -> bool:
    """Put facts into a row, and tell whether any was another."""
    old = {name: getattr(row, name) for name in facts}
    for name, value in facts.items():
        setattr(row, name, value)
    return old != facts


def _dataset_facts(dataset: Dataset) -> dict[str, JSON]:
    return {
        "dataset": str(dataset.uuid),
        "namespace": dataset.namespace,
        "name": dataset.name,
        "description": dataset.description,
        "categories": list(dataset.categories),
        "storage": dataset.storage.name if dataset.storage else None,
        "location": dataset.location,
        "subject_column": dataset.subject_column,
        "subject_scheme": dataset.subject_scheme,
        "erasure_options": dataset.erasure_options,
    }
