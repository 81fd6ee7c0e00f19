"""People who leave one data set are erased together; each is told of for themselves."""

import sqlite3
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from consent.models import ErasureBatch, ErasureStep, RequestRecord
from consent.selectors import requests
from consent.selectors.certificates import certificate
from consent.services import erasing, planning, subjects
from consent.services.requests import open_erasure
from governance.services.registry import register_dataset, register_storage
from lineage.models import DatasetVersion
from tests.factories.consent import take

PEOPLE = [f"person-{n}@example.org" for n in range(40)]
LEAVING = PEOPLE[:30]


@pytest.fixture
def lake(db, tmp_path):
    for part in range(2):
        named = [each for each in PEOPLE for _ in range(1 + part)]
        pq.write_table(pa.table({"email": named}), tmp_path / f"part-{part}.parquet")
    return held(tmp_path, "*.parquet")


def held(folder, location, **options):
    storage = register_storage(name="lake", kind="files", address=str(folder)).thing
    dataset = register_dataset(
        namespace="test", name="loans", storage=storage, location=location,
        subject_column="email", subject_scheme="email", **options,
    ).thing  # fmt: skip
    take(dataset, PEOPLE, mode="replace", scheme="email")
    return dataset


def leaves(*people: str) -> list[ErasureStep]:
    """Open and plan an erasure for each; return their steps."""
    steps = []
    for each in people:
        subject = subjects.register(identifiers=[("email", each)]).subject
        request = open_erasure(subject=subject, key=uuid4(), verified=True)
        planning.plan(request.pk)
        steps.append(request.steps.get())
    return steps


def refreshed(steps: list[ErasureStep]) -> list[ErasureStep]:
    return list(ErasureStep.objects.filter(pk__in=[each.pk for each in steps]).order_by("pk"))


def test_many_who_leave_cost_each_file_one_rewriting(lake, tmp_path):
    steps = leaves(*LEAVING)
    before = DatasetVersion.objects.filter(dataset=lake).count()
    assert erasing.carry_out(dataset_id=lake.pk) == 30
    batch = ErasureBatch.objects.get()
    assert batch.evidence["rows"] == 90
    assert batch.evidence["parts"] == ["part-0.parquet", "part-1.parquet"]
    assert [each["rows_after"] for each in batch.evidence["storage"]["files"]] == [10, 20]
    done = refreshed(steps)
    assert {(each.outcome, each.located_rows, each.batch_id) for each in done} == {
        ("erased", 3, batch.pk)
    }
    assert DatasetVersion.objects.filter(dataset=lake).count() == before + 1
    assert RequestRecord.objects.filter(kind="erasure.step").count() == 30
    for part in range(2):
        left = pq.read_table(tmp_path / f"part-{part}.parquet")["email"].to_pylist()
        assert sorted(set(left)) == sorted(PEOPLE[30:])


def test_who_is_not_there_is_told_so_beside_those_who_are(lake, tmp_path):
    steps = leaves(PEOPLE[0], PEOPLE[1])
    erasing.carry_out(dataset_id=lake.pk)
    again = leaves(PEOPLE[2])
    ErasureStep.objects.filter(pk=again[0].pk).update(dataset=lake)
    pq.write_table(pa.table({"email": PEOPLE[5:]}), tmp_path / "part-0.parquet")
    pq.write_table(pa.table({"email": PEOPLE[5:]}), tmp_path / "part-1.parquet")
    assert erasing.carry_out(dataset_id=lake.pk) == 1
    assert [(each.outcome, each.located_rows) for each in refreshed(steps + again)] == [
        ("erased", 3), ("erased", 3), ("not_found", 0),
    ]  # fmt: skip


def test_what_was_erased_before_a_file_failed_is_kept_as_evidence(db, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        pq.write_table(pa.table({"email": PEOPLE}), tmp_path / folder / "part.parquet")
    (tmp_path / "b" / "_metadata").write_bytes(b"a summary that would not fit any more")
    dataset = held(tmp_path, "*/part.parquet")
    [step] = leaves(PEOPLE[0])
    assert erasing.carry_out(dataset_id=dataset.pk) == 0
    [step] = refreshed([step])
    assert (step.state, step.outcome, step.located_rows) == ("blocked", "", 2)
    kept = ErasureBatch.objects.get()
    assert (kept.evidence["parts"], kept.evidence["broken_off"]) == (["a/part.parquet"], True)
    (tmp_path / "b" / "_metadata").unlink()
    assert erasing.carry_out(dataset_id=dataset.pk) == 0, "it is tried again later, not at once"
    ErasureStep.objects.update(retry_at=Now())
    assert erasing.carry_out(dataset_id=dataset.pk) == 1
    [step] = refreshed([step])
    assert (step.outcome, step.located_rows) == ("erased", 2)
    assert step.batch.evidence["parts"] == ["b/part.parquet"]


def test_a_person_whose_kind_of_identifier_is_unknown_is_not_called_not_found(db, tmp_path):
    pq.write_table(pa.table({"email": PEOPLE}), tmp_path / "all.parquet")
    dataset = held(tmp_path, "all.parquet")
    [step] = leaves(PEOPLE[0])
    other = register_dataset(
        namespace="test", name="cards", storage=dataset.storage, location="all.parquet",
        subject_column="email", subject_scheme="card",
    ).thing  # fmt: skip
    ErasureStep.objects.filter(pk=step.pk).update(dataset=other)
    assert erasing.carry_out(dataset_id=other.pk) == 0
    [step] = refreshed([step])
    assert (step.state, step.code, step.outcome) == ("blocked", "identifier_missing", "")
    assert requests.standing_of(step.request).outstanding[0] == (
        "data set test cards: identifier_missing"
    )


def test_rows_are_masked_where_the_data_set_says_so(db, tmp_path):
    table = tmp_path / "loans.sqlite"
    with sqlite3.connect(table) as wire:
        wire.execute("CREATE TABLE loans (email TEXT, title TEXT)")
        wire.executemany("INSERT INTO loans VALUES (?, 'x')", [(each,) for each in PEOPLE[:2]])
    storage = register_storage(name="sql", kind="sql", address=f"sqlite:///{table}").thing
    dataset = register_dataset(
        namespace="test", name="loans", storage=storage, location="loans",
        subject_column="email", subject_scheme="email",
        erasure_options={"set": {"email": None, "title": "[erased]"}},
    ).thing  # fmt: skip
    take(dataset, PEOPLE[:2], mode="replace", scheme="email")
    leaves(PEOPLE[0])
    assert erasing.carry_out(dataset_id=dataset.pk) == 1
    with sqlite3.connect(table) as wire:
        assert wire.execute("SELECT * FROM loans ORDER BY title").fetchall() == [
            (None, "[erased]"), (PEOPLE[1], "x"),
        ]  # fmt: skip


def test_a_certificate_names_the_proof_and_not_how_many_others_left(lake):
    steps = leaves(*LEAVING)
    erasing.carry_out(dataset_id=lake.pk)
    [shown] = certificate(requests.standing_of(steps[0].request))["datasets"]
    batch = ErasureBatch.objects.get()
    assert shown["rows"] == 3
    assert shown["evidence"] == {
        "batch": str(batch.uuid), "sha256": batch.digest(),
        "parts": ["part-0.parquet", "part-1.parquet"],
    }  # fmt: skip


def test_the_evidence_of_an_erasure_is_never_changed(lake):
    leaves(PEOPLE[0])
    erasing.carry_out(dataset_id=lake.pk)
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
        ErasureBatch.objects.update(evidence={})
