"""The auditors' door: who gets in, in which form, and that nothing is answered unrecorded."""

import hashlib
import json
import logging

import pytest
from django.db import DatabaseError, connection
from django.test import Client

from deploy.graphql import asking
from deploy.schema import schema
from governance.keys import organisation_key
from governance.models import Dataset, LedgerRecord
from governance.selectors import ledger
from governance.services.clients import issue_key, revoke_key
from tests.factories.auditor import Auditor
from tests.factories.governance import DatasetFactory, ModelFactory, PurposeFactory, StorageFactory

pytestmark = pytest.mark.django_db

HEAD = "{ ledgerHead { size root } }"


@pytest.fixture
def auditor(db) -> Auditor:
    return Auditor()


def questions() -> list[dict]:
    """Return the facts of the recorded questions, oldest first."""
    records = LedgerRecord.objects.filter(kind="audit.question").order_by("pk")
    return [ledger.opened(each.uuid, organisation_key())["facts"] for each in records]


def test_an_auditor_is_answered(auditor):
    response = auditor.send({"query": HEAD})
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert "no-store" in response["Cache-Control"]
    assert json.loads(response.content)["data"]["ledgerHead"]["size"] == 0


@pytest.mark.parametrize(
    "bearer", ["", "Bearer", "Bearer x", "Bearer col_aaaaaaaaaaaa_" + "A" * 43]
)
def test_nobody_gets_in_without_a_good_key(auditor, bearer):
    response = auditor.send(b"not even JSON", HTTP_AUTHORIZATION=bearer)
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")
    assert json.loads(response.content)["code"] == "unauthenticated"
    assert questions() == []


def test_a_key_for_something_else_is_refused_before_anything_is_read(db):
    response = Auditor(scopes=("registry:read", "lineage:write")).send(b"not even JSON")
    assert response.status_code == 403
    assert json.loads(response.content)["code"] == "scope_missing"


def test_a_revoked_key_is_refused(db):
    issued = issue_key(client_name="auditor", scopes=["audit:read"])
    revoke_key(key_id=issued.key.key_id)
    auditor = Auditor()
    assert auditor.send({"query": HEAD}).status_code == 200
    auditor.bearer = issued.bearer
    assert auditor.send({"query": HEAD}).status_code == 401


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "options", "head"])
def test_only_a_post_is_taken(auditor, method):
    response = auditor.send(b"", method=method, path="/graphql?query=%7BledgerHead%7Bsize%7D%7D")
    assert (response.status_code, response["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({"content_type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
        ({"content_type": "multipart/form-data; boundary=x"}, 415, "unsupported_media_type"),
        ({"content_type": "application/graphql"}, 415, "unsupported_media_type"),
        ({"content_type": ""}, 415, "unsupported_media_type"),
        ({"HTTP_CONTENT_ENCODING": "gzip"}, 415, "unsupported_media_type"),
        ({"path": "/graphql?query=%7B__typename%7D"}, 400, "request_unusable"),
    ],
)
def test_the_form_of_a_request_is_one(auditor, sent, status, code):
    response = auditor.send({"query": HEAD}, **sent)
    assert (response.status_code, json.loads(response.content)["code"]) == (status, code)
    assert questions() == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b" ", "malformed_json"),
        (b"{", "malformed_json"),
        (b'{"query":"{a}","query":"{b}"}', "malformed_json"),
        (b'{"query":"{a}","variables":{"n":1e999}}', "malformed_json"),
        (b'{"query":"{a}","variables":{"n":NaN}}', "malformed_json"),
        (b'{"query":"\\u0000"}', "malformed_json"),
        (b'{"query":"{a}","variables":' + b"[" * 40 + b"]" * 40 + b"}", "malformed_json"),
        (b'[{"query":"{__typename}"}]', "request_unusable"),
        (b"null", "request_unusable"),
        (b"{}", "request_unusable"),
        (b'{"query":""}', "request_unusable"),
        (b'{"query":7}', "request_unusable"),
        (b'{"query":"{__typename}","variables":[]}', "request_unusable"),
        (b'{"query":"{__typename}","variables":"{}"}', "request_unusable"),
        (b'{"query":"{__typename}","operationName":7}', "request_unusable"),
        (b'{"query":"{__typename}","unknown":1}', "request_unusable"),
        (b'{"query":"{__typename}","variables":{"n":9007199254740993}}', "request_unusable"),
    ],
)
def test_what_is_not_a_question_is_refused(auditor, body, code):
    response = auditor.send(body)
    assert (response.status_code, json.loads(response.content)["code"]) == (400, code)
    assert questions() == []


def test_a_body_over_the_limit_is_refused_unread(auditor):
    response = auditor.send({"query": "#" + "x" * asking.BODY_BYTES + "\n" + HEAD})
    assert response.status_code == 413
    assert json.loads(response.content)["code"] == "body_too_large"


def test_the_question_is_recorded_without_what_it_says(auditor):
    query = "query Named($ns: String!) { datasets(namespace: $ns) { nodes { id } } }"
    auditor.send({"query": query, "variables": {"ns": "secret"}, "operationName": "Named"})
    assert questions() == [
        {
            "client": "auditor",
            "document_sha256": hashlib.sha256(query.encode()).hexdigest(),
            "operation": "Named",
            "variables_sha256": hashlib.sha256(b'{"ns":"secret"}').hexdigest(),
        }
    ]


def test_the_question_is_on_record_before_it_is_answered(auditor, monkeypatch):
    seen = []
    monkeypatch.setattr(ledger, "head", lambda: seen.extend(questions()) or ledger.Head(0, b""))
    auditor.ask(HEAD)
    assert [each["client"] for each in seen] == ["auditor"]


@pytest.mark.django_db(transaction=True)
def test_the_record_stays_when_answering_fails(monkeypatch):
    auditor = Auditor()

    def fail():
        raise RuntimeError

    monkeypatch.setattr(ledger, "head", fail)
    assert auditor.codes(HEAD) == ["internal"]
    assert len(questions()) == 1


def test_what_cannot_be_recorded_is_not_answered(auditor, monkeypatch):
    def fail(**_facts):
        raise DatabaseError("disk full at /var/lib/secret")

    monkeypatch.setattr(asking.ledger, "append", fail)
    monkeypatch.setattr(ledger, "head", lambda: pytest.fail("answered"))
    response = auditor.send({"query": HEAD})
    assert response.status_code == 503
    assert response["Retry-After"]
    assert json.loads(response.content)["code"] == "question_not_recorded"
    assert b"secret" not in response.content


def test_an_invalid_document_is_not_recorded_because_it_is_not_answered(auditor):
    assert auditor.send({"query": "{ nothing }"}).status_code == 400
    assert questions() == []


def test_nothing_can_be_written_while_answering(auditor, monkeypatch):
    def write():
        Dataset.objects.create(namespace="n", name="written")

    monkeypatch.setattr(ledger, "head", write)
    assert auditor.codes(HEAD) == ["internal"]
    assert not Dataset.objects.filter(name="written").exists()
    DatasetFactory()  # afterwards, writing works again


def test_a_query_that_takes_too_long_is_stopped(auditor, monkeypatch):
    def sleep():
        with connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("5s",)
            cursor.execute("SET LOCAL statement_timeout = '20ms'")
            cursor.execute("SELECT pg_sleep(5)")

    monkeypatch.setattr(ledger, "head", sleep)
    assert auditor.codes(HEAD) == ["took_too_long"]


def test_an_unexpected_error_tells_nothing_and_is_logged_without_its_words(
    auditor, monkeypatch, caplog
):
    def fail():
        raise RuntimeError("psql: password=hunter2 for ann@example.org")

    monkeypatch.setattr(ledger, "head", fail)
    with caplog.at_level(logging.ERROR):
        answer = auditor.answer(HEAD)
    [error] = answer["errors"]
    assert error["message"] == "internal error"
    assert error["extensions"]["code"] == "internal"
    assert error["extensions"]["correlation_id"] in caplog.text
    assert "RuntimeError" in caplog.text
    assert "hunter2" not in json.dumps(answer) + caplog.text
    assert answer.get("data") is None


def test_a_resolver_that_queries_by_itself_fails_loudly(auditor, monkeypatch):
    monkeypatch.setattr(
        schema.graphql_schema.query_type.fields["ledgerHead"],
        "resolve",
        lambda _root, _info: Dataset.objects.count(),
    )
    assert auditor.codes(HEAD) == ["internal"]


def test_our_own_refusals_keep_code_and_message(auditor):
    answer = auditor.answer('{ dataset(namespace: "no", name: "where") { id } }')
    assert answer["data"] == {"dataset": None}
    [error] = answer["errors"]
    assert error["message"] == "there is no such data set"
    assert (error["extensions"], error["path"]) == ({"code": "not_found"}, ["dataset"])


@pytest.mark.parametrize(
    "query",
    [
        "{ ledgerHeat { size } }",
        "{ ledgerHead { sizes } }",
        "{ datasets(frist: 1) { nodes { id } } }",
    ],
)
def test_no_name_is_suggested(auditor, query):
    answer = auditor.answer(query)
    assert "Did you mean" not in json.dumps(answer)
    assert answer["errors"][0]["extensions"]["code"] == "document_invalid"


def test_there_are_no_mutations_and_no_subscriptions():
    assert schema.graphql_schema.mutation_type is None
    assert schema.graphql_schema.subscription_type is None


def test_a_document_may_be_named_and_must_then_be_found(auditor):
    body = {"query": "query A { __typename }", "operationName": "B"}
    assert auditor.send(body).status_code == 400
    assert auditor.send(body | {"operationName": "A"}).status_code == 200


def test_a_data_set_is_found_by_name_and_by_id(auditor):
    made = DatasetFactory(
        storage=StorageFactory(name="lake", address="/srv/secret"),
        location="t",
        categories=["health"],
    )
    model = ModelFactory()
    fields = "{ id namespace name categories storage { name kind enabled } model { name } }"
    by_name = auditor.ask(
        f"query($ns: String!, $n: String!) {{ dataset(namespace: $ns, name: $n) {fields} }}",
        ns=made.namespace, n=made.name,
    )  # fmt: skip
    by_id = auditor.ask(f"query($id: UUID!) {{ dataset(id: $id) {fields} }}", id=str(made.uuid))
    assert by_name == by_id == {
        "dataset": {
            "id": str(made.uuid), "namespace": "warehouse", "name": made.name,
            "categories": ["health"],
            "storage": {"name": "lake", "kind": "FILES", "enabled": True}, "model": None,
        }
    }  # fmt: skip
    asked = auditor.ask(
        "query($id: UUID!) { dataset(id: $id) { model { id name dataset { id } } } }",
        id=str(model.dataset.uuid),
    )
    assert asked["dataset"]["model"] == {
        "id": str(model.uuid), "name": model.dataset.name,
        "dataset": {"id": str(model.dataset.uuid)},
    }  # fmt: skip


def test_a_data_set_is_asked_for_in_one_way(auditor):
    both = f'{{ dataset(id: "{"0" * 32}", name: "a", namespace: "b") {{ id }} }}'
    assert auditor.codes(both) == ["which_dataset"]
    assert auditor.codes('{ dataset(name: "a") { id } }') == ["which_dataset"]
    assert auditor.codes("{ dataset { id } }") == ["which_dataset"]


def test_pages_follow_each_other_and_cover_the_list_once(auditor):
    names = [DatasetFactory().name for _ in range(7)]
    query = """query($after: String) { datasets(first: 3, after: $after) {
        nodes { name } edges { cursor node { name } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
    seen, after, pages = [], None, 0
    while True:
        page = auditor.ask(query, after=after)["datasets"]
        assert page["nodes"] == [edge["node"] for edge in page["edges"]]
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        seen += [node["name"] for node in page["nodes"]]
        pages += 1
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert (seen, pages) == (names, 3)
    middle = auditor.ask(query, after=auditor.ask(query)["datasets"]["edges"][0]["cursor"])
    assert [node["name"] for node in middle["datasets"]["nodes"]] == names[1:4]


@pytest.mark.parametrize("first", [0, -1, 101, 2**31 - 1])
def test_a_page_has_from_one_to_a_hundred_nodes(auditor, first):
    query = "query($n: Int) { datasets(first: $n) { nodes { id } } }"
    assert auditor.codes(query, n=first) == ["first_out_of_range"]


def test_the_default_is_fifty(auditor):
    for _ in range(51):
        DatasetFactory()
    for asked in ("datasets", "datasets(first: null)"):
        page = auditor.ask(f"{{ {asked} {{ nodes {{ id }} pageInfo {{ hasNextPage }} }} }}")
        assert len(page["datasets"]["nodes"]) == 50
        assert page["datasets"]["pageInfo"]["hasNextPage"] is True


def test_a_cursor_continues_only_the_list_that_gave_it_out(auditor):
    DatasetFactory.create_batch(2)
    page = auditor.ask("{ datasets(first: 1) { pageInfo { endCursor } } }")["datasets"]
    cursor = page["pageInfo"]["endCursor"]
    for other in ("models", "purposes", 'datasets(namespace: "x")'):
        field = other.removesuffix(")") + ("," if "(" in other else "(")
        query = f"query($c: String) {{ {field} after: $c) {{ nodes {{ id }} }} }}"
        assert auditor.codes(query, c=cursor) == ["cursor_invalid"]
    tampered = cursor[:-4] + ("AAAA" if cursor[-4:] != "AAAA" else "BBBB")
    for bad in ("", "x", "é", "MQ==", tampered):
        query = "query($c: String) { datasets(after: $c) { nodes { id } } }"
        assert auditor.codes(query, c=bad) == ["cursor_invalid"]


def test_a_cursor_shows_no_key(auditor):
    import base64

    made = DatasetFactory()
    page = auditor.ask("{ datasets { edges { cursor } } }")["datasets"]
    assert str(made.pk).encode() not in base64.urlsafe_b64decode(page["edges"][0]["cursor"])[12:-16]


def test_purposes_form_a_tree(auditor):
    parent = PurposeFactory(key="research")
    PurposeFactory(key="cancer", parent=parent)
    nodes = auditor.ask("{ purposes { nodes { key legalBasis parent { key } } } }")
    assert nodes["purposes"]["nodes"] == [
        {"key": "research", "legalBasis": "CONSENT", "parent": None},
        {"key": "cancer", "legalBasis": "CONSENT", "parent": {"key": "research"}},
    ]


def test_policies_are_shown_once_published_and_drafts_never(auditor):
    from governance.selectors import rules as selected
    from governance.services import rules

    rules.draft_policy(key="sharing", title="One", text="First text.", rules={"keep_days": 30})
    rules.publish_policy(policy=selected.policy("sharing"))
    rules.draft_policy(key="sharing", title="Two", text="A draft.")
    rules.draft_policy(key="unpublished", title="No", text="A draft.")
    nodes = auditor.ask(
        "{ policies(first: 9) { nodes { key versions { nodes { number title rules } } } } }"
    )
    assert nodes["policies"]["nodes"] == [
        {
            "key": "sharing",
            "versions": {"nodes": [{"number": 1, "title": "One", "rules": {"keep_days": 30}}]},
        }
    ]


def test_a_proof_is_a_document_that_holds(auditor):
    from governance.proofs import InclusionProof
    from governance.services import ledger as services

    record = LedgerRecord.objects.latest("pk")
    query = "query($r: UUID!) { ledgerProof(record: $r) { index size root document } }"
    assert auditor.codes(query, r=str(record.uuid)) == ["not_yet_sequenced"]
    services.sequence()
    proof = auditor.ask(query, r=str(record.uuid))["ledgerProof"]
    assert InclusionProof.from_json(proof["document"]).holds()
    assert proof["root"] == proof["document"]["root"]
    assert int(proof["size"]) == proof["document"]["size"]
    head = auditor.ask(HEAD)["ledgerHead"]
    assert head["root"] == proof["root"]
    assert auditor.codes(query, r="0" * 32) == ["not_found"]


@pytest.mark.parametrize(
    "query",
    [
        "{ datasets(first: 100) { nodes { name storage { name } model { id namespace } } } }",
        "{ models(first: 100) { nodes { namespace name dataset { storage { name } } } } }",
        "{ purposes(first: 100) { nodes { key parent { key parent { key } } } } }",
    ],
)
def test_the_number_of_queries_does_not_grow_with_the_list(auditor, query):
    def grow(count):
        for _ in range(count):
            ModelFactory(dataset=DatasetFactory(storage=StorageFactory(), location="t"))
            PurposeFactory(parent=PurposeFactory(parent=PurposeFactory()))

    grow(1)
    few = auditor.queries(query)
    grow(20)
    many = auditor.queries(query)
    assert len(few) == len(many), "\n".join(many)


def test_the_address_of_a_storage_is_no_field():
    fields = schema.graphql_schema.get_type("Storage").fields
    assert set(fields) == {"id", "name", "kind", "enabled"}


def test_over_http_no_cookie_is_needed_and_none_is_set(auditor):
    client = Client(enforce_csrf_checks=True)
    response = client.post(
        "/graphql",
        {"query": HEAD},
        content_type="application/json",
        headers={"Authorization": f"Bearer {auditor.bearer}"},
    )
    assert response.status_code == 200
    assert response.json()["data"]["ledgerHead"]["size"] == 0
    assert not response.cookies
    assert client.get("/graphql").status_code == 405
