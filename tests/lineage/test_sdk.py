"""What a training script needs: the gate, frames of every kind, and a run that is recorded."""

import ast
import json
import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from lineage import sdk
from lineage.sdk import Colophon, frames, training
from lineage.sdk.connection import Connection

ROOT = Path(__file__).parents[2]
NOISE = {"differential_privacy": {"unit": "person"}}
PEOPLE = ["ann", "bob", "ann", None, "cy", "bob"]
ANSWER = {
    "uuid": "01990000-0000-7000-8000-000000000001", "outcome": "permit_with_exclusions",
    "reasons": ["some_excluded"], "purpose": "study", "excluded_count": 1,
    "datasets": [{"uuid": str(uuid4()), "namespace": "lake", "name": "loans"}],
    "expires_at": "2026-03-01T13:00:00Z",
}  # fmt: skip


def people_in(request: httpx.Request) -> list[str]:
    """Return who is asked about, once it is sure that it is asked as the service expects it."""
    assert request.headers["Content-Type"] == "application/x-ndjson"
    assert request.headers["Accept"] == "application/octet-stream"
    return [json.loads(line) for line in request.content.splitlines()]


def bits(answers: list[bool], **more) -> httpx.Response:
    content = np.packbits(answers, bitorder="little").tobytes()
    headers = {"Colophon-Answers": str(len(answers))} | more
    return httpx.Response(200, content=content, headers=headers)


class Service:
    """Stands in for the service; everybody but ``refusing`` may be used."""

    def __init__(self, *refusing: str, decision=None, answers=()):
        self.refusing = set(refusing)
        self.decision = ANSWER | (decision or {})
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []
        self.slept: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.answers:
            return self.answers.pop(0)
        if request.url.path == "/api/v1/gate/decisions":
            return httpx.Response(201, json=self.decision)
        if request.url.path == "/api/v1/gate/subjects":
            person = json.loads(request.content)["identifier"]
            return httpx.Response(200, json={"permitted": person not in self.refusing})
        return bits([person not in self.refusing for person in people_in(request)])

    @property
    def bodies(self) -> list[dict]:
        return [json.loads(each.content) for each in self.asked]

    @property
    def lists(self) -> list[list[str]]:
        return [people_in(each) for each in self.asked]

    def colophon(self) -> Colophon:
        transport = httpx.MockTransport(self)
        return Colophon("http://there", "col_key", transport=transport, sleep=self.slept.append)

    def decision_made(self) -> sdk.Decision:
        gate = self.colophon().gate.decide(datasets=[("lake", "loans")], purpose="study")
        self.asked.clear()
        return gate


def test_the_gate_is_asked_with_names_and_answers_with_a_decision():
    service = Service()
    gate = service.colophon().gate.decide(
        datasets=[("lake", "loans")], purpose="study", model=("models", "m")
    )
    assert service.bodies == [{
        "datasets": [{"namespace": "lake", "name": "loans"}], "purpose": "study",
        "model": {"namespace": "models", "name": "m"},
    }]  # fmt: skip
    assert service.asked[0].headers["Authorization"] == "Bearer col_key"
    assert (gate.uuid, gate.outcome, gate.excluded) == (ANSWER["uuid"], ANSWER["outcome"], 1)
    assert (gate.datasets, gate.model, gate.token) == ([("lake", "loans")], ("models", "m"), None)
    assert (gate.is_open, gate.expires_at.isoformat()) == (True, "2026-03-01T13:00:00+00:00")


def pandas_frame():
    return pd.DataFrame({"who": PEOPLE, "n": range(6)}, index=[5, 5, 4, 3, 2, 1])


FRAMES = {
    "pandas": pandas_frame,
    "pandas text": lambda: pandas_frame().astype({"who": "string"}),
    "pandas categories": lambda: pandas_frame().astype({"who": "category"}),
    "polars": lambda: pl.DataFrame({"who": PEOPLE, "n": range(6)}),
    "polars categories": lambda: pl.DataFrame(
        {"who": PEOPLE, "n": range(6)}, schema_overrides={"who": pl.Categorical}
    ),
    "table": lambda: pa.table({"who": PEOPLE, "n": list(range(6))}),
    "table of chunks": lambda: pa.concat_tables(
        [pa.table({"who": [who], "n": [n]}, schema=pa.schema({"who": pa.string(), "n": pa.int64()}))
         for n, who in enumerate(PEOPLE)]
    ),
    "dictionary": lambda: pa.table(
        {"who": pa.array(PEOPLE).dictionary_encode(), "n": list(range(6))}
    ),
    "large text": lambda: pa.table({"who": pa.array(PEOPLE, pa.large_string()), "n": range(6)}),
    "batch": lambda: pa.record_batch({"who": PEOPLE, "n": list(range(6))}),
}  # fmt: skip


def numbers(frame) -> list[int]:
    column = frame["n"]
    return column.to_list() if hasattr(column, "to_list") else column.to_pylist()


@pytest.mark.parametrize("kind", FRAMES)
def test_rows_of_who_said_no_and_of_nobody_are_left_out_of_any_frame(kind):
    frame = FRAMES[kind]()
    service = Service("bob")
    rows = service.decision_made().filter(frame, subject="who", scheme="opaque")
    assert type(rows) is type(frame)
    assert numbers(rows) == [0, 2, 4]
    assert [sorted(people) for people in service.lists] == [["ann", "bob", "cy"]]
    assert str(service.asked[0].url).endswith(f"/{ANSWER['uuid']}/filter?scheme=opaque")
    assert frame.shape == (6, 2)


@pytest.mark.parametrize("kind", FRAMES)
def test_nobody_left_is_an_empty_frame_of_the_same_shape(kind):
    frame = FRAMES[kind]()
    rows = Service("ann", "bob", "cy").decision_made().filter(frame, subject="who")
    assert type(rows) is type(frame)
    assert rows.shape == (0, 2)


@pytest.mark.parametrize("kind", FRAMES)
def test_a_frame_without_rows_asks_nothing(kind):
    frame = FRAMES[kind]()
    service = Service()
    rows = service.decision_made().filter(frame[:0], subject="who")
    assert (type(rows), rows.shape, service.asked) == (type(frame), (0, 2), [])


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"who": [7, 8, 7]}),
        pl.DataFrame({"who": [7, 8, 7]}, schema={"who": pl.UInt16}),
        pa.table({"who": [7, 8, 7]}),
    ],
    ids=["pandas", "polars", "pyarrow"],
)
def test_whole_numbers_identify_people_too(frame):
    service = Service("8")
    rows = service.decision_made().filter(frame, subject="who", scheme="customer")
    assert rows.shape == (2, 1)


def test_identifiers_go_out_in_bounded_chunks_and_never_into_an_address_or_a_log(
    caplog, monkeypatch
):
    caplog.set_level(logging.DEBUG)
    service = Service("person-3@example.org")
    people = [f"person-{n}@example.org" for n in range(25_000)]
    frame = pl.DataFrame({"who": people})
    assert service.decision_made().filter(frame, subject="who").height == 24_999
    assert [len(each) for each in service.lists] == [25_000]
    monkeypatch.setattr(frames, "CHUNK", 10_000)
    assert service.decision_made().filter(frame, subject="who").height == 24_999
    assert [len(each) for each in service.lists] == [10_000, 10_000, 5_000]
    assert "person-" not in " ".join(str(each.url) for each in service.asked)
    assert "person-" not in caplog.text


def test_long_identifiers_make_smaller_chunks():
    chunks = list(frames._chunks(iter([f"{n:0320}" for n in range(120_000)])))
    assert sum(len(texts) for _, texts in chunks) == 120_000
    assert max(len(json.dumps(texts)) for _, texts in chunks) < 17 * 1024 * 1024
    assert len(chunks) == 3


@pytest.mark.parametrize(
    "answer",
    [
        bits([True, True]),
        bits([True] * 3, **{"Colophon-Answers": "9"}),
        bits([True] * 3, **{"Colophon-Answers": "three"}),
        httpx.Response(200, content=b"\7"),
    ],
)
def test_an_answer_about_another_number_of_people_permits_nothing(answer):
    gate = Service().decision_made()
    gate._connection._client = httpx.Client(
        base_url="http://there", transport=httpx.MockTransport(lambda _: answer)
    )
    with pytest.raises(sdk.SdkError):
        gate.filter(pandas_frame(), subject="who")


def test_one_person_can_be_asked_about():
    service = Service("bob")
    gate = service.colophon().gate
    assert gate.may("study", identifier="ann")
    assert not gate.may(
        "study", identifier="bob", scheme="card", datasets=[("lake", "loans")], mechanism=NOISE
    )
    assert service.bodies == [
        {"purpose": "study", "scheme": "email", "identifier": "ann"},
        {
            "purpose": "study", "scheme": "card", "identifier": "bob", "mechanism": NOISE,
            "datasets": [{"namespace": "lake", "name": "loans"}],
        },
    ]  # fmt: skip
    assert {str(each.url) for each in service.asked} == {"http://there/api/v1/gate/subjects"}


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (pd.DataFrame({"who": [1.0]}), "the column holds float64 where identifiers should be"),
        (pa.table({"who": [True]}), "the column holds bool where identifiers should be"),
        (pl.DataFrame({"other": ["a"]}), "the frame has 0 columns called 'who'"),
        (pd.DataFrame([["a", "b"]], columns=["who", "who"]), "the frame has 2 columns called"),
        (pl.LazyFrame({"who": ["a"]}), "LazyFrame is none of pandas.DataFrame"),
        ([{"who": "a"}], "list is none of pandas.DataFrame"),
    ],
)
def test_what_cannot_be_filtered_says_why(frame, says):
    with pytest.raises(sdk.UnfilterableError, match=says):
        Service().decision_made().filter(frame, subject="who")


@pytest.mark.parametrize(
    ("outcome", "reasons", "says"),
    [
        ("deny", ["unknown_purpose"], "the gate denies this use: register the purpose"),
        ("gap", ["members_unknown"], "too little is known to permit this use: hand in the list"),
    ],
)
def test_a_closed_gate_filters_nothing_and_begins_no_run(outcome, reasons, says):
    service = Service(decision={"outcome": outcome, "reasons": reasons})
    gate = service.decision_made()
    assert not gate.is_open
    with pytest.raises(sdk.GateClosedError, match=says) as caught:
        gate.filter(pandas_frame(), subject="who")
    assert caught.value.reasons == reasons
    run = service.colophon().training_run(job="j", model=("m", "m"), gate=gate)
    with pytest.raises(sdk.GateClosedError), run:
        pytest.fail("was trained")
    assert service.asked == []


def problem(status: int, code: str, **more) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "detail": "so it is", **more})


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (problem(401, "unauthenticated"), "401 unauthenticated: so it is. The key is unknown"),
        (problem(403, "scope_missing"), "manage.py issue_key --scope gate:ask"),
        (problem(400, "invalid", errors={"datasets": {"0": ["There is no such data set."]}}),
         "datasets: There is no such data set."),
        (problem(503, "busy"), "the service refused with 503 busy: so it is."),
        (httpx.Response(404, text="<html>"), "Is this the address of a Colophon service"),
        (httpx.Response(301, headers={"Location": "/"}), "refused with 301"),
        (httpx.Response(200, text="hello"), "Is this the address of a Colophon service"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_to_do_next(answer, says):
    service = Service(answers=[answer])
    with pytest.raises(sdk.RefusedError) as caught:
        service.colophon().gate.decide(datasets=[("a", "b")], purpose="p")
    assert says in str(caught.value)
    assert caught.value.status == answer.status_code
    assert len(service.asked) == 1


def busy(seconds: str) -> httpx.Response:
    return httpx.Response(503, headers={"Retry-After": seconds}, json={"code": "overloaded"})


def test_it_is_tried_again_only_when_the_service_says_when():
    service = Service(answers=[busy("2"), busy("0")])
    service.colophon().gate.decide(datasets=[("a", "b")], purpose="p")
    assert (len(service.asked), service.slept) == (3, [2.0, 0.1])
    service = Service(answers=[busy("40"), busy("40")])
    with pytest.raises(sdk.UnreachableError, match="overloaded for 40 seconds"):
        service.colophon().gate.decide(datasets=[("a", "b")], purpose="p")
    assert service.slept == [40.0]


@pytest.mark.parametrize(
    ("error", "says"),
    [(httpx.ConnectError("x"), "cannot be reached"), (httpx.ReadTimeout("x"), "did not answer")],
)
def test_a_service_that_is_away_is_said_to_be(error, says):
    def away(_request):
        raise error

    colophon = Colophon("http://there", "k", transport=httpx.MockTransport(away))
    with pytest.raises(sdk.UnreachableError, match=says):
        colophon.gate.decide(datasets=[("a", "b")], purpose="p")
    with pytest.raises(sdk.UnreachableError, match="does not begin with https"):
        Connection("there", "k")


class Heard:
    """Stands in for the stock client; ``fails`` are the events that it cannot deliver."""

    def __init__(self, *fails: str):
        self.events: list = []
        self.fails = set(fails)

    def emit(self, event) -> None:
        if event.eventType.name in self.fails:
            self.fails.discard(event.eventType.name)
            raise ConnectionError
        self.events.append(event)

    @property
    def states(self) -> list[str]:
        return [each.eventType.name for each in self.events]


def training_run(heard: Heard, **more) -> sdk.TrainingRun:
    return training.TrainingRun(
        heard, service="https://colophon.test/",
        job=("jobs", "train"), model=("models", "m"), inputs=[("lake", "loans")],
        purposes=["study"], **more,
    )  # fmt: skip


def test_a_run_says_what_it_read_and_made_with_standard_facets_first():
    heard = Heard()
    gate = Service(decision={"token": "a.b.c"}).decision_made()
    with training_run(heard, gate=gate, version="7", parameters={"alpha": 0.5}) as run:
        run.parameters["beta"] = 2
    start, complete = heard.events
    assert heard.states == ["START", "COMPLETE"]
    assert UUID(run.id) == UUID(start.run.runId) == UUID(complete.run.runId)
    assert (complete.job.namespace, complete.job.name) == ("jobs", "train")
    assert complete.job.facets["jobType"].jobType == "TRAINING"
    assert [(each.namespace, each.name) for each in start.inputs] == [("lake", "loans")]
    assert start.outputs == []
    [made] = complete.outputs
    assert (made.namespace, made.name) == ("models", "m")
    assert made.facets["datasetType"].datasetType == "MODEL"
    assert made.facets["version"].datasetVersion == "7"
    told = complete.run.facets["colophon_training"]
    assert (told.purposes, told.gateDecision) == (["study"], ANSWER["uuid"])
    assert told.gateToken == "a.b.c"
    parameters = complete.run.facets["executionParameters"].parameters
    assert [(each.key, each.value) for each in parameters] == [("alpha", "0.5"), ("beta", "2")]


@pytest.mark.parametrize(
    ("raised", "state"), [(ValueError("bad"), "FAIL"), (KeyboardInterrupt(), "ABORT")]
)
def test_a_run_that_ends_badly_says_so_and_raises_what_was_raised(raised, state):
    heard = Heard()
    with pytest.raises(type(raised)) as caught, training_run(heard):
        raise raised
    assert caught.value is raised
    assert heard.states == ["START", state]
    assert "bad" not in str(heard.events)


def test_a_run_that_cannot_be_announced_does_not_begin():
    heard = Heard("START")
    run = training_run(heard)
    with pytest.raises(sdk.RunNotRecordedError, match="did not take the START"), run:
        pytest.fail("was trained")


def test_an_end_that_was_not_taken_can_be_sent_again():
    heard = Heard("COMPLETE")
    run = training_run(heard)
    with pytest.raises(sdk.RunNotRecordedError, match="send it with announce_again"), run:
        pass
    run.announce_again()
    assert heard.states == ["START", "COMPLETE"]


def test_what_the_training_raised_matters_more_than_what_could_not_be_said():
    heard = Heard("FAIL")
    with pytest.raises(ValueError, match="bad") as caught, training_run(heard):
        raise ValueError("bad")
    assert "did not take the FAIL" in caught.value.__notes__[0]


def test_what_is_not_said_of_a_run_is_what_the_gate_was_asked():
    gate = Service().colophon().gate.decide(
        datasets=[("lake", "loans")], purpose="study", model=("models", "m")
    )  # fmt: skip
    run = Service().colophon().training_run(job="train", gate=gate)
    assert (run._job, run._model) == (("default", "train"), ("models", "m"))
    assert (run._inputs, run._purposes) == ([("lake", "loans")], ["study"])
    with pytest.raises(ValueError, match="name the model"):
        Service().colophon().training_run(job="train")


def test_the_sdk_imports_neither_django_nor_the_service():
    program = textwrap.dedent("""
        import sys
        import lineage.sdk
        heavy = {"django", "governance", "consent", "deploy", "pandas", "polars", "pyarrow"}
        loaded = {name.partition(".")[0] for name in sys.modules}
        ours = [n for n in sys.modules if n.startswith("lineage.") and "sdk" not in n]
        print(sorted(heavy & loaded), ours)
    """)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd="/", capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "[] []\n"), done.stderr


def imported_by(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names = {each.module or "" for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)}
    plain = [each for each in ast.walk(tree) if isinstance(each, ast.Import)]
    return names | {alias.name for each in plain for alias in each.names}


@pytest.mark.parametrize("path", sorted((ROOT / "lineage/sdk").glob("*.py")), ids=lambda p: p.name)
def test_no_module_of_the_sdk_names_anything_of_the_service(path):
    outside = {"httpx", "attr", "openlineage", "pyarrow"}
    for name in imported_by(path):
        top = name.partition(".")[0]
        ours = name == "lineage.sdk" or name.startswith("lineage.sdk.")
        assert ours or top in outside or top in sys.stdlib_module_names, name
