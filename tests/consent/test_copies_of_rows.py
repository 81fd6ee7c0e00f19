"""The rows themselves in a copy of one's data: which, how they come there, and what is lacking."""

import io
import json
import logging
import sqlite3
import zipfile
from contextlib import closing
from datetime import timedelta
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from consent import copies as words
from consent import tasks
from consent.connectors.base import StorageUnreachableError
from consent.connectors.sql import SqlConnector
from consent.grounds import Refusal
from consent.models import CopyReading, RightsRequest
from consent.selectors import access, copies
from consent.selectors.subjects import SubjectErasedError, by_identifier
from consent.services import copying, merging, packages, refusing, subjects
from deploy.sweeper import Sweeper
from governance.keys import organisation_key
from governance.models import Dataset, Storage
from governance.selectors import ledger
from governance.services.registry import register_dataset, register_storage
from tests.consent.connectors import owner
from tests.factories.consent import registered, take, version_after
from tests.factories.governance import DatasetFactory
from tests.factories.portal import ANN, BOB, text_of
from tests.factories.rights import ask, copied

pytestmark = pytest.mark.django_db

SHOUTED = "ANN.Reader@Example.ORG"  # another spelling of the same address
NOTES = ["Zoë’s <b>note</b>", "second", "third", "fourth"]
FILE = "rows/01-lake.people.jsonl"


class Shelf:
    """A data set in a table of its own, and what is done to it without the service."""

    def __init__(self, folder) -> None:
        self.file = folder / "people.db"
        self.run("CREATE TABLE people (email TEXT, note TEXT, born DATE)")
        self.put(ANN, *NOTES)
        self.put(BOB, "bob's own")
        self.storage = register_storage(
            name="shelf", kind="sql", address=f"sqlite:///{self.file}"
        ).thing
        self.dataset = self.register()
        for who in (ANN, BOB):
            subjects.register(identifiers=[("email", who)])
        take(self.dataset, [ANN, BOB], mode="replace", scheme="email")

    def register(self, name: str = "people", **said) -> Dataset:
        facts = {"storage": self.storage, "location": "people"} | said
        return register_dataset(
            namespace="lake", name=name, subject_column="email", subject_scheme="email", **facts
        ).thing

    def run(self, statement: str, *values: str) -> None:
        with closing(sqlite3.connect(self.file)) as database, database:
            database.execute(statement, values)

    def put(self, who: str, *notes: str) -> None:
        for note in notes:
            self.run("INSERT INTO people VALUES (?, ?, '1990-02-03')", who, note)


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path)


def asked(kind: str = "access", who: str = ANN) -> RightsRequest:
    return ask(kind, by_identifier("email", who))


def begun(request: RightsRequest) -> CopyReading:
    """Have it put down what to read; return the one reading there is."""
    assert packages.prepare(request_id=request.pk) is False
    return CopyReading.objects.get(request=request)


def unpacked(request: RightsRequest) -> dict[str, bytes]:
    request.refresh_from_db()
    with zipfile.ZipFile(io.BytesIO(packages.fetch(package=request.package))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def entry(files: dict[str, bytes], name: str = "people") -> dict:
    [found] = [e for e in json.loads(files["data.json"])["datasets"] if e["name"] == name]
    return found["rows"]


def lines(files: dict[str, bytes], name: str = FILE) -> list[dict]:
    return [json.loads(line) for line in files[name].splitlines()]


def completed(request: RightsRequest) -> dict:
    """Return what the ledger was told of the end of a request."""
    record = request.records.get(kind="request.completed").record
    return json.loads(ledger.opening_of(record, organisation_key()).body)["facts"]


@pytest.mark.parametrize("kind", ["access", "portability"])
def test_a_copy_holds_the_persons_rows_and_nobody_elses(shelf, kind):
    request = asked(kind)
    assert copied(request)
    files = unpacked(request)
    assert lines(files) == [{"email": ANN, "note": each, "born": "1990-02-03"} for each in NOTES]
    assert entry(files) == {"count": 4, "in_file": 4, "file": FILE}
    page = files["index.html"].decode()
    assert f'<a href="{FILE}">{FILE}</a>' in page
    assert "<td>Zoë’s &lt;b&gt;note&lt;/b&gt;</td>" in page
    said = text_of(files["index.html"])
    assert "4 rows of mine, one a line, in" in said
    assert ("third" in said, "fourth" in said) == (True, False)  # the first rows only
    assert not any(BOB.encode() in each or b"bob's own" in each for each in files.values())
    facts = completed(request)
    assert (facts["datasets"], facts["datasets_not_read"]) == (1, 0)


def test_all_rows_of_a_merged_person_are_found_however_they_are_spelled(shelf):
    other = subjects.register(identifiers=[("email", "ann@home.example")]).subject
    shelf.put("ann@home.example", "from home")
    shelf.put(SHOUTED, "shouted")
    merging.merge(
        subject=by_identifier("email", ANN), other=other, key=uuid4(), reason="told at the desk"
    )
    request = ask("access", other)
    assert copied(request)
    assert [each["note"] for each in lines(unpacked(request))] == [*NOTES, "from home", "shouted"]


def test_a_mask_for_erasures_masks_no_copy(shelf):
    shelf.register(erasure_options={"set": {"email": None, "note": "[erased]"}})
    request = asked()
    assert copied(request)
    assert [each["note"] for each in lines(unpacked(request))] == NOTES


def test_a_data_set_that_the_person_has_left_is_not_read(shelf):
    later = version_after(shelf.dataset, 1)
    take(shelf.dataset, [BOB], mode="replace", scheme="email", version=later)
    request = asked()
    assert copied(request)
    assert not request.readings.exists()
    [told] = json.loads(unpacked(request)["data.json"])["datasets"]
    assert (told["name"], "rows" in told) == ("people", False)


def test_a_data_set_that_the_person_came_into_meanwhile_is_read_too(shelf):
    request = asked()
    reading = begun(request)
    later = shelf.register(name="later")
    take(later, [ANN], mode="replace", scheme="email")
    assert copying.read(reading_id=reading.pk)
    assert packages.prepare(request_id=request.pk) is False
    assert copied(request)
    files = unpacked(request)
    assert entry(files, "later")["file"] == "rows/01-lake.later.jsonl"
    assert lines(files, "rows/02-lake.people.jsonl") == lines(files, "rows/01-lake.later.jsonl")


def test_rows_that_are_gone_meanwhile_are_said_to_be_none(shelf):
    shelf.run("DELETE FROM people")
    request = asked()
    assert copied(request)
    files = unpacked(request)
    assert entry(files) == {"count": 0, "in_file": 0}
    assert [name for name in files if name.startswith("rows/")] == []
    assert "no row of mine is there" in text_of(files["index.html"])


LACKING = {
    "storage_missing": lambda shelf: shelf.file.unlink(),
    "subject_column_missing": lambda shelf: shelf.run("ALTER TABLE people DROP COLUMN email"),
    "storage_disabled": lambda _: Storage.objects.update(enabled=False),
    "no_storage": lambda shelf: shelf.register(storage=None),
    "kept_out": lambda shelf: shelf.register(erasure_options={"copy": False}),
    "identifier_missing": lambda _: Dataset.objects.update(subject_scheme="card"),
}


@pytest.mark.parametrize("code", LACKING)
def test_what_cannot_be_read_is_named_with_the_reason_and_whom_to_ask(shelf, code):
    LACKING[code](shelf)
    request = asked()
    assert copied(request)
    files = unpacked(request)
    told = entry(files)
    assert told == {
        "count": None, "in_file": 0, "code": code, "why": words.why_not(code),
        "ask": "You may ask The operator of this service for them.",
    }  # fmt: skip
    page = text_of(files["index.html"])
    assert f"My rows are not in this copy. {told['why']} {told['ask']}" in page
    assert [name for name in files if name.startswith("rows/")] == []
    facts = completed(request)
    assert (facts["datasets"], facts["datasets_not_read"]) == (1, 1)


def test_an_owner_is_not_asked_who_is_there_only_to_hand_out_nothing(shelf):
    with owner.running() as server:
        far = register_storage(name="far", kind="http", address=server.address).thing
        shelf.register(storage=far)
        request = asked()
        assert copied(request)
        assert server.seen == []
    assert entry(unpacked(request))["code"] == "rows_not_read"


def test_what_only_a_person_reaches_is_named(shelf):
    attic = register_storage(name="attic", kind="manual", address="").thing
    shelf.register(storage=attic, location="the attic")
    request = asked()
    assert copied(request)
    assert entry(unpacked(request))["code"] == "rows_not_read"


def unreachable(monkeypatch, tries: list[str]) -> None:
    def members(self, place):
        tries.append(place.location)
        raise StorageUnreachableError("nobody answers.")

    monkeypatch.setattr(SqlConnector, "members", members)


def test_a_storage_that_does_not_answer_is_asked_again_and_then_the_copy_says_so(
    shelf, monkeypatch
):
    tries: list[str] = []
    unreachable(monkeypatch, tries)
    request = asked()
    reading = begun(request)
    for pause in copying.SCHEDULE:
        before = timezone.now()
        assert copying.read(reading_id=reading.pk) is False
        reading.refresh_from_db()
        assert (reading.code, reading.finished_at) == ("storage_unreachable", None)
        assert timedelta(seconds=pause - 2) < reading.retry_at - before
        assert reading.retry_at - before < timedelta(seconds=pause + 10)
        assert copying.read(reading_id=reading.pk) is False  # not before its time
        assert list(access.to_prepare()) == list(copies.readings_to_do()) == []
        CopyReading.objects.update(retry_at=before)
    assert list(copies.readings_to_do()) == [reading]
    assert copying.read(reading_id=reading.pk) is True
    assert tries == ["people"] * 5
    assert packages.prepare(request_id=request.pk) is True
    assert entry(unpacked(request))["code"] == "storage_unreachable"


def test_the_page_of_the_request_says_how_far_the_reading_is_and_what_the_copy_holds(
    shelf, monkeypatch
):
    def page(request: RightsRequest) -> str:
        return text_of(Client().get(f"/requests/{request.uuid}").content)

    take(shelf.register(name="second"), [ANN], mode="replace", scheme="email")
    request = asked()
    assert "Your rows are read" not in page(request)
    assert packages.prepare(request_id=request.pk) is False
    one, other = copies.readings_of(request)
    assert copying.read(reading_id=other.pk)
    with monkeypatch.context() as down:
        unreachable(down, [])
        assert copying.read(reading_id=one.pk) is False
    told = page(request)
    assert "Your rows are read data set by data set: 1 of 2 so far." in told
    assert "people: your rows could not be read yet. The place where they lie does not" in told
    CopyReading.objects.filter(pk=one.pk).update(code="storage_missing", finished_at=Now())
    assert packages.prepare(request_id=request.pk) is True
    assert "All your rows from 1 of 2 data sets are in it, a file for each. Of the" in page(request)
    bobs = asked(who=BOB)
    assert copied(bobs)
    assert "All your rows are in it, a file for each data set." in page(bobs)
    assert "Your rows are read" not in page(bobs)


def test_a_storage_that_answers_again_in_time_is_in_the_copy(shelf, monkeypatch):
    request = asked()
    reading = begun(request)
    with monkeypatch.context() as down:
        unreachable(down, [])
        assert copying.read(reading_id=reading.pk) is False
    CopyReading.objects.update(retry_at=timezone.now())
    assert copied(request)
    assert entry(unpacked(request)) == {"count": 4, "in_file": 4, "file": FILE}


def test_more_rows_than_a_copy_has_room_for_are_counted_and_named(shelf, monkeypatch):
    monkeypatch.setattr(words, "MOST_BYTES", 200)
    take(shelf.register(name="second"), [ANN], mode="replace", scheme="email")
    request = asked()
    assert copied(request)
    files = unpacked(request)
    assert [each["note"] for each in lines(files)] == NOTES[:2]
    first, second = entry(files), entry(files, "second")
    assert (first["count"], first["in_file"], first["code"]) == (4, 2, "not_all_rows")
    assert first["why"] == "A copy has room for 0 MB; 2 rows did not fit."
    assert (second["count"], second["in_file"], "file" in second) == (4, 0, False)
    page = text_of(files["index.html"])
    assert "The first 2 of 4 rows of mine" in page
    assert "Not all of my rows are in this copy. A copy has room for 0 MB; 4 rows" in page


def test_rows_that_were_seen_and_could_not_be_read_are_counted(shelf, monkeypatch):
    original = SqlConnector.rows
    monkeypatch.setattr(SqlConnector, "rows", lambda *asked: iter(list(original(*asked))[:3]))
    request = asked()
    assert copied(request)
    told = entry(unpacked(request))
    assert (told["count"], told["in_file"], told["code"]) == (3, 3, "not_all_rows")
    assert told["why"].startswith("1 row more was seen there and not read")


@pytest.mark.django_db(transaction=True)
def test_nothing_is_read_inside_a_transaction(shelf, monkeypatch):
    seen = []
    for verb in ("members", "rows"):
        original = getattr(SqlConnector, verb)

        def watched(self, *asked, original=original):
            seen.append(connection.in_atomic_block)
            return original(self, *asked)

        monkeypatch.setattr(SqlConnector, verb, watched)
    assert copied(asked())
    assert seen == [False, False, False]


def test_of_one_request_one_data_set_is_read_at_a_time(shelf):
    take(shelf.register(name="second"), [ANN], mode="replace", scheme="email")
    request = asked()
    assert packages.prepare(request_id=request.pk) is False
    one, other = copies.readings_to_do()
    CopyReading.objects.filter(pk=one.pk).update(lease_until=timezone.now() + timedelta(minutes=1))
    assert list(copies.readings_to_do()) == []
    assert copying.read(reading_id=other.pk) is False
    bobs = asked(who=BOB)
    assert copied(bobs)  # nobody else waits for it
    CopyReading.objects.filter(pk=one.pk).update(lease_until=None)
    assert copying.read(reading_id=other.pk) is True


def test_a_worker_that_wakes_after_its_lease_changes_nothing(shelf, monkeypatch):
    reading = begun(asked())
    found, late = copying._found, []

    def overtaken(due):
        told = found(due)
        CopyReading.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        late.append(copying._claimed(due.pk))
        return told

    monkeypatch.setattr(copying, "_found", overtaken)
    assert copying.read(reading_id=reading.pk) is False
    reading.refresh_from_db()
    assert (reading.token, reading.rows, reading.finished_at) == (2, None, None)
    assert copying._ended(late[0], "storage_missing", "the one whose it is now") is True


def test_a_reading_whose_workers_die_each_time_is_given_up(shelf):
    request = asked()
    reading = begun(request)
    CopyReading.objects.update(
        attempt=5, token=5, lease_until=timezone.now() - timedelta(seconds=1)
    )
    assert copying.read(reading_id=reading.pk) is True
    assert copied(request)
    assert entry(unpacked(request))["code"] == "workers_lost"


def test_what_a_driver_says_of_a_row_is_neither_logged_nor_kept(shelf, monkeypatch, caplog):
    def stumbles(self, place, values):
        if values:
            raise ValueError(f"cannot parse {min(values)}")
        return iter(())

    monkeypatch.setattr(SqlConnector, "rows", stumbles)
    reading = begun(asked())
    with caplog.at_level(logging.DEBUG):
        assert copying.read(reading_id=reading.pk) is False
    reading.refresh_from_db()
    assert (reading.code, reading.reason) == (
        "storage_unreadable", "the rows could not be understood",
    )  # fmt: skip
    assert "ValueError" in caplog.text
    assert "ann" not in caplog.text.casefold()


def test_what_was_read_is_sealed_until_it_is_in_the_copy_and_then_goes(shelf, caplog):
    request = asked()
    reading = begun(request)
    with caplog.at_level(logging.DEBUG):
        assert copying.read(reading_id=reading.pk) is True
    reading.refresh_from_db()
    assert (reading.rows, reading.kept) == (4, 4)
    with connection.cursor() as cursor:
        cursor.execute("SELECT r::text, r.content_sealed FROM consent_copyreading r")
        told, sealed = cursor.fetchone()
    for secret in (ANN.encode(), b"second", b"fourth"):
        assert secret not in bytes(sealed)
        assert secret.hex() not in told
    assert ANN not in caplog.text
    assert b"".join(copying.content_of(reading)).count(b"\n") == 4
    assert packages.prepare(request_id=request.pk) is True
    reading.refresh_from_db()
    assert (reading.content_sealed, reading.rows) == (None, 4)
    assert packages.let_go() == 0


def test_what_was_read_for_a_request_that_is_refused_goes(shelf):
    request = asked()
    reading = begun(request)
    assert copying.read(reading_id=reading.pk) is True
    assert packages.let_go() == 0
    refusing.refuse(request=request, ground=Refusal.EXCESSIVE)
    assert list(copies.left_over()) == [reading]
    assert packages.let_go() == 1
    assert list(copies.readings_to_do()) == list(copies.left_over()) == []


def test_the_sweeper_finds_what_to_read_what_to_prepare_and_what_to_let_go(shelf, monkeypatch):
    found: list[tuple[str, tuple[int, ...]]] = []
    monkeypatch.setattr(Sweeper, "_send", lambda _, task, ids: found.append((task.name, ids)))

    def swept() -> list[tuple[str, tuple[int, ...]]]:
        found.clear()
        Sweeper().sweep()
        ours = {"consent.read_rows", "consent.prepare", "consent.let_go"}
        return [each for each in found if each[0] in ours]

    request = asked()
    assert swept() == [("consent.prepare", (request.pk,))]
    assert tasks.prepare(request.pk) is False
    reading = request.readings.get()
    assert swept() == [("consent.read_rows", (reading.pk,))]
    assert tasks.read_rows(reading.pk)
    assert swept() == [("consent.prepare", (request.pk,))]
    RightsRequest.objects.update(answered_at=timezone.now())
    assert swept() == [("consent.let_go", ())]
    assert tasks.let_go() == 1
    assert swept() == []


def test_who_is_erased_while_their_rows_are_read_leaves_nothing_to_read(shelf, monkeypatch):
    request = asked()
    reading = begun(request)
    found = copying._found

    def forgotten(due):
        told = found(due)
        subjects.forget(subject=due.request.subject)
        return told

    monkeypatch.setattr(copying, "_found", forgotten)
    assert copying.read(reading_id=reading.pk) is True
    with pytest.raises(SubjectErasedError):
        list(copying.content_of(CopyReading.objects.get()))
    assert packages.let_go() == 1
    assert CopyReading.objects.get().content_sealed is None


def test_nothing_is_read_for_somebody_who_was_erased_meanwhile(shelf):
    request = asked()
    reading = begun(request)
    subjects.forget(subject=request.subject)
    assert list(copies.readings_to_do()) == []
    assert copying.read(reading_id=reading.pk) is False


@pytest.mark.parametrize(
    ("namespace", "name", "file"),
    [
        ("postgres://lending", "public.loans", "rows/07-postgres-lending.public.loans.jsonl"),
        ("..", "../../etc/passwd", "rows/07-etc-passwd.jsonl"),
        ("s3://lake", "a\\..\\b\0c", "rows/07-s3-lake.a-.-b-c.jsonl"),
        ("Bücher", "Ausleihe/2026", "rows/07-Bucher.Ausleihe-2026.jsonl"),
        ("日本", "図書", "rows/07-rows.jsonl"),
        ("x" * 300, "y", f"rows/07-{'x' * 80}.jsonl"),
        ('"><script>', "a b", "rows/07-script-.a-b.jsonl"),
    ],
)
def test_a_file_is_named_by_us_whatever_the_data_set_is_called(namespace, name, file):
    assert words.file_name(7, namespace, name) == file


def test_a_row_is_shown_by_its_first_columns_and_long_values_are_cut():
    wide = {f"c{n}": n for n in range(33)} | {"c0": None, "c1": {"a": ["é"]}, "c2": "x" * 201}
    told = words.shown(json.dumps(wide).encode())
    assert (len(told.cells), told.more) == (30, 3)
    assert told.cells[:4] == [
        ("c0", ""), ("c1", '{"a": ["é"]}'), ("c2", "x" * 200 + "…"), ("c3", "3"),
    ]  # fmt: skip


def test_the_controller_is_named_as_the_operator_has_set_it(shelf, monkeypatch):
    told = {"name": "The Library", "email": "dpo@library.example"}
    monkeypatch.setattr(settings, "COLOPHON_CONTROLLER", told, raising=False)
    Storage.objects.update(enabled=False)
    request = asked()
    assert copied(request)
    ask_whom = entry(unpacked(request))["ask"]
    assert ask_whom == "You may ask The Library (dpo@library.example) for them."


DONE = {"finished_at": timezone.now()}
VIOLATIONS = {
    "consent_reading_once": {},
    "consent_reading_certainty_known": {"certainty": "likely"},
    "consent_reading_ends_with_rows_or_code": DONE,
    "consent_reading_keeps_of_its_rows": DONE | {"rows": 1, "kept": 2},
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_each_constraint_fires(name):
    request, dataset = ask("access", registered()), DatasetFactory()
    if name == "consent_reading_once":
        CopyReading.objects.create(request=request, dataset=dataset)
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        CopyReading.objects.create(request=request, dataset=dataset, **VIOLATIONS[name])


def test_every_constraint_is_tried():
    assert set(VIOLATIONS) == {each.name for each in CopyReading._meta.constraints}
