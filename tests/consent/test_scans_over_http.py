"""Scans as their callers meet them."""

import sqlite3
from uuid import uuid4

import pytest

from consent.models import MembershipScan
from consent.services import scanning
from governance.models import Dataset
from governance.services.registry import register_dataset, register_storage
from tests.consent.test_consent_over_http import Caller, problem
from tests.factories.governance import DatasetFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic(tmp_path) -> Dataset:
    with sqlite3.connect(tmp_path / "clinic.sqlite") as wire:
        wire.execute("CREATE TABLE patients (email TEXT)")
        wire.execute("INSERT INTO patients VALUES ('ann@example.org'), ('secret')")
    address = f"sqlite:///{tmp_path}/clinic.sqlite"
    storage = register_storage(name="clinic", kind="sql", address=address).thing
    return register_dataset(
        namespace="clinic", name="raw", storage=storage, location="patients",
        subject_column="email", subject_scheme="email",
    ).thing  # fmt: skip


@pytest.fixture
def caller() -> Caller:
    return Caller("consent:write")


def test_a_scan_is_asked_for_and_followed_to_its_manifest(caller, clinic):
    path = f"datasets/{clinic.uuid}/scans"
    asked = caller.post(path, b"", "")
    assert asked.status_code == 202
    scan = asked.json()
    assert (scan["state"], scan["outcome"], scan["manifest"]) == ("ready", "", None)
    assert caller.post(path, {}).json() == scan
    assert caller.get(f"{path}/{scan['uuid']}").json() == scan
    scanning.carry_out(scan_id=MembershipScan.objects.get().pk)
    found = caller.get(f"{path}/{scan['uuid']}")
    assert b"secret" not in found.content
    assert b"ann@" not in found.content
    done = found.json()
    assert (done["state"], done["outcome"], done["code"], done["rows"], done["unusable"]) == (
        "done", "incomplete", "values_unusable", 2, 1,
    )  # fmt: skip
    assert (done["manifest"]["mode"], done["manifest"]["people"]) == ("add", 1)
    second = caller.post(path, {}).json()
    assert second["uuid"] != scan["uuid"]
    assert [each["uuid"] for each in caller.get(path).json()["results"]] == [
        scan["uuid"], second["uuid"],
    ]  # fmt: skip


def test_what_cannot_be_scanned_is_refused(caller, clinic):
    assert problem(caller.post(f"datasets/{uuid4()}/scans", {})) == (404, "not_found")
    nowhere = DatasetFactory(subject_column="who", subject_scheme="opaque")
    assert problem(caller.post(f"datasets/{nowhere.uuid}/scans", {})) == (409, "no_storage")
    clinic.storage.enabled = False
    clinic.storage.save()
    path = f"datasets/{clinic.uuid}/scans"
    assert problem(caller.post(path, {})) == (409, "storage_disabled")
    assert problem(caller.get(f"{path}/{uuid4()}")) == (404, "not_found")
    assert not MembershipScan.objects.exists()


def test_a_scan_of_one_data_set_is_not_found_under_another(caller, clinic):
    scan = scanning.ask(dataset=clinic).scan
    other = DatasetFactory()
    assert problem(caller.get(f"datasets/{other.uuid}/scans/{scan.uuid}")) == (404, "not_found")


def test_a_key_needs_the_scope_and_the_namespace(clinic):
    path = f"datasets/{clinic.uuid}/scans"
    reader = Caller("consent:read", "registry:write")
    bound = Caller("consent:write", namespaces=("elsewhere",))
    for answer in (reader.post(path, {}), reader.get(path)):
        assert problem(answer) == (403, "scope_missing")
    for answer in (bound.post(path, {}), bound.get(path), bound.get(f"{path}/{uuid4()}")):
        assert problem(answer) == (403, "namespace_denied")
    assert not MembershipScan.objects.exists()
