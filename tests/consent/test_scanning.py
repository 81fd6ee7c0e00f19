"""Who is in a data set is learnt by reading its storage, and no more is said than was seen."""

import io
import json
import sqlite3
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from consent import tasks as consent_tasks
from consent.models import ErasureStep, Manifest, MembershipScan, Subject
from consent.selectors import membership as selectors
from consent.selectors import scans
from consent.selectors.membership import versions_proven_without
from consent.selectors.subjects import by_identifier
from consent.services import membership, planning, scanning, subjects
from consent.services.leases import LostClaimError
from consent.services.places import NoStorageError, StorageDisabledError
from consent.services.requests import open_erasure
from deploy import sweeper
from governance.models import Dataset, LedgerRecord
from governance.services.registry import register_dataset, register_storage
from lineage.selectors.versions import current
from lineage.services.versions import record_erasure
from tests.consent.connectors.postgres import PostgresStorage
from tests.factories.consent import people_of, registered, take
from tests.factories.events import event, run
from tests.factories.portal import learn

pytestmark = pytest.mark.django_db

ANN, BOB, EVE = "ann@example.org", "bob@example.org", "eve@example.org"


@pytest.fixture
def table(tmp_path) -> Path:
    path = tmp_path / "clinic.sqlite"
    with sqlite3.connect(path) as wire:
        wire.execute("CREATE TABLE patients (email TEXT)")
    write(path, ANN, BOB, ANN, None)
    return path


@pytest.fixture
def clinic(table) -> Dataset:
    return stored("sql", f"sqlite:///{table}", "patients")


def stored(kind: str, address: str, location: str, column: str = "email", **more) -> Dataset:
    storage = register_storage(name="clinic", kind=kind, address=address).thing
    return register_dataset(
        namespace="test", name="raw", storage=storage, location=location, subject_column=column,
        subject_scheme=more.get("scheme", "email"),
    ).thing  # fmt: skip


def write(table: Path, *people: str | None) -> None:
    with sqlite3.connect(table) as wire:
        wire.execute("DELETE FROM patients")
        wire.executemany("INSERT INTO patients VALUES (?)", [(each,) for each in people])


def scanned(dataset: Dataset) -> MembershipScan:
    scan = scanning.ask(dataset=dataset).scan
    assert scanning.carry_out(scan_id=scan.pk) is True
    return scans.scan(dataset, scan.uuid)


def person(address: str) -> Subject:
    found = by_identifier("email", address)
    assert found is not None
    return found


def named(*addresses: str) -> set:
    return {person(each).uuid for each in addresses}


def proven_without(dataset: Dataset, subject: Subject) -> bool:
    return bool(versions_proven_without(subject, [current(dataset.pk).pk]))


def test_a_scan_says_exactly_these_of_the_current_version(clinic):
    eve = registered(("email", EVE))
    scan = scanned(clinic)
    assert (scan.state, scan.outcome, scan.code) == ("done", "complete", "")
    assert (scan.rows, scan.unusable, scan.attempt) == (3, 0, 1)
    manifest = scan.manifest
    assert (manifest.mode, manifest.scheme, manifest.column) == ("replace", "email", "email")
    assert (manifest.rows, manifest.people, manifest.version) == (3, 2, current(clinic.pk))
    assert people_of(clinic) == named(ANN, BOB)
    assert proven_without(clinic, eve)
    kinds = LedgerRecord.objects.order_by("pk").values_list("kind", flat=True)
    assert list(kinds)[-2:] == ["manifest.taken", "scan.finished"]


@pytest.mark.parametrize("kind", ["postgres", "parquet"])
def test_other_storages_are_read_through_their_connectors(kind, tmp_path):
    if kind == "parquet":
        pq.write_table(pa.table({"who": [7, 8, 7]}), tmp_path / "a.parquet")
        pq.write_table(pa.table({"who": [9]}), tmp_path / "b.parquet")
        scan = scanned(stored("files", str(tmp_path), "*.parquet", "who", scheme="card"))
    else:
        postgres = PostgresStorage()
        try:
            place = postgres.holding([(7, "a", 0), (8, "b", 1), (9, "c", 2)], numbers=True)
            dataset = stored("sql", postgres.address, place.location, "person", scheme="card")
            scan = scanned(dataset)
        finally:
            postgres.close()
    assert (scan.outcome, scan.manifest.people) == ("complete", 3)
    assert all(by_identifier("card", each) for each in "789")


def test_a_value_that_names_nobody_is_counted_and_proves_no_absence(clinic, table):
    eve = registered(("email", EVE))
    write(table, ANN, "secret", "", "x" * 999)
    scan = scanned(clinic)
    assert (scan.outcome, scan.code, scan.rows, scan.unusable) == (
        "incomplete", "values_unusable", 4, 3,
    )  # fmt: skip
    assert scan.reason == "3 of 4 values can name nobody in the scheme email"
    assert (scan.manifest.mode, scan.manifest.rows) == ("add", 1)
    assert people_of(clinic) == named(ANN)
    assert not proven_without(clinic, eve)


def test_who_is_missing_though_nobody_told_of_a_write_stays_in_the_version(clinic, table):
    scanned(clinic)
    write(table, BOB, EVE)
    scan = scanned(clinic)
    assert (scan.outcome, scan.code, scan.manifest.mode) == ("incomplete", "changed_untold", "add")
    assert people_of(clinic) == named(ANN, BOB, EVE)
    assert not proven_without(clinic, person(ANN))


def test_who_is_missing_after_a_write_has_left_with_it(clinic, table):
    learn(run("load", 0, 1, writes=["raw"], run="first"))
    first = current(clinic.pk)
    scanned(clinic)
    write(table, BOB)
    learn(run("load", 5, 6, writes=["raw"], run="second"))
    scan = scanned(clinic)
    assert (scan.outcome, scan.manifest.version) == ("complete", current(clinic.pk))
    assert people_of(clinic, first) == named(ANN, BOB)
    assert people_of(clinic) == named(BOB)
    assert proven_without(clinic, person(ANN))


def test_each_scan_is_a_word_of_its_own_also_when_the_same_people_are_there_again(clinic, table):
    first = scanned(clinic)
    write(table, ANN, BOB, EVE)
    second = scanned(clinic)
    write(table, ANN, BOB, EVE)
    third = scanned(clinic)
    assert [each.outcome for each in (first, second, third)] == ["complete"] * 3
    assert Manifest.objects.count() == 3


def test_a_version_that_is_still_written_is_not_said_to_be_whole(clinic):
    learn([event("RUNNING", "load", 0, writes=["raw"])])
    scan = scanned(clinic)
    assert (scan.outcome, scan.code, scan.manifest.mode) == ("incomplete", "being_written", "add")


def test_an_erasure_that_has_begun_leaves_people_in_the_version_that_they_were_in(clinic, table):
    take(clinic, [ANN, BOB], mode="replace", scheme="email")
    ann = registered(("email", ANN))
    request = open_erasure(subject=ann, key=uuid4(), verified=True)
    planning.plan(request.pk)
    ErasureStep.objects.update(located_rows=2)
    write(table, BOB)
    scan = scanned(clinic)
    assert (scan.outcome, scan.code, scan.manifest.mode) == ("incomplete", "erasure_begun", "add")
    assert people_of(clinic) == named(ANN, BOB)


def test_an_erased_person_who_is_read_has_come_back(clinic):
    subjects.forget(subject=registered(("email", ANN)))
    scanned(clinic)
    assert selectors.reappeared_in([clinic.pk]).count() == 1
    assert by_identifier("email", ANN) is None
    assert people_of(clinic) == named(BOB)


def test_a_data_set_that_is_written_meanwhile_is_read_again(clinic, monkeypatch):
    once_read(monkeypatch, lambda: record_erasure(dataset_id=clinic.pk, at=timezone.now()))
    scan = scanning.ask(dataset=clinic).scan
    assert scanning.carry_out(scan_id=scan.pk) is False
    scan.refresh_from_db()
    assert (scan.state, scan.code, scan.manifest) == ("blocked", "dataset_moved", None)
    assert not Manifest.objects.exists()
    monkeypatch.undo()
    due_now(scan)
    assert scanning.carry_out(scan_id=scan.pk) is True
    assert scans.scan(clinic, scan.uuid).outcome == "complete"


def once_read(monkeypatch, happens) -> None:
    """Let something happen between the reading and the taking."""
    hold = membership.hold

    def held(staged, dataset, scheme):
        happens()
        return hold(staged, dataset, scheme)

    monkeypatch.setattr(membership, "hold", held)


def due_now(scan: MembershipScan, **more) -> None:
    past = timezone.now() - timedelta(minutes=1)
    MembershipScan.objects.filter(pk=scan.pk).update(retry_at=past, **more)


def test_what_does_not_go_away_by_itself_fails_at_once_and_can_be_asked_again(clinic, table):
    scan = scanning.ask(dataset=clinic).scan
    table.write_bytes(b"no database at all" * 100)
    assert scanning.carry_out(scan_id=scan.pk) is True
    scan.refresh_from_db()
    assert (scan.state, scan.outcome, scan.code) == ("done", "failed", "storage_unreadable")
    assert "@" not in scan.reason
    assert scanning.ask(dataset=clinic).scan != scan


def test_what_may_go_away_by_itself_is_tried_again_a_few_times(tmp_path):
    dataset = stored("files", str(tmp_path / "unmounted"), "*.csv")
    scan = scanning.ask(dataset=dataset).scan
    for attempt in range(1, scanning.MOST_ATTEMPTS):
        due_now(scan)
        assert scanning.carry_out(scan_id=scan.pk) is False
        scan.refresh_from_db()
        assert (scan.state, scan.code, scan.attempt) == ("blocked", "storage_unreachable", attempt)
        assert scan.retry_at > timezone.now()
        assert scanning.carry_out(scan_id=scan.pk) is False
    due_now(scan)
    assert scanning.carry_out(scan_id=scan.pk) is True
    scan.refresh_from_db()
    assert (scan.outcome, scan.code) == ("failed", "storage_unreachable")
    assert list(LedgerRecord.objects.values_list("kind", flat=True))[-1] == "scan.finished"


def test_a_scan_whose_workers_die_each_time_is_given_up(clinic):
    scan = scanning.ask(dataset=clinic).scan
    due_now(
        scan, state="running", attempt=scanning.MOST_ATTEMPTS,
        lease_until=timezone.now() - timedelta(seconds=1),
    )  # fmt: skip
    assert scanning.carry_out(scan_id=scan.pk) is True
    scan.refresh_from_db()
    assert (scan.outcome, scan.code) == ("failed", "workers_lost")


def test_what_nobody_can_read_is_refused_at_once(clinic):
    clinic.storage.enabled = False
    clinic.storage.save()
    with pytest.raises(StorageDisabledError):
        scanning.ask(dataset=clinic)
    clinic.storage = None
    with pytest.raises(NoStorageError):
        scanning.ask(dataset=clinic)
    assert not MembershipScan.objects.exists()


def test_only_a_person_can_read_what_no_program_reaches():
    scan = scanned(stored("manual", "the cellar", "shelf 7"))
    assert (scan.outcome, scan.code) == ("failed", "person_needed")


def test_while_a_scan_is_under_way_it_is_the_answer(clinic):
    first, second = scanning.ask(dataset=clinic), scanning.ask(dataset=clinic)
    assert (first.created, second.created, second.scan) == (True, False, first.scan)
    scanning.carry_out(scan_id=first.scan.pk)
    assert scanning.ask(dataset=clinic).scan != first.scan
    assert scanning.carry_out(scan_id=first.scan.pk) is False


def test_a_worker_that_wakes_after_its_lease_changes_nothing(clinic, monkeypatch):
    scan = scanning.ask(dataset=clinic).scan
    once_read(
        monkeypatch, lambda: MembershipScan.objects.filter(pk=scan.pk).update(token=99)
    )  # fmt: skip
    claimed = scanning._claim(scan.pk)
    with pytest.raises(LostClaimError):
        scanning._scan(claimed, lambda _: None)
    assert not Manifest.objects.exists()
    assert Subject.objects.count() == 0
    assert "scan.finished" not in LedgerRecord.objects.values_list("kind", flat=True)


def test_the_sweeper_tells_of_what_is_due_and_only_of_that(clinic, monkeypatch):
    told = []
    monkeypatch.setattr(
        sweeper.application, "send_task", lambda name, args, **_: told.append((name, args))
    )

    def swept() -> list[tuple]:
        told.clear()
        sweeper.Sweeper().sweep()
        return [args for name, args in told if name == consent_tasks.scan.name]

    assert swept() == []
    scan = scanning.ask(dataset=clinic).scan
    assert swept() == [(scan.pk,)]
    scanning._claim(scan.pk)
    assert swept() == []
    due_now(scan, lease_until=timezone.now() - timedelta(seconds=1))
    assert swept() == [(scan.pk,)]
    assert consent_tasks.scan(scan.pk) is True
    assert swept() == []


def command(**options) -> dict:
    told = io.StringIO()
    call_command("scan_members", "test", "raw", json=True, stdout=told, **options)
    return json.loads(told.getvalue())


def test_the_command_scans_here_and_now(clinic):
    told = command()
    scan = MembershipScan.objects.get()
    assert told == {
        "scan": str(scan.uuid), "dataset": str(clinic.uuid), "state": "done",
        "outcome": "complete", "code": "", "reason": "", "rows": 3, "unusable": 0, "people": 2,
        "manifest": str(scan.manifest.uuid),
    }  # fmt: skip
    out = io.StringIO()
    call_command("scan_members", "test", "raw", stdout=out)
    assert out.getvalue().startswith("complete: 2 people in 3 values  (manifest ")


def test_the_command_says_what_stands_in_the_way(clinic, table):
    with pytest.raises(CommandError, match="not_found"):
        call_command("scan_members", "test", "nothing")
    table.unlink()
    with pytest.raises(CommandError, match="storage_missing"):
        call_command("scan_members", "test", "raw", stdout=io.StringIO())


def test_nothing_that_was_read_is_kept_or_told(clinic, table, caplog):
    write(table, ANN, "secret value")
    scan = scanned(clinic)
    told = f"{scan.reason} {scan.code} {caplog.text} {vars(scan)}"
    assert "secret" not in told
    assert ANN not in told
