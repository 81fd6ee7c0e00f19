"""Plans, approvals, dry runs, retries and queues, as programs ask for them."""

from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from consent.connectors.base import ConnectorError
from consent.models import DryRun, ErasureStep, PlanApproval, RequestRecord, RightsRequest
from consent.selectors import planned, queues
from consent.selectors.queues import PASSING, StepQueue
from consent.selectors.requests import RequestState
from consent.services import erasing, looking
from governance.models import Storage
from tests.factories import plans as made
from tests.factories.governance import issued_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def lake(tmp_path) -> made.Lake:
    return made.lake(tmp_path)


def caller(*scopes: str) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issued_key(*scopes)}")
    return client


@pytest.fixture
def operator(db) -> APIClient:
    return caller("requests:read", "requests:write")


@pytest.fixture
def request_(lake) -> RightsRequest:
    made.reviewed()
    return made.asked()


def at(request, more: str = "") -> str:
    return f"/api/v1/requests/{request.uuid}/plan{more}"


def test_a_plan_is_told_whole_with_what_a_dry_run_found(operator, request_):
    assert operator.post(at(request_, "/dry-run")).json()["steps"][0]["dry_run"]["code"] == ""
    for due in planned.looks_to_do():
        looking.look(dry_run_id=due.pk)
    told = operator.get(at(request_)).json()
    assert (told["request"], told["number"], told["waits"]) == (str(request_.uuid), 1, True)
    assert (told["approvals_needed"], told["policies"]) == (1, ["health 1"])
    shown = [
        (e["name"], e["certainty"], e["code"], e["dry_run"]["rows"], e["dry_run"]["code"])
        for e in told["steps"]
    ]
    assert shown == [
        ("survey", "unknown", "unknown_upstream", None, "unknown_upstream"),
        ("patients", "proven", "", 2, ""),
        ("features", "inferred", "", 1, ""),
        ("export", "inferred", "no_storage", None, "no_storage"),
    ]
    assert [(e["name"], e["code"]) for e in told["untouched"]] == [
        ("adults", "proven_without"), ("codes", "masked"), ("model", "model"),
    ]  # fmt: skip
    assert [(e["name"], e["way"]) for e in told["models"]] == [
        ("model", ["patients", "features", "model"])
    ]
    assert made.ANN not in str(told)
    assert str(request_.subject.uuid) not in str(told)


def test_a_plan_is_approved_by_what_was_read_and_the_erasure_begins(operator, lake, request_):
    wrong = operator.post(at(request_, "/approvals"), {"digest": "0" * 64}, format="json")
    assert (wrong.status_code, wrong.json()["code"]) == (409, "plan_changed")
    digest = operator.get(at(request_)).json()["digest"]
    told = operator.post(at(request_, "/approvals"), {"digest": digest}, format="json")
    assert (told.status_code, told.json()["waits"]) == (200, False)
    assert told.json()["approvals"][0]["by"] == PlanApproval.objects.get().by
    again = operator.post(at(request_, "/approvals"), {"digest": digest}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "plan_not_waiting")
    made.worked(erasing.carry_out)
    assert lake.rows() == [made.BOB]


def test_where_two_people_have_to_approve_a_key_is_none_of_them(operator, lake):
    made.reviewed(2)
    request = made.asked()
    digest = {"digest": made.digest(request)}
    for _ in range(2):
        refused = operator.post(at(request, "/approvals"), digest, format="json")
        assert (refused.status_code, refused.json()["code"]) == (403, "approval_needs_a_person")
    assert operator.get(at(request)).json()["approvals"] == []
    rejected = {**digest, "reason": "too early"}
    assert operator.post(at(request, "/rejections"), rejected, format="json").status_code == 200


def test_a_plan_is_rejected_with_a_reason_and_another_is_made(operator, request_):
    digest = made.digest(request_)
    nothing = operator.post(at(request_, "/rejections"), {"digest": digest}, format="json")
    assert nothing.status_code == 400
    said = {"digest": digest, "reason": "the export has an owner now"}
    told = operator.post(at(request_, "/rejections"), said, format="json").json()
    assert (told["number"], told["waits"]) == (2, True)
    assert [(e["number"], e["reason"]) for e in told["rejected"]] == [
        (1, "the export has an owner now")
    ]


def test_there_is_no_plan_before_there_is_one(operator, lake):
    assert operator.get(f"/api/v1/requests/{uuid4()}/plan").status_code == 404
    request = made.asked()
    answer = operator.post(at(request, "/dry-run"))
    assert (answer.status_code, answer.json()["code"]) == (409, "plan_not_waiting")
    assert not DryRun.objects.exists()


def test_a_blocked_step_is_tried_again_on_request(operator, lake):
    Storage.objects.filter(name="clinic").update(enabled=False)
    request = made.asked()
    made.worked(erasing.carry_out)
    step = request.steps.get(dataset=lake.patients)
    path = f"/api/v1/requests/{request.uuid}/steps/{step.uuid}/retry"
    states = {each["name"]: each["state"] for each in operator.post(path).json()["steps"]}
    assert (states["patients"], states["export"]) == ("ready", "blocked")
    refused = operator.post(path)
    assert (refused.status_code, refused.json()["code"]) == (409, "step_not_blocked")
    elsewhere = f"/api/v1/requests/{request.uuid}/steps/{uuid4()}/retry"
    assert operator.post(elsewhere).status_code == 404


def test_a_step_is_settled_with_evidence(operator, lake):
    request = made.asked()
    made.worked(erasing.carry_out)
    step = request.steps.get(dataset__name="export")
    path = f"/api/v1/requests/{request.uuid}/steps/{step.uuid}"
    said = {"outcome": "by_hand", "code": "gone", "reason": "r", "evidence": "two looked",
            "document_sha256": "0" * 63}  # fmt: skip
    assert operator.post(path, said, format="json").status_code == 400
    said["document_sha256"] += "F"
    nothing = {"outcome": "by_hand", "code": "gone", "reason": "r"}
    refused = operator.post(path, nothing, format="json")
    assert (refused.status_code, refused.json()["code"]) == (422, "evidence_missing")
    told = operator.post(path, said, format="json")
    assert told.status_code == 200
    ended = [e for e in told.json()["steps"] if e["outcome"]]
    assert [
        (e["name"], e["outcome"], e["read_back"]) for e in ended if e["id"] == str(step.uuid)
    ] == [("export", "by_hand", False)]
    assert {e["read_back"] for e in ended if e["id"] != str(step.uuid)} == {True}
    step.refresh_from_db()
    assert step.evidence == {"said": "two looked", "document_sha256": "0" * 63 + "f"}
    assert RequestRecord.objects.filter(kind="erasure.settled").count() == 1


@pytest.mark.parametrize("more", ["", "/dry-run", "/approvals", "/rejections"])
def test_another_scope_gets_no_further(lake, request_, more):
    caller_ = caller("requests:read" if more else "consent:read")
    answer = caller_.post(at(request_, more)) if more else caller_.get(at(request_))
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
    assert not PlanApproval.objects.exists()


def counts(operator) -> dict[tuple[str, str], int]:
    told = operator.get("/api/v1/queues").json()["queues"]
    return {(e["kind"], e["name"]): e["count"] for e in told if e["count"]}


def test_queues_say_how_much_waits_and_since_when(operator, lake):
    assert counts(operator) == {}
    made.asked(made.person(made.BOB))
    made.worked(erasing.carry_out)
    made.reviewed()
    waiting = made.asked()
    assert counts(operator) == {
        ("requests", "review"): 1, ("requests", "erasing"): 1, ("steps", "blocked"): 3,
        ("steps", "person"): 3, ("remediations", "open"): 2,
    }  # fmt: skip
    told = operator.get("/api/v1/queues").json()["queues"]
    [review] = [e for e in told if e["name"] == "review"]
    shown = waiting.received_at.isoformat().replace("+00:00", "Z")
    due = waiting.due_at.isoformat().replace("+00:00", "Z")
    assert (review["oldest_at"], review["due_at"]) == (shown, due)
    looking.ask(request=waiting, by="staff:1")
    assert counts(operator)["dry_runs", "open"] == 4


def test_steps_that_fail_again_and_again_stand_apart_from_those_that_need_somebody(lake):
    request = made.asked()
    step = request.steps.get(dataset=lake.patients)
    facts = {"state": "blocked", "code": "storage_unreachable", "attempt": 2}
    ErasureStep.objects.filter(pk=step.pk).update(**facts)
    assert not queues.steps_in(StepQueue.FAILING).exists()
    ErasureStep.objects.filter(pk=step.pk).update(attempt=3)
    assert list(queues.steps_in(StepQueue.FAILING)) == [step]
    assert step not in queues.steps_in(StepQueue.PERSON)
    assert step in queues.steps_in(StepQueue.BLOCKED)


def everyone(of: type) -> set[type]:
    return {of}.union(*(everyone(each) for each in of.__subclasses__()))


def test_what_passes_by_itself_is_what_the_connectors_say():
    retryable = {e.code for e in everyone(ConnectorError) if e.retryable}
    assert retryable == set(PASSING)


@pytest.mark.parametrize("state", [s for s in RequestState if s not in {"completed", "refused"}])
def test_the_queue_of_a_state_holds_what_stands_there(lake, state):
    from consent.selectors import requests
    from consent.services.requests import open_erasure

    eve = made.person("eve@example.org")
    open_erasure(subject=eve, key=uuid4(), verified=False)
    open_erasure(subject=eve, key=uuid4(), verified=False)  # is joined to the one before
    open_erasure(subject=made.person("frank@example.org"), key=uuid4(), verified=True)
    made.asked(made.person("carl@example.org"))
    made.asked(made.person(made.BOB))
    made.reviewed()
    made.asked()
    everything = set(RightsRequest.objects.all())
    there = {r for r in everything if requests.standing_of(r).state == state}
    assert len(there) == 1
    assert set(queues.requests_in(state)) == there
