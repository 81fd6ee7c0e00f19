import pytest
from django.db import transaction

from governance.addresses import StorageAddressUnusableError
from governance.crypto import UnreadableError
from governance.errors import NotFoundError
from governance.keys import organisation_key
from governance.models import Dataset, LedgerRecord, Model, Storage
from governance.selectors import registry as selectors
from governance.selectors.ledger import opened
from governance.services import registry
from tests.factories.governance import DatasetFactory, ModelFactory, StorageFactory

pytestmark = pytest.mark.django_db

ADDRESS = "postgresql+psycopg://reader:s3cret@db/warehouse"


def last_facts():
    return opened(LedgerRecord.objects.latest("pk").uuid, organisation_key())["facts"]


def test_a_storage_is_registered_with_its_address_sealed(recorded):
    made = registry.register_storage(name="warehouse", kind="sql", address=ADDRESS)
    storage = Storage.objects.get()
    assert made == registry.Registered(storage, created=True)
    assert (storage.name, storage.kind, storage.enabled) == ("warehouse", "sql", True)
    assert b"s3cret" not in bytes(storage.address_sealed)
    assert selectors.address_of(storage) == ADDRESS
    assert recorded() == ["storage.registered"]
    assert last_facts() == {
        "storage": str(storage.uuid),
        "name": "warehouse",
        "kind": "sql",
        "enabled": True,
        "address_changed": True,
    }


def test_registering_a_storage_again_moves_it_or_changes_nothing(recorded):
    first = registry.register_storage(name="lake", kind="files", address="/srv/a").thing
    again = registry.register_storage(name="lake", kind="files", address="/srv/a")
    assert again == registry.Registered(first, created=False)
    assert recorded() == ["storage.registered"]
    registry.register_storage(name="lake", kind="files", address="/srv/b")
    moved = Storage.objects.get()
    assert (moved.uuid, selectors.address_of(moved)) == (first.uuid, "/srv/b")
    assert recorded() == ["storage.changed"]
    registry.register_storage(name="lake", kind="files", address="/srv/b", enabled=False)
    assert not Storage.objects.get().enabled
    assert recorded() == ["storage.changed"]


def test_a_storage_never_becomes_one_of_another_kind(recorded):
    StorageFactory(name="lake", kind="files", address="/srv/a")
    with pytest.raises(registry.StorageKindFixedError) as refusal:
        registry.register_storage(name="lake", kind="sql", address="sqlite://")
    assert refusal.value.code == "storage_kind_fixed"
    assert selectors.address_of(Storage.objects.get()) == "/srv/a"
    assert recorded() == []


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("sql", "sqlite:////srv/people.db"),
        ("sql", "postgresql+psycopg://u:p@h:5432/d"),
        ("files", "/srv/data"),
        ("files", "file:///srv/data"),
        ("files", "memory://people"),
    ],
)
def test_an_address_that_something_here_can_open_is_accepted(kind, address):
    storage = registry.register_storage(name="any", kind=kind, address=address).thing
    assert selectors.address_of(storage) == address


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("sql", "s3cret"),
        ("sql", "s3cret://u:p@h/d"),
        ("sql", "postgresql+s3cret://u:p@h/d"),
        ("sql", "postgresql://u:s3cret@h:port/d"),
        ("sql", "oracle+oracledb://u:s3cret@h/d"),
        ("sql", ""),
        ("files", "relative/s3cret"),
        ("files", "s3cret://bucket"),
        ("files", "file://s3cret"),
        ("files", "memory://"),
        ("files", "simplecache::memory://s3cret"),
        ("files", "/srv/\x00s3cret"),
        ("files", ""),
    ],
)
def test_an_address_that_nothing_can_open_is_refused_without_being_quoted(kind, address, recorded):
    with pytest.raises(StorageAddressUnusableError) as refusal:
        registry.register_storage(name="any", kind=kind, address=address)
    assert refusal.value.code == "storage_address_unusable"
    assert "s3cret" not in f"{refusal.value.message} {refusal.value.facts}"
    assert refusal.value.__context__ is None or refusal.value.__suppress_context__
    assert not Storage.objects.exists()
    assert recorded() == []


def test_sealed_addresses_cannot_be_swapped_between_storages():
    one, two = StorageFactory(), StorageFactory()
    two.address_sealed = one.address_sealed
    with pytest.raises(UnreadableError):
        selectors.address_of(two)


def test_a_data_set_is_registered_with_all_its_facts(recorded):
    storage = StorageFactory(name="lake")
    facts = {
        "description": "visits",
        "categories": ["health"],
        "storage": storage,
        "location": "visits/*.parquet",
        "subject_column": "email",
        "subject_scheme": "email",
        "erasure_options": {"set": {"email": None}},
    }
    made = registry.register_dataset(namespace="lake", name="visits", **facts)
    dataset = Dataset.objects.get()
    assert made == registry.Registered(dataset, created=True)
    assert {name: getattr(dataset, name) for name in facts} == facts
    assert dataset.registered_at is not None
    assert recorded() == ["dataset.registered"]
    assert last_facts() == facts | {
        "dataset": str(dataset.uuid),
        "namespace": "lake",
        "name": "visits",
        "storage": "lake",
    }


def test_a_data_set_known_from_events_becomes_registered_and_keeps_its_name(recorded):
    known = DatasetFactory()
    assert known.registered_at is None
    made = registry.register_dataset(namespace=known.namespace, name=known.name)
    assert (made.thing.uuid, made.created) == (known.uuid, True)
    assert Dataset.objects.get().registered_at is not None
    assert recorded() == ["dataset.registered"]


def test_registering_a_data_set_again_states_all_facts_anew(recorded):
    first = registry.register_dataset(namespace="n", name="d", description="old", location="t")
    again = registry.register_dataset(namespace="n", name="d", description="old", location="t")
    assert (again.thing, again.created) == (first.thing, False)
    assert recorded() == ["dataset.registered"]
    registry.register_dataset(namespace="n", name="d", description="new")
    dataset = Dataset.objects.get()
    assert (dataset.description, dataset.location) == ("new", "")
    assert dataset.registered_at == first.thing.registered_at
    assert recorded() == ["dataset.changed"]


def test_half_a_fact_about_a_data_set_is_refused(recorded):
    with pytest.raises(registry.DatasetIncompleteError) as refusal:
        registry.register_dataset(namespace="n", name="d", storage=StorageFactory())
    assert refusal.value.facts == {"missing": "location"}
    with pytest.raises(registry.DatasetIncompleteError) as refusal:
        registry.register_dataset(namespace="n", name="d", subject_column="email")
    assert refusal.value.facts == {"missing": "subject_scheme"}
    assert not Dataset.objects.exists()
    assert recorded() == []


def test_the_longest_name_fits_the_index_and_a_longer_one_is_refused():
    registry.register_dataset(namespace="n" * 1000, name="\N{GRINNING FACE}" * 250)
    with pytest.raises(registry.NameTooLongError):
        registry.register_dataset(namespace="n" * 1000, name="\N{GRINNING FACE}" * 250 + "x")
    with pytest.raises(registry.NameTooLongError):
        registry.register_model(namespace="n", name="m" * 2000)
    assert Dataset.objects.count() == 1


def test_a_model_brings_its_data_set_with_it(recorded):
    made = registry.register_model(namespace="models", name="triage", description="sorts")
    model = Model.objects.get()
    assert made == registry.Registered(model, created=True)
    assert (model.dataset.namespace, model.dataset.name) == ("models", "triage")
    assert model.dataset.registered_at is not None
    assert recorded() == ["dataset.registered", "model.registered"]


def test_registering_a_model_again_changes_its_description_alone(recorded):
    model = ModelFactory(dataset__registered=True)
    name = {"namespace": model.dataset.namespace, "name": model.dataset.name}
    assert registry.register_model(**name) == registry.Registered(model, created=False)
    assert recorded() == []
    registry.register_model(**name, description="new")
    assert Model.objects.get().description == "new"
    assert recorded() == ["model.changed"]


def test_if_the_ledger_cannot_be_written_nothing_is_registered(monkeypatch):
    def fail(**_):
        raise OSError

    monkeypatch.setattr(registry.ledger, "append", fail)
    with pytest.raises(OSError), transaction.atomic():  # noqa: PT011
        registry.register_dataset(namespace="n", name="d")
    assert not Dataset.objects.exists()


def test_what_is_not_there_is_not_found():
    with pytest.raises(NotFoundError):
        selectors.storage_named("none")


def test_data_sets_are_found_by_namespace_and_name():
    one, two = DatasetFactory(namespace="a", name="x"), DatasetFactory(namespace="b", name="x")
    assert list(selectors.datasets()) == [one, two]
    assert list(selectors.datasets(namespace="a")) == [one]
    assert list(selectors.datasets(namespace="b", name="x")) == [two]
    assert list(selectors.datasets(name="y")) == []
