"""JSON lines: the contract, dotted paths, and that what is not erased keeps every byte."""

import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.connectors import jsonl
from consent.connectors.base import Place, StorageUnreadableError, SubjectColumnMissingError
from consent.connectors.files import FilesConnector
from consent.connectors.formats import Inspection
from consent.connectors.jsonl import JsonlFormat
from tests.consent.connectors.contract import CANARY, ConnectorContract, Row, Storage, refused
from tests.consent.connectors.folders import FolderStorage

CONNECTOR = FilesConnector()
CANARIES = frozenset({CANARY})


def erased(folder: Path, content: bytes, *values: str, column: str = "person") -> bytes:
    file = folder / "people.jsonl"
    file.write_bytes(content)
    CONNECTOR.erase(Place("files", str(folder), file.name, column), frozenset(values))
    return file.read_bytes()


class JsonlStorage(FolderStorage):
    suffix = ".jsonl"

    def write(self, file: Path, rows: list[Row], *, numbers: bool) -> None:
        file.write_bytes(self.lines(rows))

    def read(self, file: Path) -> list[Row]:
        lines = file.read_bytes().splitlines()
        return [tuple(json.loads(line).values()) for line in lines]

    def lines(self, rows: list[Row]) -> bytes:
        named = (dict(zip(("person", "note", "at"), row, strict=True)) for row in rows)
        return "".join(json.dumps(each) + "\n" for each in named).encode()

    def spoil(self, place: Place) -> Place:
        self.file(place).write_text(f'{{"person": "{CANARY}"}}\n{{"person": "{CANARY}"\n')
        return place


class GzipStorage(JsonlStorage):
    suffix = ".ndjson.gz"

    def write(self, file: Path, rows: list[Row], *, numbers: bool) -> None:
        file.write_bytes(gzip.compress(self.lines(rows)))

    def read(self, file: Path) -> list[Row]:
        lines = gzip.decompress(file.read_bytes()).splitlines()
        return [tuple(json.loads(line).values()) for line in lines]

    def spoil(self, place: Place) -> Place:
        self.file(place).write_bytes(self.file(place).read_bytes()[:-9])
        return place


class TestJsonlFiles(ConnectorContract):
    @pytest.fixture
    def storage(self, folder) -> Storage:
        return JsonlStorage(folder)


class TestGzippedJsonlFiles(ConnectorContract):
    @pytest.fixture
    def storage(self, folder) -> Storage:
        return GzipStorage(folder)


KEPT = [
    b'{"person":"bob"}\r\n',
    b' { "person" : "bob" , "x" : 1.10 , "y":1e3}  \n',
    b'{"x": [{"person": "ann"}], "person": null}\n',
    b'{"person": "bob", "note": "caf\\u00e9 \\/"}\n',
    '{"person": "bob", "note": "\u2028 ünï"}\n'.encode(),
    b'{"person": "bob", "score": NaN}\n',
    b'{"person": "bob", "n": 123456789012345678901234567890}\n',
    b"\n",
    b"  \r\n",
    b'{"person": "ann "}\n',
    b'{"person": 7, "note": "ann"}\n',
]


@pytest.mark.parametrize("kept", KEPT)
def test_a_line_that_stays_keeps_every_byte(folder, kept):
    content = b'{"person":"ann"}\n' + kept + b'{"note":"ann","person":"ann"}\r\n' + kept
    assert erased(folder, content, "ann") == kept + kept


def test_the_last_line_may_lack_its_end_and_the_first_may_have_a_mark(folder):
    ann, bob = b'{"person":"ann"}', b'{"person":"bob"}'
    assert erased(folder, ann + b"\n" + bob, "ann") == bob
    assert erased(folder, bob + b"\n" + ann, "ann") == bob + b"\n"
    assert erased(folder, b"\xef\xbb\xbf" + ann + b"\n" + bob, "ann") == b"\xef\xbb\xbf" + bob


@pytest.mark.parametrize("name", ["people.jsonl.gz", "people.NDJSON.gz"])
def test_a_gzipped_file_stays_gzipped(folder, name):
    packed = gzip.compress(b'{"person":"ann"}\n') + gzip.compress(b'{"person":"bob"}\n')
    (folder / name).write_bytes(packed)
    assert CONNECTOR.erase(Place("files", str(folder), name, "person"), {"ann"}).rows == 1
    assert gzip.decompress((folder / name).read_bytes()) == b'{"person":"bob"}\n'


def test_a_dotted_path_leads_into_nested_objects(folder):
    kept = b'{"user":{"id":"bob","id.id":"ann"},"id":"ann"}\n{"user":null}\n{"user":{"id":null}}\n'
    content = b'{"user":{"id":"ann","x":{}}}\n' + kept
    assert erased(folder, content, "ann", column="user.id") == kept


def test_a_key_with_a_dot_in_its_name_is_found_too(folder):
    kept = b'{"user.id":"bob"}\n'
    assert erased(folder, b'{"user.id":"ann"}\n' + kept, "ann", column="user.id") == kept


def test_an_escaped_key_is_the_same_key(folder):
    content = b'{"p\\u0065rson":"ann"}\n{"person":"\\u0061nn"}\n{"person":"bob"}\n'
    assert erased(folder, content, "ann") == b'{"person":"bob"}\n'


def test_lines_without_the_key_are_allowed_by_a_question_mark_and_are_nobodys(folder):
    kept = b'{"event":"boot"}\n{"user":{}}\n{"user":{"id":"bob"}}\n'
    content = kept + b'{"user":{"id":"ann"}}\n'
    place = Place("files", str(folder), "people.jsonl", "user.id?")
    assert erased(folder, content, "ann", column="user.id?") == kept
    assert CONNECTOR.verify(place, frozenset({"ann"})) == 0
    assert [*CONNECTOR.members(place)] == [["bob"]]


@pytest.mark.parametrize(
    ("line", "column"),
    [
        (b'{"Person":"x"}\n', "person"),
        (b'{"user":{}}\n', "user.id"),
        (b'{"user.id":"x","user":{"id":"y"}}\n', "user.id"),
    ],
)
def test_a_line_without_exactly_one_such_key_is_refused_by_its_number(folder, line, column):
    content = b"\n" + line + f'{{"person":"{CANARY}"}}\n'.encode()
    place = Place("files", str(folder), "people.jsonl", column)
    with refused(SubjectColumnMissingError, place), told("line 2 of people.jsonl"):
        erased(folder, content, CANARY, column=column)
    assert (folder / "people.jsonl").read_bytes() == content


class told:  # noqa: N801
    """Check what the error that passes through says."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind, error, _trace) -> None:
        assert self.text in error.message


@pytest.mark.parametrize(
    "line",
    [
        b'{"person":"x"\n',
        b'["person"]\n',
        b'"person"\n',
        b'{"person":"x"}{"person":"y"}\n',
        b'{"person":"y","person":"x"}\n',
        b'{"person":"y","p\\u0065rson":"x"}\n',
        b'{"person":7.0}\n',
        b'{"person":true}\n',
        b'{"person":["x"]}\n',
        b'{"person":"\\ud800"}\n',
        b'{"person":"x","note":"\xe9"}\n',
        b'{"person":"x","deep":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
        b'{"person":"x","long":"' + b" " * 2_000_000 + b'"}\n',
    ],
    ids=lambda line: line[:24].decode(errors="replace"),
)
def test_a_line_that_cannot_be_understood_is_refused_by_its_number(folder, line, monkeypatch):
    monkeypatch.setattr(jsonl, "LONGEST", 1_000_000)
    content = f'{{"person":"{CANARY}"}}\n'.encode() + line.replace(b'"x"', f'"{CANARY}"'.encode())
    place = Place("files", str(folder), "people.jsonl", "person")
    with refused(StorageUnreadableError, place), told("line 2"):
        erased(folder, content, CANARY)
    assert (folder / "people.jsonl").read_bytes() == content
    for call in (CONNECTOR.locate, CONNECTOR.verify):
        with refused(StorageUnreadableError, place):
            call(place, CANARIES)


def test_a_path_that_meets_something_else_than_an_object_is_refused(folder):
    place = Place("files", str(folder), "people.jsonl", "user.id")
    with refused(StorageUnreadableError, place), told("line 1"):
        content = f'{{"user":[{{"id":"{CANARY}"}}]}}\n'.encode()
        erased(folder, content, CANARY, column="user.id")


def test_a_number_longer_than_a_machine_word_is_itself(folder):
    content = b'{"person":123456789012345678901234567890}\n{"person":18446744073709551615}\n'
    left = erased(folder, content, "123456789012345678901234567890")
    assert left == b'{"person":18446744073709551615}\n'
    assert erased(folder, content, "18446744073709551615") == content.splitlines(keepends=True)[0]


names = st.one_of(
    st.none(),
    st.sampled_from(["ann", "bob", "007", "7", "", 'x"y', "\\u0061nn", "é", "\u2028"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    st.integers(-3, 12),
    st.integers(-(2**70), 2**70),
)


@settings(max_examples=80, deadline=None)
@given(
    persons=st.lists(names, max_size=12),
    chosen=st.sets(st.one_of(names, st.just("7")), max_size=5),
    nested=st.booleans(),
    ascii_only=st.booleans(),
    gzipped=st.booleans(),
)
def test_erasing_is_filtering(persons, chosen, nested, ascii_only, gzipped):
    def lines(kept: list[str | int | None]) -> bytes:
        records = ({"user": {"id": each}} if nested else {"user.id": each} for each in kept)
        return "".join(
            json.dumps(each, ensure_ascii=ascii_only) + "\n" for each in records
        ).encode()

    pack, unpack = (gzip.compress, gzip.decompress) if gzipped else (bytes, bytes)
    values = frozenset(str(each) for each in chosen if each is not None)
    kept = [each for each in persons if each is None or str(each) not in values]
    form, draft = JsonlFormat(gzipped=gzipped), io.BytesIO()
    was = form.rewrite(io.BytesIO(pack(lines(persons))), draft, "user.id", values)
    assert unpack(draft.getvalue()) == lines(kept)
    assert (was.rows, was.hits) == (len(persons), len(persons) - len(kept))
    assert form.inspect(draft, "user.id", values) == Inspection(len(kept), 0, was.schema)
    members = [each for batch in form.members(draft, "user.id") for each in batch]
    assert members == [str(each) for each in kept if each is not None]
