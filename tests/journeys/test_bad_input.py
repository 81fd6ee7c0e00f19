"""Whatever is sent to any address of the interface, the answer is never a server error."""

import json
import re
from uuid import uuid4

import pytest
from django.test import Client

from deploy.schemas import openapi_text
from governance.models import Scope
from governance.services.clients import issue_key

DOCUMENT = json.loads(openapi_text())
ROUTES = [
    (method.upper(), path)
    for path, methods in sorted(DOCUMENT["paths"].items())
    for method in methods
    if path.startswith("/api/v1")
] + [("POST", "/api/v1/lineage"), ("POST", "/api/v1/lineage/batch")]

PUBLIC = {
    ("GET", "/api/v1/ledger/consistency"),
    ("GET", "/api/v1/ledger/head"),
    ("GET", "/api/v1/notices"),
    ("GET", "/api/v1/policies"),
    ("GET", "/api/v1/policies/{key}"),
    ("GET", "/api/v1/purposes"),
}

BODIES = [
    b"", b"{", b"null", b"[]", b"{}", b'"text"', b"1e999", b'{"a": 1, "a": 2}', b"\xff\xfe\x00",
    b'{"a": "\\u0000"}', b'{"a": "\\ud800"}', b"[" * 5000, b'{"a":' * 100 + b"1" + b"}" * 100,
    b'{"n": ' + b"9" * 5000 + b"}", b" " * (3 * 1024 * 1024),
]  # fmt: skip
VALUES = [None, True, -1, 1e300, "", "\n", "x" * 5000, [], [[]], {}, {"a": {}}, [None], "\x7f"]
FIELDS = sorted(
    {
        name
        for each in DOCUMENT["components"]["schemas"].values()
        for name in each.get("properties", {})
    }
)
TYPES = [
    "application/json",
    "application/x-ndjson",
    "text/csv",
    "text/plain",
    "multipart/form-data",
]


def filled(path: str) -> str:
    return re.sub(r"{[^}]+}", str(uuid4()), path)


@pytest.fixture
def careless(db) -> Client:
    bearer = issue_key(client_name="careless", scopes=[scope.value for scope in Scope]).bearer
    client = Client(headers={"Authorization": f"Bearer {bearer}", "Idempotency-Key": str(uuid4())})
    client.raise_request_exception = False
    return client


def refused(answer, what: object) -> None:
    assert answer.status_code < 500, (what, answer.content[:500])
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json", what
        assert answer.json()["code"], what


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_malformed_bodies_are_never_a_server_error(careless, method, path):
    for kind in TYPES:
        for body in BODIES:
            answer = careless.generic(method, filled(path), body, content_type=kind)
            refused(answer, (kind, body[:40]))


@pytest.mark.parametrize(("method", "path"), [r for r in ROUTES if r[0] != "GET"])
def test_wrongly_typed_fields_are_never_a_server_error(careless, method, path):
    for value in VALUES:
        body = json.dumps(dict.fromkeys(FIELDS, value)).encode()
        answer = careless.generic(method, filled(path), body, content_type="application/json")
        refused(answer, repr(value)[:40])


@pytest.mark.parametrize(("method", "path"), [r for r in ROUTES if r[0] == "GET"])
def test_odd_questions_are_never_a_server_error(careless, method, path):
    for value in ("", "\x00", "x" * 3000, "-1", "9" * 30, "é", "%", "2026-13-45"):
        asked = dict.fromkeys(["namespace", "name", "as_of", "cursor", "limit", "after", "path",
                               "old", "new", "language", "key"], value)  # fmt: skip
        refused(careless.get(filled(path), asked), value[:20])


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_stranger_learns_nothing(db, method, path):
    client = Client()
    client.raise_request_exception = False
    answer = client.generic(method, filled(path), b"{}", content_type="application/json")
    if (method, path) in PUBLIC:
        refused(answer, path)
    else:
        assert answer.status_code == 401, (path, answer.status_code)


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v1/datasets/no-uuid", "/nothing"])
def test_an_unknown_address_is_not_found(client, db, path):
    assert client.get(path).status_code == 404
