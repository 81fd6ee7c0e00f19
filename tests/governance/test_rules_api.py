import pytest

from governance.models import PolicyVersion, Purpose
from tests.factories.governance import PurposeFactory

pytestmark = pytest.mark.django_db

PURPOSE = {
    "key": "research",
    "title": "Research",
    "dpv_iri": "https://w3id.org/dpv#ResearchAndDevelopment",
    "legal_basis": "consent",
}
POLICY = {"key": "reuse", "title": "Reuse", "text": "Only as agreed.\n", "rules": {"k": 20}}


@pytest.fixture
def writer(caller):
    return caller("registry:write")


def test_a_purpose_is_created_once_and_everyone_may_read_it(writer, anyone):
    PurposeFactory(key="all")
    facts = PURPOSE | {"parent": "all"}
    first = writer.post("/api/v1/purposes", facts, format="json")
    again = writer.post("/api/v1/purposes", facts, format="json")
    assert (first.status_code, again.status_code) == (201, 200)
    purpose = Purpose.objects.get(key="research")
    shown = facts | {
        "uuid": str(purpose.uuid), "created_at": first.json()["created_at"], "special_basis": "",
    }  # fmt: skip
    assert first.json() == again.json() == shown
    assert anyone.get("/api/v1/purposes").json()["results"][1] == shown


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"title": "Other"}, 409, "purpose_key_taken"),
        ({"legal_basis": "because"}, 400, "invalid"),
        ({"key": "not a slug"}, 400, "invalid"),
        ({"key": "x" * 51}, 400, "invalid"),
        ({"dpv_iri": "dpv:Research"}, 400, "purpose_iri_malformed"),
        ({"dpv_iri": "https://w3id.org/" + "x" * 200}, 400, "invalid"),
        ({"special_basis": "a"}, 400, "invalid"),
        ({"parent": "none"}, 400, "invalid"),
    ],
)
def test_a_purpose_that_cannot_be_is_refused(writer, change, status, code):
    writer.post("/api/v1/purposes", PURPOSE, format="json")
    response = writer.post("/api/v1/purposes", PURPOSE | change, format="json")
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert Purpose.objects.get().title == "Research"


def test_a_policy_is_drafted_published_and_then_read_by_everyone(writer, anyone):
    draft = writer.post("/api/v1/policies", POLICY, format="json")
    assert draft.status_code == 200
    assert draft.json() == {
        "uuid": str(PolicyVersion.objects.get().uuid),
        "policy": "reuse",
        "number": 1,
        "title": "Reuse",
        "text": "Only as agreed.\n",
        "rules": {"k": 20},
        "published_at": None,
    }
    assert anyone.get("/api/v1/policies").json() == {"results": [], "next": None}
    assert anyone.get("/api/v1/policies/reuse").status_code == 404

    published = writer.post("/api/v1/policies/reuse/publish")
    assert published.status_code == 200
    version = published.json()
    assert version["published_at"] is not None
    shown = anyone.get("/api/v1/policies/reuse").json()
    assert (shown["key"], shown["versions"]) == ("reuse", [version])
    assert anyone.get("/api/v1/policies").json()["results"] == [shown]

    again = writer.post("/api/v1/policies/reuse/publish")
    assert (again.status_code, again.json()["code"]) == (409, "policy_without_draft")
    assert writer.post("/api/v1/policies/none/publish").status_code == 404


def test_the_catalogue_costs_the_same_queries_however_long_it_is(
    writer, anyone, django_assert_num_queries
):
    for n in range(3):
        for _ in range(2):
            writer.post("/api/v1/policies", POLICY | {"key": f"p{n}"}, format="json")
            writer.post(f"/api/v1/policies/p{n}/publish")
    with django_assert_num_queries(2):
        found = anyone.get("/api/v1/policies").json()["results"]
    assert [[version["number"] for version in each["versions"]] for each in found] == [[2, 1]] * 3
