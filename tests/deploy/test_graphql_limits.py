"""Documents that are built to be expensive are refused quickly, and none is answered with 500."""

import json
import time

import pytest
from graphql import (
    build_client_schema,
    get_introspection_query,
    parse,
    print_schema,
    validate,
)

from deploy.graphql.limits import COST, DEPTH, FIELDS, ROOTS, limits
from deploy.schema import schema
from governance.models import LedgerRecord
from tests.factories.auditor import Auditor
from tests.factories.governance import DatasetFactory

pytestmark = pytest.mark.django_db

SECONDS = 1.0  # generous for a shared machine; each takes some milliseconds

CHOSEN = "query($n: Int) { datasets(first: $n) { nodes { "


@pytest.fixture
def auditor(db) -> Auditor:
    return Auditor()


def nested(levels: int) -> str:
    """Return a document that follows a model to its data set and back, ever deeper."""
    return (
        "{ datasets(first: 1) { nodes { "
        + "model { dataset { " * levels
        + "id"
        + " } }" * levels
        + " } } }"
    )


def shared_fragments(count: int) -> str:
    """Return fragments that each spread the next one twice: 2**count when followed naively."""
    links = " ".join(
        f"fragment f{n} on Dataset {{ model {{ dataset {{ ...f{n + 1} ...f{n + 1} }} }} }}"
        for n in range(count)
    )
    return f"{{ datasets {{ nodes {{ ...f0 }} }} }} {links} fragment f{count} on Dataset {{ id }}"


def spreads_without_depth(count: int) -> str:
    """Return the same without going deeper: only the number of fields explodes."""
    links = " ".join(
        f"fragment f{n} on Dataset {{ a{n}: id ...f{n + 1} ...f{n + 1} ...f{n + 1} }}"
        for n in range(count)
    )
    return f"{{ datasets {{ nodes {{ ...f0 }} }} }} {links} fragment f{count} on Dataset {{ id }}"


BOMBS = {
    "deep": nested(80),
    "deeper than any parser goes": nested(900),
    "a little too deep": nested(4),
    "wide": "{ datasets(first: 1) { nodes { " + "id " * (FIELDS + 1) + "} } }",
    "aliases of a field": "{ datasets(first: 1) { nodes { "
    + " ".join(f"a{n}: id" for n in range(400))
    + " } } }",
    "aliases of roots": "{ " + " ".join(f"a{n}: ledgerHead {{ size }}" for n in range(6)) + " }",
    "roots behind a fragment": "{ ...a ...b } fragment a on Query { a: __typename b: __typename "
    "c: __typename } fragment b on Query { d: __typename e: __typename f: __typename }",
    "lists in lists": "{ datasets(first: 100) { nodes { model { dataset { id name } } } } "
    "policies(first: 100) { nodes { versions(first: 100) { nodes { text } } } } }",
    "fragments shared exponentially": shared_fragments(29),
    "more fragments": shared_fragments(60),
    "fragments shared without depth": spreads_without_depth(29),
    "a cycle": "{ datasets { nodes { ...a } } } fragment a on Dataset { id ...b } "
    "fragment b on Dataset { id ...a }",
    "a cycle of one": "{ datasets { nodes { ...a } } } fragment a on Dataset { id ...a }",
    "a cycle through objects": "{ datasets { nodes { ...a } } } "
    "fragment a on Dataset { model { dataset { ...a } } }",
    "a cycle in the root": "{ ...a } fragment a on Query { ...a }",
    "comments": "#\n" * 9_000 + "{ __typename }",
    "tokens": "{ " + "id " * 1_600 + "}",
    "brackets": "{" * 10_000,
    "square brackets": "{ datasets(first: " + "[" * 10_000,
    "a huge integer": "{ datasets(first: " + "9" * 20_000 + ") { nodes { id } } }",
    "a huge negative integer": "{ datasets(first: -" + "9" * 20_000 + ") { nodes { id } } }",
    "a huge float": "{ datasets(first: 1e" + "9" * 5_000 + ") { nodes { id } } }",
    "a huge default": "query($n: Int = " + "9" * 9_000 + ") "
    "{ datasets(first: $n) { nodes { id } } }",
    "two operations": "query a { __typename } query b { __typename }",
    "unknown fields": "{ " + " ".join(f"unknown{n}" for n in range(300)) + " }",
    "a field with a long name": "{ " + "x" * 30_000 + " }",
    "unknown arguments": "{ datasets(" + " ".join(f"a{n}: 1" for n in range(300)) + ") { nodes } }",
    "an unknown type": "{ ... on Nothing { id } }",
    "an unknown fragment": "{ ...nothing }",
    "an unused variable": "query($x: String) { __typename }",
    "an undefined variable": "{ datasets(first: $x) { nodes { id } } }",
    "an unknown directive": "{ __typename @nothing }",
    "directives": "{ __typename " + "@include(if: true) " * 290 + "}",
    "conflicting aliases": "{ a: ledgerHead { size } a: datasets { nodes { id } } }",
    "a mutation": "mutation { drop }",
    "a subscription": "subscription { everything }",
    "a definition": "type Query { id: ID }",
    "NUL in a string": r'{ datasets(namespace: "\u0000") { nodes { id } } }',
    "NUL in a variable's default": r'query($a: String = "\u{0}") { datasets(namespace: $a) '
    "{ nodes { id } } }",
    "half a surrogate": r'{ datasets(namespace: "\ud800") { nodes { id } } }',
    "a bad id": '{ request(id: "x") { id } }',
    "an id that is a number": "{ request(id: 7) { id } }",
    "an id that is an object": "{ request(id: {a: 1}) { id } }",
    "an instant that is none": '{ modelsUsing(namespace: "a", name: "b", asOf: "x") { nodes '
    "{ certainty } } }",
    "introspection in circles": "{ __schema { types { " + "fields { type { " * 20 + "name"
    + " } }" * 20 + " } } }",
    "introspection, repeated": "{ __schema { "
    + " ".join(f"t{n}: types {{ fields {{ args {{ name }} }} }}" for n in range(70))
    + " } }",
    "an open string": '{ datasets(namespace: "',
    "an open block string": '{ datasets(namespace: """',
}  # fmt: skip


@pytest.mark.parametrize("query", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_refused_quickly_and_not_recorded(auditor, query):
    begun = time.perf_counter()
    response = auditor.send({"query": query})
    seconds = time.perf_counter() - begun
    answer = json.loads(response.content)
    assert response.status_code == 400, answer
    assert seconds < SECONDS
    assert "data" not in answer
    assert 1 <= len(answer["errors"]) <= 6
    assert len(response.content) < 4_000
    assert {each["extensions"]["code"] for each in answer["errors"]} <= {
        "document_invalid",
        "too_much_asked",
    }
    assert "Did you mean" not in response.content.decode()
    assert "Traceback" not in response.content.decode()
    assert not LedgerRecord.objects.filter(kind="audit.question").exists()


def test_two_megabytes_of_comments_are_not_read(auditor):
    begun = time.perf_counter()
    response = auditor.send({"query": "#" * 2_000_000 + "\n{ __typename }"})
    assert response.status_code == 413
    assert time.perf_counter() - begun < SECONDS


@pytest.mark.parametrize(
    "variables",
    [
        {"n": 10**30}, {"n": -(10**30)}, {"n": 1.5}, {"n": "1"}, {"n": [1]}, {"n": {"a": 1}},
        {"n": True},
    ],
)  # fmt: skip
def test_a_variable_of_another_type_is_refused(auditor, variables):
    body = {
        "query": "query($n: Int) { datasets(first: $n) { nodes { id } } }",
        "variables": variables,
    }
    response = auditor.send(body)
    answer = json.loads(response.content)
    assert response.status_code == 400
    if "errors" in answer:
        assert [each["extensions"]["code"] for each in answer["errors"]] == ["document_invalid"]
    else:  # a number that has no canonical form cannot even be recorded
        assert answer["code"] == "request_unusable"


@pytest.mark.parametrize("given", ["x", 7, [], {}, None, "٣" * 40, "urn:uuid:x"])
def test_an_id_that_is_none_is_refused(auditor, given):
    body = {"query": "query($id: UUID!) { request(id: $id) { id } }", "variables": {"id": given}}
    response = auditor.send(body)
    assert response.status_code == 400
    assert json.loads(response.content)["errors"][0]["extensions"]["code"] == "document_invalid"


@pytest.mark.parametrize(
    "at",
    [
        "2026-06-01",
        "2026-06-01T12:00:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_any_instant_can_be_asked_about(auditor, at):
    DatasetFactory(namespace="a", name="b")
    query = """query($at: DateTime) { modelsUsing(namespace: "a", name: "b", asOf: $at) {
        nodes { certainty } } }"""
    assert auditor.ask(query, at=at) == {"modelsUsing": {"nodes": []}}


def test_introspection_as_the_usual_tools_ask_for_it_is_answered(auditor):
    answer = auditor.ask(get_introspection_query(descriptions=True, schema_description=True))
    assert print_schema(build_client_schema(answer)).strip() == str(schema).strip()


@pytest.mark.parametrize(
    ("query", "variables", "is_allowed"),
    [
        (nested(3), {}, True),
        (nested(4), {}, False),
        ("{ datasets(first: 1) { nodes { " + "id " * (FIELDS - 2) + "} } }", {}, True),
        ("{ datasets(first: 1) { nodes { " + "id " * (FIELDS - 1) + "} } }", {}, False),
        ("{ " + " ".join(f"a{n}: __typename" for n in range(ROOTS)) + " }", {}, True),
        ("{ " + " ".join(f"a{n}: __typename" for n in range(ROOTS + 1)) + " }", {}, False),
        # 1 + 99 * (1 + 49 + 0) is under the limit, one more of either is over it
        ("{ datasets(first: 100) { nodes { " + "id " * 48 + "} } }", {}, True),
        ("{ datasets(first: 100) { nodes { " + "id " * 49 + "} } }", {}, False),
        (CHOSEN + "id " * 49 + "} } }", {"n": 99}, True),
        (CHOSEN + "id " * 49 + "} } }", {"n": 100}, False),
        (CHOSEN + "id " * 98 + "} } }", {}, True),
        (CHOSEN + "id " * 99 + "} } }", {}, False),
        ("query($n: Int = 100) { datasets(first: $n) { nodes { " + "id " * 49 + "} } }", {}, False),
        ("{ datasets { nodes { " + "id " * 98 + "} } }", {}, True),
        ("{ datasets { nodes { " + "id " * 99 + "} } }", {}, False),
        ("{ datasets(first: null) { nodes { " + "id " * 99 + "} } }", {}, False),
    ],
)  # fmt: skip
def test_each_limit_lies_where_it_is_said_to_lie(query, variables, is_allowed):
    errors = validate(schema.graphql_schema, parse(query), [limits(variables)])
    assert (errors == []) is is_allowed, errors


def test_the_limits_are_those_that_auditors_are_told():
    assert (DEPTH, FIELDS, ROOTS, COST) == (10, 300, 5, 5_000)


def test_fragments_are_measured_as_what_they_spread(auditor):
    plain = "{ datasets(first: 100) { nodes { " + "id " * 49 + "} } }"
    spread = (
        "{ datasets(first: 100) { ...p } } fragment p on DatasetConnection { nodes { ...d } } "
        "fragment d on Dataset { " + "id " * 49 + "}"
    )
    inline = "{ datasets(first: 100) { ... on DatasetConnection { nodes { ... { " + "id " * 49 + "} } } } }"  # fmt: skip  # noqa: E501
    for query in (plain, spread, inline):
        assert auditor.codes(query) == ["too_much_asked"]


def test_a_question_at_the_limits_is_answered_in_time(auditor):
    for _ in range(100):
        DatasetFactory()
    begun = time.perf_counter()
    auditor.ask("{ datasets(first: 100) { nodes { " + "id " * 48 + "} } }")
    assert time.perf_counter() - begun < SECONDS
