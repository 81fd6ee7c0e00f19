"""A manifest in Parquet is read batch by batch in a process of its own, or refused by row alone."""

import json
import signal
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from consent import manifests, parquet_lists, parquet_reading
from consent.identifiers import MAX_LENGTH
from consent.manifest_errors import ManifestMalformedError
from consent.manifests import Body, Form, ManifestTruncatedError
from consent.parquet_lists import ManifestRoomError
from consent.parquet_reading import RefusedError, TooLargeError, batches
from governance.errors import BodyTooLargeError
from tests.factories.consent import parquet_of

ADA = UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff")


def names_in(content: bytes, column: str = "who") -> list[str]:
    """Read as the other process does, without one."""
    return [text for texts in batches(BytesIO(content), column) for text in texts]


def read(content: bytes, column: str = "who", **said) -> list[tuple[int, str]]:
    body = Body(BytesIO(content).read, key=b"k" * 32, **said)
    return list(manifests.named(Form.PARQUET, body, column=column))


@pytest.mark.parametrize(
    ("who", "read_as"),
    [
        (pa.array(["ada", "b, ob", "é\n"]), ["ada", "b, ob", "é\n"]),
        (pa.array(["ada", "bob"], pa.large_string()), ["ada", "bob"]),
        (pa.array(["ada", "bob"], pa.string_view()), ["ada", "bob"]),
        (pa.array(["ada", "bob", "ada"]).dictionary_encode(), ["ada", "bob", "ada"]),
        (pa.array([1, 2**63 - 1]), ["1", "9223372036854775807"]),
        (pa.array([7, 8], pa.uint8()), ["7", "8"]),
        (pa.array([7, 8, 7], pa.int32()).dictionary_encode(), ["7", "8", "7"]),
        (pa.array([ADA.bytes], pa.binary(16)), [str(ADA)]),
        (pa.array([ADA.bytes], pa.uuid()), [str(ADA)]),
        (pa.array([], pa.string()), []),
    ],
)
def test_people_are_named_by_text_number_or_uuid(who, read_as):
    assert names_in(parquet_of(n=[0] * len(who), who=who)) == read_as


def test_a_column_may_lie_in_a_struct_and_have_dots_in_its_name():
    nested = parquet_of(who=[{"id": "ada"}, {"id": "bob"}])
    assert names_in(nested, "who.id") == ["ada", "bob"]
    assert names_in(parquet_of(**{"who.id": ["ada"]}), "who.id") == ["ada"]


def test_the_other_process_names_everybody_with_their_rows():
    names = [f"p{n}" for n in range(25_000)]
    found = read(parquet_of(who=names, rows=12_000))
    assert found == list(enumerate(names, start=1))


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({"who": ["ada", None, "secret"]}, 2),
        ({"who": ["ada"] * 12_000 + [None]}, 12_001),
        ({"who": [{"id": "secret"}]}, 1),
        ({"who": ["ada", "bob", "secret" * 300]}, 3),
        ({"who": [1.5]}, 1),
        ({"who": [True]}, 1),
        ({"who": [b"secret"]}, 1),
        ({"who": [["secret"]]}, 1),
        ({"secret": ["secret"]}, 1),
    ],
)
def test_what_names_nobody_is_refused_by_its_row_and_never_repeated(said, line):
    with pytest.raises(RefusedError) as refused:
        names_in(parquet_of(**said))
    assert refused.value.line == line
    assert "secret" not in refused.value.reason


def test_a_refusal_in_the_other_process_is_one_here():
    with pytest.raises(ManifestMalformedError) as refused:
        read(parquet_of(who=["secret"] * 12_000 + [None]))
    assert refused.value.facts == {"line": 12_001}
    assert refused.value.message == "line 12001: the identifier is empty"


def test_a_row_of_an_empty_struct_is_empty():
    with pytest.raises(RefusedError) as refused:
        names_in(parquet_of(who=[{"id": "ada"}, None]), "who.id")
    assert refused.value.line == 2


def test_a_column_that_is_there_twice_is_refused():
    table = pa.table([pa.array(["ada"]), pa.array(["bob"])], names=["who", "who"])
    pq.write_table(table, file := BytesIO())
    with pytest.raises(RefusedError):
        names_in(file.getvalue())


WHOLE = parquet_of(who=["ada"])


@pytest.mark.parametrize(
    "content",
    [b"", b"PAR1", b"PAR1PAR1", b"who\nada\n", b"x" * 100, b"PAR1" + b"\xff" * 4 + b"PAR1",
     b"PAR1\x04\x00\x00\x00PAR1", WHOLE[:-1], WHOLE[4:]],
)  # fmt: skip
def test_what_is_no_parquet_is_refused(content):
    with pytest.raises(RefusedError):
        names_in(content)


def test_a_file_that_ends_its_reader_is_refused_and_ends_nobody_else(tmp_path):
    # The schema says how often a value may be there, by a number that means nothing.
    content = WHOLE.replace(b"\x25\x02\x18\x03who", b"\x25\x7e\x18\x03who")
    assert content != WHOLE
    with (tmp_path / "fatal").open("w+b") as file:
        file.write(content)
        file.seek(0)
        command = [sys.executable, "-m", "consent.parquet_reading", b"who".hex()]
        alone = subprocess.run(command, stdin=file, capture_output=True, check=False)
    assert (alone.returncode, alone.stdout) == (-signal.SIGABRT, b"")
    with pytest.raises(ManifestMalformedError) as refused:
        read(content)
    assert refused.value.facts == {"line": 1}


def test_a_file_that_was_cut_off_is_refused_before_it_is_looked_at():
    with pytest.raises(ManifestTruncatedError):
        read(WHOLE, length=len(WHOLE) + 1)


def test_one_text_for_millions_of_rows_is_refused_when_it_is_longer_than_a_list_may_be():
    content = parquet_of(who=pa.array(["x" * 300]).dictionary_encode().take([0] * 1_000_000))
    assert len(content) < 40_000
    with pytest.raises(BodyTooLargeError):
        list(parquet_lists.named([content], column="who", limit=10_000_000))


def test_a_text_that_inflates_is_refused_before_it_is_unfolded():
    content = parquet_of(who=pa.array(["x" * (8 << 20)]).dictionary_encode().take([0] * 9_000))
    assert len(content) < 40_000
    with pytest.raises(RefusedError) as refused:
        names_in(content)
    assert refused.value.line == 1


def test_a_row_group_that_inflates_beyond_bounds_is_refused_unread(monkeypatch):
    monkeypatch.setattr(parquet_reading, "CHUNK_BYTES", 1 << 20)
    content = parquet_of(who=["x" * (2 << 20)])
    assert len(content) < 10_000
    with pytest.raises(TooLargeError):
        names_in(content)


CONFINED = """
import resource
from pathlib import Path
from consent import parquet_reading as reading
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
reading.MEMORY = used + (16 << 20)
reading._confine()
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
reading.main("who")
"""


def test_the_reader_takes_no_more_memory_than_it_may_and_says_so(tmp_path):
    with (tmp_path / "large").open("w+b") as file:
        file.write(parquet_of(who=["x" * (40 << 20)]))
        assert file.tell() < 40_000
        file.seek(0)
        ran = subprocess.run(
            [sys.executable, "-c", CONFINED], stdin=file, capture_output=True, check=False
        )
    assert set(json.loads(ran.stdout)) == {"too_large"}, ran.stderr


def test_a_full_disk_is_said_and_nothing_is_read(monkeypatch):
    with Path("/dev/full").open("w+b", buffering=0) as full:
        monkeypatch.setattr(parquet_lists, "TemporaryFile", lambda **_: full)
        with pytest.raises(ManifestRoomError) as refused:
            read(parquet_of(who=["secret"]))
    assert "secret" not in refused.value.message


def test_the_file_has_no_name_and_its_reader_ends_with_the_reading(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    started: list[subprocess.Popen] = []

    class Remembered(subprocess.Popen):
        def __init__(self, *args, **said) -> None:
            started.append(self)
            super().__init__(*args, **said)

    monkeypatch.setattr(subprocess, "Popen", Remembered)
    body = Body(BytesIO(parquet_of(who=["ada"] * 500_000)).read, key=b"k" * 32)
    reading = manifests.named(Form.PARQUET, body, column="who")
    assert next(reading) == (1, "ada")
    assert list(tmp_path.iterdir()) == []
    assert started[0].poll() is None
    reading.close()
    assert started[0].poll() is not None


def test_both_sides_agree_on_how_long_an_identifier_may_be():
    assert parquet_reading.LONGEST == MAX_LENGTH
