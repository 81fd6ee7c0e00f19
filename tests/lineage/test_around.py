"""What lies upstream and downstream of anything."""

import json

import pytest
from django.test import Client

from lineage.models import Run
from tests.factories.events import at, dataset, design, event, explicit, run
from tests.factories.governance import issued_key

pytestmark = pytest.mark.django_db
MODEL = dataset("model", model=True)


@pytest.fixture
def ask(client: Client):
    bearer = {"Authorization": f"Bearer {issued_key('audit:read', client_name='auditor')}"}

    def ask(name="", **asked):
        question = {"node": "dataset", "namespace": "test", "name": name} | asked
        return client.get("/api/v1/lineage/graph", question, headers=bearer)

    return ask


def drawn(answer):
    """Return the edges as names."""
    assert answer.status_code == 200, answer.content
    told = answer.json()
    name = {each["key"]: each["name"] for each in told["nodes"]}
    return {(name[each["source"]], name[each["target"]]) for each in told["edges"]}


@pytest.fixture
def chain(send):
    send(run("ingest", 0, 1, reads=["source"], writes=["raw"]))
    send(run("prepare", 2, 3, reads=["raw"], writes=["features"]))
    send(run("train", 4, 5, reads=["features"], writes=[MODEL]))


ALL = {
    ("source", "ingest"), ("ingest", "raw"), ("raw", "prepare"), ("prepare", "features"),
    ("features", "train"), ("train", "model"),
}  # fmt: skip


def test_both_ways_from_the_middle(chain, ask):
    assert drawn(ask("raw")) == ALL


def test_one_way_only(chain, ask):
    assert drawn(ask("raw", direction="up")) == {("source", "ingest"), ("ingest", "raw")}
    assert drawn(ask("raw", direction="down")) == ALL - {("source", "ingest"), ("ingest", "raw")}


def test_a_cut_answer_says_so(chain, ask):
    cut = ask("source", direction="down", depth=1)
    assert drawn(cut) == {("source", "ingest"), ("ingest", "raw")}
    assert cut.json()["truncated"] is True
    assert ask("source", direction="down", depth=3).json()["truncated"] is False
    assert ask("source", direction="down", most=2).json()["truncated"] is True


def test_nodes_say_what_they_are(chain, ask):
    told = {e["name"]: (e["kind"], e["note"], e["depth"]) for e in ask("raw").json()["nodes"]}
    assert told["model"] == ("model", "", 4)
    assert told["train"] == ("job", "COMPLETE", 3)
    assert told["raw"] == ("dataset", "", 0)


def test_from_a_job_and_from_a_run(chain, ask):
    near = {("raw", "prepare"), ("prepare", "features"), ("source", "ingest"), ("ingest", "raw")}
    assert drawn(ask("prepare", node="job", direction="up")) == near
    one = Run.objects.get(job__name="train")
    assert drawn(ask(node="run", id=str(one.uuid), direction="down")) == {
        ("features", "train"), ("train", "model"),
    }  # fmt: skip


def test_a_failed_run_is_followed_unless_it_is_left_out(send, ask):
    send(run("train", 0, 1, reads=["raw"], writes=[MODEL], kind="FAIL"))
    assert drawn(ask("raw")) == {("raw", "train"), ("train", "model")}
    assert drawn(ask("raw", state="COMPLETE")) == set()


def test_a_job_that_wrote_nothing_is_a_reader_all_the_same(send, ask):
    send([event("START", "train", 0, reads=["raw"])])
    assert drawn(ask("raw")) == {("raw", "train")}


def test_only_what_flows_is_followed(send, ask):
    lineage = {"lineage": explicit({"x": ["a"], "y": ["b"]})}
    send(run("split", 0, 1, reads=["a", "b"], writes=["x", "y"], job_facets=lineage))
    assert drawn(ask("a", direction="down")) == {("a", "split"), ("split", "x")}
    assert drawn(ask("y", direction="up")) == {("b", "split"), ("split", "y")}


def test_a_design_is_followed(send, ask):
    send([design("view", 0, reads=["table"], writes=["seen"])])
    answer = ask("table", direction="down")
    assert drawn(answer) == {("table", "view"), ("view", "seen")}
    assert {e["name"]: e["note"] for e in answer.json()["nodes"]}["view"] == "by design"


def test_the_past_can_be_asked(chain, ask):
    assert drawn(ask("source", direction="down", as_of=at(3.5).isoformat())) == {
        ("source", "ingest"), ("ingest", "raw"), ("raw", "prepare"), ("prepare", "features"),
    }  # fmt: skip


def test_names_of_one_data_set_are_one_node(send, ask):
    send(run("ingest", 0, 1, reads=["source"], writes=["table"]))
    send(run("train", 2, 3, reads=[dataset("path", symlinks=["table"])], writes=[MODEL]))
    assert len(ask("source", direction="down").json()["nodes"]) == 5


def test_a_picture_and_prov_can_be_had(chain, ask):
    picture = ask("raw", format="svg")
    assert picture["Content-Type"] == "image/svg+xml; charset=utf-8"
    assert picture.content.decode().count("<title>") >= 7
    prov = json.loads(ask("raw", format="prov").content)
    [bundle] = prov["bundle"].values()
    assert len(bundle["entity"]) == 4


def test_a_loop_ends(send, ask):
    send(run("there", 0, 5, reads=["a"], writes=["b"]))
    send(run("back", 1, 6, reads=["b"], writes=["a"]))
    assert drawn(ask("a")) == {("a", "there"), ("there", "b"), ("b", "back"), ("back", "a")}


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"node": "moon"}, 400), ({"node": "run"}, 400), ({"depth": 0}, 400), ({"depth": 51}, 400),
        ({"state": "SLEEPING"}, 400), ({"as_of": "yesterday"}, 400), ({"format": "png"}, 400),
        ({"name": "nowhere"}, 404), ({"node": "job", "name": "nowhere"}, 404),
    ],
)  # fmt: skip
def test_a_bad_question_is_refused(chain, ask, asked, status):
    assert ask(asked.pop("name", "raw"), **asked).status_code == status
