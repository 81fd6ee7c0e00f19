"""What lineage servers are known to refuse, and producers to send, is taken."""

import json
from typing import Any

import pytest
from django.test import Client

from governance.services.clients import issue_key
from lineage.models import DatasetVersion, InboxEvent, Run, RunInput
from lineage.services.apply import apply_ready
from tests.factories.events import dataset, event

MODEL = dataset("model", model=True)
ONE = "/api/v1/lineage"


@pytest.fixture
def post(client: Client, db: None):
    bearer = issue_key(client_name="pipeline", scopes=["lineage:write"]).bearer

    def post(path: str, body: Any):
        sent = {"Authorization": f"Bearer {bearer}"}
        answer = client.post(path, json.dumps(body), "application/json", headers=sent)
        while apply_ready():
            pass
        return answer

    return post


def edges() -> set[tuple[str, str]]:
    reads = RunInput.objects.values_list("dataset__name", "run__job__name")
    written = DatasetVersion.objects.filter(kind="written")
    return set(reads) | set(written.values_list("run__job__name", "dataset__name"))


def test_an_event_of_a_megabyte_and_thousands_of_columns_is_taken(post):
    fields = [
        {"name": f"column_{n}", "type": "varchar(255)", "description": f"the {n}th of many" * 3}
        for n in range(8000)
    ]
    wide = dataset("wide")
    wide["facets"]["schema"] = {"fields": fields}
    body = event("COMPLETE", "train", 0, reads=[wide], writes=[MODEL])
    assert 900_000 < len(json.dumps(body)) < 1024 * 1024
    assert post(ONE, body).status_code == 201
    assert InboxEvent.objects.get().state == "done"
    assert edges() == {("wide", "train"), ("train", "model")}


def test_thousands_of_column_edges_in_one_event_are_taken(post):
    columns = {f"c{n}": [("raw", f"c{n}", False)] for n in range(3000)}
    body = event("COMPLETE", "job", 0, reads=["raw"], writes=[dataset("out", columns=columns)])
    assert post(ONE, body).status_code == 201
    assert InboxEvent.objects.get().state == "done"


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2026-06-01T12:00:00.123456789Z", "2026-06-01T12:00:00.123456+00:00"),
        ("2026-06-01T12:00:00", "2026-06-01T12:00:00+00:00"),
        ("2026-06-01T12:00:00.5", "2026-06-01T12:00:00.500000+00:00"),
        ("2026-06-01 12:00:00Z", "2026-06-01T12:00:00+00:00"),
        ("2026-06-01T22:00:00.123+10:00", "2026-06-01T12:00:00.123000+00:00"),
        ("2026-06-01T08:30:00-0330", "2026-06-01T12:00:00+00:00"),
        ("2026-06-01T12:00Z", "2026-06-01T12:00:00+00:00"),
    ],
)
def test_an_instant_is_understood_as_producers_write_it(post, written, instant):
    assert post(ONE, event("START", "job", 0) | {"eventTime": written}).status_code == 201
    assert Run.objects.get().started_at.isoformat() == instant


@pytest.mark.parametrize("left_out", ["schemaURL", "producer", "eventType", "inputs", "outputs"])
def test_what_producers_leave_out_is_no_reason_to_refuse(post, left_out):
    body = {k: v for k, v in event("START", "job", 0).items() if k != left_out}
    assert post(ONE, body).status_code == 201
    assert InboxEvent.objects.get().state == "done"
    assert Run.objects.count() == 1


@pytest.mark.parametrize(
    "identifier", ["run_id", "scheduled__2026-06-01T00:00:00+00:00", "42", "🏃"]
)
def test_a_run_id_need_not_be_a_uuid(post, identifier):
    assert post(ONE, event("START", "job", 0, run=identifier)).status_code == 201
    assert Run.objects.get().run_id == identifier


@pytest.mark.parametrize(
    ("kind", "state"),
    [("start", "RUNNING"), ("Complete", "COMPLETE"), ("fail", "FAIL"), ("abort", "ABORT"),
     ("SKIPPED", "HEARD_OF"), ("", "HEARD_OF"), (None, "HEARD_OF")],
)  # fmt: skip
def test_an_event_type_that_is_unknown_or_small_is_understood(post, kind, state):
    assert post(ONE, event("START", "job", 0) | {"eventType": kind}).status_code == 201
    assert Run.objects.get().get_state_display() == state


@pytest.mark.parametrize("empty", [None, {}, [], "text", 7])
def test_a_facet_of_the_wrong_shape_is_passed_over(post, empty):
    body = event("COMPLETE", "job", 0, reads=["raw"], writes=["out"], nominalTime=empty,
                 parent=empty)  # fmt: skip
    for each in (body["inputs"][0], body["outputs"][0]):
        for name in ("schema", "symlinks", "version", "columnLineage", "lifecycleStateChange"):
            each["facets"][name] = empty
    body["job"]["facets"] = {"lineage": empty, "ownership": empty}
    assert post(ONE, body).status_code == 201
    assert InboxEvent.objects.get().state == "done"
    assert edges() == {("raw", "job"), ("job", "out")}


@pytest.mark.parametrize("empty", [None, {}, [], 7, "x", [None], [{}], [{"namespace": "n"}]])
def test_what_stands_inside_a_facet_may_be_of_any_shape(post, empty):
    body = event("COMPLETE", "job", 0, reads=["raw"], writes=["out"],
                 parent={"run": empty, "job": empty, "root": empty})  # fmt: skip
    body["outputs"][0]["facets"] = {
        "symlinks": {"identifiers": empty},
        "version": {"datasetVersion": empty},
        "columnLineage": {"fields": empty, "dataset": empty},
        "lifecycleStateChange": {"lifecycleStateChange": "RENAME", "previousIdentifier": empty},
        "datasetType": {"datasetType": empty},
    }
    body["job"]["facets"] = {"lineage": {"entries": empty}}
    assert post(ONE, body).status_code == 201
    assert InboxEvent.objects.get().state == "done"
    assert edges() == {("raw", "job"), ("job", "out")}
