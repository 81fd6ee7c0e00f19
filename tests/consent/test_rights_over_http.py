"""Rights requests over REST: opened, decided about and listed by those who may."""

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from consent.models import ConsentDecision, RequestLetter, Restriction, RightsRequest
from consent.services import planning, subjects
from governance.models import LegalBasis
from tests.factories.consent import registered
from tests.factories.governance import PurposeFactory, issued_key
from tests.factories.rights import ask, mailed

pytestmark = pytest.mark.django_db

REQUESTS = "/api/v1/requests"
JSON = "application/json"


def door(*scopes: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {issued_key(*scopes)}"})


@pytest.fixture
def operator() -> Client:
    return door("requests:read", "requests:write")


@pytest.fixture
def ann():
    return registered()


def opened(operator, subject, kind="access", status=201, key=None, **said):
    body = {"subject": str(subject.uuid), "kind": kind, "identity_verified": True} | said
    answer = operator.post(
        REQUESTS, body, content_type=JSON, headers={"Idempotency-Key": str(key or uuid4())}
    )
    assert answer.status_code == status, answer.content
    return answer.json()


def does(operator, request, what, status=200, **said):
    answer = operator.post(f"{REQUESTS}/{request['id']}/{what}", said, content_type=JSON)
    assert answer.status_code == status, answer.content
    return answer.json()


@pytest.mark.parametrize(
    ("kind", "more", "state"),
    [
        ("access", {}, "verified"),
        ("portability", {}, "verified"),
        ("rectification", {"details": "my age"}, "verified"),
        ("erasure", {}, "verified"),
        ("restriction", {}, "completed"),
        ("objection", {}, "completed"),
    ],
)
def test_every_kind_can_be_opened_once(operator, ann, kind, more, state):
    key = uuid4()
    first = opened(operator, ann, kind, key=key, **more)
    assert opened(operator, ann, kind, key=key, **more) == first
    assert (first["kind"], first["state"], first["source"]) == (kind, state, "person")
    assert (first["law"], first["confirm_by"], first["overdue"]) == ("gdpr", None, False)
    assert first["details"] == list(more.values())
    assert operator.get(f"{REQUESTS}/{first['id']}").json() == first


def test_a_delegate_says_by_which_right_and_the_law_can_be_said(operator, ann):
    asked = {"source": "delegate", "law": "cpra"}
    refused = opened(operator, ann, status=422, **asked)
    assert refused["code"] == "reason_missing"
    made = opened(operator, ann, reason="power of attorney", **asked)
    assert (made["source"], made["law"]) == ("delegate", "cpra")
    received, confirm, due = (
        datetime.fromisoformat(made[name]) for name in ("received_at", "confirm_by", "due_at")
    )
    assert timedelta(days=11) < confirm - received < timedelta(days=17)
    assert timedelta(days=45) < due - received < timedelta(days=46)
    assert "attorney" not in str(made)


def test_an_objection_names_its_purposes(operator, ann):
    chosen, _ = PurposeFactory.create_batch(2, legal_basis=LegalBasis.PUBLIC_TASK)
    opened(operator, ann, "objection", purposes=[chosen.key, chosen.key])
    assert [each.purpose for each in ConsentDecision.objects.all()] == [chosen]


@pytest.mark.parametrize(
    ("kind", "said", "status", "code"),
    [
        ("objection", {"purposes": ["nothing"]}, 400, "invalid"),
        ("objection", {"purposes": []}, 400, "invalid"),
        ("access", {"purposes": ["study"]}, 400, "invalid"),
        ("access", {"law": "lex"}, 400, "invalid"),
        ("access", {"source": "signal"}, 400, "invalid"),
        ("wish", {}, 400, "invalid"),
        ("access", {"details": "my age"}, 422, "details_missing"),
        ("rectification", {}, 422, "details_missing"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_code(operator, kind, said, status, code):
    PurposeFactory(key="study")
    assert opened(operator, registered(), kind, status, **said)["code"] == code
    assert not RightsRequest.objects.exists()


def test_somebody_erased_or_unknown_opens_nothing(operator, ann):
    subjects.forget(subject=ann)
    assert opened(operator, ann, status=410)["code"] == "subject_erased"
    ann.uuid = uuid4()
    assert opened(operator, ann, status=404)["code"] == "not_found"


def test_an_operator_stops_the_clock_extends_and_refuses(operator, ann):
    made = opened(operator, ann, identity_verified=False)
    assert does(operator, made, "resume", 409)["code"] == "clock_not_paused"
    assert does(operator, made, "pause")["paused_since"] is not None
    assert does(operator, made, "resume")["paused_since"] is None
    longer = does(operator, made, "extension", code="complexity", text="many places")
    assert longer["extension_code"] == "complexity"
    assert longer["due_at"] > made["due_at"]
    again = does(operator, made, "extension", 409, code="complexity")
    assert again["code"] == "extension_impossible"
    assert does(operator, made, "identity")["state"] == "verified"
    assert does(operator, made, "pause", 409)["code"] == "clock_cannot_pause"
    unfit = does(operator, made, "refusal", 422, ground="art_17_3_b")
    assert unfit["code"] == "ground_unfit"
    refused = does(operator, made, "refusal", ground="art_12_5_excessive", text="the ninth time")
    assert (refused["state"], refused["refusal_code"]) == ("refused", "art_12_5_excessive")
    assert does(operator, made, "identity", 409)["code"] == "request_ended"
    for texts in ("many places", "ninth time"):
        assert texts not in operator.get(f"{REQUESTS}/{made['id']}").content.decode()


def test_an_operator_closes_a_correction_and_nothing_else_so(operator, ann):
    made = opened(operator, ann, "rectification", details="my age")
    assert does(operator, made, "correction", reason="it is 36")["state"] == "completed"
    copy = opened(operator, ann)
    refused = does(operator, copy, "correction", 409, reason="done")
    assert refused["code"] == "request_not_to_be_answered"


def test_an_operator_lifts_a_restriction_after_the_person_was_told(operator, ann):
    made = opened(operator, ann, "restriction")
    assert made["restriction"]["until"] is None
    assert does(operator, made, "lifting", 409)["code"] == "person_not_told"
    assert does(operator, made, "lifting-notice", 400)["code"] == "invalid"
    does(operator, made, "lifting-notice", reason="the data is right")
    mailed(RightsRequest.objects.get())
    lifted = does(operator, made, "lifting")["restriction"]
    assert (lifted["lifted_by"], lifted["until"] is None) == ("operator", False)
    assert does(operator, made, "lifting", 409)["code"] == "not_restricted"


def test_a_request_that_was_joined_names_the_first(operator, ann):
    first, second = opened(operator, ann), opened(operator, ann)
    assert (second["state"], second["duplicate_of"]) == ("joined", first["id"])
    refused = does(operator, second, "refusal", 409, ground="art_12_5_excessive")
    assert (refused["code"], refused["first"]) == ("request_joined", first["id"])


@pytest.mark.parametrize("kind", ["access", "restriction"])
def test_only_an_erasure_has_a_certificate(operator, ann, kind):
    made = opened(operator, ann, kind)
    assert operator.get(f"{REQUESTS}/{made['id']}/certificate").status_code == 404
    for page in ("certificate", "certificate.json"):
        assert Client().get(f"/requests/{made['id']}/{page}").status_code == 404


def listed(operator, **asked) -> list[str]:
    """Return the ids on all pages, two to a page."""
    found, cursor = [], None
    while True:
        query = {"limit": 2, **asked} | ({"cursor": cursor} if cursor else {})
        answer = operator.get(REQUESTS, query)
        assert answer.status_code == 200, answer.content
        found += [each["id"] for each in answer.json()["results"]]
        cursor = answer.json()["next"]
        if cursor is None:
            return found


def test_requests_are_listed_those_due_first_first(operator):
    made = [ask(kind) for kind in ("access", "erasure", "access", "objection", "portability")]
    due = [9, -2, 5, 3, 5]
    for request, days in zip(made, due, strict=True):
        due_at = timezone.now().replace(microsecond=0) + timedelta(days=days)
        received_at = due_at - timedelta(days=30)
        RightsRequest.objects.filter(pk=request.pk).update(due_at=due_at, received_at=received_at)
    planning.plan(made[1].pk)
    names = [str(each.uuid) for each in made]
    assert listed(operator) == [names[n] for n in (1, 3, 2, 4, 0)]
    assert listed(operator, kind="access") == [names[2], names[0]]
    assert listed(operator, state="completed") == [names[3]]
    assert listed(operator, state="verifying", overdue="true") == [names[1]]
    assert listed(operator, overdue="false", kind="erasure") == []
    [entry] = operator.get(REQUESTS, {"kind": "erasure"}).json()["results"]
    assert (entry["overdue"], entry["subject"]) == (True, str(made[1].subject.uuid))


@pytest.mark.parametrize(
    "asked",
    [{"kind": "wish"}, {"state": "lost"}, {"overdue": "perhaps"}, {"cursor": "x"}, {"limit": "0"}],
)
def test_a_list_that_cannot_be_asked_for_is_refused(operator, asked):
    assert operator.get(REQUESTS, asked).status_code == 400


def test_a_page_costs_the_same_however_many_are_on_it(operator, django_assert_num_queries):
    for _ in range(3):
        ask("access")
    with django_assert_num_queries(2):  # the key, and the page
        operator.get(REQUESTS)


def test_whoever_may_only_read_decides_nothing(ann):
    reader = door("requests:read")
    request = {"id": str(ask("restriction", ann).uuid)}
    for what in ("identity", "pause", "resume", "extension", "refusal", "correction",
                 "lifting-notice", "lifting"):  # fmt: skip
        assert does(reader, request, what, 403)["code"] == "scope_missing"
    assert door("requests:write").get(REQUESTS).status_code == 403
    assert Restriction.objects.get().until is None
    assert not RequestLetter.objects.exists()
