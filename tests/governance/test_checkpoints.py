"""The ledger's head is signed for others to keep, and never two that contradict each other."""

import io
import json
from contextlib import contextmanager

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from deploy import sweeper
from governance import merkle, notes
from governance.models import LedgerCheckpoint, LedgerRecord
from governance.notes import Checkpoint, MalformedNoteError, UnsignedNoteError
from governance.selectors import checkpoints as known
from governance.selectors import ledger as ledger_selectors
from governance.selectors import signing as keys
from governance.services import checkpoints
from governance.services.ledger import sequence

SECRET, ROOT = b"s" * 32, b"r" * 32
HEAD = Checkpoint("example.org/ledger", 7, ROOT)
# The example of Go's package golang.org/x/mod/sumdb/note.
GO_VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpR"
    "Zb6KE6RyyBwJnAM=\n"
)

transactional = pytest.mark.django_db


@pytest.fixture(autouse=True)
def address(settings):
    settings.PUBLIC_URL = "https://example.org"


@contextmanager
def lost():
    """Let what happens inside be unknown to the database, as after an older backup."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def test_a_note_says_what_was_signed_to_who_has_the_key():
    note = notes.sign(HEAD, secret=SECRET)
    assert note.startswith(f"example.org/ledger\n7\n{'cnJy' * 10}cnI=\n\n— example.org/ledger ")
    verifier = notes.verifier_of(HEAD.origin, secret=SECRET)
    assert notes.opened(note, verifier=verifier) == notes.read(note) == HEAD


def test_a_signature_of_the_tool_that_others_use_is_good_here():
    with pytest.raises(MalformedNoteError, match="no name, size or root"):  # it is no checkpoint
        notes.opened(GO_NOTE, verifier=GO_VERIFIER)
    with pytest.raises(UnsignedNoteError):
        notes.opened(GO_NOTE.replace("is the answer", "is an answer"), verifier=GO_VERIFIER)


@pytest.mark.parametrize(
    ("old", "new"),
    [("\n7\n", "\n8\n"), ("cnJy", "cnJx"), ("example.org/ledger\n7", "example.com/ledger\n7")],
)
def test_a_changed_note_is_not_signed(old, new):
    note = notes.sign(HEAD, secret=SECRET)
    verifier = notes.verifier_of(HEAD.origin, secret=SECRET)
    with pytest.raises(UnsignedNoteError):
        notes.opened(note.replace(old, new, 1), verifier=verifier)
    for other in (
        notes.verifier_of(HEAD.origin, secret=b"o" * 32),
        notes.verifier_of("example.com/ledger", secret=SECRET),
    ):
        with pytest.raises(UnsignedNoteError):
            notes.opened(note, verifier=other)


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "\n\n", "a\n1\ncnI=\n", f"a\n01\n{'A' * 43}=\n\n— a AAAA\n",
        f"a\n-1\n{'A' * 43}=\n\n— a AAAA\n", "a\n1\nnot base64\n\n— a AAAA\n",
        f"a\n1\n{'A' * 43}=\n\n- a AAAA\n", f"a\n1\n{'A' * 43}=\n\n— a A\n",
        f"a\n1\n{'A' * 43}=\r\n\n— a AAAA\n",
    ],
)  # fmt: skip
def test_what_is_no_note_is_refused(text):
    with pytest.raises(MalformedNoteError):
        notes.read(text)


@pytest.mark.parametrize("verifier", ["", "a", "a+b+c", "a+00000000+AAAA"])
def test_what_is_no_key_is_refused(verifier):
    with pytest.raises(MalformedNoteError):
        notes.opened(notes.sign(HEAD, secret=SECRET), verifier=verifier)


@transactional
def test_an_empty_ledger_is_not_signed():
    assert checkpoints.publish() is None
    assert not LedgerCheckpoint.objects.exists()


@transactional
def test_the_head_is_signed_given_out_and_remembered(grow, anyone, journal_directory):
    grow(5)
    signed = checkpoints.publish()
    assert (signed.origin, signed.size) == ("example.org/ledger", 5)
    shown = anyone.get("/api/v1/ledger/head").json()
    assert notes.opened(shown["checkpoint"], verifier=shown["checkpoint_key"]) == signed
    assert merkle.EMPTY_ROOT != signed.root == ledger_selectors.head().root
    [key] = keys.published()
    assert key.pk is not None
    memory = journal_directory / "checkpoint"
    assert memory.read_text() == shown["checkpoint"]
    assert memory.stat().st_mode & 0o777 == 0o600


@transactional
def test_before_anything_is_signed_the_head_says_so(anyone):
    shown = anyone.get("/api/v1/ledger/head").json()
    assert (shown["size"], shown["checkpoint"], shown["checkpoint_key"]) == (0, None, None)


@transactional
def test_a_ledger_that_grew_is_signed_again_and_one_that_did_not_is_not(grow, journal_directory):
    grow(300)
    checkpoints.publish()
    while sequence():  # the first key was told of
        pass
    first = checkpoints.publish()
    written = (journal_directory / "checkpoint").stat().st_mtime_ns
    assert checkpoints.publish() == first
    assert (journal_directory / "checkpoint").stat().st_mtime_ns == written
    grow(300)
    second = checkpoints.publish()
    assert (second.size - first.size, second.origin) == (300, first.origin)


@transactional
def test_another_address_of_the_service_is_still_the_same_ledger(grow, settings):
    grow(1)
    checkpoints.publish()
    settings.PUBLIC_URL = "https://elsewhere.example.org"
    grow(1)
    assert checkpoints.publish().origin == "example.org/ledger"


@pytest.mark.parametrize("grown_again", [0, 3, 400])
@transactional
def test_a_ledger_from_an_older_backup_is_not_signed_however_it_grew(
    grow, grown_again, journal_directory
):
    grow(10)
    checkpoints.publish()
    with lost():
        grow(20)
        newer = checkpoints.publish()
    grow(grown_again)
    memory = (journal_directory / "checkpoint").read_bytes()
    with pytest.raises(known.LedgerForkedError) as refused:
        checkpoints.publish()
    assert (refused.value.code, refused.value.facts["signed"]) == ("ledger_forked", newer.size)
    assert "manage accept_ledger --reason" in refused.value.message
    assert (journal_directory / "checkpoint").read_bytes() == memory
    assert LedgerCheckpoint.objects.get().size == 10


@transactional
def test_a_crash_between_remembering_and_giving_out_is_made_good(grow):
    grow(10)
    with lost():
        signed = checkpoints.publish()
    assert not LedgerCheckpoint.objects.exists()
    while sequence():
        pass
    again = checkpoints.publish()
    assert (signed.size, again.origin) == (10, signed.origin)
    assert LedgerCheckpoint.objects.get().size == again.size


def accept(reason=None, **options):
    page = io.StringIO()
    call_command("accept_ledger", reason=reason, json=True, stdout=page, **options)
    return json.loads(page.getvalue())


@transactional
def test_a_gap_is_named_with_its_reason_and_another_ledger_begins(grow, journal_directory):
    grow(10)
    checkpoints.publish()
    while sequence():
        pass
    assert accept()["ok"] is True
    for number in (2, 3):
        with lost():
            grow(20)
            newer = checkpoints.publish()
        with pytest.raises(SystemExit):
            accept()
        with pytest.raises(CommandError, match="does not continue it"):
            call_command("accept_ledger")
        told = accept("the disk died")
        assert told["signed"]["size"] == newer.size
        assert told["now"]["origin"] == f"example.org/ledger/{number}"
        aside = journal_directory / f"checkpoint.before-{number}"
        assert notes.read(aside.read_text()) == newer
        while sequence():
            pass
        assert checkpoints.publish().origin == f"example.org/ledger/{number}"
        assert accept()["ok"] is True
    gaps = LedgerRecord.objects.filter(kind="ledger.gap").order_by("pk")
    assert gaps.count() == 2


@transactional
def test_what_the_gap_says_can_be_read_by_the_organisation(grow):
    from governance.keys import organisation_key

    grow(10)
    checkpoints.publish()
    with lost():
        grow(20)
        newer = checkpoints.publish()
    checkpoints.accept(reason="the disk died")
    [gap] = LedgerRecord.objects.filter(kind="ledger.gap")
    assert ledger_selectors.opened(gap.uuid, organisation_key())["facts"] == {
        "reason": "the disk died", "ledger": "example.org/ledger",
        "continued_as": "example.org/ledger/2", "signed_size": newer.size,
        "signed_root": newer.root.hex(), "size": 10, "root": ledger_selectors.head().root.hex(),
        "agreed_size": 10,
    }  # fmt: skip


@transactional
def test_nothing_is_accepted_without_a_gap_or_without_a_reason(grow, journal_directory):
    grow(10)
    checkpoints.publish()
    with pytest.raises(checkpoints.NothingToAcceptError):
        checkpoints.accept(reason="for fun")
    (journal_directory / "checkpoint").unlink()
    with pytest.raises(checkpoints.ReasonNeededError):
        checkpoints.accept(reason=" ")
    assert not LedgerRecord.objects.filter(kind="ledger.gap").exists()


@pytest.mark.parametrize("left", [None, b"", b"\xff", b"something else\n"])
@transactional
def test_a_signer_that_lost_its_memory_does_not_sign(grow, journal_directory, left):
    grow(10)
    checkpoints.publish()
    memory = journal_directory / "checkpoint"
    memory.unlink()
    if left is not None:
        memory.write_bytes(left)
    with pytest.raises(known.MemoryLostError) as refused:
        checkpoints.publish()
    assert refused.value.code == "checkpoint_memory_lost"
    assert checkpoints.accept(reason="a new volume").signed is None
    assert checkpoints.publish().origin == "example.org/ledger/2"


@transactional
def test_without_the_directory_nothing_is_signed_and_it_can_be_tried_again(
    grow, journal_directory, tmp_path
):
    grow(10)
    journal_directory.rename(tmp_path / "away")
    with pytest.raises(known.MemoryUnavailableError) as refused:
        checkpoints.publish()
    assert (refused.value.code, refused.value.status) == ("checkpoint_memory_unavailable", 503)
    assert not LedgerCheckpoint.objects.exists()
    (tmp_path / "away").rename(journal_directory)
    assert checkpoints.publish().size == 10


@transactional
def test_the_sweeper_signs_now_and_then_and_says_what_it_cannot_sign(
    grow, journal_directory, caplog, monkeypatch
):
    monkeypatch.setattr(sweeper.Sweeper, "_send", lambda *_what: None)
    grow(10)
    sweeping = sweeper.Sweeper()
    sweeping.sweep()
    assert LedgerCheckpoint.objects.get().size >= 10
    size = LedgerCheckpoint.objects.get().size
    grow(3)
    sweeping.sweep()
    assert LedgerCheckpoint.objects.get().size == size
    (journal_directory / "checkpoint").unlink()
    sweeping.sign_at = 0
    sweeping.sweep()
    assert "the ledger is not signed (checkpoint_memory_lost)" in caplog.text
