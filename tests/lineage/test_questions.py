"""Further questions: models by job, owner, tag, column and version; changes; impact; search."""

from typing import Any

import pytest

from lineage.models import DatasetVersion, ModelVersion
from tests.factories.events import dataset, description, event, run
from tests.factories.governance import issued_key

pytestmark = pytest.mark.django_db
MODEL = dataset("model", model=True)


@pytest.fixture
def ask(client):
    bearer = {"Authorization": f"Bearer {issued_key('audit:read', client_name='auditor')}"}

    def ask(path: str, **asked: Any) -> Any:
        return client.get(f"/api/v1/{path}", asked, headers=bearer)

    return ask


def models(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [each["name"] for each in answer.json()["results"]]


def parameters(**values: str) -> dict[str, Any]:
    return {"parameters": [{"key": key, "value": value} for key, value in values.items()]}


@pytest.fixture
def story(send):
    columns = {"age": [("raw", "birthday", False)], "code": [("raw", "name", True)]}
    raw = dataset("raw")
    raw["facets"]["ownership"] = {"owners": [{"name": "team:crm", "type": "MAINTAINER"}]}
    raw["facets"]["tags"] = {
        "tags": [{"key": "pii", "value": "yes", "field": "birthday"}, {"key": "gold", "value": "1"}]
    }
    raw["facets"]["documentation"] = {"description": "Everything that guests wrote at breakfast"}
    raw["facets"]["schema"] = {"fields": [{"name": "birthday"}, {"name": "name"}, {"name": "x"}]}
    send([description(0, raw)])
    send(run("prepare", 1, 2, reads=["raw"], writes=[dataset("features", columns=columns)]))
    send(run("train", 3, 4, reads=["features"], writes=[MODEL], run="first",
             executionParameters=parameters(rate="0.1", depth="3")))  # fmt: skip
    send(run("train", 5, 6, reads=["features", "more"], writes=[MODEL], run="second",
             executionParameters=parameters(rate="0.2", depth="3"),
             job_facets={"sourceCodeLocation": {"version": "abc"}}))  # fmt: skip


def test_models_by_job(story, ask):
    by = "transparency/models/by-job"
    assert models(ask(by, namespace="test", name="prepare")) == ["model", "model"]
    assert ask(by, namespace="test", name="nobody").status_code == 404


def test_models_by_owner_and_tag(story, ask):
    assert models(ask("transparency/models/by-owner", owner="team:crm")) == ["model", "model"]
    assert models(ask("transparency/models/by-owner", owner="team")) == []
    assert models(ask("transparency/models/by-tag", key="pii")) == ["model", "model"]
    assert models(ask("transparency/models/by-tag", key="gold", value="1")) == ["model", "model"]
    assert models(ask("transparency/models/by-tag", key="gold", value="2")) == []


def test_models_by_column(story, ask):
    by = {"path": "transparency/models/by-field", "namespace": "test", "name": "raw"}
    assert models(ask(**by, field="birthday")) == ["model", "model"]
    assert models(ask(**by, field="x")) == []
    assert models(ask(**(by | {"name": "more"}), field="anything")) == ["model"]


def test_models_by_version(story, ask):
    written = DatasetVersion.objects.get(dataset__name="features", kind="written")
    found = ask("transparency/models/by-version", version=str(written.uuid))
    assert models(found) == ["model", "model"]


def test_long_answers_come_in_pages(story, ask):
    by = {"path": "transparency/models/by-tag", "key": "pii", "limit": 1}
    first = ask(**by).json()
    assert (first["total"], len(first["results"])) == (2, 1)
    second = ask(**by, cursor=first["next"]).json()
    assert second["next"] is None
    assert first["results"] != second["results"]
    assert ask(**(by | {"key": "gold"}), cursor=first["next"]).status_code == 400


def test_what_changed_between_two_model_versions(story, ask):
    before, after = ModelVersion.objects.order_by("pk")
    path = f"transparency/model-versions/{after.uuid}/changes"
    told = ask(path, since=str(before.uuid)).json()
    assert [each["name"] for each in told["datasets_added"]] == ["more"]
    assert told["datasets_removed"] == []
    assert told["parameters"] == {"rate": ["0.1", "0.2"]}
    assert told["code"] == ["", "abc"]


def test_what_hangs_on_a_data_set(story, ask):
    told = ask("transparency/impact", namespace="test", name="raw").json()
    assert [each["name"] for each in told["datasets"]] == ["features", "model"]
    assert len(told["models"]) == 2
    assert (told["owners"], told["truncated"]) == (["team:crm"], False)


def test_a_column_is_followed_up_and_down_through_the_mask(story, ask):
    asked = {"path": "lineage/columns", "namespace": "test"}
    down = ask(**asked, name="raw", field="name", direction="down").json()
    assert [(e["label"], e["masked"]) for e in down["edges"]] == [("DIRECT IDENTITY", True)]
    up = ask(**asked, name="features", field="age", direction="up").json()
    assert sorted(each["name"] for each in up["nodes"]) == ["age", "birthday"]


def test_a_tag_travels_along_unmasked_columns(story, ask):
    [arrival] = ask("lineage/columns/tags", key="pii").json()["results"]
    assert [(each["name"], each["field"]) for each in arrival["way"]] == [
        ("raw", "birthday"), ("features", "age"),
    ]  # fmt: skip


def found(answer: Any) -> list[tuple[str, str, str]]:
    assert answer.status_code == 200, answer.content
    return [(each["kind"], each["name"], each["field"]) for each in answer.json()["results"]]


def test_search_finds_parts_of_names_words_and_columns(story, ask):
    assert found(ask("search", q="featur")) == [("dataset", "features", "")]
    assert found(ask("search", q="breakfast guests")) == [("dataset", "raw", "")]
    assert found(ask("search", q="birth")) == [("field", "raw", "birthday")]
    assert ("job", "train", "") in found(ask("search", q="train"))
    assert found(ask("search", q="model", kind="model")) == [("model", "model", "")]
    assert found(ask("search", q="100%")) == []


def test_search_comes_in_pages(send, ask):
    send([event("START", f"job number {n}", n) for n in range(5)])
    first = ask("search", q="number", limit=3).json()
    assert len(first["results"]) == 3
    rest = ask("search", q="number", limit=3, cursor=first["next"]).json()
    assert (len(rest["results"]), rest["next"]) == (2, None)
    seen = {each["name"] for each in first["results"] + rest["results"]}
    assert len(seen) == 5
    other = ask("search", q="numbers", limit=3, cursor=first["next"])
    assert (other.status_code, other.json()["code"]) == (400, "cursor_invalid")


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("search", {}), ("search", {"q": "x", "kind": "moon"}), ("lineage/columns", {}),
        ("transparency/models/by-tag", {}), ("transparency/models/by-version", {"version": "1"}),
        ("transparency/impact", {"name": "x"}), ("lineage/columns/tags", {}),
    ],
)  # fmt: skip
def test_half_a_question_is_refused(ask, path, asked):
    assert ask(path, **asked).status_code == 400
