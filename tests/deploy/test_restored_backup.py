"""A backup is restored that knows people who were erased since: they are erased again first."""

import io
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, ProgrammingError, connection, transaction
from django.test import Client
from django.utils import timezone
from psycopg import sql
from psycopg.conninfo import make_conninfo

from consent import tasks
from consent.models import (
    ConsentDecision,
    JournalLine,
    Revival,
    RightsRequest,
    Subject,
    SubjectKey,
    Tombstone,
)
from consent.rules import DecisionKind
from consent.selectors import identifier_keys, portal, requests
from consent.selectors.certificates import certificate
from consent.selectors.journal import reckoning
from consent.selectors.requests import RequestState
from consent.services import decisions, journal, merging, rotating, subjects
from consent.services.requests import open_erasure
from deploy import health, programs, starting
from deploy.devstack.process import end
from governance.models import LedgerRecord
from governance.selectors import checkpoints as known
from governance.selectors import ledger_check
from governance.services import checkpoints, ledger
from tests.factories.clinic import ANN, BOB, EVE, PEOPLE, Clinic, settle
from tests.factories.governance import PurposeFactory


class Backups:
    """Copies of the test's database, and the moving between them."""

    def __init__(self) -> None:
        self.original = connection.settings_dict["NAME"]
        self.made: list[str] = []

    def take(self) -> str:
        name = f"backup_{uuid4().hex[:12]}"
        connection.close()
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as outside:
            outside.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(self.original)
                )
            )
        self.made.append(name)
        return name

    def restore(self, name: str) -> dict[str, str]:
        """Work with a copy from now on; returns the environment of programs that do too."""
        connection.close()
        connection.settings_dict["NAME"] = name
        address = make_conninfo(os.environ["DATABASE_URL"], dbname=name)
        parts = psycopg.conninfo.conninfo_to_dict(address)
        host, user = parts.pop("host"), parts.pop("user", "")
        query = "&".join([f"host={host}"] + [f"{k}={v}" for k, v in parts.items() if k != "dbname"])
        return {**os.environ, "DATABASE_URL": f"postgresql://{user}@/{name}?{query}"}

    def end(self) -> None:
        connection.close()
        connection.settings_dict["NAME"] = self.original
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as outside:
            for name in self.made:
                outside.execute(
                    sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
                )


@pytest.fixture
def backups(transactional_db) -> Iterator[Backups]:
    made = Backups()
    yield made
    made.end()


@pytest.fixture(autouse=True)
def looked_at_anew(monkeypatch):
    monkeypatch.setattr(health, "SECONDS_BETWEEN_LOOKS", 0)
    monkeypatch.setattr(health, "_journal", health._Look())
    monkeypatch.setattr(tasks, "_complaint", tasks.Complaint())


@pytest.fixture
def clinic(db, tmp_path) -> Clinic:
    return Clinic(tmp_path)


@contextmanager
def lost() -> Iterator[None]:
    """Let what happens inside be unknown to the database, as after an older backup."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def replayed(*options: str) -> dict:
    page = io.StringIO()
    call_command("replay_erasures", "--json", *options, stdout=page)
    return json.loads(page.getvalue())


def sequenced() -> None:
    while ledger.sequence():
        pass


def refusals(environment: dict[str, str]) -> dict[str, tuple[int, str]]:
    """Start each program as it is started in service; return status and message."""
    commands = {
        "web": programs.web("127.0.0.1", 0),
        "worker": programs.worker(),
        "sweeper": programs.sweeper(),
    }
    running = {
        name: subprocess.Popen(
            command, cwd=programs.ROOT, env=environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        for name, command in commands.items()
    }  # fmt: skip
    try:
        said = {name: each.communicate(timeout=60)[1] for name, each in running.items()}
    finally:
        for each in running.values():
            end(each, (signal.SIGTERM, 10.0))
    return {name: (each.returncode, said[name]) for name, each in running.items()}


def test_nobody_is_served_from_a_restored_backup_until_the_erasures_are_replayed(
    backups, tmp_path, journal_directory
):
    clinic = Clinic(tmp_path)
    purpose = PurposeFactory(legal_basis="consent")
    person = subjects.register(identifiers=[("email", ANN), ("card", "A-1")]).subject
    said = {"subject": person, "purpose": purpose, "decided_at": timezone.now(), "key": uuid4()}
    decisions.record(kind=DecisionKind.GIVEN, **said)
    sequenced()
    signed_before = checkpoints.publish()
    backup, table = backups.take(), shutil.copy(clinic.table, tmp_path / "table.backup")

    first = open_erasure(subject=person, key=uuid4(), verified=True)
    settle()
    first.refresh_from_db()
    assert first.forgotten_at is not None
    assert clinic.rows() == [BOB, EVE]
    sequenced()
    signed_after = checkpoints.publish()
    assert signed_after.size > signed_before.size
    assert reckoning().missing == []

    environment = backups.restore(backup)
    shutil.copy(table, clinic.table)
    environment["COLOPHON_JOURNAL_DIR"] = str(journal_directory)
    assert portal.identity(ANN).subject == person
    for name, (status, message) in refusals(environment).items():
        assert status == starting.REFUSED == 78, (name, message)
        assert "holds 1 erasures that this database does not have" in message, name
        assert "Run `manage replay_erasures`, then start again." in message, name
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.json()["journal"]) == (503, "not replayed")

    would = replayed("--dry-run")
    assert (would["replayed"], would["people"], len(would["requests"])) == (1, 1, 1)
    assert SubjectKey.objects.filter(subject=person).exists()
    assert not JournalLine.objects.exists()

    done = replayed()
    assert (done["ok"], done["lines"], done["replayed"], done["people"]) == (True, 1, 1, 1)
    person = Subject.objects.get(pk=person.pk)
    assert person.erased_at is not None
    assert not SubjectKey.objects.filter(subject=person).exists()
    assert not person.identifiers.exists()
    assert sorted(Tombstone.objects.values_list("scheme", flat=True)) == ["card", "email"]
    assert list(ConsentDecision.objects.order_by("pk").values_list("kind", flat=True)) == [
        "given", "withdrawn",
    ]  # fmt: skip
    assert portal.identity(ANN).subject is None
    assert clinic.rows() == list(PEOPLE)
    starting.require_ready()
    assert Client().get("/healthz").json() == {"database": "answers", "journal": "replayed"}
    assert replayed()["replayed"] == 0

    settle()
    assert (clinic.rows(), clinic.files()) == ([BOB, EVE], [BOB, EVE])
    request = RightsRequest.objects.get()
    assert (str(request.uuid), request.source) == (done["requests"][0], "automatic")
    standing = requests.standing_of(request)
    assert standing.state is RequestState.COMPLETED
    sequenced()
    shown = certificate(standing)
    assert [(d["name"], d["outcome"]) for d in shown["datasets"]] == [
        ("raw", "erased"), ("features", "not_found"),
    ]  # fmt: skip
    assert [each["kind"] for each in shown["ledger"]] == [
        "erasure.reopened", "erasure.planned", "erasure.step", "erasure.step",
        "subject.forgotten", "request.completed",
    ]  # fmt: skip
    assert all(each["proof"] for each in shown["ledger"])
    assert not Revival.objects.exists()
    assert reckoning().lines == 1

    with pytest.raises(known.LedgerForkedError):
        checkpoints.publish()
    accepted = checkpoints.accept(reason="the disk died on Monday")
    assert (accepted.signed, accepted.now.origin) == (signed_after, "localhost:8000/ledger/2")
    sequenced()
    assert checkpoints.publish().origin == accepted.now.origin
    assert LedgerRecord.objects.filter(kind="ledger.gap").count() == 1
    assert ledger_check.verify().ok


def test_a_backup_from_the_middle_of_an_erasure_goes_on_with_the_same_request(clinic):
    person = subjects.register(identifiers=[("email", ANN)]).subject
    first = open_erasure(subject=person, key=uuid4(), verified=False)
    with lost():
        RightsRequest.objects.update(verified_at=timezone.now())
        settle()
        assert Subject.objects.get(pk=person.pk).erased_at is not None
    assert [line.entry.request for line in reckoning().missing] == [first.uuid]
    done = replayed()
    assert done["requests"] == [str(first.uuid)]
    settle()
    request = RightsRequest.objects.get()
    assert (request.uuid, request.source) == (first.uuid, "person")
    assert requests.standing_of(request).state is RequestState.COMPLETED
    assert clinic.rows() == [BOB, EVE]


def test_a_person_whom_the_backup_never_knew_is_recognised_when_they_come(clinic):
    with lost():
        person = subjects.register(identifiers=[("card", "A-1")]).subject
        open_erasure(subject=person, key=uuid4(), verified=True)
        settle()
    done = replayed()
    assert (done["replayed"], done["people"], done["requests"]) == (1, 0, [])
    with pytest.raises(subjects.PersonWasErasedError):
        subjects.register(identifiers=[("card", "A-1")])
    assert clinic.rows() == list(PEOPLE)


@pytest.mark.parametrize("merge_is_lost", [False, True])
def test_somebody_in_two_rows_is_erased_in_both_whether_the_backup_knew_of_it_or_not(
    clinic, merge_is_lost
):
    ann, card = (
        subjects.register(identifiers=[each]).subject for each in (("email", ANN), ("card", "A-1"))
    )

    def merged():
        merging.merge(subject=ann, other=card, key=uuid4(), reason="shown at the desk")

    if not merge_is_lost:
        merged()
    with lost():
        if merge_is_lost:
            merged()
        open_erasure(subject=card, key=uuid4(), verified=True)
        settle()
        assert Subject.objects.filter(erased_at=None).count() == 2
    [line] = reckoning().missing
    assert sorted(each.scheme for each in line.entry.identifiers) == ["card", "email"]
    clinic.write_table(PEOPLE)
    done = replayed()
    assert done["people"] == len(done["requests"]) == 1 + merge_is_lost
    settle()
    assert clinic.rows() == [BOB, EVE]
    assert not Subject.objects.filter(pk__in=[ann.pk, card.pk], erased_at=None).exists()
    assert not Revival.objects.exists()


@pytest.mark.parametrize("half_way", [False, True])
def test_a_backup_from_before_a_rotation_is_brought_up_to_the_key_of_the_journal(clinic, half_way):
    subjects.register(identifiers=[("email", ANN)])
    with lost():
        rotating.introduce()
        while not half_way and not rotating.move_up().finished:
            pass
        clinic.erased(ANN)
        clinic.erased(BOB)
    missing = reckoning().missing
    assert [each.key_version for line in missing for each in line.entry.identifiers] == [2, 2]
    clinic.write_table(PEOPLE)
    assert replayed("--dry-run")["people"] == 0
    done = replayed()
    assert (done["replayed"], done["people"]) == (2, 2)
    assert identifier_keys.current() == identifier_keys.Keys(2, under_way=False)
    assert set(Tombstone.objects.values_list("key_version", flat=True)) == {2}
    settle()
    assert clinic.rows() == [EVE]


def test_while_keys_are_rotated_who_comes_back_is_erased_all_the_same(clinic):
    clinic.erased(ANN)
    rotating.introduce()
    clinic.comes_back()
    settle()
    assert clinic.rows() == [BOB, EVE]
    while not rotating.move_up().finished:
        pass
    clinic.comes_back()
    settle()
    assert clinic.rows() == [BOB, EVE]


def test_who_came_back_by_their_own_wish_after_the_erasure_is_not_erased_by_it(clinic):
    clinic.erased(ANN)
    made = subjects.register(identifiers=[("email", ANN)], again=True).subject
    JournalLine.objects.all().delete()
    RightsRequest.objects.update(forgotten_at=None, uuid=uuid4())
    done = replayed()
    assert (done["replayed"], done["people"]) == (1, 0)
    assert Subject.objects.get(pk=made.pk).erased_at is None


def test_an_interrupted_replay_is_run_again_and_does_nothing_twice(clinic, monkeypatch):
    people = [subjects.register(identifiers=[("email", who)]).subject for who in PEOPLE]
    with lost():
        for person in people:
            open_erasure(subject=person, key=uuid4(), verified=True)
        settle()
        assert clinic.rows() == []
    replay, done = journal.replay, []

    def interrupted(line):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(replay(line))
        return done[-1]

    with monkeypatch.context() as patched:
        patched.setattr(journal, "replay", interrupted)
        with pytest.raises(KeyboardInterrupt):
            replayed()
    assert Subject.objects.filter(erased_at__isnull=False).count() == 2
    assert (replayed()["replayed"], replayed()["replayed"]) == (1, 0)
    assert Subject.objects.filter(erased_at=None).count() == 0
    assert LedgerRecord.objects.filter(kind="erasure.replayed").count() == 3


@pytest.mark.parametrize(
    ("error", "says"),
    [(OperationalError(), "does not answer"), (ProgrammingError(), "run `manage migrate`")],
)
def test_a_start_that_cannot_compare_is_refused_and_says_what_to_do(monkeypatch, error, says):
    def broken():
        raise error

    monkeypatch.setattr(starting, "PATIENCE_SECONDS", 0)
    monkeypatch.setattr(starting, "_compare", broken)
    with pytest.raises(starting.NotReadyError, match=says):
        starting.require_ready()


def test_while_the_journal_is_away_it_is_said_once_a_minute_and_not_of_each_person(
    clinic, tmp_path, journal_directory, caplog
):
    journal_directory.rename(tmp_path / "away")
    for who in (ANN, BOB):
        person = subjects.register(identifiers=[("email", who)]).subject
        open_erasure(subject=person, key=uuid4(), verified=True)
    settle()
    assert caplog.text.count("nobody can be forgotten (erasure_journal_unavailable)") == 1


def test_a_lost_journal_stops_the_start_until_it_is_begun_anew_for_the_record(
    clinic, tmp_path, journal_directory
):
    clinic.erased(ANN)
    clinic.erased(BOB)
    file = journal_directory / "erasures.journal"
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(starting.NotReadyError, match="cut off after line 1") as refused:
        starting.require_ready()
    assert "replay_erasures --help" in str(refused.value)
    assert Client().get("/healthz").json()["journal"] == "erasure_journal_damaged"
    with pytest.raises(CommandError, match="cut off after line 1"):
        call_command("replay_erasures")
    with pytest.raises(CommandError, match="say why"):
        call_command("replay_erasures", renew=" ")
    done = replayed("--renew", "the volume was lost")
    assert (done["renewed"], done["replayed"]) == ({"kept": 1, "added": 1}, 0)
    starting.require_ready()
    assert len(file.read_bytes().splitlines()) == 2
    clinic.erased(EVE)
    assert reckoning().lines == 3
    assert reckoning().missing == []


def test_a_journal_that_is_gone_with_its_directory_is_not_made_again(
    clinic, tmp_path, journal_directory
):
    shutil.rmtree(journal_directory)
    starting.require_ready()
    assert journal_directory.stat().st_mode & 0o777 == 0o700
    clinic.erased(ANN)
    shutil.rmtree(journal_directory)
    with pytest.raises(starting.NotReadyError, match="cannot be used"):
        starting.require_ready()
    assert not journal_directory.exists()


def test_without_a_journal_nobody_is_forgotten_and_the_rest_goes_on(
    clinic, tmp_path, journal_directory
):
    person = subjects.register(identifiers=[("email", ANN)]).subject
    journal_directory.rename(tmp_path / "away")
    request = open_erasure(subject=person, key=uuid4(), verified=True)
    settle()
    assert clinic.rows() == [BOB, EVE]
    assert requests.standing_of(request).outstanding == ["the person's keys: not yet destroyed"]
    assert SubjectKey.objects.filter(subject=person).exists()
    assert not Tombstone.objects.exists()
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.json()["journal"]) == (200, "erasure_journal_unavailable")
    (tmp_path / "away").rename(journal_directory)
    settle()
    assert Subject.objects.get(pk=person.pk).erased_at is not None
    assert reckoning().lines == 1
