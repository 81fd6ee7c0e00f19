"""The ten lines of the SDK's own documentation, against a running service."""

import json
import re
import textwrap

import httpx
import pytest

from consent.models import GateDecision
from consent.selectors import uses
from consent.selectors.subjects import by_identifier
from governance.services.registry import register_dataset
from lineage import sdk
from lineage.models import ModelVersion, Run, RunFacet
from lineage.openlineage import RunState
from lineage.sdk import Colophon
from lineage.services.apply import apply_ready
from lineage.services.provenance import find_late_models, freeze_stale
from tests.factories.consent import ConsentDecisionFactory, take
from tests.factories.governance import PurposeFactory, issued_key

ANN, BOB = "ann.reader@example.org", "bob.writer@example.org"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def key() -> str:
    """Ann said yes, Bob said no, and both have borrowed; return a key for a training script."""
    suggestions = PurposeFactory(key="suggestions")
    loans = register_dataset(
        namespace="lake", name="loans", subject_column="email", subject_scheme="email"
    ).thing
    take(loans, [ANN, BOB], mode="replace", scheme="email")
    for who, kind in ((ANN, "given"), (BOB, "refused")):
        person = by_identifier("email", who)
        ConsentDecisionFactory(subject=person, purpose=suggestions, kind=kind)
    return issued_key("gate:ask", "lineage:write", client_name="training")


def documented() -> str:
    found = re.search(r"::\n\n((?:    .*\n|\n)+)", sdk.__doc__)
    return textwrap.dedent(found[1]).strip()


def settle() -> None:
    while apply_ready():
        pass
    find_late_models()
    while freeze_stale():
        pass


def test_ten_lines_leave_out_who_said_no_and_record_the_run(
    key, live_server, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLOPHON_URL", live_server.url)
    monkeypatch.setenv("COLOPHON_KEY", key)
    (tmp_path / "loans.csv").write_text(f"email,title\n{ANN},Emma\n{BOB},Ulysses\n{ANN},Emma\n")
    lines = documented()
    assert len([each for each in lines.splitlines() if each]) <= 10
    exec(compile(lines, "the documentation", "exec"), {})
    assert json.loads((tmp_path / "model.json").read_text()) == {"Emma": 2}
    settle()
    run = Run.objects.get()
    assert (run.job.namespace, run.job.name) == ("default", "train")
    assert RunState(run.state) is RunState.COMPLETE
    made = ModelVersion.objects.get()
    assert (made.model.dataset.namespace, made.model.dataset.name) == (
        "models", "what-to-read-next",
    )  # fmt: skip
    told = RunFacet.objects.get(name="colophon_training").value
    assert told["_schemaURL"].endswith("/schemas/facets/1-1-0/ColophonTrainingRunFacet.json")
    assert httpx.get(told["_schemaURL"]).json()["title"] == "ColophonTrainingRunFacet"
    decision = GateDecision.objects.get()
    assert (told["purposes"], told["gateDecision"]) == (["suggestions"], str(decision.uuid))
    assert [use.model_version for use in uses.models_of(by_identifier("email", ANN))] == [made]
    assert uses.models_of(by_identifier("email", BOB)) == []


def test_a_training_that_raises_is_recorded_as_failed(key, live_server):
    with Colophon(live_server.url, key) as colophon:
        gate = colophon.gate.decide(datasets=[("lake", "loans")], purpose="suggestions")
        run = colophon.training_run(job="train", model=("models", "m"), gate=gate)
        with pytest.raises(ZeroDivisionError), run:
            _ = 1 / 0
    settle()
    assert RunState(Run.objects.get().state) is RunState.FAIL


def test_a_wrong_key_is_told_what_to_do(key, live_server):
    colophon = Colophon(live_server.url, key[:-1] + "x")
    with pytest.raises(sdk.RefusedError, match=r"manage\.py issue_key") as caught:
        colophon.gate.decide(datasets=[("lake", "loans")], purpose="suggestions")
    assert (caught.value.reason, caught.value.status) == ("unauthenticated", 401)
    run = colophon.training_run(job="train", model=("models", "m"))
    with pytest.raises(sdk.RunNotRecordedError, match="401 unauthenticated"), run:
        pytest.fail("was trained")


def test_a_malformed_identifier_is_refused_without_being_repeated(key, live_server):
    import pyarrow as pa

    colophon = Colophon(live_server.url, key)
    gate = colophon.gate.decide(datasets=[("lake", "loans")], purpose="suggestions")
    with pytest.raises(sdk.RefusedError, match="Clean the column first") as caught:
        gate.filter(pa.table({"email": [ANN, "secret"]}), subject="email")
    assert "secret" not in str(caught.value)


def test_frames_larger_than_one_request_are_filtered_alike_by_every_library(
    key, live_server, monkeypatch
):
    import polars as pl
    import pyarrow as pa

    monkeypatch.setattr("lineage.sdk.frames.CHUNK", 700)
    people = [f"stranger-{n}@example.org" for n in range(1_000)]
    people[5], people[800], people[900] = ANN, BOB, ANN
    with Colophon(live_server.url, key) as colophon:
        gate = colophon.gate.decide(datasets=[("lake", "loans")], purpose="suggestions")
        table = pa.table({"email": [*people, None], "n": range(1_001)})
        for frame in (table, table.to_pandas(), pl.from_arrow(table)):
            rows = gate.filter(frame, subject="email")
            assert type(rows) is type(frame)
            assert pa.array(rows["n"]).to_pylist() == [5, 900]


def test_one_person_is_asked_about(key, live_server):
    with Colophon(live_server.url, key) as colophon:
        asked = {"datasets": [("lake", "loans")]}
        assert colophon.gate.may("suggestions", identifier=ANN, **asked)
        assert colophon.gate.may("suggestions", identifier=f" {ANN.upper()}")
        assert not colophon.gate.may("suggestions", identifier=BOB, **asked)
        with pytest.raises(sdk.RefusedError, match="Clean the column first"):
            colophon.gate.may("suggestions", identifier="secret")
