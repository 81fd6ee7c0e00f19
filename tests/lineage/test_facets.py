"""Facets: kept in the open or sealed, shown to whom they may be, odd ones told to the sender."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.facets.shapes import checks
from lineage.facets.warnings import MOST, warnings
from lineage.models import InboxEvent, JobFacet, Run, RunFacet, UseFacet
from tests.factories.auditor import Auditor
from tests.factories.events import dataset, description, event
from tests.factories.governance import issued_key

pytestmark = pytest.mark.django_db

SECRET = "select * from people where name = 'Ann Example'"


@pytest.fixture
def told(send):
    said = event(
        "COMPLETE", "train", 0, reads=[dataset("raw")], writes=["out"],
        job_facets={"sql": {"query": SECRET}, "jobType": {"processingType": "BATCH"}},
        errorMessage={"message": SECRET, "programmingLanguage": "SQL"},
        acme_tracker={"note": SECRET},
        nominalTime={"nominalStartTime": "2026-06-01T00:00:00Z"},
    )  # fmt: skip
    said["inputs"][0]["inputFacets"] = {
        "inputStatistics": {"rowCount": 5},
        "subset": {"inputCondition": {"type": "location", "locations": [SECRET]}},
    }
    send([said])


def shown(client, **asked):
    bearer = {"Authorization": f"Bearer {issued_key('lineage:read', client_name='engineer')}"}
    answer = client.get("/api/v1/lineage/facets", asked, headers=bearer)
    assert answer.status_code == 200, answer.content
    return {each["name"]: each["value"] for each in answer.json()["results"]}


def test_what_may_be_personal_is_kept_sealed(told):
    for kept in (*RunFacet.objects.all(), *JobFacet.objects.all(), *UseFacet.objects.all()):
        assert "Ann" not in json.dumps(kept.value)
        assert kept.sealed is None or b"Ann" not in bytes(kept.sealed)
    sealed = {f.name for f in (*RunFacet.objects.all(), *JobFacet.objects.all()) if f.sealed}
    assert sealed == {"sql", "errorMessage", "acme_tracker"}


def test_people_who_work_on_the_pipelines_see_everything(told, client):
    assert shown(client, of="job", namespace="test", name="train")["sql"] == {"query": SECRET}
    of_run = shown(client, of="run", id=str(Run.objects.get().uuid))
    assert of_run["acme_tracker"] == {"note": SECRET}
    assert of_run["inputStatistics"] == {"rowCount": 5}


def test_an_auditor_sees_that_there_is_a_facet_and_no_more(told):
    asked = '{ jobFacets(namespace: "test", name: "train") { name withheld value } }'
    assert Auditor().ask(asked)["jobFacets"] == [
        {"name": "jobType", "withheld": False, "value": {"processingType": "BATCH"}},
        {"name": "sql", "withheld": True, "value": None},
    ]


@pytest.mark.parametrize("asked", [{"of": "job"}, {"of": "run"}, {"of": "moon"}, {}])
def test_half_a_question_is_refused(client, asked):
    bearer = {"Authorization": f"Bearer {issued_key('lineage:read', client_name='engineer')}"}
    assert client.get("/api/v1/lineage/facets", asked, headers=bearer).status_code == 400


def test_a_facet_that_was_taken_back_is_not_shown_whatever_the_order(send, client):
    raw = dataset("raw")
    raw["facets"]["documentation"] = {"description": "all of it"}
    gone = dataset("raw")
    gone["facets"]["documentation"] = {"_deleted": True}
    send([description(1, gone)])
    send([description(0, raw)])
    assert shown(client, of="dataset", namespace="test", name="raw") == {}


def test_the_sender_reads_what_was_odd(send, key, client):
    said = event("SHUFFLE", "train", 0, run="not-a-uuid", writes=["out"])
    said["outputs"][0]["facets"] = {"schema": {"fields": [{"type": "text"}]}, "odd": 7}
    said["eventTime"] = "2026-06-01T12:00:00"
    send([said])
    kept = InboxEvent.objects.get()
    assert (kept.state, kept.applied_at is not None) == ("done", True)
    assert {(each["code"], each["where"]) for each in kept.warnings} == {
        ("event_time_without_zone", "eventTime"),
        ("event_type_unknown", "eventType"),
        ("run_id_not_uuid", "run.runId"),
        ("facet_member_missing", "outputs[0].facets.schema.fields[0].name"),
        ("facet_not_an_object", "outputs[0].facets"),
    }


def test_every_facet_of_the_package_is_known():
    kinds = {kind for kind, _ in checks()}
    assert kinds == {"run", "job", "dataset", "input", "output"}
    assert {
        ("dataset", "columnLineage"), ("dataset", "version"), ("dataset", "dataSource"),
        ("run", "processing_engine"), ("run", "parent"), ("job", "sql"), ("job", "lineage"),
        ("input", "subset"), ("output", "outputStatistics"),
    } <= checks().keys()  # fmt: skip


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)


@given(
    facets=st.dictionaries(
        st.sampled_from(["schema", "columnLineage", "lineage", "tags", "version", "sql"]),
        json_values,
    ),
    rest=json_values,
)
def test_nothing_is_too_odd_to_be_told(facets, rest):
    said = {"run": {"facets": facets, "runId": rest}, "job": {"facets": facets},
            "inputs": [{"facets": facets, "inputFacets": rest}], "outputs": rest}  # fmt: skip
    for each in (said, rest, {"dataset": {"facets": rest}}):
        assert len(warnings(each)) <= MOST
