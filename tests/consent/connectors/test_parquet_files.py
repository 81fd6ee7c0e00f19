"""Parquet files: the contract, and that what is not erased keeps value, order, type and layout."""

import io
import uuid
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.connectors import arrow, parquet
from consent.connectors.base import Place, StorageUnreadableError
from consent.connectors.files import FilesConnector
from consent.connectors.parquet import ParquetFormat
from tests.consent.connectors.contract import (
    CANARY,
    ConnectorContract,
    Row,
    Storage,
    people,
    refused,
)
from tests.consent.connectors.folders import FolderStorage

CONNECTOR = FilesConnector()
SAMPLES = Path(__file__).parent / "samples"


class ParquetStorage(FolderStorage):
    suffix = ".parquet"

    def write(self, file: Path, rows: list[Row], *, numbers: bool) -> None:
        kind = pa.int64() if numbers else pa.string()
        persons, notes, order = zip(*rows, strict=True) if rows else ((), (), ())
        columns = {
            "person": pa.array(persons, kind),
            "note": pa.array(notes, pa.string()),
            "at": pa.array(order, pa.int64()),
        }
        pq.write_table(pa.table(columns), file, row_group_size=1_000)

    def read(self, file: Path) -> list[Row]:
        return [tuple(row.values()) for row in pq.read_table(file).to_pylist()]

    def spoil(self, place: Place) -> Place:
        file = self.file(place)
        file.write_bytes(file.read_bytes()[:-20])
        return place


class TestParquetFiles(ConnectorContract):
    @pytest.fixture
    def storage(self, folder) -> Storage:
        return ParquetStorage(folder)

    def test_a_damaged_page_is_unreadable_and_left_alone(self, storage):
        place = storage.holding(people(*(f"{CANARY}{n}" for n in range(3_000)), CANARY))
        file = storage.file(place)
        content = bytearray(file.read_bytes())
        content[40:400] = bytes(360)
        file.write_bytes(content)
        with refused(StorageUnreadableError, place):
            CONNECTOR.erase(place, frozenset({f"{CANARY}5", CANARY}))
        assert file.read_bytes() == content
        assert list(storage.folder.iterdir()) == [file]

    def test_only_row_groups_that_may_hold_the_person_are_read_to_locate(
        self, storage, monkeypatch
    ):
        place = storage.holding(people(*(f"{n:05}" for n in range(5_000))))
        asked = []
        original = parquet._identifiers
        monkeypatch.setattr(
            parquet, "_identifiers", lambda f, c, g: asked.append([*g]) or original(f, c, g)
        )
        assert CONNECTOR.locate(place, frozenset({"02500", "zzz", ""})).rows == 1
        assert CONNECTOR.verify(place, frozenset({"02500"})) == 1
        assert asked == [[2], [0, 1, 2, 3, 4]]

    def test_only_row_groups_that_do_hold_the_person_are_read_whole(self, storage, monkeypatch):
        place = storage.holding([("ann", "", 1), *people(*(["ab", "az"] * 2_000), "ann")])
        read = []
        original = parquet._batches
        monkeypatch.setattr(
            parquet, "_batches", lambda f, groups: read.extend(groups) or original(f, groups)
        )
        assert len(list(CONNECTOR.rows(place, frozenset({"ann"})))) == 2
        assert read == [0, 4]


def erased(table: pa.Table, *values: str, column: str = "person", **options) -> pq.ParquetFile:
    """Erase in memory, check the read-back and that the other rows are equal; return the file."""
    source, draft, form = io.BytesIO(), io.BytesIO(), ParquetFormat()
    pq.write_table(table, source, **options)
    before = pq.read_table(source)
    was = form.rewrite(source, draft, column, frozenset(values))
    texts = [None if v is None else str(v) for v in before.column(column).to_pylist()]
    mask = pa.array([text not in values for text in texts], pa.bool_())
    assert (was.rows, was.hits) == (len(texts), len(texts) - sum(mask.to_pylist()))
    assert form.inspect(draft, column, frozenset(values)) == was.without_hits()
    after = pq.read_table(draft)
    assert after.schema.equals(before.schema, check_metadata=True)
    after.validate(full=True)
    rows = zip(before.to_pylist(), mask.to_pylist(), strict=True)
    assert after.to_pylist() == [row for row, stays in rows if stays]
    return pq.ParquetFile(draft)


PERSONS = ["ann", "bob", None, "ann", "cid", "bob"]


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.uint32(), pa.large_string(), ordered=True),
    ],
    ids=str,
)
def test_text_of_any_type_identifies(kind):
    table = pa.table({"person": pa.array(PERSONS).cast(kind), "n": range(6)})
    assert erased(table, "ann", "7").metadata.num_rows == 4


@pytest.mark.parametrize(
    "kind",
    [pa.int8(), pa.int32(), pa.uint32(), pa.uint64()],
    ids=str,
)
def test_integers_of_any_type_identify(kind):
    persons = pa.array([7, 8, None, 7], kind)
    for column in (persons, persons.dictionary_encode()):
        table = pa.table({"person": column, "n": range(4)})
        assert erased(table, "7", "008", "300", "-1", "x", "1" * 20).metadata.num_rows == 2


def test_the_largest_numbers_are_found():
    for kind, number in ((pa.uint64(), 2**64 - 1), (pa.int64(), -(2**63)), (pa.int8(), -128)):
        table = pa.table({"person": pa.array([number, 1], kind)})
        source = io.BytesIO()
        pq.write_table(table, source)
        assert ParquetFormat().hits(source, "person", frozenset({str(number)})) == 1
        assert erased(table, str(number)).metadata.num_rows == 1


def test_uuids_identify_as_their_text():
    people_ = [uuid.uuid4() for _ in range(3)]
    table = pa.table({"person": pa.array([each.bytes for each in people_], pa.uuid())})
    source, draft, form = io.BytesIO(), io.BytesIO(), ParquetFormat()
    pq.write_table(table, source)
    assert list(form.members(source, "person")) == [[str(each) for each in people_]]
    assert form.rewrite(source, draft, "person", frozenset({str(people_[1]), "x"})).hits == 1
    assert list(form.members(draft, "person")) == [[str(people_[0]), str(people_[2])]]


@pytest.mark.parametrize("kind", [pa.float64(), pa.bool_(), pa.list_(pa.int64()), pa.binary()])
def test_a_column_that_cannot_identify_is_refused(folder, kind):
    pq.write_table(pa.table({"person": pa.array([None], kind)}), folder / "a.parquet")
    place = Place("files", str(folder), "a.parquet", "person")
    for call in (CONNECTOR.locate, CONNECTOR.erase, CONNECTOR.verify):
        with refused(StorageUnreadableError, place):
            call(place, frozenset({CANARY}))
    with refused(StorageUnreadableError, place):
        list(CONNECTOR.members(place))


def rich(persons: list[str]) -> pa.Table:
    size = range(len(persons))
    fields = {
        "person": pa.array(persons),
        "a.b": pa.array(size, pa.int16()),
        "list": pa.array([[n, None] if n % 2 else None for n in size], pa.list_(pa.int32())),
        "large": pa.array([[str(n)] for n in size], pa.large_list(pa.string())),
        "fixed": pa.array([[n, n + 1] for n in size], pa.list_(pa.float32(), 2)),
        "map": pa.array([[(str(n), n)] for n in size], pa.map_(pa.string(), pa.int64())),
        "struct": pa.array([{"x": {"y": [n]}, "z": None} for n in size]),
        "dates": pa.array(size, pa.int32()).cast(pa.date32()),
        "ns": pa.array(size, pa.int64()).cast(pa.timestamp("ns", "Europe/Berlin")),
        "ms": pa.array(size, pa.int64()).cast(pa.timestamp("ms")),
        "time": pa.array(size, pa.int64()).cast(pa.time64("us")),
        "duration": pa.array(size, pa.int64()).cast(pa.duration("s")),
        "money": pa.array([Decimal(n).scaleb(-2) for n in size], pa.decimal128(12, 2)),
        "blob": pa.array([bytes([n % 256, 0]) for n in size], pa.binary()),
        "half": pa.array([float(n) for n in size], pa.float32()).cast(pa.float16()),
        "nothing": pa.nulls(len(persons)),
        "flag": pa.array([None if n % 3 else bool(n % 2) for n in size]),
    }
    schema = [pa.field(k, v.type, metadata={"unit": k}) for k, v in fields.items()]
    schema[1] = schema[1].with_nullable(False)
    return pa.Table.from_arrays(
        list(fields.values()), schema=pa.schema(schema, metadata={"owner": "clinic"})
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zstd", "row_group_size": 7, "write_page_index": True},
        {"compression": {"person": "gzip", "a.b": "none"}, "use_dictionary": ["person"]},
        {"version": "1.0", "use_dictionary": False, "write_statistics": False},
        {"store_schema": False, "use_deprecated_int96_timestamps": True},
        {"use_compliant_nested_type": False, "data_page_version": "2.0"},
        {"version": "2.4", "compression": "brotli", "write_statistics": ["person"]},
        {"compression": "lz4", "store_decimal_as_integer": True},
    ],
    ids=str,
)
def test_every_type_and_every_setting_survives(options):
    persons = [f"p{n}" for n in range(30)]
    table = rich(persons)
    if "version" in options:
        table = table.drop_columns(["ns"])  # earlier versions of the format have no nanoseconds
    after = erased(table, "p3", "p20", "p29", **options)
    before = io.BytesIO()
    pq.write_table(table, before, **options)
    assert layout(after) == layout(pq.ParquetFile(before))


def layout(file: pq.ParquetFile) -> list[tuple]:
    group = file.metadata.row_group(0)
    columns = [group.column(each) for each in range(group.num_columns)]
    return [
        (
            *(each.path_in_schema, each.physical_type, each.compression, each.is_stats_set),
            *(each.has_dictionary_page, each.has_offset_index, file.metadata.format_version),
        )
        for each in columns
    ]


@pytest.mark.parametrize("writer", ["duckdb", "fastparquet"])
def test_files_of_other_writers_keep_their_schema_and_metadata(folder, writer):
    file = folder / "a.parquet"
    file.write_bytes((SAMPLES / f"{writer}.parquet").read_bytes())
    before = pq.read_table(file)
    about = pq.read_metadata(file).metadata
    place = Place("files", str(folder), "a.parquet", "person")
    assert CONNECTOR.erase(place, frozenset({"p2"})).rows == 1
    assert pq.read_table(file).equals(pa.concat_tables([before[:2], before[3:]]))
    assert pq.read_metadata(file).metadata == about


def test_row_groups_and_their_sort_order_stay():
    table = pa.table({"person": [f"{n:03}" for n in range(100)]})
    order = [pq.SortingColumn(0)]
    file = erased(table, "005", *(f"{n:03}" for n in range(20, 30)), row_group_size=10,
                  sorting_columns=order)  # fmt: skip
    groups = [file.metadata.row_group(each) for each in range(file.num_row_groups)]
    assert [group.num_rows for group in groups] == [9, 10, 10, 10, 10, 10, 10, 10, 10]
    assert list(groups[0].sorting_columns) == order


@pytest.mark.parametrize(
    ("limit", "at", "groups"),
    [("LONGEST_GROUP", 40, [39, 40, 20]), ("LARGEST_GROUP", 500, [49, 50])],
)
def test_a_row_group_too_large_for_memory_is_cut(monkeypatch, limit, at, groups):
    monkeypatch.setattr(parquet, limit, at)
    table = pa.table({"person": [f"{n:03}" for n in range(100)]})
    file = erased(table, "005", use_dictionary=False, compression="none")
    metadata = file.metadata
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == groups


@pytest.mark.parametrize(
    ("low", "high", "answer"),
    [
        ("a", "b", False),
        ("a", "c", True),
        ("c", "z", True),
        ("d", "e", False),
        (b"x", b"z", True),
        ("z", "a", True),
    ],
)
def test_bounds_exclude_somebody_only_if_they_make_sense(low, high, answer):
    bounds = SimpleNamespace(has_min_max=True, min=low, max=high)
    assert arrow.may_hold(bounds, ["c", "f"]) is answer
    assert arrow.may_hold(None, ["c"])
    assert arrow.may_hold(SimpleNamespace(has_min_max=False), ["c"])
    assert not arrow.may_hold(bounds, [])


def test_pandas_finds_its_frame_again():
    frame = pd.DataFrame(
        {
            "person": ["ann", "bob", "cid"],
            "size": pd.Categorical(["m", "s", "m"], categories=["s", "m", "l"], ordered=True),
            "n": pd.array([1, None, 3], dtype="Int64"),
        },
        index=pd.Index([10, 20, 30], name="key"),
    )
    file = erased(pa.Table.from_pandas(frame), "bob")
    left = file.read().to_pandas()
    assert list(left.index) == [10, 30]
    assert left["n"].dtype == "Int64"
    assert list(left["size"].cat.categories) == ["m", "l"]  # "s" was bob's alone
    assert left["size"].cat.ordered


def raw(table: pa.Table, *values: str, **options) -> bytes:
    source, draft = io.BytesIO(), io.BytesIO()
    pq.write_table(table, source, compression="none", **options)
    assert b"SECRET" in source.getvalue()
    ParquetFormat().rewrite(source, draft, "person", frozenset(values))
    assert pq.read_table(draft).to_pylist() == [
        row for row in table.to_pylist() if str(row["person"]) not in values
    ]
    return draft.getvalue()


@pytest.mark.parametrize("group", [1, 2, 100])
def test_no_dictionary_goes_on_holding_an_erased_value(group):
    names = pa.DictionaryArray.from_arrays(
        pa.array([0, 1, 2, None, 3, 0], pa.int8()), ["bob", "SECRET-1", "cid", "dora", "unused"]
    )
    table = pa.table({"person": names, "again": names, "n": range(6)})
    left = raw(table, "SECRET-1", row_group_size=group)
    assert b"SECRET" not in left
    assert b"unused" in left
    kept = pq.read_table(io.BytesIO(left)).column("again").chunk(0).dictionary.to_pylist()
    assert kept == ["bob", "cid", "dora", "unused"]


def test_a_dictionary_keeps_what_others_use_too_in_its_order():
    sizes = pa.DictionaryArray.from_arrays(
        pa.array([2, 1, 0, 1, 3], pa.int8()), ["low", "mid", "high", "SECRET"], ordered=True
    )
    table = pa.table({"person": [1, 2, 3, 4, 5], "size": sizes})
    left = raw(table, "2", "5", row_group_size=1)
    assert b"SECRET" not in left
    kept = pq.read_table(io.BytesIO(left)).column("size")
    assert kept.chunk(0).dictionary.to_pylist() == ["low", "mid", "high"]


@pytest.mark.parametrize("shape", ["struct", "list", "map", "fixed"])
def test_no_nested_dictionary_goes_on_holding_an_erased_value(shape):
    coded = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0, 0], pa.int8()), ["x", "SECRET"])
    offsets = pa.array(range(5), pa.int32())
    nested = {
        "struct": lambda: pa.StructArray.from_arrays([coded], ["in"]),
        "list": lambda: pa.ListArray.from_arrays(offsets, coded),
        "map": lambda: pa.MapArray.from_arrays(offsets, pa.array(list("abcd")), coded),
        "fixed": lambda: pa.FixedSizeListArray.from_arrays(coded, 1),
    }
    table = pa.table({"person": [1, 2, 3, 4], "nested": nested[shape]()})
    assert b"SECRET" not in raw(table, "2")


texts = st.one_of(st.none(), st.sampled_from(["ann", "bob", "007", "7", "", "é"]), st.text())
numbers = st.one_of(st.none(), st.integers(-3, 12), st.integers(-(2**63), 2**63 - 1))


@settings(max_examples=80, deadline=None)
@given(
    data=st.data(),
    numeric=st.booleans(),
    coded=st.booleans(),
    group=st.integers(1, 6),
    statistics=st.booleans(),
)
def test_erasing_is_filtering(data, numeric, coded, group, statistics):
    persons = data.draw(st.lists(numbers if numeric else texts, max_size=12))
    known = [str(each) for each in persons if each is not None]
    picks = st.sampled_from(known) if known else st.just("ann")
    chosen = data.draw(st.sets(st.one_of(picks, st.text(), st.just("7")), max_size=5))
    column = pa.array(persons, pa.int64() if numeric else pa.string())
    column = column.dictionary_encode() if coded else column
    table = pa.table({"n": range(len(persons)), "person": column, "other": column})
    options = {"row_group_size": group, "write_statistics": statistics}
    file = erased(table, *chosen, **options)
    kept = [each for each in persons if each is None or str(each) not in chosen]
    assert file.read(["person"]).column("person").to_pylist() == kept
    source = io.BytesIO()
    pq.write_table(table, source, **options)
    hits = ParquetFormat().hits(source, "person", frozenset(chosen))
    assert hits == len(persons) - len(kept)
    members = [each for batch in ParquetFormat().members(source, "person") for each in batch]
    assert members == known
