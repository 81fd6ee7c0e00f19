"""An erasure is carried out on real storages, followed into the models, and proven."""

import json
import sqlite3
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.db import connection
from django.utils import timezone

from consent.connectors.base import Erased
from consent.manifests import Body, Form
from consent.models import (
    ErasureBatch,
    ErasureStep,
    Manifest,
    Remediation,
    RequestRecord,
    RightsRequest,
    Subject,
    SubjectKey,
    Tombstone,
)
from consent.selectors import requests, uses
from consent.selectors.certificates import certificate
from consent.selectors.requests import RequestState
from consent.services import (
    claims,
    erasing,
    forgetting,
    membership,
    planning,
    remediation,
    subjects,
)
from consent.services.requests import open_erasure
from consent.services.settling import StepSettledError, settle_step
from governance.models import Storage
from governance.services import ledger
from governance.services.clients import issue_key
from governance.services.registry import register_dataset, register_storage
from lineage.models import ModelVersion
from lineage.selectors.versions import current
from lineage.services.apply import apply_ready
from lineage.services.inbox import accept
from lineage.services.provenance import freeze_stale
from tests.factories.events import dataset as said
from tests.factories.events import run

PEOPLE = ["ann@example.org", "bob@example.org", "eve@example.org"]
MODEL = said("model", model=True)


@pytest.fixture
def key(db):
    return issue_key(client_name="pipeline", scopes=["lineage:write"]).key


@pytest.fixture
def send(key):
    def send(events):
        accept(key=key, events=events)
        while apply_ready() or freeze_stale():
            pass

    return send


@pytest.fixture
def table(tmp_path) -> Path:
    path = tmp_path / "clinic.sqlite"
    with sqlite3.connect(path) as wire:
        wire.execute("CREATE TABLE patients (email TEXT, bmi REAL)")
        wire.executemany("INSERT INTO patients VALUES (?, ?)", [(p, 20.0) for p in PEOPLE])
    return path


@pytest.fixture
def files(tmp_path) -> Path:
    folder = tmp_path / "lake"
    folder.mkdir()
    pq.write_table(pa.table({"email": PEOPLE, "feature": [1, 2, 3]}), folder / "part.parquet")
    return folder


@pytest.fixture
def clinic(send, table, files):
    """Register both storages, hand in the manifests, and train a model."""
    sql = register_storage(name="clinic", kind="sql", address=f"sqlite:///{table}").thing
    lake = register_storage(name="lake", kind="files", address=str(files)).thing
    of = {"subject_column": "email", "subject_scheme": "email", "namespace": "test"}
    raw = register_dataset(name="raw", storage=sql, location="patients", **of).thing
    features = register_dataset(name="features", storage=lake, location="*.parquet", **of).thing
    send(run("features", 0, 1, reads=["raw"], writes=["features"]))
    name_people(raw)
    send(run("train", 2, 3, reads=["features"], writes=[MODEL], run="first"))
    return {"raw": raw, "features": features}


@pytest.fixture
def ann(clinic) -> Subject:
    return subjects.register(identifiers=[("email", PEOPLE[0])]).subject


def name_people(dataset) -> None:
    listed = "\n".join(f'{{"id": "{person}"}}' for person in PEOPLE).encode()
    membership.load(
        dataset=dataset, version=current(dataset.pk), mode=Manifest.Mode.REPLACE,
        form=Form.NDJSON, body=Body(BytesIO(listed).read, key=b"k" * 32),
    )  # fmt: skip


def carried_out(request: RightsRequest) -> None:
    planning.plan(request.pk)
    for _ in range(5):
        for pk in requests.datasets_to_erase_from():
            erasing.carry_out(dataset_id=pk)
    forgetting.forget(request.pk)
    remediation.observe(request.pk)


def rows_of(table: Path) -> list[str]:
    with sqlite3.connect(table) as wire:
        return [row[0] for row in wire.execute("SELECT email FROM patients ORDER BY email")]


def retrain(send, minutes_from_now: float = 0.0, **more) -> None:
    moment = timezone.now() + timedelta(minutes=minutes_from_now)
    events = run("train", 0, 0, reads=["features"], writes=[MODEL], run=str(uuid4()), **more)
    for event in events:
        event["eventTime"] = moment.isoformat()
    send(events)


def test_the_row_is_gone_from_table_and_file_and_nothing_else_is(ann, table, files):
    carried_out(open_erasure(subject=ann, key=uuid4(), verified=True))
    assert rows_of(table) == PEOPLE[1:]
    assert pq.read_table(files / "part.parquet").to_pydict() == {
        "email": PEOPLE[1:], "feature": [2, 3],
    }  # fmt: skip


def test_the_plan_holds_what_names_the_person_and_what_was_derived_from_it(ann, clinic):
    request = open_erasure(subject=ann, key=uuid4(), verified=True)
    assert planning.plan(request.pk) == 1
    assert planning.plan(request.pk) == 0
    steps = request.steps.order_by("position").values_list("dataset__name", "certainty")
    assert list(steps) == [("raw", "proven"), ("features", "inferred")]
    assert [r.model_version.model.dataset.name for r in request.remediations.all()] == ["model"]


def test_an_unverified_request_is_not_planned(ann):
    request = open_erasure(subject=ann, key=uuid4(), verified=False)
    assert planning.plan(request.pk) == 0
    assert requests.standing_of(request).state is RequestState.RECEIVED
    assert ErasureStep.objects.count() == 0


def test_the_same_key_opens_one_request(ann):
    key = uuid4()
    first = open_erasure(subject=ann, key=key, verified=True)
    assert open_erasure(subject=ann, key=key, verified=True) == first
    assert RightsRequest.objects.count() == 1


def test_a_request_stays_open_until_the_model_is_made_good(ann, send):
    request = open_erasure(subject=ann, key=uuid4(), verified=True)
    carried_out(request)
    request.refresh_from_db()
    standing = requests.standing_of(request)
    assert standing.state is RequestState.VERIFYING
    assert standing.outstanding == ["model test model: waits for a clean training"]

    retrain(send)
    remediation.observe(request.pk)
    closed = Remediation.objects.get()
    assert closed.outcome == "retrained"
    assert closed.closed_by == ModelVersion.objects.latest("pk")
    request.refresh_from_db()
    assert requests.standing_of(request).state is RequestState.COMPLETED
    assert requests.standing_of(request).outstanding == []


def test_a_training_that_began_before_the_erasure_makes_nothing_good(ann, send):
    request = open_erasure(subject=ann, key=uuid4(), verified=True)
    carried_out(request)
    retrain(send, minutes_from_now=-60)
    remediation.observe(request.pk)
    assert list(Remediation.objects.values_list("outcome", flat=True)) == ["", ""]


def test_a_failed_training_makes_nothing_good(ann, send):
    request = open_erasure(subject=ann, key=uuid4(), verified=True)
    carried_out(request)
    retrain(send, kind="FAIL")
    remediation.observe(request.pk)
    assert Remediation.objects.get().outcome == ""


def test_a_training_on_data_of_unknown_origin_makes_nothing_good(ann, send):
    request = open_erasure(subject=ann, key=uuid4(), verified=True)
    carried_out(request)
    moment = timezone.now().isoformat()
    events = run("train", 0, 0, reads=["features", "somewhere"], writes=[MODEL], run="odd")
    send([event | {"eventTime": moment} for event in events])
    remediation.observe(request.pk)
    assert Remediation.objects.get().outcome == ""


def test_the_key_is_destroyed_and_a_tombstone_kept(ann):
    carried_out(open_erasure(subject=ann, key=uuid4(), verified=True))
    ann.refresh_from_db()
    assert ann.erased_at is not None
    assert not SubjectKey.objects.filter(subject=ann).exists()
    assert not ann.identifiers.exists()
    assert Tombstone.objects.count() == 1


def test_the_certificate_proves_every_step_and_names_nobody(ann, send):
    request = open_erasure(subject=ann, key=uuid4(), verified=True)
    carried_out(request)
    retrain(send)
    remediation.observe(request.pk)
    while ledger.sequence():
        pass
    request.refresh_from_db()
    shown = certificate(requests.standing_of(request))
    assert shown["state"] == "completed"
    assert [(d["name"], d["outcome"], d["rows"]) for d in shown["datasets"]] == [
        ("raw", "erased", 1), ("features", "erased", 1),
    ]  # fmt: skip
    assert [m["outcome"] for m in shown["models"]] == ["retrained"]
    assert [told["kind"] for told in shown["ledger"]] == [
        "request.received", "remediation.opened", "erasure.planned", "erasure.step",
        "erasure.step", "subject.forgotten", "remediation.closed", "request.completed",
    ]  # fmt: skip
    assert all(told["proof"] for told in shown["ledger"])
    assert "ann@" not in json.dumps(shown, default=str)


def test_before_the_erasure_the_model_used_the_data_and_after_the_retraining_it_did_not(ann, send):
    [use] = uses.models_of(ann)
    assert use.certainty == "inferred"
    carried_out(open_erasure(subject=ann, key=uuid4(), verified=True))
    retrain(send)
    assert [u.model_version for u in uses.models_of(ann)] == [use.model_version]


def test_a_missing_file_keeps_the_request_open_and_is_named(ann, files, table):
    (files / "part.parquet").unlink()
    request = open_erasure(subject=ann, key=uuid4(), verified=True)
    carried_out(request)
    request.refresh_from_db()
    standing = requests.standing_of(request)
    assert standing.state is RequestState.ERASING
    assert standing.outstanding[0] == "data set test features: storage_missing"
    assert rows_of(table) == PEOPLE[1:]
    ann.refresh_from_db()
    assert ann.erased_at is None


def test_a_switched_off_storage_keeps_the_request_open(ann, table):
    Storage.objects.filter(name="clinic").update(enabled=False)
    request = open_erasure(subject=ann, key=uuid4(), verified=True)
    carried_out(request)
    assert requests.standing_of(request).outstanding[0] == "data set test raw: storage_disabled"
    assert rows_of(table) == PEOPLE


def test_a_derived_data_set_that_nobody_registered_keeps_the_request_open(ann, send):
    send(run("copy", 4, 5, reads=["raw"], writes=["copy"]))
    request = open_erasure(subject=ann, key=uuid4(), verified=True)
    carried_out(request)
    assert "data set test copy: no_storage" in requests.standing_of(request).outstanding


def test_a_person_can_settle_a_blocked_step_with_a_reason_and_no_other(ann, send):
    send(run("copy", 4, 5, reads=["raw"], writes=["copy"]))
    request = open_erasure(subject=ann, key=uuid4(), verified=True)
    carried_out(request)
    step = request.steps.get(dataset__name="copy")
    said_so = {"outcome": "by_hand", "code": "dropped", "reason": "the table was dropped",
               "evidence": "seen by two"}  # fmt: skip
    settle_step(step=step, **said_so)
    with pytest.raises(StepSettledError):
        settle_step(step=step, **said_so)
    forgetting.forget(request.pk)
    request.refresh_from_db()
    assert request.forgotten_at is not None


def test_an_exempt_step_keeps_the_person_known(ann, send):
    send(run("copy", 4, 5, reads=["raw"], writes=["copy"]))
    request = open_erasure(subject=ann, key=uuid4(), verified=True)
    carried_out(request)
    step = request.steps.get(dataset__name="copy")
    settle_step(step=step, outcome="exempt", code="a17_legal_claims", reason="a lawsuit")
    forgetting.forget(request.pk)
    ann.refresh_from_db()
    assert ann.erased_at is None


def test_a_worker_that_died_after_erasing_does_not_turn_erased_into_not_found(ann, table):
    step = planned(ann)
    dead = claims.claim(dataset_id=step.dataset_id, limit=10)
    claims.remember_located(dead, {step.pk: 1})
    with sqlite3.connect(table) as wire:
        wire.execute("DELETE FROM patients WHERE email = ?", [PEOPLE[0]])
    expire(step)
    assert erasing.carry_out(dataset_id=step.dataset_id) == 1
    step.refresh_from_db()
    assert (step.outcome, step.located_rows, step.attempt) == ("erased", 1, 2)


def test_a_worker_that_wakes_after_its_lease_changes_nothing(ann):
    step = planned(ann)
    asleep = claims.claim(dataset_id=step.dataset_id, limit=10)
    expire(step)
    assert erasing.carry_out(dataset_id=step.dataset_id) == 1
    step.refresh_from_db()
    told, batches = RequestRecord.objects.count(), ErasureBatch.objects.count()
    with pytest.raises(claims.LostClaimError):
        claims.remember_located(asleep, {step.pk: 99})
    with pytest.raises(claims.LostClaimError):
        erasing._finish(asleep, Erased(99, (), {}), {})
    claims.put_off(asleep, "late", "late", retryable=True)
    after = ErasureStep.objects.get(pk=step.pk)
    assert (after.state, after.located_rows, after.code) == ("done", 1, "")
    assert (RequestRecord.objects.count(), ErasureBatch.objects.count()) == (told, batches)


def test_a_step_under_lease_is_nobody_else_s(ann):
    step = planned(ann)
    assert claims.claim(dataset_id=step.dataset_id, limit=10) is not None
    assert claims.claim(dataset_id=step.dataset_id, limit=10) is None
    assert step.dataset_id not in requests.datasets_to_erase_from()


def test_a_data_set_is_worked_at_by_one_worker_though_more_steps_wait(ann):
    step = planned(ann)
    assert claims.claim(dataset_id=step.dataset_id, limit=10) is not None
    bob = subjects.register(identifiers=[("email", PEOPLE[1])]).subject
    later = planned(bob)
    assert later.dataset_id == step.dataset_id
    assert claims.claim(dataset_id=step.dataset_id, limit=10) is None
    expire(step)
    batch = claims.claim(dataset_id=step.dataset_id, limit=10)
    assert set(batch.tokens) == {step.pk, later.pk}


def planned(person) -> ErasureStep:
    request = open_erasure(subject=person, key=uuid4(), verified=True)
    planning.plan(request.pk)
    return request.steps.get(dataset__name="raw")


def expire(step: ErasureStep) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE consent_erasurestep SET lease_until = clock_timestamp() - interval '1 s'"
            " WHERE id = %s",
            [step.pk],
        )


def test_a_last_step_committed_after_the_look_is_still_followed(ann):
    request = open_erasure(subject=ann, key=uuid4(), verified=True)
    planning.plan(request.pk)
    for _ in range(5):
        for pk in requests.datasets_to_erase_from():
            erasing.carry_out(dataset_id=pk)
    later = timezone.now() + timedelta(hours=1)
    RightsRequest.objects.filter(pk=request.pk).update(observed_at=later)
    assert list(requests.to_observe()) == [request]
    forgetting.forget(request.pk)
    RightsRequest.objects.filter(pk=request.pk).update(observed_at=later)
    assert list(requests.to_observe()) == []


def test_a_provenance_committed_just_after_the_look_is_still_seen(ann, send):
    request = open_erasure(subject=ann, key=uuid4(), verified=True)
    carried_out(request)
    request.refresh_from_db()
    assert request.observed_at < timezone.now() - timedelta(seconds=60)
    assert list(requests.to_observe()) == [request]
