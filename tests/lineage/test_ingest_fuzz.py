"""Ingestion as nobody should use it: whatever arrives is taken and kept, or refused with a code.

Requests go in where the web server hands them over, so the short way for events, the signed way
with its middleware, and every byte of a body are what is tried.
"""

import base64
import gzip
import hashlib
import hmac
import json
import re
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.wsgi import application
from governance.keys import organisation_key
from governance.services.clients import issue_key
from lineage.models import InboxEvent
from lineage.services.apply import apply_ready
from lineage.services.sources import add_secret, create_source

ONE, BATCH = "/api/v1/lineage", "/api/v1/lineage/batch"
FACET = {"_producer": "https://example.org", "_schemaURL": "https://example.org/facet"}
NAMED = {"namespace": "postgres://db:5432", "name": "shop.public.people"}
WHOLE = {
    "eventType": "COMPLETE",
    "eventTime": "2026-03-01T12:00:00.123456789Z",
    "producer": "https://example.org",
    "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json",
    "run": {
        "runId": "0196c1f4-0000-7000-8000-000000000001",
        "facets": {
            "parent": {**FACET, "run": {"runId": "0196c1f4-0000-7000-8000-000000000002"},
                       "job": {"namespace": "n", "name": "dag"}},
            "tags": {**FACET, "tags": [{"key": "k", "value": "v", "source": "s"}]},
            "colophon_training": {**FACET, "purposes": ["train"]},
        },
    },
    "job": {"namespace": "n", "name": "task", "facets": {"sql": {**FACET, "query": "select 1"}}},
    "inputs": [{
        **NAMED,
        "facets": {
            "schema": {**FACET, "fields": [{"name": "a", "type": "int", "fields": []}]},
            "symlinks": {**FACET, "identifiers": [{**NAMED, "name": "other", "type": "TABLE"}]},
            "version": {**FACET, "datasetVersion": "7"},
        },
        "inputFacets": {"subset": {**FACET, "inputCondition": {"type": "partition"}}},
    }],
    "outputs": [{
        "namespace": "s3://bucket", "name": "people",
        "facets": {
            "columnLineage": {**FACET, "fields": {"b": {"inputFields": [
                {**NAMED, "field": "a", "transformations": [
                    {"type": "DIRECT", "subtype": "IDENTITY", "masking": False}]}]}}},
            "lifecycleStateChange": {**FACET, "lifecycleStateChange": "RENAME",
                                     "previousIdentifier": NAMED},
            "datasetType": {**FACET, "datasetType": "MODEL"},
        },
    }],
}  # fmt: skip

ODD_TEXT = st.text(max_size=20) | st.sampled_from(
    ["\x00", "\ud800", "\u202e", "x" * 5000, "9999-12-31T23:59:59-23:59", "2026-02-30", "COMPLETE"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | ODD_TEXT
ODD = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD_TEXT, inner, max_size=3),
    max_leaves=6,
)
FEW = {
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}


@st.composite
def spoilt(draw: st.DrawFn) -> Any:
    """Draw an event in which up to three things are replaced, left out or added."""
    said: Any = deepcopy(WHOLE)
    for _ in range(draw(st.integers(0, 3))):
        holder = said
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            key = draw(st.sampled_from(keys)) if keys else None
            if key is None or not isinstance(holder[key], dict | list) or draw(st.integers(0, 3)):
                break
            holder = holder[key]
        match draw(st.sampled_from(["replace", "replace", "leave out", "add"])), key:
            case "replace", _ if key is not None:
                holder[key] = draw(ODD)
            case "leave out", _ if key is not None:
                del holder[key]
            case _ if isinstance(holder, dict):
                holder[draw(ODD_TEXT)] = draw(ODD)
            case _:
                holder.append(draw(ODD))
    return said


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    kind: str
    body: bytes

    def said(self) -> Any:
        return json.loads(self.body)


class Front:
    """Somebody at the door, with a key and with a secret to sign with."""

    def __init__(self) -> None:
        key = issue_key(client_name="pipeline", scopes=["lineage:write"])
        self.bearer = f"Bearer {key.bearer}"
        source = create_source(name="signer")
        shown = add_secret(source=source, overlap=timedelta(0)).shown
        self.secret = base64.b64decode(shown.removeprefix("whsec_"))
        self.signed = f"/api/v1/lineage/sources/{source.uuid}"

    def send(self, path: str, body: Any, **more: str) -> Answer:
        raw = body if hasattr(body, "read") else BytesIO(body)
        length = {} if hasattr(body, "read") else {"CONTENT_LENGTH": str(len(body))}
        environ = {
            "REQUEST_METHOD": "POST", "PATH_INFO": path, "QUERY_STRING": "",
            "SERVER_NAME": "testserver", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1", "CONTENT_TYPE": "application/json", **length,
            "HTTP_AUTHORIZATION": self.bearer, "wsgi.input": raw, "wsgi.url_scheme": "http", **more,
        }  # fmt: skip
        told: list[Any] = []
        parts = application(environ, lambda status, headers, *_: told.extend((status, headers)))
        content = b"".join(parts)
        getattr(parts, "close", lambda: None)()
        kind = dict(told[1]).get("Content-Type", "")
        return Answer(int(told[0].split()[0]), kind, content)

    def signature(self, name: str, stamp: str, body: bytes) -> str:
        signed = f"{name}.{stamp}.".encode("utf-8", "surrogateescape") + body
        return "v1," + base64.b64encode(hmac.digest(self.secret, signed, hashlib.sha256)).decode()


@pytest.fixture
def front(db) -> Iterator[Front]:
    """The door, in the transaction of the test: it stays open from request to request."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield Front()
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def judge(answer: Answer, raw: bytes) -> None:
    """Assert that it was taken and kept, or refused with a code; and that applying works."""
    assert 200 <= answer.status < 300 or 400 <= answer.status < 500, (answer, raw[:200])
    if answer.status < 300:
        events = json.loads(raw)
        refused = _refused(answer)
        listed = events if isinstance(events, list) else [events]
        acknowledged = [each for at, each in enumerate(listed) if at not in refused]
    else:
        problem = answer.said()
        assert answer.kind == "application/problem+json"
        assert re.fullmatch(r"[a-z][a-z_]+", problem["code"])
        assert problem["status"] == answer.status
        acknowledged = [json.loads(raw)] if "dead_letter" in problem else []
    unseal = organisation_key().open
    sealed = InboxEvent.objects.values_list("body_sealed", flat=True)
    assert {_text(json.loads(unseal(bytes(each), "inbox"))) for each in sealed} == {
        _text(each) for each in acknowledged
    }
    while apply_ready():
        pass
    assert not InboxEvent.objects.filter(state="ready").exists()
    InboxEvent.objects.all().delete()


def _refused(answer: Answer) -> set[int]:
    """Return the places in a batch of what was not even kept."""
    failed = answer.said().get("failed_events", []) if answer.body else []
    return {each["index"] for each in failed if "dead_letter" not in each}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


@settings(max_examples=200, **FEW)
@given(said=spoilt())
def test_a_spoilt_event_is_kept_or_refused(front, said):
    raw = json.dumps(said).encode()
    judge(front.send(ONE, raw), raw)


@settings(max_examples=100, **FEW)
@given(said=st.lists(spoilt() | ODD, max_size=4) | ODD)
def test_of_a_batch_each_event_is_kept_or_refused(front, said):
    raw = json.dumps(said).encode()
    judge(front.send(BATCH, raw), raw)


@settings(max_examples=100, **FEW)
@given(raw=st.binary(max_size=200), path=st.sampled_from([ONE, BATCH]))
def test_bytes_that_mean_nothing_are_refused(front, raw, path):
    judge(front.send(path, raw), raw)


@settings(max_examples=150, **FEW)
@given(data=st.data())
def test_a_damaged_gzip_is_refused_and_a_whole_one_taken(front, data):
    raw = json.dumps(data.draw(spoilt())).encode()
    packed = gzip.compress(raw)
    cut = data.draw(st.integers(0, len(packed) - 1))
    sent = data.draw(st.sampled_from([
        packed, packed[:cut], packed[cut:], packed + b"more", packed + gzip.compress(b" "), raw,
        packed[:cut] + bytes([packed[cut] ^ 1]) + packed[cut + 1 :], gzip.compress(packed), b"",
    ]))  # fmt: skip
    encoding = data.draw(st.sampled_from(["gzip", " GZIP ", "gzip, gzip", "br", "", "é", "\x00"]))
    judge(front.send(ONE, sent, HTTP_CONTENT_ENCODING=encoding), raw)


@settings(max_examples=100, **FEW)
@given(
    length=st.none() | st.integers(-10, 10_000).map(str) | st.text(max_size=5),
    kind=st.sampled_from(["application/json", "application/json; charset=x", "", "a/b", "é"]),
)
def test_a_wrong_length_or_type_is_never_a_fault(front, length, kind):
    raw = json.dumps(WHOLE).encode()
    more = {"CONTENT_TYPE": kind} | ({} if length is None else {"CONTENT_LENGTH": length})
    judge(front.send(ONE, raw, **more), raw)


@settings(max_examples=80, **FEW)
@given(bearer=st.text(max_size=80) | st.text(max_size=60).map("Bearer {}".format))
def test_a_wrong_key_is_refused(front, bearer):
    raw = json.dumps(WHOLE).encode()
    answer = front.send(ONE, raw, HTTP_AUTHORIZATION=_header(bearer))
    assert answer.status == 401
    judge(answer, raw)


@settings(max_examples=150, **FEW)
@given(data=st.data())
def test_signature_headers_can_be_anything(front, data):
    """Of a right signature nothing is changed, or something; only the first is ever taken."""
    raw = json.dumps(data.draw(spoilt())).encode()
    name, stamp = data.draw(st.uuids()).hex, str(int(time.time()))
    right = {"ID": name, "TIMESTAMP": stamp, "SIGNATURE": front.signature(name, stamp, raw)}
    odd = ODD_TEXT | st.sampled_from(["v1,", "v1a," + "A" * 86 + "==", "v1 v1", "NaN", "-1", "1e9"])
    wrong = data.draw(st.dictionaries(st.sampled_from(sorted(right)), odd.map(_header)))
    said = {f"HTTP_WEBHOOK_{key}": value for key, value in (right | wrong).items()}
    answer = front.send(front.signed, raw, **said)
    assert answer.status == 401 or not wrong or right | wrong == right
    judge(answer, raw)


def _header(text: str) -> str:
    """Return a text as a web server hands over a header: bytes, one a character."""
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


class Broken(BytesIO):
    """A connection that ends in the middle."""

    def read(self, *_: Any) -> bytes:
        raise ConnectionResetError


@pytest.mark.parametrize("way", ["one", "batch", "signed"])
def test_a_body_that_breaks_off_is_no_fault_of_the_service(front, way):
    path = {"one": ONE, "batch": BATCH, "signed": front.signed}[way]
    answer = front.send(path, Broken(), CONTENT_LENGTH="100")
    assert (answer.status, answer.said()["code"]) == (400, "body_unreadable")
    assert not InboxEvent.objects.exists()
