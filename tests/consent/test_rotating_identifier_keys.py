"""A new key is laid over every digest while the service goes on."""

import hmac
import io
import json
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from consent import tasks
from consent.manifests import Body, Form
from consent.models import (
    IdentifierKey,
    Manifest,
    Subject,
    SubjectIdentifier,
    SubjectKey,
    Tombstone,
)
from consent.selectors import identifier_keys, portal
from consent.selectors.identifier_keys import Keys
from consent.selectors.subjects import buried, by_identifier, clear_identifiers
from consent.services import erasing, membership, planning, rotating, subjects
from consent.services.requests import open_erasure
from deploy import sweeper
from governance.crypto import SealingKey
from governance.keys import secret_for
from governance.models import LedgerRecord
from governance.services.registry import register_dataset, register_storage
from lineage.selectors import versions
from lineage.services.versions import ensure_origins
from tests.factories.consent import people_of, registered, take
from tests.factories.governance import DatasetFactory, PurposeFactory

ADA, BOB, CARD = ("email", "ada@example.org"), ("email", "bob@example.org"), ("card", "A-1")

pytestmark = pytest.mark.django_db


def finish() -> None:
    while rotating.move_up():
        pass


def layered(scheme: str, value: str, version: int) -> bytes:
    """Say by itself what a digest is: one layer over the other."""
    digest = f"{scheme}\0{value}".encode()
    for each in range(1, version + 1):
        digest = hmac.digest(secret_for(f"identifier-digest-v{each}"), digest, "sha256")
    return digest


def rows() -> dict[tuple[str, bytes], int]:
    kept = SubjectIdentifier.objects.values_list("scheme", "digest", "key_version")
    return {(scheme, bytes(digest)): version for scheme, digest, version in kept}


def ledger() -> list[str]:
    kinds = LedgerRecord.objects.filter(kind__startswith="identifier_key.").order_by("pk")
    return list(kinds.values_list("kind", flat=True))


def test_each_version_is_a_layer_over_the_one_before_and_none_needs_the_identifier():
    take(DatasetFactory(), ["A-1"], scheme="card")  # known by a digest only
    registered(ADA)
    for version in (2, 3):
        rotating.introduce()
        finish()
        assert rows() == {(*each[:1], layered(*each, version)): version for each in (ADA, CARD)}
    assert by_identifier(*CARD) is not None
    assert clear_identifiers(by_identifier(*ADA)) == [ADA]
    assert [each.version for each in IdentifierKey.objects.order_by("pk")] == [2, 3]


def test_while_rows_move_whoever_comes_is_written_by_the_newest_key():
    for each in (ADA, BOB):
        registered(each)
    rotating.introduce()
    rotating.move_up(limit=1)
    registered(CARD)
    take(DatasetFactory(), ["A-1", "A-2"], scheme="card")
    assert rows() == {
        ("email", layered(*ADA, 2)): 2, ("email", layered(*BOB, 1)): 1,
        ("card", layered("card", "A-1", 2)): 2, ("card", layered("card", "A-2", 2)): 2,
    }  # fmt: skip
    assert Subject.objects.count() == 4


def test_no_second_rotation_begins_before_the_first_has_ended():
    registered(ADA)
    rotating.introduce()
    with pytest.raises(rotating.RotationUnderWayError) as refused:
        rotating.introduce()
    assert (refused.value.code, refused.value.status) == ("identifier_key_rotation_under_way", 409)
    finish()
    assert rotating.move_up() is None
    assert rotating.introduce().version == 3
    assert ledger() == [
        "identifier_key.introduced", "identifier_key.moved_up", "identifier_key.introduced",
    ]  # fmt: skip


def test_a_crash_between_or_within_batches_loses_nothing_and_counts_nothing_twice(monkeypatch):
    for n in range(5):
        registered(("card", f"A-{n}"))
    subjects.forget(subject=registered(ADA))
    rotating.introduce()
    moved = [rotating.move_up(limit=2).rows for _ in range(2)]
    with monkeypatch.context() as broken:
        broken.setattr(rotating, "_kept", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            rotating.move_up(limit=2)
    assert (moved, identifier_keys.left()) == ([1, 2], 3)
    finish()
    key = IdentifierKey.objects.get()
    assert (key.identifiers, key.tombstones, key.unreadable) == (5, 1, 0)
    assert key.moved_at is not None
    assert identifier_keys.left() == 0
    assert ledger() == ["identifier_key.introduced", "identifier_key.moved_up"]


def test_a_batch_goes_on_after_the_last_and_comes_back_for_what_it_passed_over():
    for n in range(4):
        registered(("card", f"A-{n}"))
    first, *_, last = SubjectIdentifier.objects.order_by("pk").values_list("pk", flat=True)
    rotating.introduce()
    assert rotating.move_up(after=first, limit=10) == rotating.Moved(3, last=last)
    assert rotating.move_up(after=last, limit=10) == rotating.Moved(1, last=first)
    assert rotating.move_up(after=first).finished


def test_what_was_unreadable_stays_so_and_holds_nobody_up():
    broken, keyless, whole = registered(ADA), registered(BOB), registered(CARD)
    broken.identifiers.update(value_sealed=b"x" * 60)
    SubjectKey.objects.filter(subject=keyless).delete()
    sealed = bytes(keyless.identifiers.get().value_sealed)
    rotating.introduce()
    finish()
    assert IdentifierKey.objects.get().unreadable == 2
    assert bytes(broken.identifiers.get().value_sealed) == b"x" * 60
    assert bytes(keyless.identifiers.get().value_sealed) == sealed
    assert clear_identifiers(whole) == [CARD]
    assert by_identifier(*ADA) == broken


def test_an_erasure_finds_people_by_either_key(tmp_path):
    (tmp_path / "loans.csv").write_text(f"email\n{ADA[1]}\n{BOB[1]}\nAda@example.org\ncy@x.org\n")
    lake = register_storage(name="lake", kind="files", address=str(tmp_path)).thing
    dataset = register_dataset(
        namespace="test", name="loans", storage=lake, location="loans.csv",
        subject_column="email", subject_scheme="email",
    ).thing  # fmt: skip
    people = [registered(who) for who in (ADA, BOB)]
    take(dataset, [ADA[1], BOB[1], "cy@x.org"], mode="replace", scheme="email")
    steps = []
    for subject in people:
        request = open_erasure(subject=subject, key=uuid4(), verified=True)
        planning.plan(request.pk)
        steps.append(request.steps.get())
    rotating.introduce()
    rotating.move_up(limit=1)
    assert [each.identifiers.get().key_version for each in people] == [2, 1]
    assert erasing.carry_out(dataset_id=dataset.pk) == 2
    for step, found in zip(steps, (2, 1), strict=True):
        step.refresh_from_db()
        assert (step.outcome, step.located_rows) == ("erased", found)
    assert (tmp_path / "loans.csv").read_text().split() == ["email", "cy@x.org"]


def test_who_came_back_is_not_taken_for_buried_by_either_key():
    subjects.forget(subject=registered(ADA))
    person = registered(ADA, again=True)
    rotating.introduce()
    rotating.move_up(limit=1)
    stone = Tombstone.objects.get()
    assert (stone.key_version, person.identifiers.get().key_version) == (2, 1)
    asked = identifier_keys.current().digests(ADA[0], [ADA[1], BOB[1]])
    assert buried("email", asked) == {}
    subjects.forget(subject=person)
    assert buried("email", asked) == {layered(*ADA, 2): stone.pk}


def test_a_file_of_decisions_that_comes_again_is_recognised_by_any_key(tmp_path):
    PurposeFactory(key="study")
    file = tmp_path / "old.csv"
    header = "scheme,identifier,purpose,kind,decided_at"
    file.write_text(f"{header}\nemail,{ADA[1]},study,given,2026-03-01T12:00:00Z\n")

    def taken() -> tuple[int, int]:
        told = io.StringIO()
        call_command("import_decisions", str(file), "--evidence", "x", "--json", stdout=told)
        said = json.loads(told.getvalue())
        return said["recorded"], said["repeated"]

    assert taken() == (1, 0)
    rotating.introduce()
    assert taken() == (0, 1)
    finish()
    assert taken() == (0, 1)


def older_row() -> None:
    SubjectIdentifier.objects.create(subject=registered(BOB), scheme="card", digest=b"d" * 32)


def older_stone() -> None:
    Tombstone.objects.create(scheme="card", digest=b"d" * 32)


def back_row() -> None:
    registered(BOB).identifiers.update(key_version=1)


def back_stone() -> None:
    subjects.forget(subject=registered(BOB))
    Tombstone.objects.update(key_version=1)


REFUSED = {
    "by the newest key only": [older_row, older_stone],
    "an identifier is known by": [back_row],
    "an identifier was known by": [back_stone],
    "a version of the identifier key": [
        lambda: IdentifierKey.objects.update(version=7),
        lambda: IdentifierKey.objects.all().delete(),
    ],
    "a rotation that has ended": [lambda: IdentifierKey.objects.update(moved_at=None)],
}


@pytest.mark.parametrize(
    ("why", "what"), [(why, what) for why, every in REFUSED.items() for what in every]
)
def test_the_database_refuses_what_would_hide_somebody(why, what):
    rotating.introduce()
    finish()
    before = list(IdentifierKey.objects.values())
    with pytest.raises(IntegrityError, match=why), transaction.atomic():
        what()
    assert list(IdentifierKey.objects.values()) == before


# A reader that takes its keys, and then a whole rotation passes before it looks.
LOOKS = {
    "lookup": lambda: by_identifier(*ADA) is not None,
    "portal": lambda: portal.identity(ADA[1]).subject is not None,
    "buried": lambda: portal.identity(BOB[1]).erased_at is not None,
    "register": lambda: not subjects.register(identifiers=[ADA]).created,
}


@pytest.mark.parametrize("name", LOOKS)
def test_nobody_escapes_a_look_by_being_moved_up_meanwhile(name, monkeypatch):
    registered(ADA)
    subjects.forget(subject=registered(BOB))
    digests, rounds = Keys.digests, iter(range(2))

    def after_a_rotation(keys: Keys, scheme: str, values: list[str]) -> identifier_keys.Digests:
        made = digests(keys, scheme, values)
        if next(rounds, None) is not None:
            rotating.introduce()
            finish()
        return made

    monkeypatch.setattr(Keys, "digests", after_a_rotation)
    assert LOOKS[name]()
    assert next(rounds, None) is None
    assert (Subject.objects.count(), IdentifierKey.objects.count()) == (2, 2)


def elsewhere(what) -> Thread:
    """Do something over another connection."""

    def run() -> None:
        try:
            what()
        finally:
            connection.close()

    thread = Thread(target=run)
    thread.start()
    return thread


@pytest.mark.django_db(transaction=True)
def test_many_register_one_person_while_the_key_changes():
    registered(ADA)

    def register(n: int) -> subjects.Registered:
        try:
            if n == 5:
                rotating.introduce()
            if n > 5:
                rotating.move_up(limit=1)
            return subjects.register(identifiers=[ADA, CARD] if n % 2 else [CARD, ADA])
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(register, range(16)))
    finish()
    assert len({each.subject.pk for each in made}) == 1
    assert not any(each.created for each in made)
    assert rows() == {("email", layered(*ADA, 2)): 2, ("card", layered(*CARD, 2)): 2}


@pytest.mark.django_db(transaction=True)
def test_who_digested_before_a_key_was_introduced_is_refused_and_digests_again(monkeypatch):
    owner, introduced = subjects._owner, []

    def after_an_introduction(owners: set[int]) -> Subject | None:
        if not introduced:
            introduced.append(elsewhere(rotating.introduce))
            introduced[0].join()
        return owner(owners)

    monkeypatch.setattr(subjects, "_owner", after_an_introduction)
    made = subjects.register(identifiers=[ADA])
    assert (made.created, rows()) == (True, {("email", layered(*ADA, 2)): 2})
    assert Subject.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_row_that_moves_while_its_value_is_sealed_is_sealed_anew(monkeypatch):
    take(DatasetFactory(), [CARD[1]], scheme="card")
    person, key_for = by_identifier(*CARD), subjects._key_for
    rotating.introduce()

    def after_a_batch(subject: Subject) -> tuple[SealingKey, bool]:
        elsewhere(rotating.move_up).join()
        return key_for(subject)

    monkeypatch.setattr(subjects, "_key_for", after_a_batch)
    assert subjects.register(identifiers=[CARD]).subject == person
    assert rows() == {("card", layered(*CARD, 2)): 2}
    assert clear_identifiers(person) == [CARD]


@pytest.mark.django_db(transaction=True)
def test_a_key_is_introduced_only_after_who_wrote_by_the_last_one_has_ended():
    introduced = Event()
    with transaction.atomic():
        person = registered(ADA)
        thread = elsewhere(lambda: (rotating.introduce(), introduced.set()))
        assert not introduced.wait(0.3)
    thread.join()
    assert introduced.is_set()
    again = subjects.register(identifiers=[ADA])
    assert (again.subject, again.created, rows()) == (
        person,
        False,
        {("email", layered(*ADA, 1)): 1},
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ends", [False, True])
def test_a_list_may_be_on_its_way_while_the_key_changes(ends):
    known, dataset = registered(ADA), DatasetFactory()
    subjects.forget(subject=registered(BOB))
    ensure_origins([dataset.pk])
    lines = iter([b'"ada@example.org"\n', b'"bob@example.org"\n"cy@example.org"\n'])

    def read(_: int) -> bytes:
        line = next(lines, b"")
        if line.startswith(b'"bob'):
            elsewhere(lambda: (rotating.introduce(), ends and finish())).join()
        return line

    loaded = membership.load(
        dataset=dataset, version=versions.current(dataset.pk), mode=Manifest.Mode.ADD,
        form=Form.NDJSON, body=Body(read, key=b"k" * 32), scheme="email",
    )  # fmt: skip
    assert (loaded.manifest.rows, loaded.manifest.people) == (3, 3)
    cy = by_identifier("email", "cy@example.org")
    assert people_of(dataset) == {known.uuid, cy.uuid}
    assert loaded.manifest.reappearances.count() == 1
    assert rows() == {
        ("email", layered(*ADA, 1 + ends)): 1 + ends,
        ("email", layered("email", "cy@example.org", 2)): 2,
    }


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("rotate_identifier_key", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_rotates_and_says_so_to_people_and_programs():
    registered(ADA, CARD)
    subjects.forget(subject=registered(BOB))
    assert run() == "Version 2 is in use. Moved up: identifiers 2, tombstones 1.\n"
    told = json.loads(run("--json"))
    key = IdentifierKey.objects.get(version=3)
    assert told == {
        "version": 3, "introduced_at": key.introduced_at.isoformat(),
        "moved_at": key.moved_at.isoformat(), "identifiers": 2, "tombstones": 1, "unreadable": 0,
    }  # fmt: skip


def test_the_command_is_interrupted_and_goes_on(monkeypatch):
    registered(ADA, CARD)
    with monkeypatch.context() as pressed:
        move, turns = rotating.move_up, iter([1])

        def one_batch(**said: int) -> rotating.Moved | None:
            if next(turns, None) is None:
                raise KeyboardInterrupt
            return move(limit=1, **said)

        pressed.setattr(rotating, "move_up", one_batch)
        with pytest.raises(CommandError, match="--continue") as stopped:
            run()
    assert stopped.value.returncode == 130
    assert sorted(rows().values()) == [1, 2]
    with pytest.raises(CommandError, match="go on here with --continue"):
        run()
    assert json.loads(run("--continue", "--json"))["identifiers"] == 2
    with pytest.raises(CommandError, match="No rotation is under way"):
        run("--continue")
    assert sorted(rows().values()) == [2, 2]


def test_workers_are_told_while_rows_are_left_and_finish_by_themselves(monkeypatch):
    sent: list[str] = []
    monkeypatch.setattr(
        sweeper.application, "send_task", lambda name, **_: sent.append(name)
    )  # fmt: skip
    registered(ADA, CARD)
    sweeper.Sweeper().sweep()
    assert "consent.move_up" not in sent
    assert "so far (the workers go on)" in run("--no-wait")
    sweeper.Sweeper().sweep()
    assert sent.count("consent.move_up") == 1
    assert tasks.move_up() == 2
    assert tasks.move_up() == 0
    assert IdentifierKey.objects.get().moved_at is not None
    sweeper.Sweeper().sweep()
    assert sent.count("consent.move_up") == 1
