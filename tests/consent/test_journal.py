"""The journal of erasures: a file that says who was forgotten, and notices when it is changed."""

import errno
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from uuid import UUID

import pytest

from consent import journal
from consent.journal import (
    Entry,
    Identifier,
    JournalDamagedError,
    JournalUnavailableError,
    Seen,
)
from governance import durable

KEY = b"k" * 32
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
REQUEST = UUID(int=7)


def entry(*digests: bytes) -> Entry:
    return Entry(NOON, REQUEST, tuple(Identifier("email", each) for each in digests))


def added(folder, count: int) -> list[journal.Line]:
    start = list(journal.lines(folder, KEY))
    for n in range(len(start), len(start) + count):
        journal.add(folder, KEY, [entry(bytes([n]) * 32)], seen=Seen())
    return list(journal.lines(folder, KEY))


def content(folder) -> bytes:
    return (folder / journal.FILE).read_bytes()


def rewrite(folder, raw: bytes) -> None:
    (folder / journal.FILE).write_bytes(raw)


def test_what_is_added_is_read_in_order_by_anybody_with_the_key(tmp_path):
    two = Entry(NOON, None, (Identifier("email", b"a" * 32), Identifier("card", b"b" * 32, 2)))
    made = journal.add(tmp_path, KEY, [entry(b"x" * 32), two], seen=Seen())
    assert list(journal.lines(tmp_path, KEY)) == made
    assert [line.number for line in made] == [1, 2]
    assert [line.entry for line in made] == [entry(b"x" * 32), two]
    first, second = (json.loads(raw) for raw in content(tmp_path).splitlines())
    assert first == {
        "v": 1, "n": 1, "at": "2026-03-01T12:00:00+00:00", "request": str(REQUEST),
        "known_by": [{"scheme": "email", "digest": (b"x" * 32).hex(), "key": 1}],
        "sum": made[0].checksum.hex(),
    }  # fmt: skip
    assert [each["key"] for each in second["known_by"]] == [1, 2]


def test_the_files_are_their_owner_s_alone(tmp_path):
    added(tmp_path, 1)
    assert {each.name for each in tmp_path.iterdir()} == {journal.FILE, journal.LOCK_FILE}
    assert all(each.stat().st_mode & 0o777 == 0o600 for each in tmp_path.iterdir())


def test_no_journal_has_no_lines_unless_some_were_seen(tmp_path):
    assert list(journal.lines(tmp_path, KEY)) == []
    with pytest.raises(JournalDamagedError, match="has seen 3 lines"):
        list(journal.lines(tmp_path, KEY, seen=Seen(3, b"s" * 32)))


@pytest.mark.parametrize("left", [0, 1, 2])
def test_a_journal_that_was_cut_off_is_recognised_by_who_has_seen_more(tmp_path, left):
    lines = added(tmp_path, 3)
    seen = Seen(3, lines[-1].checksum)
    assert len(list(journal.lines(tmp_path, KEY, seen=seen))) == 3
    rewrite(tmp_path, b"".join(content(tmp_path).splitlines(keepends=True)[:left]))
    with pytest.raises(JournalDamagedError) as damage:
        list(journal.lines(tmp_path, KEY, seen=seen))
    assert (damage.value.code, damage.value.facts) == ("erasure_journal_damaged", {"after": left})
    with pytest.raises(JournalDamagedError):
        journal.add(tmp_path, KEY, [entry(b"z" * 32)], seen=seen)
    assert len(content(tmp_path).splitlines()) == left


def test_a_journal_that_was_cut_off_and_grew_again_is_recognised(tmp_path):
    lines = added(tmp_path, 3)
    rewrite(tmp_path, b"".join(content(tmp_path).splitlines(keepends=True)[:1]))
    journal.add(tmp_path, KEY, [entry(b"q" * 32)], seen=Seen())
    added(tmp_path, 3)
    with pytest.raises(JournalDamagedError, match="not the line that the database has seen"):
        list(journal.lines(tmp_path, KEY, seen=Seen(3, lines[2].checksum)))


def changed(raw: bytes) -> dict[str, bytes]:
    first, second, third = raw.splitlines(keepends=True)
    return {
        "a digest": first + second.replace(b"01" * 32, b"02" * 32) + third,
        "a request": first + second.replace(b"000007", b"000008") + third,
        "one more field": first + second.replace(b'"v":1', b'"u":1,"v":1') + third,
        "spaces": first + second.replace(b'"v":1', b'"v": 1') + third,
        "no line": first + third,
        "another order": second + first + third,
        "twice": first + second + second + third,
        "no JSON": first + b"?" + second + third,
        "no object": first + b"[]\n" + third,
        "empty": first + b"\n" + second + third,
    }


@pytest.mark.parametrize("how", changed(b"1\n2\n3\n"))
def test_a_journal_that_was_edited_is_recognised_and_the_lines_before_are_given(tmp_path, how):
    added(tmp_path, 3)
    raw = changed(content(tmp_path))[how]
    assert raw != content(tmp_path)
    rewrite(tmp_path, raw)
    with pytest.raises(JournalDamagedError) as damage:
        list(journal.lines(tmp_path, KEY))
    assert len(list(journal.sound(tmp_path, KEY))) == damage.value.facts["after"]


def test_nobody_without_the_key_can_write_a_line_that_counts(tmp_path):
    added(tmp_path, 1)
    journal.add(tmp_path, b"another key" * 3, [entry(b"f" * 32)], seen=Seen())
    with pytest.raises(JournalDamagedError):
        list(journal.lines(tmp_path, KEY))


def test_half_a_line_of_a_dead_writer_is_nothing_and_the_next_takes_its_place(tmp_path):
    added(tmp_path, 2)
    whole = content(tmp_path)
    for torn in (b'{"at":"2026', bytes(5000), b"x" * 200_000):
        rewrite(tmp_path, whole + torn)
        assert len(list(journal.lines(tmp_path, KEY))) == 2
    added(tmp_path, 1)
    assert content(tmp_path).startswith(whole)
    assert len(list(journal.lines(tmp_path, KEY))) == 3


def test_a_person_with_very_many_identifiers_is_one_line(tmp_path):
    many = entry(*(n.to_bytes(32, "big") for n in range(2000)))
    journal.add(tmp_path, KEY, [many], seen=Seen())
    added(tmp_path, 1)
    assert [len(each.entry.identifiers) for each in journal.lines(tmp_path, KEY)] == [2000, 1]


def no_directory(folder, monkeypatch):
    return folder / "not-mounted"


def no_file(folder, monkeypatch):
    (folder / journal.FILE).mkdir()
    return folder


def held(folder, monkeypatch):
    monkeypatch.setattr(durable, "_PAUSE", 0)
    monkeypatch.setattr(durable.time, "monotonic", iter([0.0, 99.0]).__next__)
    monkeypatch.setattr(durable.fcntl, "flock", raises(BlockingIOError()))
    return folder


def full(folder, monkeypatch):
    write = os.write

    def half(handle, raw):
        if len(raw) < 100:
            raise OSError(errno.ENOSPC, "full")
        return write(handle, raw[:-50])

    monkeypatch.setattr(journal.os, "write", half)
    return folder


def no_fsync(folder, monkeypatch):
    monkeypatch.setattr(journal.os, "fsync", raises(OSError(errno.EIO, "broken")))
    return folder


def raises(error):
    def raiser(*args):
        raise error

    return raiser


@pytest.mark.parametrize("broken", [no_directory, no_file, held, full, no_fsync])
def test_what_cannot_be_brought_to_the_disk_is_refused_and_leaves_nothing(
    tmp_path, monkeypatch, broken
):
    if broken is not no_file:
        added(tmp_path, 2)
    place = broken(tmp_path, monkeypatch)
    with pytest.raises(JournalUnavailableError) as refused:
        journal.add(place, KEY, [entry(b"z" * 32)], seen=Seen())
    assert (refused.value.code, refused.value.status) == ("erasure_journal_unavailable", 503)
    monkeypatch.undo()
    if broken is not no_file:
        assert len(content(tmp_path).splitlines()) == len(list(journal.lines(tmp_path, KEY))) == 2


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from consent import journal
for n in range(25):
    digest = bytes([int(sys.argv[2])]) * 32
    entry = journal.Entry(datetime.now(UTC), None, (journal.Identifier("email", digest),))
    journal.add(Path(sys.argv[1]), b"k" * 32, [entry], seen=journal.Seen())
"""


def test_four_processes_write_one_chain(tmp_path):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(n)]) for n in range(4)
    ]
    assert [each.wait(60) for each in writers] == [0] * 4
    lines = list(journal.lines(tmp_path, KEY))
    assert [line.number for line in lines] == list(range(1, 101))
    by = [line.entry.identifiers[0].digest[0] for line in lines]
    assert [by.count(n) for n in range(4)] == [25] * 4


def test_a_renewed_journal_keeps_what_is_sound_and_the_old_file_stays_beside_it(tmp_path):
    lines = added(tmp_path, 3)
    broken = content(tmp_path).replace(b"02" * 32, b"09" * 32)
    rewrite(tmp_path, broken)
    made = journal.renew(tmp_path, KEY, [entry(b"n" * 32)], aside="old")
    assert made[:2] == lines[:2]
    assert list(journal.lines(tmp_path, KEY)) == made
    assert [line.entry.identifiers[0].digest[:1] for line in made] == [b"\0", b"\1", b"n"]
    assert (tmp_path / "old").read_bytes() == broken
