"""The two end points as OpenLineage clients meet them."""

import gzip
import json
from typing import Any

import pytest
from django.test import Client

from governance.services.clients import issue_key, revoke_key
from lineage.models import InboxEvent
from tests.factories.events import event

ONE, BATCH = "/api/v1/lineage", "/api/v1/lineage/batch"


@pytest.fixture
def bearer(db) -> str:
    return issue_key(client_name="pipeline", scopes=["lineage:write"]).bearer


@pytest.fixture
def post(client: Client, bearer: str):
    def post(path: str, body: Any, **headers: str):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {bearer}", **headers}
        return client.post(path, raw, content_type="application/json", headers=sent)

    return post


def problem(response) -> tuple[int, str]:
    assert response.headers["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def test_a_new_event_is_201_and_a_repeat_200(post):
    first, second = post(ONE, event("START", "job", 0)), post(ONE, event("START", "job", 0))
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert InboxEvent.objects.count() == 1


def test_the_stock_client_s_gzip_is_taken(post):
    body = gzip.compress(json.dumps(event("START", "job", 0)).encode(), 3)
    assert post(ONE, body, **{"Content-Encoding": "gzip"}).status_code == 201


def test_a_whole_batch_is_204(post):
    assert post(BATCH, [event("START", f"job{n}", 0) for n in range(3)]).status_code == 204
    assert InboxEvent.objects.count() == 3


def test_a_batch_tells_what_failed_and_keeps_the_rest(post):
    answer = post(BATCH, [event("START", "job", 0), {"eventTime": "never"}])
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "partial_success"
    assert body["summary"] == {
        "received": 2, "successful": 1, "failed": 1, "retriable": 0, "non_retriable": 1,
    }  # fmt: skip
    [failed] = body["failed_events"]
    assert (failed["index"], failed["retriable"]) == (1, False)
    dead = InboxEvent.objects.get(state="dead")
    assert failed["dead_letter"] == str(dead.uuid)


def test_an_unusable_event_is_422_with_its_dead_letter(post):
    answer = post(ONE, event("START", "job", 0) | {"job": {"namespace": "x"}})
    assert problem(answer) == (422, "event_unusable")
    assert answer.json()["detail"] == "job.name is missing or not a text"
    assert answer.json()["dead_letter"] == str(InboxEvent.objects.get().uuid)


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (b"{", (400, "malformed_json")),
        (b'{"a": NaN}', (400, "malformed_json")),
        (b'{"a": 1, "a": 2}', (400, "malformed_json")),
        (b'{"a": "\\u0000"}', (400, "malformed_json")),
        (b'{"a": "\\ud800"}', (400, "malformed_json")),
        (b'{"a": 1e999}', (400, "malformed_json")),
        (b"\xff\xfe", (400, "malformed_json")),
        (b"[" * 40 + b"]" * 40, (400, "malformed_json")),
        (b"[]", (400, "not_an_event")),
        (b'"text"', (400, "not_an_event")),
    ],
)
def test_a_malformed_body_is_refused_and_not_kept(post, body, refused):
    assert problem(post(ONE, body)) == refused
    assert InboxEvent.objects.count() == 0


def test_an_oversized_body_is_413_without_retry_after(post, settings):
    settings.COLOPHON_EVENT_BYTES = 1000
    answer = post(ONE, event("START", "x" * 2000, 0))
    assert problem(answer) == (413, "body_too_large")
    assert "Retry-After" not in answer.headers


def test_a_gzip_bomb_is_413(post):
    bomb = gzip.compress(b" " * 50_000_000)
    assert problem(post(ONE, bomb, **{"Content-Encoding": "gzip"})) == (413, "body_too_large")


def test_broken_gzip_and_other_encodings_are_refused(post):
    broken = gzip.compress(b"{}")[:-4]
    assert problem(post(ONE, broken, **{"Content-Encoding": "gzip"})) == (400, "malformed_gzip")
    assert problem(post(ONE, b"{}", **{"Content-Encoding": "br"})) == (415, "unsupported_encoding")


def test_another_content_type_is_415(client, bearer):
    answer = client.post(
        ONE, b"{}", content_type="text/plain", headers={"Authorization": f"Bearer {bearer}"}
    )
    assert problem(answer) == (415, "unsupported_media_type")


def test_without_a_good_key_nothing_is_read(client, bearer):
    revoke_key(key_id=bearer.split("_")[1])
    for headers in ({}, {"Authorization": "Bearer no"}, {"Authorization": f"Bearer {bearer}"}):
        answer = client.post(ONE, b"not json", content_type="application/json", headers=headers)
        assert problem(answer) == (401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_key_without_the_scope_is_403(client, db):
    bearer = issue_key(client_name="reader", scopes=["audit:read"]).bearer
    headers = {"Authorization": f"Bearer {bearer}"}
    answer = client.post(ONE, b"{}", content_type="application/json", headers=headers)
    assert problem(answer) == (403, "scope_missing")


def test_a_full_inbox_is_503_with_retry_after(post, settings):
    from lineage.services.inbox import _Backlog

    settings.COLOPHON_INBOX_LIMIT = 0
    _Backlog.looked_at = float("-inf")
    answer = post(ONE, event("START", "job", 0))
    assert problem(answer) == (503, "inbox_full")
    assert answer.headers["Retry-After"] == "2"
    _Backlog.looked_at = float("-inf")


@pytest.mark.parametrize("path", [ONE, BATCH, f"{ONE}/", f"{BATCH}/"])
def test_nothing_is_ever_redirected(client, db, path):
    for answer in (client.get(path), client.post(path, b"{}", content_type="application/json")):
        assert answer.status_code in {401, 404, 405}


def test_the_sender_reads_what_became_of_an_event(client, post, bearer, db):
    headers = {"Authorization": f"Bearer {bearer}"}
    kept = post(ONE, event("START", "job", 0)).json()["id"]
    assert client.get(f"{ONE}/events/{kept}", headers=headers).json()["state"] == "ready"
    other = issue_key(client_name="other", scopes=["lineage:write"]).bearer
    stranger = client.get(f"{ONE}/events/{kept}", headers={"Authorization": f"Bearer {other}"})
    assert problem(stranger) == (404, "not_found")
