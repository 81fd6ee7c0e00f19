"""Auditors ask over GraphQL whatever can be asked over REST, and get the same answers."""

import pytest

from lineage.models import DatasetVersion, ModelVersion, Run
from tests.factories.auditor import Auditor
from tests.factories.events import dataset, description, run

pytestmark = pytest.mark.django_db
MODEL = dataset("model", model=True)


@pytest.fixture
def auditor() -> Auditor:
    return Auditor()


@pytest.fixture
def story(send):
    columns = {"age": [("raw", "birthday", False)], "code": [("raw", "name", True)]}
    raw = dataset("raw")
    raw["facets"]["ownership"] = {"owners": [{"name": "team:crm", "type": "MAINTAINER"}]}
    raw["facets"]["tags"] = {"tags": [{"key": "pii", "value": "yes", "field": "birthday"}]}
    send([description(0, raw)])
    send(run("prepare", 1, 2, reads=["raw"], writes=[dataset("features", columns=columns)]))
    rate = {"parameters": [{"key": "rate", "value": "0.1"}]}
    send(run("train", 3, 4, reads=["features"], writes=[MODEL], run="first",
             executionParameters=rate))  # fmt: skip
    rate = {"parameters": [{"key": "rate", "value": "0.2"}]}
    send(run("train", 5, 6, reads=["features", "more"], writes=[MODEL], run="second",
             executionParameters=rate,
             job_facets={"sourceCodeLocation": {"version": "abc"}}))  # fmt: skip


def graph(answer) -> tuple[list[str], list[tuple[str, str]], bool]:
    named = {node["key"]: node["name"] for node in answer["nodes"]}
    edges = sorted((named[e["source"]], named[e["target"]]) for e in answer["edges"])
    return sorted(named.values()), edges, answer["truncated"]


def test_what_lies_around_a_data_set_a_job_and_a_run(auditor, story):
    shape = "{ truncated nodes { key kind name } edges { source target } }"
    whole = (
        ["features", "model", "more", "prepare", "raw", "train"],
        [("features", "train"), ("more", "train"), ("prepare", "features"), ("raw", "prepare"),
         ("train", "model")],
        False,
    )  # fmt: skip
    asked = f'{{ aroundDataset(namespace: "test", name: "features") {shape} }}'
    found = graph(auditor.ask(asked)["aroundDataset"])
    assert set(found[0]) >= {"features", "model", "prepare", "raw", "train"}
    assert set(found[1]) >= set(whole[1]) - {("more", "train")}
    assert found[2] is False
    up = f'{{ aroundDataset(namespace: "test", name: "features", direction: UP) {shape} }}'
    assert graph(auditor.ask(up)["aroundDataset"])[1] == [
        ("prepare", "features"), ("raw", "prepare"),
    ]  # fmt: skip
    job = f'{{ aroundJob(namespace: "test", name: "train", direction: DOWN, depth: 1) {shape} }}'
    assert ("train", "model") in graph(auditor.ask(job)["aroundJob"])[1]
    one = Run.objects.get(job__name="prepare")
    by_run = f'{{ aroundRun(id: "{one.uuid}", direction: UP) {shape} }}'
    assert ("raw", "prepare") in graph(auditor.ask(by_run)["aroundRun"])[1]


def test_a_walk_can_be_of_failed_runs_alone_and_of_the_past(auditor, story):
    ask = """{ aroundDataset(namespace: "test", name: "features", direction: UP, %s) {
      edges { label } } }"""
    assert auditor.ask(ask % "states: [FAIL]")["aroundDataset"]["edges"] == []
    assert len(auditor.ask(ask % "states: [COMPLETE]")["aroundDataset"]["edges"]) == 2
    past = ask % 'asOf: "2001-01-01T00:00:00Z"'
    assert auditor.ask(past)["aroundDataset"]["edges"] == []


@pytest.mark.parametrize("bounds", ["depth: 0", "depth: 51", "most: 0", "most: 501"])
def test_a_walk_without_bounds_is_refused(auditor, story, bounds):
    ask = f'{{ aroundDataset(namespace: "test", name: "raw", {bounds}) {{ truncated }} }}'
    assert auditor.codes(ask) == ["walk_out_of_range"]


def test_where_a_column_goes_with_the_transformation_at_each_hop(auditor, story):
    ask = """{ aroundColumn(namespace: "test", name: "raw", field: "name", up: false) {
      nodes { kind name depth } edges { masked } } }"""
    answer = auditor.ask(ask)["aroundColumn"]
    assert sorted((n["name"], n["depth"]) for n in answer["nodes"]) == [("code", 1), ("name", 0)]
    assert {n["kind"] for n in answer["nodes"]} == {"FIELD"}
    assert answer["edges"] == [{"masked": True}]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ('modelsByJob(namespace: "test", name: "prepare")', 2),
        ('modelsByField(namespace: "test", name: "raw", field: "birthday")', 2),
        ('modelsByField(namespace: "test", name: "raw", field: "other")', 0),
        ('modelsByOwner(owner: "team:crm")', 2),
        ('modelsByOwner(owner: "team")', 0),
        ('modelsByTag(key: "pii")', 2),
        ('modelsByTag(key: "pii", value: "no")', 0),
    ],
)
def test_models_by_job_column_owner_and_tag(auditor, story, asked, expected):
    field = asked.split("(")[0]
    answer = auditor.ask(f"{{ {asked} {{ nodes {{ id }} }} }}")[field]["nodes"]
    made = [str(each.uuid) for each in ModelVersion.objects.order_by("-pk")]
    assert len(made) == 2
    assert [each["id"] for each in answer] == made[:expected]


def test_models_by_one_version_of_a_data_set_in_pages(auditor, story):
    written = DatasetVersion.objects.get(dataset__name="features", kind="written")
    ask = """query($version: UUID!, $after: String) {
      modelsByVersion(version: $version, first: 1, after: $after) {
        nodes { id model { name } } pageInfo { hasNextPage endCursor } } }"""
    first = auditor.ask(ask, version=str(written.uuid))["modelsByVersion"]
    after = first["pageInfo"]["endCursor"]
    second = auditor.ask(ask, version=str(written.uuid), after=after)["modelsByVersion"]
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)
    seen = [page["nodes"][0]["id"] for page in (first, second)]
    assert seen == [str(each.uuid) for each in ModelVersion.objects.order_by("-pk")]


def test_what_changed_between_two_model_versions(auditor, story):
    before, after = ModelVersion.objects.order_by("pk")
    ask = """query($before: UUID!, $after: UUID!) {
      modelVersionChanges(before: $before, after: $after) {
        datasetsAdded { nodes { name } } datasetsRemoved { nodes { name } }
        parameters { key before after } codeBefore codeAfter } }"""
    answer = auditor.ask(ask, before=str(before.uuid), after=str(after.uuid))
    assert answer["modelVersionChanges"] == {
        "datasetsAdded": {"nodes": [{"name": "more"}]},
        "datasetsRemoved": {"nodes": []},
        "parameters": [{"key": "rate", "before": "0.1", "after": "0.2"}],
        "codeBefore": "", "codeAfter": "abc",
    }  # fmt: skip


def test_what_hangs_on_a_data_set(auditor, story):
    ask = """{ impact(namespace: "test", name: "raw") { truncated owners
      datasets { nodes { name } } models { nodes { id } } } }"""
    answer = auditor.ask(ask)["impact"]
    assert [each["name"] for each in answer["datasets"]["nodes"]] == ["features", "model"]
    assert len(answer["models"]["nodes"]) == 2
    assert (answer["owners"], answer["truncated"]) == (["team:crm"], False)


def test_where_a_personal_column_arrives(auditor, story):
    ask = '{ tagArrivals(key: "pii") { nodes { value way { name field } } } }'
    assert auditor.ask(ask)["tagArrivals"]["nodes"] == [
        {"value": "yes", "way": [{"name": "raw", "field": "birthday"},
                                 {"name": "features", "field": "age"}]}
    ]  # fmt: skip


def test_search_goes_page_by_page(auditor, send):
    send(run("load", 0, 1, reads=[f"number_{n}" for n in range(5)], writes=["all"]))
    ask = """query($after: String) { search(text: "number", kind: DATASET, first: 3, after: $after)
      { nodes { kind name } pageInfo { hasNextPage endCursor } } }"""
    first = auditor.ask(ask)["search"]
    second = auditor.ask(ask, after=first["pageInfo"]["endCursor"])["search"]
    names = [node["name"] for page in (first, second) for node in page["nodes"]]
    assert sorted(names) == [f"number_{n}" for n in range(5)]
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)
    assert {node["kind"] for node in first["nodes"]} == {"DATASET"}


@pytest.mark.parametrize("text", ["", "   ", "x" * 201])
def test_a_search_for_nothing_or_for_a_novel_is_refused(auditor, text):
    ask = "query($text: String!) { search(text: $text) { nodes { name } } }"
    assert auditor.codes(ask, text=text) == ["search_text_out_of_range"]
