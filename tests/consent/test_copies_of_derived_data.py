"""Copies look into what was made from a person's data, too, and claim no more than was seen."""

import json
import sqlite3
import tracemalloc
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.test import Client

from consent import copies as words
from consent.models import CopyReading, RightsRequest
from consent.selectors import copies
from consent.selectors import plans as planned
from consent.selectors.derived import derived_of
from consent.selectors.subjects import by_identifier
from consent.services import copying, packages, subjects
from governance.models import Dataset, Storage
from governance.services.registry import register_dataset
from tests.consent.test_copies_of_rows import completed, lines, unpacked
from tests.factories import plans
from tests.factories.consent import take
from tests.factories.events import run
from tests.factories.plans import ANN, BOB
from tests.factories.portal import learn, text_of
from tests.factories.rights import ask, copied

pytestmark = pytest.mark.django_db
FEATURES = "rows/02-test.features.jsonl"
ASK = "You may ask The operator of this service for them."


@pytest.fixture
def lake(tmp_path) -> plans.Lake:
    """Patients by a list; features and an export by the flows alone; and what is left alone."""
    made = plans.lake(tmp_path)
    for who in (ANN, BOB):
        subjects.register(identifiers=[("email", who)])
    return made


def asked(kind: str = "access", who: str = ANN) -> RightsRequest:
    return ask(kind, by_identifier("email", who))


def told(files: dict[str, bytes]) -> dict[str, dict]:
    return {each["name"]: each for each in json.loads(files["data.json"])["derived_datasets"]}


def section(files: dict[str, bytes]) -> str:
    whole = text_of(files["index.html"])
    begins = whole.index("Where my data may have come to")
    return whole[begins : whole.index("Which models used it")]


def chain(lake: plans.Lake, count: int) -> None:
    """Have tables made from patients, each from the one before, all in the same place."""
    names = [f"step {n}" for n in range(count)]
    for name in names:
        register_dataset(
            namespace="test", name=name, storage=lake.patients.storage, location="patients",
            subject_column="email", subject_scheme="email",
        )  # fmt: skip
    learn([
        event for n, name in enumerate(names)
        for event in run(f"make {name}", 10 + n, 10 + n, reads=[names[n - 1] if n else "patients"],
                         writes=[name])
    ])  # fmt: skip


def test_rows_in_what_was_made_from_a_persons_data_are_in_the_copy_and_nobody_elses(lake):
    request = asked()
    assert copied(request)
    assert {(each.dataset.name, each.certainty) for each in copies.readings_of(request)} == {
        ("patients", "proven"), ("features", "inferred"),
    }  # fmt: skip
    files = unpacked(request)
    assert sorted(each for each in files if each.startswith("rows/")) == [
        "rows/01-test.patients.jsonl", FEATURES,
    ]  # fmt: skip
    assert lines(files, FEATURES) == [{"email": ANN}]
    assert told(files)["features"] == {
        "dataset": str(lake.features.uuid), "namespace": "test", "name": "features",
        "description": "", "categories": [], "storage": "shelf", "certainty": "inferred",
        "made_from": [{"namespace": "test", "name": "patients"}],
        "rows": {"count": 1, "in_file": 1, "file": FEATURES},
    }  # fmt: skip
    assert (
        "features test May hold my data: it was made from patients. Kept in shelf "
        f"1 row of mine, one a line, in {FEATURES}."
    ) in section(files)
    assert not any(BOB.encode() in each for each in files.values())
    facts = completed(request)
    assert (facts["datasets"], facts["datasets_not_read"], facts["datasets_derived"]) == (2, 0, 2)


def test_what_is_left_alone_by_an_erasure_is_not_read_nor_named_and_a_gap_is_not_either(lake):
    request = asked()
    assert copied(request)
    assert sorted(told(unpacked(request))) == ["export", "features"]
    names = {"patients", "survey", "adults", "codes", "model", "features", "export"}
    assert set(Dataset.objects.values_list("name", flat=True)) == names


def test_what_is_masked_on_each_way_is_not_read_even_if_a_column_identifies_people(lake):
    codes = register_dataset(
        namespace="test", name="codes", storage=lake.patients.storage, location="patients",
        subject_column="email", subject_scheme="email",
    ).thing  # fmt: skip
    drawn = planned.drawn(by_identifier("email", ANN))
    assert {each.dataset: each.certainty for each in drawn.steps}[codes] == "masked"
    request = asked()
    assert copied(request)
    assert not request.readings.filter(dataset=codes).exists()
    assert sorted(told(unpacked(request))) == ["export", "features"]


def test_one_where_no_row_is_found_is_said_to_be_looked_into_and_nothing_more(lake):
    pq.write_table(pa.table({"email": [BOB]}), lake.file)
    request = asked()
    assert copied(request)
    files = unpacked(request)
    assert told(files)["features"]["rows"] == {"count": 0, "in_file": 0}
    assert (
        "May hold my data: it was made from patients. Kept in shelf My rows were looked for here, "
        "and none was found. No complete list says who is in it, so more than that is not known."
    ) in section(files)
    assert FEATURES not in files


def test_one_that_cannot_be_read_is_named_with_the_reason_and_whom_to_ask(lake):
    request = asked()
    assert copied(request)
    files = unpacked(request)
    export = told(files)["export"]
    why = "Nobody has told us where this data set lies."
    assert export["rows"] == {
        "count": None, "in_file": 0, "code": "no_storage", "why": why, "ask": ASK,
    }  # fmt: skip
    assert export["made_from"] == [{"namespace": "test", "name": "features"}]
    assert (
        "May hold my data: it was made from features. "
        f"If rows of mine are there, they are not in this copy. {why} {ASK}"
    ) in section(files)


def peak_of(work: Callable[[], object]) -> int:
    """Return by how much memory grows meanwhile."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    work()
    return tracemalloc.get_traced_memory()[1] - before


def kept_out(dataset: Dataset) -> None:
    dataset.erasure_options = {"copy": False}
    dataset.save()


KEPT = {
    "storage_disabled": lambda _: Storage.objects.filter(name="shelf").update(enabled=False),
    "kept_out": lambda lake: kept_out(lake.features),
    "person_needed": lambda _: Storage.objects.filter(name="shelf").update(kind="manual"),
}
MISSING = {"subject_column_missing": lambda lake: pq.write_table(pa.table({"x": [1]}), lake.file)}


@pytest.mark.parametrize("code", [*KEPT, *MISSING])
def test_whatever_stands_in_the_way_is_said_and_what_is_known_to_is_not_tried(lake, code):
    {**KEPT, **MISSING}[code](lake)
    request = asked()
    assert copied(request)
    tried = request.readings.filter(certainty="inferred")
    assert [each.code for each in tried] == ([code] if code in MISSING else [])
    assert told(unpacked(request))["features"]["rows"] == {
        "count": None, "in_file": 0, "code": code, "why": words.why_not(code), "ask": ASK,
    }  # fmt: skip


def test_what_one_takes_elsewhere_is_what_one_gave_and_not_what_was_made_of_it(lake):
    request = asked("portability")
    assert copied(request)
    assert [each.dataset.name for each in copies.readings_of(request)] == ["patients"]
    files = unpacked(request)
    assert "derived_datasets" not in json.loads(files["data.json"])
    assert "may have come to" not in text_of(files["index.html"])
    assert completed(request)["datasets_derived"] == 0


def test_who_is_in_no_data_set_is_told_that_none_was_made_of_their_data(lake):
    subjects.register(identifiers=[("email", "eve@example.org")])
    request = asked(who="eve@example.org")
    assert copied(request)
    files = unpacked(request)
    assert json.loads(files["data.json"])["derived_datasets"] == []
    assert "No data set is on record that was made from my data and may hold it." in section(files)


def test_a_list_that_names_the_person_after_all_makes_it_one_of_theirs(lake):
    request = asked()
    assert packages.prepare(request_id=request.pk) is False
    take(lake.features, [ANN], scheme="email")
    assert copied(request)
    files = unpacked(request)
    assert sorted(told(files)) == ["export"]
    [rows] = [
        each["rows"] for each in json.loads(files["data.json"])["datasets"]
        if each["name"] == "features"
    ]  # fmt: skip
    assert rows == {"count": 1, "in_file": 1, "file": "rows/01-test.features.jsonl"}


def test_what_holds_the_person_is_read_first_and_then_what_is_nearest(lake):
    chain(lake, 3)
    request = asked()
    assert packages.prepare(request_id=request.pk) is False
    found = request.readings.order_by("pk").values_list("dataset__name", flat=True)
    assert list(found) == ["patients", "features", "step 0", "step 1", "step 2"]


def test_no_more_than_so_many_are_read_or_named_and_the_copy_says_so(lake, monkeypatch):
    monkeypatch.setattr(words, "MOST_DERIVED", 2)
    chain(lake, 5)
    request = asked()
    assert copied(request)
    assert request.readings.filter(certainty="inferred").count() == 2
    files = unpacked(request)
    assert list(told(files)) == ["features", "step 0", "export"]
    less = {
        "code": "too_many_data_sets", "count": 4, "ask": ASK,
        "why": "4 more were made from data that names me, and are further on: a copy looks into 2 "
        "and names as many others.",
    }  # fmt: skip
    assert json.loads(files["data.json"])["derived_datasets_not_named"] == less
    assert (
        f"wherever they can be read. Not all such data sets are named here. {less['why']} {ASK} "
        "features test May hold my data: it was made from patients."
    ) in section(files)
    assert completed(request)["datasets_derived"] == 7


def test_flows_that_are_too_many_to_follow_are_said_to_be(lake, monkeypatch):
    from lineage.selectors import ancestry, downstream

    descendants = ancestry.descendants
    monkeypatch.setattr(
        downstream.ancestry, "descendants", lambda datasets: descendants(datasets, bound=2)
    )
    request = asked()
    assert copied(request)
    less = json.loads(unpacked(request)["data.json"])["derived_datasets_not_named"]
    assert (less["count"], less["why"]) == (
        0, "There were too many ways to follow, so some data sets may be missing here.",
    )  # fmt: skip


def test_the_page_of_the_request_says_what_was_looked_into(lake, monkeypatch):
    def page() -> str:
        return text_of(Client().get(f"/requests/{request.uuid}").content)

    request = asked()
    assert packages.prepare(request_id=request.pk) is False
    CopyReading.objects.filter(certainty="inferred").update(code="storage_unreachable")
    assert "Your rows are read data set by data set: 0 of 2 so far." in page()
    assert (
        "features: it may hold rows of yours, and could not be read yet. The place where they lie "
        "does not answer."
    ) in page()
    assert copied(request)
    assert (
        "All your rows are in it, a file for each data set. We also looked for them in 1 data set "
        "made from your data, and found some in 1: it says of each what came of it."
    ) in page()


def test_a_data_set_names_first_those_that_hold_the_person_that_it_was_made_from(lake):
    learn(run("join", 22, 23, reads=["features", "patients", "survey"], writes=["export"]))
    [export] = [e for e in derived_of(by_identifier("email", ANN)).found if e.code]
    assert [each.name for each in export.made_from] == ["patients", "features"]


def test_what_a_copy_is_made_of_is_held_in_memory_a_few_times_and_not_many(lake):
    with sqlite3.connect(lake.table) as wire:
        wire.execute("ALTER TABLE patients ADD COLUMN scan BLOB")
        wire.execute("UPDATE patients SET scan = randomblob(1500000)")
    request = asked()
    assert packages.prepare(request_id=request.pk) is False
    most = {}
    tracemalloc.start()
    for reading in copies.readings_of(request):
        most[reading.dataset.name] = peak_of(lambda pk=reading.pk: copying.read(reading_id=pk))
    most["copy"] = peak_of(lambda: packages.prepare(request_id=request.pk))
    tracemalloc.stop()
    size = request.readings.get(dataset=lake.patients).size
    assert 4_000_000 < size < 4_100_000
    assert size < most["patients"] < 5 * size
    assert size < most["copy"] < 4 * size


def test_a_row_that_is_too_long_to_be_shown_is_in_the_file_alone(lake):
    with sqlite3.connect(lake.table) as wire:
        wire.execute("ALTER TABLE patients ADD COLUMN note TEXT")
        wire.execute("UPDATE patients SET note = ?", ["x" * 2 * words.MOST_SHOWN])
    request = asked()
    assert copied(request)
    files = unpacked(request)
    assert len(lines(files, "rows/01-test.patients.jsonl")) == 2
    page = text_of(files["index.html"])
    assert "2 rows of mine, one a line, in rows/01-test.patients.jsonl. Where my data may" in page
