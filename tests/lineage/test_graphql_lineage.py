"""Auditors see the exact graph: which data made which model, how it is known, and by which way."""

import hashlib

import pytest

from governance.keys import organisation_key
from governance.models import LedgerRecord
from governance.selectors import ledger
from lineage.models import Job, ModelVersion, Run
from lineage.selectors import transparency
from lineage.services.apply import apply_ready
from lineage.services.inbox import accept
from tests.factories.auditor import Auditor
from tests.factories.events import at, dataset, event, run

MODEL = dataset("model", model=True)
USES = """query($name: String!, $at: DateTime, $first: Int, $after: String) {
  modelsUsing(namespace: "test", name: $name, asOf: $at, first: $first, after: $after) {
    nodes { certainty
      modelVersion { id version trainedAt runId runState model { namespace name } } }
    pageInfo { hasNextPage endCursor } pending { events modelVersions } } }"""
PATH = """query($name: String!, $first: Int) {
  modelsUsing(namespace: "test", name: $name, first: $first) { nodes {
    path(first: 9) { nodes { namespace name dataset version run } } } } }"""


@pytest.fixture
def auditor(db) -> Auditor:
    return Auditor()


@pytest.fixture
def chain(send) -> None:
    send(run("ingest", 0, 1, reads=["source"], writes=["raw"]))
    send(run("features", 2, 3, reads=["raw"], writes=["features"]))
    made = dataset("model", model=True, version="7")
    send(run("train", 4, 5, reads=["features"], writes=[made], run="run-1"))


def train(send, count: int, *, begin: int = 100) -> None:
    """Train so many versions of one model, each from one chain of its own and a shared source."""
    for n in range(begin, begin + count):
        send(run(f"prepare-{n}", n, n + 0.1, reads=["shared"], writes=[f"prepared-{n}"]))
        send(run(f"train-{n}", n + 0.2, n + 0.3, reads=[f"prepared-{n}"], writes=[MODEL]))


def test_which_models_used_this_data(auditor, chain):
    made = ModelVersion.objects.get()
    answer = auditor.ask(USES, name="source")
    del answer["modelsUsing"]["pageInfo"]["endCursor"]
    assert answer == {
        "modelsUsing": {
            "nodes": [
                {
                    "certainty": "UNKNOWN",
                    "modelVersion": {
                        "id": str(made.uuid), "version": "7", "trainedAt": at(5).isoformat(),
                        "runId": "run-1", "runState": "COMPLETE",
                        "model": {"namespace": "test", "name": "model"},
                    },
                }
            ],
            "pageInfo": {"hasNextPage": False},
            "pending": {"events": 0, "modelVersions": 0},
        }
    }  # fmt: skip


def test_a_failed_and_a_running_training_are_told_with_their_state(auditor, send):
    send(run("good", 0, 1, reads=["raw"], writes=[MODEL]))
    send(run("bad", 2, 3, reads=["raw"], writes=[MODEL], kind="FAIL"))
    send([event("START", "slow", 4, reads=["raw"], writes=[MODEL])])
    nodes = auditor.ask(USES, name="raw")["modelsUsing"]["nodes"]
    assert [node["modelVersion"]["runState"] for node in nodes] == ["RUNNING", "FAIL", "COMPLETE"]


def test_the_graph_can_be_asked_as_of_an_instant(auditor, send):
    send(run("one", 0, 1, reads=["raw"], writes=[MODEL]))
    send(run("two", 10, 11, reads=["raw"], writes=[MODEL]))
    now = auditor.ask(USES, name="raw")["modelsUsing"]["nodes"]
    then = auditor.ask(USES, name="raw", at=at(5).isoformat())["modelsUsing"]["nodes"]
    assert [len(now), then] == [2, now[1:]]


def test_a_data_set_that_nobody_knows_is_not_found(auditor):
    assert auditor.codes(USES, name="nowhere") == ["not_found"]


def test_what_is_not_yet_applied_is_said(auditor, key):
    accept(key=key, events=run("one", 0, 1, reads=["raw"], writes=[MODEL]))
    apply_ready()
    accept(key=key, events=[event("START", "late", 2, reads=["raw"])])
    pending = auditor.ask(USES, name="raw")["modelsUsing"]["pending"]
    assert pending == {"events": 1, "modelVersions": 1}


def test_pages_of_uses_cover_the_answer_once(auditor, send):
    train(send, 5)
    whole = auditor.ask(USES, name="shared")["modelsUsing"]["nodes"]
    seen, after = [], None
    for _ in range(3):
        page = auditor.ask(USES, name="shared", first=2, after=after)["modelsUsing"]
        seen += page["nodes"]
        after = page["pageInfo"]["endCursor"]
    assert (seen, page["pageInfo"]["hasNextPage"], len(whole)) == (whole, False, 5)
    other = auditor.codes(USES, name="shared", at=at(999).isoformat(), after=after)
    assert other == ["cursor_invalid"]


def test_the_way_is_shown_as_evidence(auditor, chain):
    [use] = auditor.ask(PATH, name="source")["modelsUsing"]["nodes"]
    steps = use["path"]["nodes"]
    assert [step["name"] for step in steps] == ["model", "features", "raw", "source"]
    assert [step["run"] is None for step in steps] == [False, False, False, True]
    assert steps[0]["run"] == str(Run.objects.get(job__name="train").uuid)


def test_ways_found_together_are_those_found_one_by_one(auditor, send):
    train(send, 4)
    send(run("merge", 500, 501, reads=["prepared-101", "shared", "other"], writes=["merged"]))
    send(run("train-m", 502, 503, reads=["merged", "prepared-102"], writes=[MODEL]))
    source = transparency.dataset_named("test", "shared")
    together = auditor.ask(PATH, name="shared", first=20)["modelsUsing"]["nodes"]
    alone = [
        [str(step.version) for step in transparency.evidence(use.model_version, source)]
        for use in transparency.models_using(source)
    ]
    assert len(alone) == 5
    assert [[s["version"] for s in use["path"]["nodes"]] for use in together] == alone


def test_a_bill_of_materials_says_how_each_line_is_known(auditor, chain):
    made = ModelVersion.objects.get()
    query = """query($id: UUID!) { modelVersion(id: $id) {
      provenanceDigest provenanceTruncated frozenAt staleSince ledgerRecord
      datasets { nodes { certainty dataset { name } } } } }"""
    answer = auditor.ask(query, id=str(made.uuid))["modelVersion"]
    lines = {node["dataset"]["name"]: node["certainty"] for node in answer["datasets"]["nodes"]}
    assert lines == {"features": "INFERRED", "raw": "INFERRED", "source": "UNKNOWN"}
    frozen = made.provenance
    assert answer["provenanceDigest"] == bytes(frozen.digest).hex()
    assert (answer["provenanceTruncated"], answer["staleSince"]) == (False, None)
    assert LedgerRecord.objects.get(uuid=answer["ledgerRecord"]).kind == "provenance.frozen"


def test_a_long_bill_of_materials_comes_in_pages(auditor, send):
    send(run("train", 0, 1, reads=[f"d{n:02}" for n in range(30)], writes=[MODEL]))
    query = """query($id: UUID!, $after: String) { modelVersion(id: $id) {
      datasets(first: 12, after: $after) {
        nodes { dataset { name } } pageInfo { endCursor } } } }"""
    seen, after = [], None
    for _ in range(3):
        page = auditor.ask(query, id=str(ModelVersion.objects.get().uuid), after=after)
        seen += [node["dataset"]["name"] for node in page["modelVersion"]["datasets"]["nodes"]]
        after = page["modelVersion"]["datasets"]["pageInfo"]["endCursor"]
    assert sorted(seen) == [f"d{n:02}" for n in range(30)]


def test_a_model_version_before_its_first_freeze_says_so(auditor, key):
    accept(key=key, events=run("train", 0, 1, reads=["raw"], writes=[MODEL]))
    apply_ready()
    query = """query($id: UUID!) { modelVersion(id: $id) { provenanceDigest provenanceTruncated
      frozenAt ledgerRecord staleSince datasets { nodes { certainty } } } }"""
    answer = auditor.ask(query, id=str(ModelVersion.objects.get().uuid))["modelVersion"]
    assert answer.pop("staleSince")
    assert answer == {
        "provenanceDigest": None, "provenanceTruncated": None, "frozenAt": None,
        "ledgerRecord": None, "datasets": {"nodes": []},
    }  # fmt: skip


def test_a_run_and_a_job_tell_what_they_read_and_wrote(auditor, chain):
    query = """query($run: UUID!, $job: UUID!) {
      run(id: $run) { runId state stateAt startedAt job { name }
        inputs { nodes { declared dataset { name } } }
        outputs { nodes { kind declared replaces dataset { name } run { runId } } } }
      job(id: $job) { namespace name runs { nodes { runId } } } }"""
    trained = Run.objects.get(run_id="run-1")
    assert auditor.ask(query, run=str(trained.uuid), job=str(trained.job.uuid)) == {
        "run": {
            "runId": "run-1", "state": "COMPLETE", "stateAt": at(5).isoformat(),
            "startedAt": at(4).isoformat(), "job": {"name": "train"},
            "inputs": {"nodes": [{"declared": "", "dataset": {"name": "features"}}]},
            "outputs": {
                "nodes": [
                    {
                        "kind": "WRITTEN", "declared": "7", "replaces": False,
                        "dataset": {"name": "model"}, "run": {"runId": "run-1"},
                    }
                ]
            },
        },
        "job": {"namespace": "test", "name": "train", "runs": {"nodes": [{"runId": "run-1"}]}},
    }  # fmt: skip


@pytest.mark.parametrize("field", ["run", "job", "modelVersion"])
def test_what_is_not_known_is_not_found(auditor, field):
    assert auditor.codes(f'{{ {field}(id: "{"0" * 32}") {{ id }} }}') == ["not_found"]


def test_the_children_of_many_rows_are_cut_row_by_row(auditor, send):
    for n in range(4):
        send(run("job-a", n, n + 0.5, reads=["x"], writes=["y"], run=f"a{n}"))
        send(run("job-b", n, n + 0.5, reads=["y"], writes=["z"], run=f"b{n}"))
    uuids = [str(Job.objects.get(name=name).uuid) for name in ("job-a", "job-b")]
    query = """query($a: UUID!, $b: UUID!, $after: String) {
      a: job(id: $a) { runs(first: 3, after: $after) {
        nodes { runId } pageInfo { endCursor hasNextPage } } }
      b: job(id: $b) { runs(first: 2) { nodes { runId } pageInfo { hasNextPage } } } }"""
    answer = auditor.ask(query, a=uuids[0], b=uuids[1])
    assert [node["runId"] for node in answer["a"]["runs"]["nodes"]] == ["a0", "a1", "a2"]
    assert [node["runId"] for node in answer["b"]["runs"]["nodes"]] == ["b0", "b1"]
    assert answer["b"]["runs"]["pageInfo"] == {"hasNextPage": True}
    after = answer["a"]["runs"]["pageInfo"]["endCursor"]
    rest = auditor.ask(query, a=uuids[0], b=uuids[1], after=after)["a"]["runs"]
    assert [node["runId"] for node in rest["nodes"]] == ["a3"]
    assert rest["pageInfo"]["hasNextPage"] is False


@pytest.mark.parametrize(
    "selection",
    [
        "modelVersion { id version trainedAt provenanceDigest model { namespace name } }",
        "modelVersion { run { runId state job { name } } runId runState }",
        "modelVersion { datasets(first: 9) { nodes { certainty dataset { name } } } }",
        "modelVersion { run { inputs(first: 5) { nodes { dataset { name } } } } }",
        "modelVersion { run { outputs(first: 5) { nodes { run { runId } dataset { name } } } } }",
        "modelVersion { run { job { runs(first: 5) { nodes { runId job { name } } } } } }",
        "path(first: 9) { nodes { name run } }",
        "certainty modelVersion { id }",
    ],
)
def test_the_number_of_queries_does_not_grow_with_the_list(auditor, send, selection):
    asked = 'modelsUsing(namespace: "test", name: "shared", first: 90)'
    query = f"{{ {asked} {{ nodes {{ {selection} }} pending {{ events }} }} }}"
    train(send, 1)
    few = auditor.queries(query)
    train(send, 12, begin=200)
    many = auditor.queries(query)
    assert len(few) == len(many), "\n".join(many)


def test_the_question_is_in_the_ledger_by_digest(auditor, chain):
    auditor.ask(USES, name="source")
    record = LedgerRecord.objects.filter(kind="audit.question").latest("pk")
    facts = ledger.opened(record.uuid, organisation_key())["facts"]
    assert facts["document_sha256"] == hashlib.sha256(USES.encode()).hexdigest()
    assert "source" not in str(facts)
