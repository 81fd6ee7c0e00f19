"""Auditors read what was concluded, operators settle it."""

from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from consent.models import UseAssessment, Violation
from consent.services import assessing
from governance.models import LedgerRecord
from tests.factories.auditor import Auditor
from tests.factories.governance import issued_key
from tests.factories.training import ANN, BOB, ask, facet, loans_of, says, study, train

pytestmark = pytest.mark.django_db


def caller(*scopes: str) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issued_key(*scopes)}")
    return client


@pytest.fixture
def two_trainings():
    """One followed the gate and is affected since; one used the data of somebody who refused."""
    study()
    loans = loans_of(ANN, BOB)
    says(ANN, "given", -600)
    says(BOB, "refused", -600)
    train(facet(ask(loans)), name="good")
    train(facet(), name="bad", minutes=10)
    assessing.assess_waiting(limit=10)
    says(ANN, "withdrawn", 60)
    assessing.assess_waiting(limit=10)


def test_conclusions_are_listed_with_who_is_affected_and_nobody_named(two_trainings):
    answer = caller("audit:read").get("/api/v1/assessments").json()
    assert answer["next"] is None
    shown = [
        (each["verdict"], each["reasons"], each["without_permission"], each["affected"])
        for each in answer["results"]
    ]
    assert shown == [
        ("compliant", [], 0, True), ("violation", ["used_without_permission"], 1, True),
    ]  # fmt: skip
    assert {(each["namespace"], each["name"]) for each in answer["results"]} == {("test", "model")}
    assert ANN not in str(answer)


def test_conclusions_are_found_by_verdict_and_by_run(two_trainings):
    bad = UseAssessment.objects.get(verdict="violation")
    asking = caller("audit:read")
    for query in ({"verdict": "violation"}, {"run": bad.run_uuid}):
        found = asking.get("/api/v1/assessments", query).json()["results"]
        assert [each["uuid"] for each in found] == [str(bad.uuid)]
    assert asking.get("/api/v1/assessments", {"verdict": "fine"}).status_code == 400
    assert asking.get("/api/v1/assessments", {"run": uuid4()}).json()["results"] == []


def test_a_violation_is_assigned_and_settled_once(two_trainings):
    [violation] = Violation.objects.all()
    operator, place = caller("requests:write"), f"/api/v1/violations/{violation.uuid}"
    assigned = operator.post(f"{place}/assignment", {"to": "privacy team"}, format="json")
    assert (assigned.status_code, assigned.json()["assigned_to"]) == (200, "privacy team")
    settled = {"resolution": "data_removed", "reason": "retrained without them"}
    for status in (200, 409):
        assert operator.post(f"{place}/resolution", settled, format="json").status_code == status
    again = operator.post(f"{place}/assignment", {"to": "others"}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "violation_settled")
    reading = caller("audit:read")
    assert reading.get("/api/v1/violations").json()["results"] == []
    [shown] = reading.get("/api/v1/violations", {"state": "any"}).json()["results"]
    assert (shown["resolution"], shown["reason"]) == ("data_removed", "retrained without them")
    told = LedgerRecord.objects.filter(kind__startswith="violation.").order_by("pk")
    assert list(told.values_list("kind", flat=True)) == [
        "violation.opened", "violation.assigned", "violation.resolved",
    ]  # fmt: skip


def test_an_unknown_violation_is_not_found_and_a_reason_is_needed(two_trainings):
    operator = caller("requests:write")
    [violation] = Violation.objects.all()
    empty = {"resolution": "false_alarm", "reason": ""}
    place = f"/api/v1/violations/{violation.uuid}/resolution"
    assert operator.post(place, empty, format="json").status_code == 400
    nowhere = f"/api/v1/violations/{uuid4()}/assignment"
    assert operator.post(nowhere, {"to": "x"}, format="json").status_code == 404
    assert caller("consent:read").get("/api/v1/violations").status_code == 403


def test_auditors_ask_the_same_over_graphql(two_trainings):
    bad = UseAssessment.objects.get(verdict="violation")
    answer = Auditor().ask(
        """query ($run: UUID!) {
             assessments(verdict: COMPLIANT) { nodes { affected modelVersion { version } reasons } }
             assessmentOfRun(run: $run) { verdict withoutPermission purposes gateDecision }
             violations(openOnly: true) {
               nodes { resolution withdrawnBy assessment { id reasons } } }
           }""",
        run=str(bad.run_uuid),
    )
    assert answer["assessments"]["nodes"] == [
        {"affected": True, "modelVersion": {"version": ""}, "reasons": []}
    ]
    assert answer["assessmentOfRun"] == {
        "verdict": "VIOLATION", "withoutPermission": 1, "purposes": ["study"], "gateDecision": None,
    }  # fmt: skip
    assert answer["violations"]["nodes"] == [
        {
            "resolution": None, "withdrawnBy": None,
            "assessment": {"id": str(bad.uuid), "reasons": ["USED_WITHOUT_PERMISSION"]},
        }
    ]  # fmt: skip
