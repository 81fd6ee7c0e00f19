"""Rows of governance for tests, made without its services and so without ledger entries."""

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory
from uuid_utils.compat import uuid7

from governance.keys import organisation_key
from governance.models import ApiClient, Dataset, LegalBasis, Model, Purpose, Storage
from governance.selectors.registry import address_place
from governance.services import clients


class StorageFactory(DjangoModelFactory):
    """A files storage; ``address`` is given in clear and kept sealed."""

    class Meta:
        model = Storage
        exclude = ("address",)

    uuid = factory.LazyFunction(uuid7)
    name = factory.Sequence(lambda n: f"storage-{n}")
    kind = Storage.Kind.FILES
    address = "/srv/data"
    address_sealed = factory.LazyAttribute(
        lambda made: organisation_key().seal(made.address.encode(), address_place(made))
    )


class DatasetFactory(DjangoModelFactory):
    """A data set known from events; ``registered=True`` makes it a registered one."""

    class Meta:
        model = Dataset

    class Params:
        registered = factory.Trait(registered_at=factory.LazyFunction(timezone.now))

    namespace = "warehouse"
    name = factory.Sequence(lambda n: f"table_{n}")


class ModelFactory(DjangoModelFactory):
    """A model in a data set of its own."""

    class Meta:
        model = Model

    dataset = factory.SubFactory(DatasetFactory, namespace="models")


class PurposeFactory(DjangoModelFactory):
    """A purpose that rests on consent."""

    class Meta:
        model = Purpose

    key = factory.Sequence(lambda n: f"purpose-{n}")
    title = factory.LazyAttribute(lambda made: made.key.replace("-", " ").capitalize())
    dpv_iri = "https://w3id.org/dpv#ResearchAndDevelopment"
    legal_basis = LegalBasis.CONSENT


class ApiClientFactory(DjangoModelFactory):
    """A client without keys."""

    class Meta:
        model = ApiClient

    name = factory.Sequence(lambda n: f"client-{n}")


def issued_key(*scopes: str, namespaces: tuple[str, ...] = (), client_name: str = "tests") -> str:
    """Issue a key, as the operator's command does, and return its bearer string."""
    issued = clients.issue_key(client_name=client_name, scopes=scopes, namespaces=namespaces)
    return issued.bearer
