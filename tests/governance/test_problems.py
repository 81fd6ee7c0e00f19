import gzip
import json

import psycopg
import pytest
from django.db import InterfaceError, OperationalError, connection
from django.http import Http404
from django.test import Client, RequestFactory
from rest_framework.exceptions import ErrorDetail, Throttled, ValidationError

from governance.api import problems
from governance.errors import ColophonError
from governance.models import Dataset

JSON = "application/json"
BODY = json.dumps({"namespace": "n", "name": "d"}).encode()


@pytest.fixture
def writer(caller):
    return caller("registry:write", "registry:read", "audit:read")


def said(response):
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["type"] == "about:blank"
    assert body["status"] == response.status_code
    assert isinstance(body["detail"], str)
    return response.status_code, body["code"]


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"{", JSON, (400, "malformed_json")),
        (b'{"name": "\\u0000"}', JSON, (400, "malformed_json")),
        (b"[" * 40 + b"]" * 40, JSON, (400, "malformed_json")),
        (b'"' + b"x" * (1024 * 1024) + b'"', JSON, (413, "body_too_large")),
        (b"name=d", "application/x-www-form-urlencoded", (415, "unsupported_media_type")),
        (b"<x/>", "text/xml", (415, "unsupported_media_type")),
        (b"{}", JSON, (400, "invalid")),
        (b"[]", JSON, (400, "invalid")),
        (b"null", JSON, (400, "invalid")),
        (b"7", JSON, (400, "invalid")),
        (b'{"namespace": [], "name": {}}', JSON, (400, "invalid")),
        (b'{"namespace": "n", "name": "d", "categories": "c"}', JSON, (400, "invalid")),
        (b'{"namespace": "n", "name": "d", "storage": "none"}', JSON, (400, "invalid")),
        (
            json.dumps({"namespace": "n", "name": "x" * 5000}).encode(),
            JSON,
            (400, "name_too_long"),
        ),
        (
            b'{"namespace": "n", "name": "d", "subject_column": "c"}',
            JSON,
            (400, "dataset_incomplete"),
        ),
    ],
)
def test_a_bad_body_is_a_problem_and_registers_nothing(writer, body, content_type, expected):
    response = writer.generic("POST", "/api/v1/datasets", body, content_type=content_type)
    assert said(response) == expected
    assert "Retry-After" not in response
    assert not Dataset.objects.exists()


def test_what_is_wrong_with_each_field_is_said(writer):
    response = writer.post("/api/v1/models", {"name": ["x"]}, format="json")
    assert response.json() == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "code": "invalid",
        "detail": "the request is not valid",
        "errors": {"namespace": ["This field is required."], "name": ["Not a valid string."]},
    }


@pytest.mark.parametrize(
    ("body", "encoding", "expected"),
    [
        (gzip.compress(BODY), "gzip", 201),
        (BODY, "identity", 201),
        (gzip.compress(BODY)[:-1], "gzip", 400),
        (gzip.compress(bytes(2_000_000)), "gzip", 413),
        (BODY, "br", 415),
    ],
)
def test_gzip_is_the_one_content_encoding(writer, body, encoding, expected):
    response = writer.generic(
        "POST", "/api/v1/datasets", body, content_type=JSON, headers={"Content-Encoding": encoding}
    )
    assert response.status_code == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("datasets?limit=many", (400, "invalid")),
        ("datasets?limit=0", (400, "invalid")),
        ("datasets?limit=201", (400, "invalid")),
        ("datasets?cursor=nonsense", (400, "cursor_invalid")),
        ("datasets?namespace=%00", (400, "invalid")),
        ("datasets?name=%ff%00", (400, "invalid")),
        ("datasets/not-a-uuid", (404, "not_found")),
        ("datasets/0198a2b0-0000-7000-8000-000000000000", (404, "not_found")),
        ("models/0198a2b0-0000-7000-8000-000000000000", (404, "not_found")),
        ("policies/none", (404, "not_found")),
        ("policies/%00", (404, "not_found")),
        ("nothing", (404, "not_found")),
        ("datasets/", (404, "not_found")),
        ("ledger/entries?after=x", (400, "invalid")),
        ("ledger/entries?after=-2", (400, "invalid")),
        (f"ledger/entries?after={2**63}", (400, "invalid")),
        (f"ledger/entries?after={'9' * 5000}", (400, "invalid")),
        ("ledger/consistency", (400, "invalid")),
        ("ledger/consistency?old=5", (404, "ledger_size_unknown")),
        ("ledger/proofs/0198a2b0-0000-7000-8000-000000000000", (404, "not_found")),
    ],
)
def test_a_wrong_address_or_query_is_the_callers_problem(writer, path, expected):
    assert said(writer.get(f"/api/v1/{path}")) == expected


def test_facts_of_an_error_stand_beside_its_members_and_never_replace_them():
    response = problems.handle(ColophonError("no", scope="s", status=200, title="x"))
    assert json.loads(response.content) == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "code": "error",
        "detail": "no",
        "scope": "s",
    }


def test_not_found_and_throttled_are_problems():
    assert problems.handle(Http404()).status_code == 404
    response = problems.handle(Throttled(wait=0.2))
    assert (response.status_code, response["Retry-After"]) == (429, "1")


@pytest.mark.parametrize("kind", [OperationalError, InterfaceError])
def test_a_database_that_is_away_is_said_to_be_worth_another_try(kind):
    response = problems.handle(kind("connection to server at 10.1.2.3 failed"))
    assert (response.status_code, response["Retry-After"]) == (503, "2")
    assert json.loads(response.content)["code"] == "database_unavailable"
    assert b"10.1.2.3" not in response.content


def caused(cause):
    error = OperationalError()
    error.__cause__ = cause()
    return error


def test_only_what_passes_by_itself_is_worth_another_try():
    for passing in (psycopg.errors.DeadlockDetected, psycopg.errors.TooManyConnections):
        assert problems.handle(caused(passing)).status_code == 503
    assert problems.handle(caused(psycopg.errors.ProgramLimitExceeded)) is None
    assert problems.handle(KeyError("s3cret")) is None


@pytest.mark.django_db
def test_an_outage_reaches_the_caller_as_503(writer):
    def away(execute, sql, params, many, context):
        raise OperationalError("server closed the connection")

    with connection.execute_wrapper(away):
        response = writer.get("/api/v1/datasets")
    assert said(response) == (503, "database_unavailable")


@pytest.mark.django_db
def test_what_nobody_expected_tells_nothing(monkeypatch):
    def fail():
        raise KeyError("s3cret")

    monkeypatch.setattr("governance.api.ledger.ledger.head", fail)
    response = Client(raise_request_exception=False).get("/api/v1/ledger/head")
    assert said(response) == (500, "internal_error")
    assert b"s3cret" not in response.content


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_djangos_own_answers_are_problems_under_the_api_alone(status):
    handler = getattr(problems, f"handler{status}")
    given = [] if status == 500 else [Exception("s3cret")]
    inside = handler(RequestFactory().get("/api/v1/x"), *given)
    outside = handler(RequestFactory().get("/x"), *given)
    assert (inside.status_code, inside["Content-Type"]) == (status, "application/problem+json")
    assert outside["Content-Type"].startswith("text/html")
    assert b"s3cret" not in inside.content


def test_a_wrong_choice_is_not_repeated_to_whoever_sent_it():
    refused = ValidationError(
        {"a": [ErrorDetail('"ann@example.org" is not a valid choice.', code="invalid_choice")]}
    )
    answer = problems.handle(refused)
    assert json.loads(answer.content)["errors"] == {"a": ["This is not one of the choices."]}
