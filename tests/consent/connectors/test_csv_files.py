"""CSV files: the contract, and that what is not erased keeps every byte."""

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.connectors.base import Place, StorageUnreadableError, SubjectColumnMissingError
from consent.connectors.csv import LONGEST, CsvFormat
from consent.connectors.files import FilesConnector
from consent.connectors.formats import Inspection
from tests.consent.connectors.contract import CANARY, ConnectorContract, Row, Storage, refused
from tests.consent.connectors.folders import FolderStorage

CONNECTOR = FilesConnector()


def erased(folder: Path, content: bytes, *values: str, name: str = "people.csv") -> bytes:
    file = folder / name
    file.write_bytes(content)
    CONNECTOR.erase(Place("files", str(folder), name, "person"), frozenset(values))
    return file.read_bytes()


class CsvStorage(FolderStorage):
    suffix = ".csv"

    def write(self, file: Path, rows: list[Row], *, numbers: bool) -> None:
        with file.open("w", newline="") as out:
            table = csv.writer(out)
            table.writerow(["person", "note", "at"])
            table.writerows(rows)
        self.numbers = numbers

    def read(self, file: Path) -> list[Row]:
        with file.open(newline="") as text:
            return [self._row(*cells) for cells in list(csv.reader(text))[1:]]

    def _row(self, person: str, note: str, at: str) -> Row:
        value = int(person) if self.numbers and person else person
        return ("" if value == "" and int(at) == 5 else value or None), note, int(at)

    def spoil(self, place: Place) -> Place:
        self.file(place).write_text(f'person,note\n{CANARY},"never closed\n')
        return place


class GzipStorage(CsvStorage):
    suffix = ".csv.gz"

    def write(self, file: Path, rows: list[Row], *, numbers: bool) -> None:
        super().write(file, rows, numbers=numbers)
        file.write_bytes(gzip.compress(file.read_bytes()))

    def read(self, file: Path) -> list[Row]:
        plain = file.with_name("plain")
        plain.write_bytes(gzip.decompress(file.read_bytes()))
        return super().read(plain)

    def spoil(self, place: Place) -> Place:
        self.file(place).write_bytes(self.file(place).read_bytes()[:-9])
        return place


class TestCsvFiles(ConnectorContract):
    @pytest.fixture
    def storage(self, folder) -> Storage:
        return CsvStorage(folder)


class TestGzippedCsvFiles(ConnectorContract):
    @pytest.fixture
    def storage(self, folder) -> Storage:
        return GzipStorage(folder)


KEPT = [
    b"bob,007,1.10\r\n",
    b'"bob","say ""hi""",  1e3\n',
    b'bob,"two\nlines\r\nand a half\rmore",x\n',
    b'"bo\nb",multi-line person,x\n',
    b"\n",
    b"\r\n",
    b"short\n",
    b"bob,more,cells,than,names\n",
    b",nobody,x\n",
    b'"",nobody either,x\n',
    b"bob,caf\xe9 in latin-1,\xff\n",
    b'bob,5" pipe,x\n',
    b"bob,\x00\x01,nul\n",
    "bob,\u2028 \x85 \x0b no line ends,x\n".encode(),
    b"bob,old line end,x\r",
    b"ann ,padded,x\n",
    b'bob,"ann",in another column\n',
]


@pytest.mark.parametrize("kept", KEPT)
def test_a_record_that_stays_keeps_every_byte(folder, kept):
    header = b'note id,"person",x\n'.replace(b"note id,", b"")
    content = header + b"ann,1,2\n" + kept + b'"ann","""",""\n' + kept
    assert erased(folder, content, "ann") == header + kept + kept


def test_the_last_record_may_lack_a_line_end(folder):
    assert erased(folder, b"person\nann\nbob", "ann") == b"person\nbob"
    assert erased(folder, b"person\nbob\nann", "ann") == b"person\nbob\n"


def test_a_byte_order_mark_is_no_part_of_the_first_name(folder):
    for header in (b"\xef\xbb\xbfperson,x\n", b'\xef\xbb\xbf"person",x\n'):
        assert erased(folder, header + b"ann,1\nbob,2\n", "ann") == header + b"bob,2\n"


def test_a_gzipped_file_stays_gzipped(folder):
    packed = gzip.compress(b"person,n\nann,1\n") + gzip.compress(b"bob,2\n")
    left = erased(folder, packed, "ann", name="people.csv.gz")
    assert gzip.decompress(left) == b"person,n\nbob,2\n"


def test_long_cells_are_no_obstacle(folder):
    note = b"x" * 1_000_000
    assert erased(folder, b"person,n\nann,1\nbob," + note + b"\n", "ann").endswith(note + b"\n")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        f"person\n{CANARY}\n".encode() + b"\xe9t\xe9\n",
        b'person\n"x"y,' + CANARY.encode() + b"\n",
        b"person\n" + CANARY.encode() + b" " * LONGEST,
    ],
    ids=["empty", "no header", "not utf-8", "stray quote", "no line end"],
)
def test_a_file_that_cannot_be_understood_is_left_as_it_is(folder, content):
    file = folder / "people.csv"
    file.write_bytes(content)
    place = Place("files", str(folder), "people.csv", "person")
    with refused(StorageUnreadableError, place):
        CONNECTOR.erase(place, frozenset({CANARY}))
    assert file.read_bytes() == content


def test_a_column_name_that_is_there_twice_is_nobodys(folder):
    (folder / "people.csv").write_text(f"person,person\nx,{CANARY}\n")
    place = Place("files", str(folder), "people.csv", "person")
    with refused(SubjectColumnMissingError, place):
        CONNECTOR.erase(place, frozenset({CANARY}))


cells = st.one_of(
    st.sampled_from(["ann", "bob", "007", "7", "", 'x"y', "a,b", "l\nl", "\r", "é"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(st.tuples(cells, cells), max_size=12),
    chosen=st.sets(st.one_of(cells, st.just("ann")), max_size=5),
    line_end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    gzipped=st.booleans(),
)
def test_erasing_is_filtering(rows, chosen, line_end, quoting, gzipped):
    def table(kept: list[tuple[str, str]]) -> bytes:
        text = io.StringIO(newline="")
        out = csv.writer(text, lineterminator=line_end, quoting=quoting)
        out.writerows([("note", "person"), *kept])
        return text.getvalue().encode()

    if any("\r" in cell for row in rows for cell in row):
        quoting = csv.QUOTE_ALL  # Python's writer forgets to quote it
    pack, unpack = (gzip.compress, gzip.decompress) if gzipped else (bytes, bytes)
    kept = [row for row in rows if not row[1] or row[1] not in chosen]
    form, values, draft = CsvFormat(gzipped=gzipped), frozenset(chosen), io.BytesIO()
    was = form.rewrite(io.BytesIO(pack(table(rows))), draft, "person", values)
    assert unpack(draft.getvalue()) == table(kept)
    assert (was.rows, was.hits) == (len(rows), len(rows) - len(kept))
    assert form.inspect(draft, "person", values) == Inspection(len(kept), 0, was.schema)
    members = [cell for batch in form.members(draft, "person") for cell in batch]
    assert members == [row[1] for row in kept if row[1]]
