import pytest

from governance.models import Dataset, Model, Storage
from governance.selectors.registry import address_of
from tests.factories.governance import DatasetFactory, ModelFactory, StorageFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def writer(caller):
    return caller("registry:read", "registry:write")


def instant(value):
    return value.isoformat().replace("+00:00", "Z")


def test_a_storage_is_registered_and_its_address_never_shown(writer):
    facts = {"name": "lake", "kind": "files", "address": "/srv/s3cret"}
    first = writer.post("/api/v1/storages", facts, format="json")
    again = writer.post("/api/v1/storages", facts, format="json")
    storage = Storage.objects.get()
    shown = {
        "uuid": str(storage.uuid),
        "name": "lake",
        "kind": "files",
        "enabled": True,
        "created_at": instant(storage.created_at),
    }
    assert (first.status_code, first.json()) == (201, shown)
    assert (again.status_code, again.json()) == (200, shown)
    assert writer.get("/api/v1/storages").json() == {"results": [shown], "next": None}
    assert address_of(storage) == "/srv/s3cret"


def test_an_unusable_address_is_refused_without_being_quoted(writer):
    facts = {"name": "lake", "kind": "sql", "address": "nosuch://u:s3cret@h/d"}
    response = writer.post("/api/v1/storages", facts, format="json")
    assert (response.status_code, response.json()["code"]) == (400, "storage_address_unusable")
    assert b"s3cret" not in response.content
    assert not Storage.objects.exists()


def test_a_data_set_is_registered_listed_and_shown(writer, recorded):
    StorageFactory(name="lake")
    recorded()
    facts = {
        "namespace": "lake",
        "name": "visits",
        "description": "who came",
        "categories": ["health"],
        "storage": "lake",
        "location": "visits/*.parquet",
        "subject_column": "email",
        "subject_scheme": "email",
        "erasure_options": {"set": {"email": None}},
    }
    response = writer.post("/api/v1/datasets", facts, format="json")
    dataset = Dataset.objects.get()
    shown = facts | {
        "uuid": str(dataset.uuid),
        "registered_at": instant(dataset.registered_at),
        "created_at": instant(dataset.created_at),
    }
    assert (response.status_code, response.json()) == (201, shown)
    assert writer.get(f"/api/v1/datasets/{dataset.uuid}").json() == shown
    assert writer.get("/api/v1/datasets").json() == {"results": [shown], "next": None}
    assert writer.post("/api/v1/datasets", facts, format="json").status_code == 200
    assert recorded() == ["dataset.registered"]


def test_a_data_set_without_a_storage_says_so(writer):
    facts = {"namespace": "n", "name": " d "}
    shown = writer.post("/api/v1/datasets", facts, format="json").json()
    assert (shown["storage"], shown["name"], shown["categories"]) == (None, " d ", [])


def test_data_sets_are_listed_a_page_at_a_time_and_by_name(writer):
    made = [DatasetFactory(namespace="ab"[n % 2], name=f"d{n // 2}") for n in range(6)]
    seen, cursor = [], {}
    while cursor is not None:
        page = writer.get("/api/v1/datasets", {"limit": 4, **cursor}).json()
        seen += [row["uuid"] for row in page["results"]]
        cursor = page["next"] and {"cursor": page["next"]}
    assert seen == [str(each.uuid) for each in made]
    found = writer.get("/api/v1/datasets", {"namespace": "b"}).json()["results"]
    assert [row["uuid"] for row in found] == [str(each.uuid) for each in made[1::2]]
    found = writer.get("/api/v1/datasets", {"namespace": "b", "name": "d1"}).json()["results"]
    assert [row["uuid"] for row in found] == [str(made[3].uuid)]


def test_a_list_costs_the_same_queries_however_long_it_is(writer, django_assert_num_queries):
    for _ in range(5):
        DatasetFactory(storage=StorageFactory(), location="t")
        ModelFactory()
    with django_assert_num_queries(2):
        assert len(writer.get("/api/v1/datasets").json()["results"]) == 10
    with django_assert_num_queries(2):
        assert len(writer.get("/api/v1/models").json()["results"]) == 5


def test_a_model_is_registered_listed_and_shown(writer):
    facts = {"namespace": "models", "name": "triage", "description": "sorts"}
    response = writer.post("/api/v1/models", facts, format="json")
    model = Model.objects.get()
    shown = facts | {
        "uuid": str(model.uuid),
        "dataset": str(model.dataset.uuid),
        "created_at": instant(model.created_at),
    }
    assert (response.status_code, response.json()) == (201, shown)
    assert writer.get(f"/api/v1/models/{model.uuid}").json() == shown
    assert writer.get("/api/v1/models").json() == {"results": [shown], "next": None}
    assert writer.post("/api/v1/models", facts, format="json").status_code == 200


@pytest.mark.parametrize("kind", ["datasets", "models"])
def test_a_key_writes_only_to_its_namespaces(caller, kind):
    client = caller("registry:write", namespaces=("lake*",))
    facts = {"namespace": "warehouse", "name": "d"}
    response = client.post(f"/api/v1/{kind}", facts, format="json")
    assert (response.status_code, response.json()["code"]) == (403, "namespace_denied")
    assert not Dataset.objects.exists()
    facts = {"namespace": "lake.raw", "name": "d"}
    assert client.post(f"/api/v1/{kind}", facts, format="json").status_code == 201
