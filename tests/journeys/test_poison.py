"""Requests that are right but for one thing, sent to the running service at every POST route.

Everything that a route needs really exists, so each poison reaches the code behind the first
look-up, and the answer comes from the real web server with its limits.
"""

import gzip
import json
import re
import time
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from deploy.schemas import openapi_text
from governance.models import Scope
from tests.factories.consent import parquet_of

POSTS = [
    path for path, methods in sorted(json.loads(openapi_text())["paths"].items())
    if "post" in methods and path.startswith("/api/v1")
]  # fmt: skip
ROUTES = [*POSTS, "/api/v1/lineage", "/api/v1/lineage/batch"]
WITHOUT_BODY = {
    path
    for path in POSTS
    if path.endswith(
        (
            "/publish",
            "/identity",
            "/secret",
            "/test",
            "/retry",
            "/scans",
            "/dry-run",
            "/pause",
            "/resume",
            "/lifting",
            "/approval",
        )
    )
}
NDJSON = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
MEMBERS = "/api/v1/datasets/{uuid}/members"
FILTER = "/api/v1/gate/decisions/{uuid}/filter"

EVENT = {
    "eventType": "COMPLETE", "eventTime": "2026-11-01T00:00:00Z",
    "producer": "https://example.org", "schemaURL": "https://example.org/2-0-2",
    "run": {"runId": str(uuid4()), "facets": {"tags": {"tags": []}}},
    "job": {"namespace": "poison", "name": "job", "facets": {}},
    "inputs": [{"namespace": "poison", "name": "in"}],
    "outputs": [{"namespace": "poison", "name": "out",
                 "facets": {"version": {"datasetVersion": "1"}}}],
}  # fmt: skip

# What has the right shape of nothing: type, size, alphabet, range.
VALUES = [
    None, True, 0, -1, 2**63, 10**400 // 10**100, 1e308, "", " ", "\n", "\x7f", "\u202e",
    "x" * 300_000, "é" * 3000, "🦉", "%s%n{}", "../../etc/passwd", "'; DROP TABLE x; --", "0" * 36,
    str(uuid4()), "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59",
    [], [[]], {}, {"a": {}}, [None], ["x"] * 20_001, {"": ""},
]  # fmt: skip
WHOLES = {
    "nothing": b"",
    "half an object": b'{"a":',
    "no JSON": b"\x00\x01\x02",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "bytes that are not UTF-8": b'{"a": "\xff"}',
    "NUL": b'{"a": "\\u0000"}',
    "half a pair": b'{"a": "\\ud800"}',
    "NaN": b'{"a": NaN}',
    "a number beyond doubles": b'{"a": 1e999}',
    "a key twice": b'{"a": 1, "a": 2}',
    "deep lists": b"[" * 10_000 + b"]" * 10_000,
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "a deep open end": b'[{"a":' * 5_000,
    "many tokens": b"[" + b"0," * 700_000 + b"0]",
    "a long number": b"[" + b"9" * 100_000 + b"]",
    "a text": b'"text"',
    "a list of lists": b"[[[]]]",
    "two megabytes": b'{"a": "' + b"x" * (2 << 20) + b'"}',
}
UNREADABLE = set(WHOLES) - {"a text", "a list of lists", "many tokens"}
NOTHING_NEEDED = {"/api/v1/sources/{source}/secrets"}
BATCH_TAKES = {"two megabytes"}  # an end point for batches has a larger limit


@pytest.fixture(scope="module")
def known(service) -> Iterator["Known"]:
    """Everything that a right request needs."""
    with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as client:
        made = Known(client, bearer_of(service, *(scope.value for scope in Scope)))
        made.prepare()
        yield made


def bearer_of(service, *scopes: str) -> str:
    wanted = [part for scope in scopes for part in ("--scope", scope)]
    told = service.run("manage.py", "issue_key", "--json", "--client", "poisoner", *wanted)
    return json.loads(told.stdout.splitlines()[-1])["key"]


class Known:
    """A client with every scope, and the right body for each route."""

    def __init__(self, client: httpx.Client, bearer: str) -> None:
        self.client, self.bearer = client, bearer
        self.right: dict[str, object] = {}
        self.places: dict[str, dict[str, str]] = {}

    def send(self, path: str, body: bytes, **headers: str) -> httpx.Response:
        names = {"Authorization": f"Bearer {self.bearer}", "Idempotency-Key": str(uuid4())}
        kind = NDJSON if path == MEMBERS else "application/json"
        # A refusal may come before the body is read, and that ends the connection.
        headers = {"Content-Type": kind, "Connection": "close", **names, **headers}
        return self.client.post(self.address(path), content=body, headers=headers)

    def address(self, path: str) -> str:
        found = self.places.get(path, {})
        return re.sub(r"{(\w+)}", lambda part: found.get(part[1], str(uuid4())), path)

    def make(self, path: str, body: object) -> dict:
        answer = self.send(path, json.dumps(body).encode())
        assert answer.is_success, (path, answer.text)
        return answer.json()

    def prepare(self) -> None:
        key = f"poison-{uuid4().hex[:8]}"
        v1, dataset = "/api/v1", {"namespace": key, "name": "people"}
        purpose = {"key": key, "title": "t", "dpv_iri": "https://w3id.org/dpv#Purpose",
                   "legal_basis": "consent", "parent": None}  # fmt: skip
        notice = {"key": key, "language": "en", "title": "t", "text": "x", "purposes": [key]}
        people = {"identifiers": [{"scheme": "email", "value": f"{key}@example.org"}]}
        storage = {"name": key, "kind": "files", "address": "/tmp/poison", "enabled": True}
        place = {"storage": key, "location": "x.csv", "subject_column": "email",
                 "subject_scheme": "email", "description": "", "categories": ["a"]}  # fmt: skip
        gate = {"datasets": [dataset], "purpose": key}
        policy = {"key": key, "title": "t", "text": "x", "rules": {"a": 1}}
        self.right |= {
            f"{v1}/purposes": purpose, f"{v1}/notices": notice, f"{v1}/policies": policy,
            f"{v1}/storages": storage, f"{v1}/datasets": dataset | place,
            f"{v1}/models": dataset | {"name": "model", "description": "d"},
            f"{v1}/subjects": people | {"again": False},
            f"{v1}/subjects/lookup": people["identifiers"][0], f"{v1}/gate/decisions": gate,
            f"{v1}/gate/subjects": gate | {"scheme": "email", "identifier": f"{key}@example.org"},
        }  # fmt: skip
        made = {path: self.make(path, body) for path, body in self.right.items()}
        subject = made[f"{v1}/subjects"]["uuid"]
        other = {"scheme": "email", "value": f"{key}@example.com"}
        other = self.make(f"{v1}/subjects", {"identifiers": [other]})["uuid"]
        place = f"{v1}/subjects/{{uuid}}/merges"
        self.places |= {place: {"uuid": subject}}
        self.right |= {place: {"other": other, "reason": "x"}}
        self.right |= {f"{place}/{{merge}}/undo": {"reason": "x"}}
        undone = {"uuid": subject, "merge": self.make(place, self.right[place])["uuid"]}
        decision = {"purpose": key, "kind": "given", "decided_at": datetime.now(UTC).isoformat(),
                    "valid_until": None, "notice_version": None, "source": "person"}  # fmt: skip
        request = {"subject": subject, "kind": "objection", "identity_verified": False,
                   "source": "operator", "reason": "by mail", "law": "gdpr",
                   "purposes": [key]}  # fmt: skip
        wrong = {"subject": subject, "kind": "rectification", "details": "my age"}
        source = {"name": key, "namespaces": [key]}
        secret = {"public_key": "", "overlap_hours": 1}
        settled = {"outcome": "by_hand", "code": "done", "reason": "by hand", "evidence": "x",
                   "document_sha256": "0" * 64}  # fmt: skip
        plan = f"{v1}/requests/{{uuid}}/plan"
        self.right |= {
            f"{v1}/subjects/{{uuid}}/decisions": decision, f"{v1}/requests": request,
            f"{v1}/requests/{{uuid}}/steps/{{step}}": settled,
            f"{v1}/requests/{{uuid}}/extension": {"code": "complexity", "text": "x"},
            f"{v1}/requests/{{uuid}}/refusal": {"ground": "art_17_3_a", "text": "x"},
            f"{v1}/requests/{{uuid}}/correction": {"reason": "x"},
            f"{v1}/requests/{{uuid}}/lifting-notice": {"reason": "x"},
            f"{plan}/approvals": {"digest": "0" * 64},
            f"{plan}/rejections": {"digest": "0" * 64, "reason": "x"},
            f"{v1}/gate/decisions/{{uuid}}/filter": {"scheme": "email", "identifiers": ["a@b.c"]},
            f"{v1}/lineage": EVENT, f"{v1}/lineage/batch": [EVENT],
            f"{v1}/lineage/dead-letters/replay": {"ids": [str(uuid4())], "code": "x"},
            f"{v1}/sources": source, f"{v1}/sources/{{source}}/secrets": secret,
            f"{v1}/webhooks": {"url": "https://example.org/", "kinds": ["violation.opened"]},
            f"{v1}/violations/{{uuid}}/assignment": {"to": "team"},
            f"{v1}/violations/{{uuid}}/resolution": {"resolution": "false_alarm", "reason": "x"},
        }  # fmt: skip
        signing = self.make(f"{v1}/sources", source)["id"]
        notice_version = made[f"{v1}/notices"]["uuid"]
        asked = self.make(f"{v1}/requests", wrong)["id"]
        webhook = self.make(f"{v1}/webhooks", self.right[f"{v1}/webhooks"])["uuid"]
        recipient = self.make(f"{v1}/recipients", self.recipient(key, dataset))["uuid"]
        remedy, notice = self.remedy(key, dataset, subject), self.first("recipients/notices")
        self.right |= remedies(remedy["model_version"])
        running = self.make(f"{v1}/deployments", self.right[f"{v1}/deployments"])["uuid"]
        violation = self.violation()
        self.places |= {
            f"{place}/{{merge}}/undo": undone,
            f"{v1}/subjects/{{uuid}}/decisions": {"uuid": subject},
            **{
                path: {"uuid": asked}
                for path in POSTS
                if path.startswith(f"{v1}/requests/{{uuid}}/")
            },
            FILTER: {"uuid": made[f"{v1}/gate/decisions"]["uuid"]},
            f"{v1}/notices/{{uuid}}/publish": {"uuid": notice_version},
            f"{v1}/policies/{{key}}/publish": {"key": key},
            f"{v1}/sources/{{source}}/secrets": {"source": signing},
            MEMBERS: {"uuid": made[f"{v1}/datasets"]["uuid"]},
            f"{v1}/datasets/{{uuid}}/scans": {"uuid": made[f"{v1}/datasets"]["uuid"]},
            f"{v1}/violations/{{uuid}}/assignment": {"uuid": violation},
            f"{v1}/violations/{{uuid}}/resolution": {"uuid": violation},
            f"{v1}/recipients/{{uuid}}/secret": {"uuid": recipient},
            f"{v1}/recipients/notices/{{uuid}}/settlement": {"uuid": notice["uuid"]},
            f"{v1}/recipients/notices/{{uuid}}/retry": {"uuid": notice["uuid"]},
            f"{v1}/remediations/{{uuid}}/assignment": {"uuid": remedy["uuid"]},
            f"{v1}/remediations/{{uuid}}/measures": {"uuid": remedy["uuid"]},
            f"{v1}/remediations/{{uuid}}/measures/{{measure}}/approval": {"uuid": remedy["uuid"]},
            f"{v1}/deployments/{{uuid}}/end": {"uuid": running},
            f"{v1}/webhooks/{{uuid}}/secret": {"uuid": webhook},
            f"{v1}/webhooks/{{uuid}}/test": {"uuid": webhook},
            f"{v1}/webhooks/{{uuid}}/deliveries/{{delivery}}/retry": {"uuid": webhook},
        }

    def violation(self) -> str:
        """Train for a purpose that nobody registered, and wait until that was noticed."""
        facet = {"_producer": "https://example.org", "_schemaURL": "https://example.org/1-0-0"}
        run = {"runId": str(uuid4()), "facets": {"colophon_training": facet | {"purposes": ["?"]}}}
        event = EVENT | {"run": run, "eventTime": datetime.now(UTC).isoformat()}
        assert self.send("/api/v1/lineage", json.dumps(event).encode()).is_success
        return str(self.first("violations")["uuid"])

    def recipient(self, key: str, dataset: dict) -> dict:
        """Return a recipient of the data set, at an address that leads nowhere."""
        self.right["/api/v1/recipients"] = body = {
            "name": key, "url": "https://nowhere.invalid/", "scheme": "email",
            "datasets": [dataset], "models": [],
        }  # fmt: skip
        return body

    def remedy(self, key: str, dataset: dict, subject: str) -> dict:
        """Train on the person's data and ask for their erasure, until the model is affected."""
        named = json.dumps({"id": f"{key}@example.org"}).encode()
        uuid = self.first("datasets", **dataset)["uuid"]
        headers = {"Authorization": f"Bearer {self.bearer}", "Content-Type": NDJSON}
        path = f"/api/v1/datasets/{uuid}/members?mode=replace"
        assert self.client.post(path, content=named, headers=headers).is_success
        model = dataset | {"name": "model"}
        event = EVENT | {"run": {"runId": str(uuid4())}, "inputs": [dataset], "outputs": [model]}
        event["eventTime"] = datetime.now(UTC).isoformat()
        assert self.send("/api/v1/lineage", json.dumps(event).encode()).is_success
        self.first("transparency/models", **dataset)
        asked = {"subject": subject, "kind": "erasure", "identity_verified": True}
        self.make("/api/v1/requests", asked)
        return self.first("remediations")

    def first(self, path: str, **asked: str) -> dict:
        """Return the first of a list as soon as there is one."""
        headers = {"Authorization": f"Bearer {self.bearer}"}
        for _ in range(600):
            told = self.client.get(f"/api/v1/{path}", params=asked, headers=headers)
            if told.is_success and told.json()["results"]:
                return dict(told.json()["results"][0])
            time.sleep(0.1)
        raise AssertionError(f"nothing of {path}")


def remedies(model_version: str) -> dict[str, object]:
    """Return the right bodies for making a model good."""
    v1, now = "/api/v1", datetime.now(UTC)
    return {
        f"{v1}/recipients/notices/{{uuid}}/settlement": {"answer": "impossible", "reason": "x"},
        f"{v1}/remediations/{{uuid}}/assignment": {"owner": "team", "due_at": None},
        f"{v1}/remediations/{{uuid}}/measures": {
            "kind": "exempt_legal", "evidence": {"code": "a17_legal_claims", "reason": "x"},
            "ends_at": (now + timedelta(days=9)).isoformat(),
        },
        f"{v1}/deployments": {"model_version": model_version, "environment": "prod",
                              "since": now.isoformat()},
        f"{v1}/deployments/{{uuid}}/end": {"until": now.isoformat()},
    }  # fmt: skip


def poisoned(right: object) -> Iterator[tuple[str, object]]:
    """Yield the right body again and again, each time with one thing in it replaced."""
    for way in list(_ways(right)):
        for value in VALUES:
            body = deepcopy(right)
            *above, last = way
            holder = body
            for each in above:
                holder = holder[each]  # type: ignore[index]
            holder[last] = value  # type: ignore[index]
            yield f"{way} {str(value)[:40]!r}", body


def _ways(right: object) -> Iterator[tuple]:
    pairs = right.items() if isinstance(right, dict) else enumerate(right)  # type: ignore[arg-type]
    for key, value in pairs:
        yield (key,)
        if isinstance(value, (dict, list)):
            yield from ((key, *rest) for rest in _ways(value))


def told(answer: httpx.Response, what: str) -> int:
    """Assert that a refusal is a problem document with a code, and that nothing broke."""
    assert answer.status_code < 500, (what, answer.status_code, answer.text[:500])
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json", (what, answer.text)
        problem = answer.json()
        assert re.fullmatch(r"[a-z][a-z_]+", problem["code"]), what
        assert problem["status"] == answer.status_code, what
    return answer.status_code


def test_there_is_a_right_body_for_every_route(known):
    assert set(ROUTES) - WITHOUT_BODY - {MEMBERS} == set(known.right)


@pytest.mark.parametrize("path", [path for path in ROUTES if path not in WITHOUT_BODY | {MEMBERS}])
def test_a_right_body_with_one_wrong_thing_is_never_a_server_error(known, path):
    for what, body in poisoned(known.right[path]):
        told(known.send(path, json.dumps(body).encode()), what)


@pytest.mark.parametrize("path", ROUTES)
def test_a_body_that_cannot_be_read_is_refused_with_a_code(known, path):
    for name, body in WHOLES.items():
        status = told(known.send(path, body), name)
        takes = path in WITHOUT_BODY or path == MEMBERS
        takes |= path.endswith("/batch") and name in BATCH_TAKES
        takes |= path in NOTHING_NEEDED and name == "nothing"
        if name in UNREADABLE and not takes:
            assert 400 <= status < 500, name


@pytest.mark.parametrize("path", ROUTES)
def test_a_small_body_that_inflates_to_a_large_one_is_refused(known, path):
    bomb = gzip.compress(b'{"a": "' + b"x" * (64 << 20) + b'"}')
    status = told(known.send(path, bomb, **{"Content-Encoding": "gzip"}), "bomb")
    assert path in WITHOUT_BODY or 400 <= status < 500
    for encoding in ("gzip", "deflate", "br", "gzip, gzip", "x"):
        told(known.send(path, b"{}", **{"Content-Encoding": encoding}), encoding)


@pytest.mark.parametrize("path", ROUTES)
def test_odd_headers_are_never_a_server_error(known, path):
    right = json.dumps(known.right.get(path, {})).encode()
    for name, value in (
        ("Content-Type", "application/json; charset=utf-7"),
        ("Content-Type", "multipart/form-data; boundary="),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Content-Type", "x" * 4000),
        ("Idempotency-Key", "x" * 4000),
        ("Idempotency-Key", '"' + str(uuid4())),
        ("Accept", "application/xml"),
        ("Accept", "a/b;q=x"),
        ("X-Http-Method-Override", "DELETE"),
    ):
        told(known.send(path, right, **{name: value}), f"{name}: {value[:40]}")


@pytest.mark.parametrize("path", ROUTES)
def test_only_a_living_key_of_the_right_scope_gets_further(known, path):
    right = json.dumps(known.right.get(path, {})).encode()
    for bearer in ("", "Bearer", "Basic eDp5", "Bearer x", f"Bearer {known.bearer[:-1]}!",
                   "Bearer " + "x" * 4000, f"Bearer {known.bearer} {known.bearer}"):  # fmt: skip
        answer = known.send(path, right, Authorization=bearer)
        assert (told(answer, bearer), answer.json()["code"]) == (401, "unauthenticated"), bearer


def test_a_key_without_the_scope_is_refused_everywhere(known, service):
    bearer = bearer_of(service, "registry:read")
    for path in ROUTES:
        answer = known.send(path, b"{}", Authorization=f"Bearer {bearer}")
        assert (told(answer, path), answer.json()["code"]) == (403, "scope_missing"), path


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (NDJSON, b'{"id": 1.5}\n'), (NDJSON, b'{"id": null}\n'), (NDJSON, b"[]\n"),
        (NDJSON, b"{}\n"), (NDJSON, b'{"id": "a@b.c", "id": "d@e.f"}\n'), (NDJSON, b"\xff\n"),
        (NDJSON, b'"' + b"x" * 400 + b'"\n'), (NDJSON, b'"no address"\n'),
        (NDJSON, b"[" * 30_000), (NDJSON, b'"a\\u0000@b.c"\n'), (NDJSON, b'"a\\ud800@b.c"\n'),
        (NDJSON, b"9" * 20_000), (NDJSON, b"x" * 200_000),
        ("text/csv", b"other\r\nx\r\n"), ("text/csv", b"email,email\r\na,b\r\n"),
        ("text/csv", b'email\r\n"open\r\n'), ("text/csv", b"email\r\na@b.c,more\r\n"),
        ("text/csv", b"email\r\n\x00\r\n"), ("text/csv", b"\xff\xfe"),
        ("text/csv", b"x" * 200_000), ("text/plain", b"a@b.c\n"),
        (PARQUET, b"PAR1PAR1"), (PARQUET, b"x" * 200_000),
        (PARQUET, parquet_of(email=["a@b.c", None])), (PARQUET, parquet_of(email=["no address"])),
        (PARQUET, parquet_of(other=["a@b.c"])), (PARQUET, parquet_of(email=["a@b.c"])[:-9]),
    ],
)  # fmt: skip
def test_a_manifest_with_a_bad_line_is_refused_whole_and_repeats_nothing(known, kind, body):
    answer = known.send(MEMBERS, body, **{"Content-Type": kind})
    assert 400 <= told(answer, str(body[:40])) < 500, body[:40]
    assert "a@b.c" not in answer.text
    assert "no address" not in answer.text


def test_a_manifest_of_unknown_length_is_refused(known):
    headers = {"Authorization": f"Bearer {known.bearer}", "Content-Type": NDJSON}
    chunks = iter([b'"a@b.c"\n'])
    answer = known.client.post(known.address(MEMBERS), content=chunks, headers=headers)
    assert (told(answer, "chunked"), answer.json()["code"]) == (411, "length_required")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (NDJSON, b"secret\n" + b'"a@b.c"\n' * 300_000), (NDJSON, b'"a@b.c"\nnull\n'),
        (NDJSON, b'"a@b.c"\n"secret"\n'), (NDJSON, b"\xff\n"), (NDJSON, b"[" * 30_000),
        (NDJSON, b"x" * 200_000), (ARROW, b"secret" * 100_000), (ARROW, b"\xff" * 100_000),
        (ARROW, b"\xff\xff\xff\xff" + b"\x7f" * 100_000), (ARROW, b"\xff\xff\xff\xff" + bytes(9)),
        ("text/csv", b"email\r\nsecret\r\n"), ("application/vnd.apache.arrow.file", b"ARROW1"),
    ],
    ids=range(12),
)  # fmt: skip
def test_a_long_list_that_cannot_be_read_is_refused_by_the_gate_and_heard_out(known, kind, body):
    path = f"{known.address(FILTER)}?scheme=email"
    headers = {"Authorization": f"Bearer {known.bearer}", "Content-Type": kind}
    for _ in range(2):  # the connection serves the next question too
        answer = known.client.post(path, content=body, headers=headers)
        assert 400 <= told(answer, str(body[:40])) < 500, body[:40]
        assert "secret" not in answer.text
    right = known.client.post(
        path, content=b'"a@b.c"\n', headers=headers | {"Content-Type": NDJSON}
    )
    assert (right.status_code, right.text) == (200, "false\n")


def test_after_all_that_nothing_is_stuck_and_the_service_wrote_no_traceback(known, service):
    asked = {"namespace": "poison", "name": "out"}
    headers = {"Authorization": f"Bearer {known.bearer}"}
    for _ in range(300):
        pending = known.client.get("/api/v1/transparency/models", params=asked, headers=headers)
        if not any(pending.json()["pending"].values()):
            break
        time.sleep(0.1)
    assert pending.json()["pending"] == {"events": 0, "model_versions": 0}
    healthy = {"database": "answers", "journal": "replayed"}
    assert known.client.get("/healthz").json() == healthy
    assert "Traceback" not in service.log.read_text()
