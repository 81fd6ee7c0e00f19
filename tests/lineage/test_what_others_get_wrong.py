"""What lineage servers are known to lose, refuse or leave open is kept, taken and guarded here."""

import json
from typing import Any

import pytest
from django.test import Client

from governance.models import Dataset
from governance.services.clients import issue_key
from lineage.models import DatasetVersion, InboxEvent, Job, ModelVersion, Run, RunInput
from lineage.openlineage import RunState
from lineage.selectors import transparency, walk
from lineage.services.apply import apply_ready
from tests.factories.events import at, dataset, event, run
from tests.lineage.conftest import made_from, models_using

MODEL = dataset("model", model=True)
ONE, BATCH, ASK = "/api/v1/lineage", "/api/v1/lineage/batch", "/api/v1/transparency/models"


@pytest.fixture
def post(client: Client, db: None):
    bearer = issue_key(client_name="pipeline", scopes=["lineage:write"]).bearer

    def post(path: str, body: Any):
        sent = {"Authorization": f"Bearer {bearer}"}
        answer = client.post(path, json.dumps(body), "application/json", headers=sent)
        while apply_ready():
            pass
        return answer

    return post


@pytest.fixture
def ask(client: Client, db: None):
    bearer = issue_key(client_name="auditor", scopes=["audit:read"]).bearer

    def ask(path: str = ASK, **asked: Any):
        return client.get(path, asked, headers={"Authorization": f"Bearer {bearer}"})

    return ask


def edges() -> set[tuple[str, str]]:
    reads = RunInput.objects.values_list("dataset__name", "run__job__name")
    written = DatasetVersion.objects.filter(kind="written")
    return set(reads) | set(written.values_list("run__job__name", "dataset__name"))


# Every run counts, not only the last


def test_a_job_whose_runs_differ_in_their_inputs_keeps_all_edges(send):
    for month, source in enumerate(["a", "b", "c"]):
        noon = month * 10
        send(run("train", noon, noon + 1, reads=[source], writes=[MODEL], run=f"month {month}"))
    assert edges() == {("a", "train"), ("b", "train"), ("c", "train"), ("train", "model")}
    for source in "abc":
        assert models_using(source) == [("model", "COMPLETE")]


def test_a_source_that_the_last_run_no_longer_reads_is_still_in_the_older_model(send):
    send(run("train", 0, 1, reads=["a", "b"], writes=[MODEL], run="first"))
    send(run("train", 2, 3, reads=["b"], writes=[MODEL], run="second"))
    assert (len(models_using("a")), len(models_using("b"))) == (1, 2)
    assert made_from("model") == ["b"]


def test_two_jobs_that_write_one_data_set_are_both_seen(send):
    send(run("one", 0, 1, reads=["a"], writes=["out"]))
    send(run("two", 2, 3, reads=["b"], writes=["out"]))
    send(run("train", 4, 5, reads=["out"], writes=[MODEL]))
    assert made_from("model") == ["a", "b", "out"]


def test_jobs_that_only_share_an_input_are_no_neighbours(send):
    send(run("train", 0, 1, reads=["shared", "own"], writes=[MODEL]))
    send(run("other", 2, 3, reads=["shared", "others"], writes=["elsewhere"]))
    assert made_from("model") == ["own", "shared"]
    assert models_using("others") == []


# The version that was read


def test_the_version_of_an_input_is_honoured_and_not_the_newest_taken(send):
    for number, source in ((1, "a"), (2, "b"), (3, "c")):
        over = dataset("table", version=str(number), lifecycle="OVERWRITE")
        send(run(f"write {number}", number, number + 0.5, reads=[source], writes=[over]))
    send(run("train", 10, 11, reads=[dataset("table", version="2")], writes=[MODEL]))
    assert made_from("model") == ["b", "table"]


def test_two_trainings_on_two_versions_differ(send):
    for number, source in ((1, "a"), (2, "b")):
        over = dataset("table", version=str(number), lifecycle="OVERWRITE")
        send(run(f"write {number}", number, number + 0.5, reads=[source], writes=[over]))
    for number in (1, 2):
        made = dataset(f"model {number}", model=True)
        reads = [dataset("table", version=str(number))]
        send(run(f"train {number}", 10, 11, reads=reads, writes=[made]))
    assert made_from("model 1") == ["a", "table"]
    assert made_from("model 2") == ["b", "table"]


# Runs that go on, failed or ended without a word


@pytest.mark.parametrize(
    ("kind", "state"),
    [("START", "RUNNING"), ("RUNNING", "RUNNING"), ("OTHER", "HEARD_OF"), ("FAIL", "FAIL"),
     ("ABORT", "ABORT"), ("COMPLETE", "COMPLETE")],
)  # fmt: skip
def test_a_training_is_seen_in_every_state(send, kind, state):
    send([event(kind, "train", 0, reads=["raw"], writes=[MODEL])])
    assert models_using("raw") == [("model", state)]


@pytest.mark.parametrize("kind", ["FAIL", "ABORT", "COMPLETE", "OTHER"])
def test_an_empty_end_wipes_nothing(send, kind):
    send([event("START", "train", 0, reads=["raw"], writes=[MODEL])])
    before = edges()
    send([event(kind, "train", 1)])
    assert edges() == before == {("raw", "train"), ("train", "model")}
    assert made_from("model") == ["raw"]


@pytest.mark.parametrize("kind", ["FAIL", "COMPLETE"])
def test_an_empty_end_of_a_later_run_wipes_nothing_of_the_earlier(send, kind):
    send(run("train", 0, 1, reads=["raw"], writes=[MODEL], run="first"))
    send([event("START", "train", 2, run="second"), event(kind, "train", 3, run="second")])
    assert models_using("raw") == [("model", "COMPLETE")]


def test_a_run_that_ended_is_not_opened_again(send):
    send(run("train", 0, 1, reads=["raw"], writes=[MODEL], kind="FAIL"))
    send([event("RUNNING", "train", 2), event("START", "train", 3), event("OTHER", "train", 4)])
    assert Run.objects.get().state == RunState.FAIL
    assert Run.objects.get().state_at == at(1)


def test_what_is_said_after_the_end_still_counts(send):
    send(run("train", 0, 1, reads=["raw"], writes=[MODEL]))
    send([event("OTHER", "train", 2, reads=["forgotten"])])
    assert made_from("model") == ["forgotten", "raw"]


def test_what_is_only_heard_of_a_run_changes_no_state(send):
    send([event("START", "job", 0), event("OTHER", "job", 1), event("PAUSED", "job", 2)])
    assert Run.objects.get().get_state_display() == "RUNNING"


def test_a_running_parent_goes_on_while_its_children_tell_of_it(send):
    parent = {"job": {"namespace": "test", "name": "dag"}, "run": {"runId": "1"}}
    send([event("START", "dag", 0, run="1"), event("START", "task", 1, parent=parent)])
    assert Run.objects.get(job__name="dag").get_state_display() == "RUNNING"


# Once, however often it is sent


def test_the_same_two_events_twice_give_no_duplicates(send):
    events = run("train", 0, 1, reads=["raw"], writes=[MODEL])
    for _ in range(2):
        send(events)
    rows = [Run, Job, RunInput, ModelVersion, Dataset, InboxEvent]
    assert [table.objects.count() for table in rows] == [1, 1, 1, 1, 2, 2]
    assert models_using("raw") == [("model", "COMPLETE")]


def test_the_same_events_from_two_senders_give_one_graph(send):
    from lineage.services.inbox import accept

    events = run("train", 0, 1, reads=["raw"], writes=[MODEL])
    send(events)
    accept(key=issue_key(client_name="mirror", scopes=["lineage:write"]).key, events=events)
    send([])
    rows = [Run, Job, RunInput, ModelVersion, Dataset, InboxEvent]
    assert [table.objects.count() for table in rows] == [1, 1, 1, 1, 2, 4]


def test_one_run_id_in_two_jobs_mixes_nothing(send):
    send(run("train", 0, 1, reads=["a"], writes=[MODEL], run="7"))
    send(run("other", 0, 1, reads=["b"], writes=["out"], run="7"))
    assert edges() == {("a", "train"), ("train", "model"), ("b", "other"), ("other", "out")}
    assert made_from("model") == ["a"]


def test_a_batch_is_taken_with_a_result_for_each_event_that_failed(post):
    good = run("train", 0, 1, reads=["raw"], writes=[MODEL])
    answer = post(BATCH, [good[0], {"eventTime": "soon"}, good[1], {"job": 1}, "text"])
    assert answer.status_code == 200
    body = answer.json()
    assert body["summary"] == {
        "received": 5, "successful": 2, "failed": 3, "retriable": 0, "non_retriable": 3,
    }  # fmt: skip
    assert [each["index"] for each in body["failed_events"]] == [1, 3, 4]
    assert all(each["reason"] for each in body["failed_events"])
    assert edges() == {("raw", "train"), ("train", "model")}


# Then and now


def test_the_graph_can_be_asked_as_of_any_instant(send):
    send(run("ingest", 0, 1, reads=["a"], writes=["table"]))
    send(run("train", 2, 3, reads=["table"], writes=[MODEL], run="first"))
    send(run("ingest", 4, 5, reads=["b"], writes=["table"], run="second"))
    send(run("train", 6, 7, reads=["table"], writes=[MODEL], run="second"))
    found = {minute: models_using("a", as_of=at(minute)) for minute in (1, 2.5, 3, 6.5, 7)}
    # Where the events of a run say what it touched with its end alone, it is known from then on.
    assert found == {
        1: [], 2.5: [], 3: [("model", "COMPLETE")], 6.5: [("model", "COMPLETE")],
        7: [("model", "COMPLETE")] * 2,
    }  # fmt: skip
    assert models_using("b", as_of=at(5)) == []
    assert models_using("b", as_of=at(7)) == [("model", "COMPLETE")]


def test_a_run_that_had_not_ended_then_is_shown_running_then(send):
    send([event("START", "train", 0, reads=["raw"], writes=[MODEL])])
    send([event("FAIL", "train", 10)])
    assert models_using("raw", as_of=at(5)) == [("model", "RUNNING")]
    assert models_using("raw") == [("model", "FAIL")]


def test_a_dropped_data_set_passes_nothing_on_and_what_was_trained_before_is_still_said(send):
    send(run("ingest", 0, 1, reads=["people"], writes=["table"]))
    send(run("train", 2, 3, reads=["table"], writes=[MODEL], run="before"))
    send(run("drop", 4, 5, writes=[dataset("table", lifecycle="DROP")]))
    send(run("fill", 6, 7, reads=["weather"], writes=["table"]))
    send(run("train", 8, 9, reads=["table"], writes=[MODEL], run="after"))
    assert made_from("model") == ["table", "weather"]
    [use] = transparency.models_using(transparency.dataset_named("test", "people"))
    assert use.model_version.version.run.run_id == "before"


# Names


NAMES = [
    ("postgres://db.example:5432", "shop.public.orders"),
    ("trino://h:1337", "job:trino://h:1337:1234"),
    ("s3://bucket", "path/to//a file.parquet"),
    ("file", "/srv/100% sure/%20%2F%41.csv"),
    ("hive://h:9083", "db.table/day=2026-06-01/hour=00"),
    ("with space ", " padded "),
    ("📦://närlager", "kunder.🧑‍🤝‍🧑"),
    ("数据仓库", "客户.订单"),
    ("мариинский://хост:1", "таблица заказов"),
    ("مخزن", "جدول.العملاء"),
    ("e\u0301 apart", "\u00e9 as one"),
    ("a&b=c?d#e", 'quo"ted \\ back+slash;'),
    ("ns", "*".join(["long"] * 200)),
    ("..", "../../etc/passwd"),
    ("ns:with:colons", ":"),
    ("1234", "5678"),
]


@pytest.mark.parametrize(("namespace", "name"), NAMES)
def test_a_name_comes_back_exactly_as_it_was_sent(post, ask, send, namespace, name):
    read = {"namespace": namespace, "name": name}
    made = {**MODEL, "namespace": namespace, "name": f"{name} model"}
    assert post(ONE, event("COMPLETE", name, 0, reads=[read], writes=[made])).status_code == 201
    send([])
    answer = ask(namespace=namespace, name=name)
    assert answer.status_code == 200
    [use] = answer.json()["results"]
    told = use["model_version"]
    assert (told["namespace"], told["name"]) == (namespace, f"{name} model")
    materials = ask(f"/api/v1/transparency/model-versions/{told['id']}/datasets").json()["results"]
    assert [(each["namespace"], each["name"]) for each in materials] == [(namespace, name)]
    assert Job.objects.filter(name=name).exists()


def test_names_that_differ_in_case_composition_or_escapes_are_different_data_sets(send):
    names = ["orders", "Orders", "\u00e9", "e\u0301", "a b", "a%20b", "a+b", "orders "]
    send([event("COMPLETE", "job", 0, reads=names)])
    assert set(Dataset.objects.values_list("name", flat=True)) == set(names)


# Who may ask


def test_without_a_key_nothing_is_answered(client, db):
    for path in (ASK, ONE, BATCH):
        answer = client.get(path) if path == ASK else client.post(path, "{}", "application/json")
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_key_that_nobody_issued_is_no_key(client, db):
    headers = {"Authorization": "Bearer colophon_made_up"}
    assert client.get(ASK, {"namespace": "a", "name": "b"}, headers=headers).status_code == 401
    assert client.post(ONE, "{}", "application/json", headers=headers).status_code == 401


@pytest.mark.parametrize("scope", ["lineage:write", "registry:read", "gate:ask"])
def test_a_key_of_the_wrong_scope_may_not_ask(client, db, scope):
    bearer = issue_key(client_name="nosy", scopes=[scope]).bearer
    headers = {"Authorization": f"Bearer {bearer}"}
    assert client.get(ASK, {"namespace": "a", "name": "b"}, headers=headers).status_code == 403


def test_an_auditor_s_key_may_not_write(client, db):
    bearer = issue_key(client_name="auditor", scopes=["audit:read"]).bearer
    headers = {"Authorization": f"Bearer {bearer}"}
    answer = client.post(ONE, json.dumps(event("START", "job", 0)), "application/json",
                         headers=headers)  # fmt: skip
    assert answer.status_code == 403
    assert InboxEvent.objects.count() == 0


# Bounds


def test_an_answer_is_a_page_and_says_how_many_there_are(send, ask):
    for number in range(7):
        made = dataset(f"model {number}", model=True)
        send([event("COMPLETE", f"train {number}", number, reads=["raw"], writes=[made])])
    first = ask(namespace="test", name="raw", limit=3).json()
    assert (len(first["results"]), first["total"]) == (3, 7)
    told = [use["model_version"]["name"] for use in first["results"]]
    while first["next"]:
        first = ask(namespace="test", name="raw", limit=3, cursor=first["next"]).json()
        told += [use["model_version"]["name"] for use in first["results"]]
    assert sorted(told) == [f"model {number}" for number in range(7)]
    assert ask(namespace="test", name="raw", limit=10_000).status_code == 400


def test_a_walk_stops_at_its_bound_and_says_so(send):
    for number in range(30):
        reads, writes = [f"step {number}"], [f"step {number + 1}"]
        send(run(f"job {number}", number, number + 0.5, reads=reads, writes=writes))
    send(run("train", 40, 41, reads=["step 30"], writes=[MODEL]))
    version = ModelVersion.objects.get().version_id
    short, whole = walk.ancestors([version], bound=5), walk.ancestors([version])
    assert (short.truncated, len(short.versions)) == (True, 5)
    assert whole.truncated is False
    assert len(made_from("model")) == 31


def test_a_model_whose_provenance_was_cut_says_so(send, ask, monkeypatch):
    monkeypatch.setattr(walk.ancestors, "__kwdefaults__", {"bound": 3})
    for number in range(9):
        reads, writes = [f"step {number}"], [f"step {number + 1}"]
        send(run(f"job {number}", number, number + 0.5, reads=reads, writes=writes))
    send(run("train", 40, 41, reads=["step 9"], writes=[MODEL]))
    made = ModelVersion.objects.get()
    answer = ask(f"/api/v1/transparency/model-versions/{made.uuid}/datasets").json()
    assert answer["truncated"] is True
