"""People, decisions, manifests and the gate as their callers meet them."""

import gzip
import json
from datetime import datetime
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import Client

from consent import gate_tokens
from consent.models import ConsentDecision, Manifest, Notice, Subject
from consent.selectors.membership import members
from consent.selectors.subjects import by_identifier
from consent.services import subjects
from governance import signing
from tests.factories.consent import parquet_of, registered, take, version_after
from tests.factories.governance import DatasetFactory, PurposeFactory, issued_key

ADA = {"scheme": "email", "value": "ada@example.org"}
PARQUET = "application/vnd.apache.parquet"
SCOPES = ("consent:read", "consent:write", "gate:ask", "registry:write")

pytestmark = pytest.mark.django_db


class Caller:
    """A client with a key."""

    def __init__(self, *scopes: str, name: str = "tests", namespaces: tuple[str, ...] = ()):
        key = issued_key(*(scopes or SCOPES), client_name=name, namespaces=namespaces)
        self._client = Client(raise_request_exception=False)
        self._headers = {"Authorization": f"Bearer {key}"}

    def post(self, path: str, body: Any, kind: str = "application/json", **headers: str):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._client.post(
            f"/api/v1/{path}", raw, content_type=kind, headers=self._headers | headers
        )

    def get(self, path: str):
        return self._client.get(f"/api/v1/{path}", headers=self._headers)


@pytest.fixture
def caller(db) -> Caller:
    return Caller()


@pytest.fixture
def purpose():
    return PurposeFactory(key="training")


def problem(response) -> tuple[int, str]:
    assert response.headers["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def decision(**changed) -> dict[str, Any]:
    said = {"purpose": "training", "kind": "given", "decided_at": "2026-03-01T12:00:00Z"}
    return said | changed


def test_a_person_is_registered_once_and_looked_up(caller):
    first = caller.post("subjects", {"identifiers": [ADA]})
    again = caller.post("subjects", {"identifiers": [ADA]})
    found = caller.post("subjects/lookup", ADA)
    assert (first.status_code, again.status_code, found.status_code) == (201, 200, 200)
    assert first.json() == again.json() == found.json()
    assert set(first.json()) == {"uuid", "created_at"}


def test_nobody_is_found_by_an_unknown_or_an_erased_identifier(caller):
    assert problem(caller.post("subjects/lookup", ADA)) == (404, "not_found")
    subjects.forget(subject=registered(("email", ADA["value"])))
    assert problem(caller.post("subjects/lookup", ADA)) == (404, "not_found")
    refused = caller.post("subjects", {"identifiers": [ADA]})
    assert problem(refused) == (409, "person_was_erased")
    assert caller.post("subjects", {"identifiers": [ADA], "again": True}).status_code == 201


def test_identifiers_of_two_people_are_a_conflict(caller):
    card = {"scheme": "card", "value": "A-1"}
    for each in (ADA, card):
        assert caller.post("subjects", {"identifiers": [each]}).status_code == 201
    refused = caller.post("subjects", {"identifiers": [ADA, card]})
    assert problem(refused) == (409, "identifiers_of_two_people")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"identifiers": []}, "invalid"),
        ({"identifiers": "secret"}, "invalid"),
        ({"identifiers": ["secret"]}, "invalid"),
        ({"identifiers": [{"scheme": "email", "value": ["secret"]}]}, "invalid"),
        ({"identifiers": [{"scheme": "email", "value": "secret" * 100}]}, "invalid"),
        ({"identifiers": [{"scheme": "email", "value": "secret"}]}, "identifier_malformed"),
        ({"identifiers": [{"scheme": "E-Mail", "value": "secret"}]}, "identifier_malformed"),
        ({"identifiers": [ADA] * 21}, "invalid"),
        ({"identifiers": [ADA], "again": "secret"}, "invalid"),
        ({}, "invalid"),
        (["secret"], "invalid"),
        ("secret", "invalid"),
        (b"secret", "malformed_json"),
    ],
)
def test_what_names_nobody_is_a_400_that_repeats_nothing(caller, body, code):
    refused = caller.post("subjects", body)
    assert problem(refused) == (400, code)
    assert b"secret" not in refused.content
    assert not Subject.objects.exists()


def test_a_decision_is_201_then_200_then_a_conflict(caller, purpose):
    path = f"subjects/{registered().uuid}/decisions"
    key = {"Idempotency-Key": str(uuid4())}
    first, again = caller.post(path, decision(), **key), caller.post(path, decision(), **key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json() | {"uuid": "", "recorded_at": ""} == {
        "uuid": "", "purpose": "training", "kind": "given", "decided_at": "2026-03-01T12:00:00Z",
        "recorded_at": "", "valid_until": None, "notice_version": None, "source": "person",
    }  # fmt: skip
    other = caller.post(path, decision(kind="refused"), **key)
    assert problem(other) == (409, "idempotency_key_reused")
    listed = caller.get(path).json()
    assert listed == {"results": [first.json()], "next": None}


@pytest.mark.parametrize(
    ("key", "code"), [("", "idempotency_key_missing"), ("1", "idempotency_key_malformed")]
)
def test_a_decision_needs_a_key(caller, purpose, key, code):
    path = f"subjects/{registered().uuid}/decisions"
    assert problem(caller.post(path, decision(), **{"Idempotency-Key": key})) == (400, code)
    assert not ConsentDecision.objects.exists()


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({"purpose": "unheard-of"}, (400, "invalid")),
        ({"purpose": 7}, (400, "invalid")),
        ({"kind": "maybe"}, (400, "invalid")),
        ({"decided_at": "yesterday"}, (400, "invalid")),
        ({"decided_at": "0001-01-01T00:00:00+14:00"}, (400, "invalid")),
        ({"decided_at": "9999-12-31T23:59:59Z"}, (422, "decided_in_the_future")),
        ({"valid_until": "2026-03-01T12:00:00Z"}, (422, "validity_impossible")),
        ({"notice_version": str(uuid4())}, (400, "invalid")),
        ({"notice_version": "x"}, (400, "invalid")),
        ({"source": "rumour"}, (400, "invalid")),
    ],
)
def test_an_impossible_decision_is_refused_and_changes_nothing(caller, purpose, changed, answer):
    path = f"subjects/{registered().uuid}/decisions"
    refused = caller.post(path, decision(**changed), **{"Idempotency-Key": str(uuid4())})
    assert problem(refused) == answer
    assert not ConsentDecision.objects.exists()


def test_strangers_and_the_erased_decide_nothing(caller, purpose):
    key = {"Idempotency-Key": str(uuid4())}
    unknown = caller.post(f"subjects/{uuid4()}/decisions", decision(), **key)
    assert problem(unknown) == (404, "not_found")
    person = registered()
    subjects.forget(subject=person)
    erased = caller.post(f"subjects/{person.uuid}/decisions", decision(), **key)
    assert problem(erased) == (410, "subject_erased")


def test_a_notice_is_drafted_published_and_then_public(caller, purpose):
    draft = {
        "key": "notice", "language": "en", "title": "Training",
        "text": " We train. ", "purposes": ["training"],
    }  # fmt: skip
    written = caller.post("notices", draft)
    assert written.status_code == 200
    assert (written.json()["text"], written.json()["published_at"]) == (" We train. ", None)
    assert Client().get("/api/v1/notices").json() == {"results": [], "next": None}
    published = caller.post(f"notices/{written.json()['uuid']}/publish", {})
    assert published.status_code == 200
    assert Client().get("/api/v1/notices").json()["results"] == [published.json()]
    path = f"subjects/{registered().uuid}/decisions"
    body = decision(notice_version=published.json()["uuid"])
    given = caller.post(path, body, **{"Idempotency-Key": str(uuid4())})
    assert given.json()["notice_version"] == published.json()["uuid"]


@pytest.mark.parametrize(
    "changed", [{"language": "English"}, {"purposes": []}, {"purposes": ["x"]}, {"key": "a b"}]
)
def test_an_impossible_notice_is_refused(caller, purpose, changed):
    draft = {"key": "notice", "language": "en", "title": "T", "text": "T", "purposes": ["training"]}
    assert problem(caller.post("notices", draft | changed)) == (400, "invalid")
    assert not Notice.objects.exists()


NDJSON = b'"ada"\n{"id": "bob"}\n'


def test_a_manifest_is_taken_once(caller):
    dataset = DatasetFactory(subject_column="who", subject_scheme="opaque")
    path = f"datasets/{dataset.uuid}/members"
    first = caller.post(path, NDJSON, "application/x-ndjson")
    again = caller.post(
        path, gzip.compress(NDJSON), "application/x-ndjson", **{"Content-Encoding": "gzip"}
    )
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert (first.json()["rows"], first.json()["people"], first.json()["mode"]) == (2, 2, "add")
    other = caller.post(f"{path}?mode=replace", b"who,n\ncy,1\n", "text/csv; charset=utf-8")
    assert other.status_code == 201
    assert len(members(dataset.pk)) == 1


def test_a_manifest_in_parquet_is_taken_by_the_column_of_the_data_set(caller):
    dataset = DatasetFactory(subject_column="who", subject_scheme="opaque")
    path, content = f"datasets/{dataset.uuid}/members", parquet_of(n=[1, 2, 3], who=[7, 7, 8])
    taken = caller.post(path, content, PARQUET)
    assert (taken.status_code, taken.json()["rows"], taken.json()["people"]) == (201, 3, 2)
    zipped = caller.post(path, gzip.compress(content), PARQUET, **{"Content-Encoding": "gzip"})
    assert (zipped.status_code, zipped.json()) == (200, taken.json())
    assert [by_identifier("opaque", each) is None for each in "789"] == [False, False, True]
    assert len(members(dataset.pk)) == 2


def test_a_manifest_is_for_the_version_that_it_names(caller):
    dataset = DatasetFactory(subject_scheme="opaque")
    version = version_after(dataset, 1, name="2026-03")
    path = f"datasets/{dataset.uuid}/members"
    for said in ("2026-03", version.uuid):
        taken = caller.post(f"{path}?version={said}", NDJSON, "application/x-ndjson")
        assert taken.json()["version"] == str(version.uuid)
    refused = caller.post(f"{path}?version=unheard", NDJSON, "application/x-ndjson")
    assert problem(refused) == (404, "not_found")


@pytest.mark.parametrize(
    ("query", "sent", "headers", "answer"),
    [
        ("", (b'"ada"\nsecret', "application/x-ndjson"), {}, (400, "manifest_malformed")),
        ("", (b"", "application/x-ndjson"), {"Content-Length": "0"}, (400, "body_empty")),
        ("", (b"who\n", "text/csv"), {}, (422, "subject_column_missing")),
        ("column=x", (b"secret\n", "text/csv"), {}, (400, "manifest_malformed")),
        ("scheme=E-Mail", (b"\n", "application/x-ndjson"), {}, (400, "identifier_malformed")),
        ("scheme=email", (b'"secret"', "application/x-ndjson"), {}, (400, "manifest_malformed")),
        ("column=x", (b"secret", PARQUET), {}, (400, "manifest_malformed")),
        ("column=x", (parquet_of(x=["secret", None]), PARQUET), {}, (400, "manifest_malformed")),
        ("column=x", (parquet_of(x=["secret", ""]), PARQUET), {}, (400, "manifest_malformed")),
        ("", (parquet_of(x=["secret"]), PARQUET), {}, (422, "subject_column_missing")),
        ("", (b"", PARQUET), {"Content-Length": "0"}, (400, "body_empty")),
        ("mode=drop", (b"\n", "application/x-ndjson"), {}, (400, "invalid")),
        ("", (b"{}", "application/json"), {}, (415, "unsupported_media_type")),
        ("", (b"{}", ""), {}, (415, "unsupported_media_type")),
        (
            "", (b"x", "application/x-ndjson"),
            {"Content-Encoding": "br"}, (415, "unsupported_media_type"),
        ),
        (
            "", (b"secret", "application/x-ndjson"),
            {"Content-Encoding": "gzip"}, (400, "malformed_gzip"),
        ),
        (
            "", (b'"ada"\n', "application/x-ndjson"),
            {"Content-Length": ""}, (411, "length_required"),
        ),
    ],
)  # fmt: skip
def test_a_bad_manifest_is_refused_and_changes_nothing(caller, query, sent, headers, answer):
    dataset = DatasetFactory(subject_scheme="opaque")
    refused = caller.post(f"datasets/{dataset.uuid}/members?{query}", *sent, **headers)
    assert problem(refused) == answer
    assert b"secret" not in refused.content
    assert not Manifest.objects.exists()
    assert not Subject.objects.exists()


def test_a_manifest_that_was_cut_off_is_refused_and_changes_nothing():
    dataset = DatasetFactory(subject_scheme="opaque")
    cut_off = {"wsgi.input": BytesIO(NDJSON), "CONTENT_LENGTH": "900"}
    refused = Client().post(
        f"/api/v1/datasets/{dataset.uuid}/members?mode=replace", NDJSON, "application/x-ndjson",
        headers={"Authorization": f"Bearer {issued_key('consent:write')}"}, **cut_off,
    )  # fmt: skip
    assert problem(refused) == (400, "manifest_truncated")
    assert not Manifest.objects.exists()


def test_a_refused_manifest_is_read_to_its_end_so_that_the_refusal_is_heard():
    dataset = DatasetFactory(subject_scheme="opaque")
    body = BytesIO(b"secret\n" + NDJSON * 500_000)
    refused = Client().generic(
        "POST", f"/api/v1/datasets/{dataset.uuid}/members",
        headers={"Authorization": f"Bearer {issued_key('consent:write')}"},
        CONTENT_TYPE="application/x-ndjson",
        **{"wsgi.input": body, "CONTENT_LENGTH": str(len(body.getvalue()))},
    )  # fmt: skip
    assert problem(refused) == (400, "manifest_malformed")
    assert body.read() == b""
    assert not Manifest.objects.exists()


def test_a_key_bound_to_other_namespaces_hands_nothing_in():
    dataset = DatasetFactory(subject_scheme="opaque")
    bound = Caller("consent:write", namespaces=("elsewhere",))
    refused = bound.post(f"datasets/{dataset.uuid}/members", NDJSON, "application/x-ndjson")
    assert problem(refused) == (403, "namespace_denied")
    assert problem(bound.post(f"datasets/{uuid4()}/members", NDJSON, "application/x-ndjson")) == (
        404, "not_found",
    )  # fmt: skip


def test_the_gate_answers_with_codes_and_counts_and_never_with_people(caller, purpose):
    dataset = DatasetFactory(registered=True)
    take(dataset, ["ada@example.org", "bob@example.org"], scheme="email")
    ada = subjects.register(identifiers=[("email", "ada@example.org")]).subject
    key = {"Idempotency-Key": str(uuid4())}
    assert caller.post(f"subjects/{ada.uuid}/decisions", decision(), **key).status_code == 201
    named = {"namespace": dataset.namespace, "name": dataset.name}
    asked = caller.post("gate/decisions", {"datasets": [named], "purpose": "training"})
    assert asked.status_code == 201
    answer = asked.json()
    assert set(answer) == {
        "policies", "uuid", "outcome", "reasons", "purpose", "datasets", "excluded_count",
        "decided_at", "expires_at", "model", "token",
    }  # fmt: skip
    assert (answer["outcome"], answer["reasons"]) == ("permit_with_exclusions", ["some_excluded"])
    assert [each["uuid"] for each in answer["datasets"]] == [str(dataset.uuid)]
    path = f"gate/decisions/{answer['uuid']}"
    assert caller.get(path).json() == answer
    people = ["bob@example.org", "Ada@Example.org"]
    filtered = caller.post(f"{path}/filter", {"scheme": "email", "identifiers": people})
    assert filtered.json() == {"permitted": [False, True]}
    other = Caller(name="somebody else")
    assert problem(other.get(path)) == (404, "not_found")
    refused = other.post(f"{path}/filter", {"scheme": "email", "identifiers": people})
    assert problem(refused) == (404, "not_found")


def test_an_answer_is_signed_and_speaks_for_one_model_and_these_versions_alone(
    caller, purpose, client
):
    dataset = DatasetFactory(registered=True)
    take(dataset, ["ada@example.org", "bob@example.org"], scheme="email")
    model = {"namespace": "models", "name": "m"}
    answer = caller.post(
        "gate/decisions",
        {"datasets": [str(dataset.uuid)], "purpose": "training", "model": model},
    ).json()
    assert answer["model"] == model
    keys = signing.keys_in(client.get("/.well-known/jwks.json").json())
    claims = signing.verify(answer["token"], typ=gate_tokens.TYP, keys=keys)
    told = answer["datasets"][0]
    assert claims == {
        "iss": settings.PUBLIC_URL, "jti": answer["uuid"], "outcome": answer["outcome"],
        "purpose": "training", "model": model,
        "inputs": [{"dataset": told["uuid"], "version": told["version"]}],
        "iat": int(datetime.fromisoformat(answer["decided_at"]).timestamp()),
        "exp": int(datetime.fromisoformat(answer["expires_at"]).timestamp()),
    }  # fmt: skip
    assert "ada@" not in json.dumps(claims)


@pytest.mark.parametrize("model", ["m", {"name": "m"}, {"namespace": "n", "name": ""}, 7])
def test_the_gate_refuses_what_is_no_name_of_a_model(caller, purpose, model):
    dataset = DatasetFactory(registered=True)
    body = {"datasets": [str(dataset.uuid)], "purpose": "training", "model": model}
    assert problem(caller.post("gate/decisions", body)) == (400, "invalid")


def test_an_unregistered_purpose_is_denied_and_said_so(caller):
    dataset = DatasetFactory(registered=True)
    asked = caller.post("gate/decisions", {"datasets": [str(dataset.uuid)], "purpose": "mischief"})
    answer = asked.json()
    assert (answer["outcome"], answer["reasons"], answer["purpose"]) == (
        "deny", ["unknown_purpose"], None,
    )  # fmt: skip


@pytest.mark.parametrize(
    "datasets",
    [[], "x", ["x"], [7], [None], [str(uuid4())], [{"namespace": "a"}], [{}], [["x"]],
     [{"namespace": "a", "name": "b"}], [{"namespace": "a", "name": "b", "more": 1}]],
)  # fmt: skip
def test_the_gate_refuses_what_is_no_data_set(caller, datasets):
    refused = caller.post("gate/decisions", {"datasets": datasets, "purpose": "training"})
    assert problem(refused) == (400, "invalid")


@pytest.mark.parametrize(
    "body",
    [
        {"scheme": "email", "identifiers": ["secret"]},
        {"scheme": "email", "identifiers": "secret"},
        {"scheme": "email", "identifiers": [["secret"]]},
        {"scheme": "opaque", "identifiers": ["secret" * 100]},
        {"scheme": "opaque", "identifiers": ["x"] * 10_001},
        {"scheme": ["secret"], "identifiers": []},
        {"identifiers": []},
    ],
)
def test_the_filter_refuses_what_names_nobody(caller, purpose, body):
    dataset = DatasetFactory(registered=True)
    asked = caller.post(
        "gate/decisions", {"datasets": [str(dataset.uuid)], "purpose": "training"}
    ).json()
    refused = caller.post(f"gate/decisions/{asked['uuid']}/filter", body)
    assert refused.status_code == 400
    assert refused.json()["code"] in {"invalid", "identifier_malformed"}
    assert b"secret" not in refused.content


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("subjects", "consent:write"),
        ("subjects/lookup", "consent:read"),
        (f"subjects/{uuid4()}/decisions", "consent:write"),
        ("notices", "registry:write"),
        (f"notices/{uuid4()}/publish", "registry:write"),
        (f"datasets/{uuid4()}/members", "consent:write"),
        ("gate/decisions", "gate:ask"),
        (f"gate/decisions/{uuid4()}/filter", "gate:ask"),
    ],
)
def test_every_door_needs_its_own_scope(path, scope):
    assert problem(Client().post(f"/api/v1/{path}")) == (401, "unauthenticated")
    others = [each for each in (*SCOPES, "lineage:write") if each != scope]
    assert problem(Caller(*others).post(path, {})) == (403, "scope_missing")
