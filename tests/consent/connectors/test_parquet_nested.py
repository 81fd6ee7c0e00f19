"""Parquet in structs and in partitions: who is found, and which files are left alone."""

import io
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from consent.connectors import parquet
from consent.connectors.base import Place, StorageUnreadableError, SubjectColumnMissingError
from consent.connectors.files import FilesConnector
from consent.connectors.parquet import ParquetFormat
from tests.consent.connectors.contract import CANARY, ConnectorContract, Row, Storage, refused
from tests.consent.connectors.folders import FolderStorage

CONNECTOR = FilesConnector()
ANN = frozenset({"ann"})


class NestedStorage(FolderStorage):
    """The person two structs deep."""

    suffix = ".parquet"

    def holding(self, rows, *, numbers=False):
        place = super().holding(rows, numbers=numbers)
        return Place("files", place.address, place.location, "who.is.person")

    def write(self, file, rows: list[Row], *, numbers):
        kind = pa.struct([("person", pa.int64() if numbers else pa.string()), ("x", pa.int8())])
        nested = [{"is": {"person": person, "x": 1}} for person, _, _ in rows]
        columns = {
            "who": pa.array(nested, pa.struct([("is", kind)])),
            "note": pa.array([row[1] for row in rows], pa.string()),
            "at": pa.array([row[2] for row in rows], pa.int64()),
        }
        pq.write_table(pa.table(columns), file, row_group_size=1_000)

    def read(self, file) -> list[Row]:
        rows = pq.read_table(file).to_pylist()
        return [(row["who"]["is"]["person"], row["note"], row["at"]) for row in rows]

    def spoil(self, place):
        file = self.file(place)
        file.write_bytes(file.read_bytes()[:-20])
        return place


class TestNestedColumn(ConnectorContract):
    @pytest.fixture
    def storage(self, folder) -> Storage:
        return NestedStorage(folder)

    def row(self, told: dict) -> Row:
        assert told["who"]["is"]["x"] == 1
        return told["who"]["is"]["person"], told["note"], told["at"]

    def test_only_row_groups_that_may_hold_the_person_are_read(self, storage, monkeypatch):
        place = storage.holding([(f"{n:05}", "", n) for n in range(3_000)])
        asked = []
        original = parquet._identifiers
        monkeypatch.setattr(
            parquet, "_identifiers", lambda f, c, g: asked.append([*g]) or original(f, c, g)
        )
        assert CONNECTOR.locate(place, frozenset({"01500"})).rows == 1
        assert asked == [[1]]


@pytest.mark.parametrize("kind", [pa.string(), pa.dictionary(pa.int8(), pa.string()), pa.uuid()])
def test_a_struct_that_is_null_is_nobodys_and_stays(kind):
    ann, bob = uuid.UUID(int=1), uuid.UUID(int=2)
    plain = pa.binary(16) if kind == pa.uuid() else pa.string()
    ids = [ann.bytes, bob.bytes, None] if kind == pa.uuid() else [str(ann), str(bob), None]
    nested = pa.StructArray.from_arrays(
        [pa.array([*ids, ids[0]], plain).cast(kind)], ["id"],
        mask=pa.array([False, False, False, True]),
    )  # fmt: skip
    source, draft, form = io.BytesIO(), io.BytesIO(), ParquetFormat()
    pq.write_table(pa.table({"user": nested, "n": range(4)}), source)
    was = form.rewrite(source, draft, "user.id", frozenset({str(ann)}))
    assert (was.rows, was.hits) == (4, 1)
    assert form.inspect(draft, "user.id", frozenset({str(ann)})) == was.without_hits()
    assert [*form.members(draft, "user.id")] == [[str(bob)]]
    assert pq.read_table(draft).column("n").to_pylist() == [1, 2, 3]


def test_a_column_whose_name_has_dots_is_found_and_never_mistaken_for_a_nested_one(folder):
    dotted, nested = pa.array(["ann", "bob"]), pa.array([{"id": "ann"}, {"id": "bob"}])
    pq.write_table(pa.table({"user.id": dotted}), folder / "dotted.parquet")
    pq.write_table(pa.table({"user.id": dotted, "user": nested}), folder / "both.parquet")
    assert CONNECTOR.erase(Place("files", str(folder), "dotted.parquet", "user.id"), ANN).rows == 1
    place = Place("files", str(folder), "both.parquet", "user.id")
    with refused(SubjectColumnMissingError, place):
        CONNECTOR.erase(place, ANN)


def test_a_column_inside_a_list_is_none(folder):
    pq.write_table(pa.table({"users": [[{"id": CANARY}]]}), folder / "a.parquet")
    place = Place("files", str(folder), "a.parquet", "users.id")
    with refused(SubjectColumnMissingError, place):
        CONNECTOR.erase(place, frozenset({CANARY}))


def test_of_a_partitioned_set_only_the_files_with_the_person_are_rewritten(folder, monkeypatch):
    about = {"owner": "clinic"}
    for day, persons in {"01": ["ann", "bob"], "02": ["bob", "cid"], "03": ["zoe"]}.items():
        table = pa.table({"person": persons, "n": range(len(persons))})
        file = folder / f"day={day}" / "region=north" / "part-0.parquet"
        file.parent.mkdir(parents=True)
        pq.write_table(table.replace_schema_metadata(about), file, compression="zstd")
    files = sorted(folder.rglob("*.parquet"))
    before = [(file.stat(), file.read_bytes()) for file in files]
    rewritten, original = [], ParquetFormat.rewrite
    monkeypatch.setattr(
        ParquetFormat, "rewrite", lambda *asked: rewritten.append(1) or original(*asked)
    )
    place = Place("files", str(folder), "**/*.parquet", "person")
    erased = CONNECTOR.erase(place, ANN)
    assert erased.parts == ("day=01/region=north/part-0.parquet",)
    assert rewritten == [1]
    assert [(file.stat(), file.read_bytes()) for file in files[1:]] == before[1:]
    file = pq.ParquetFile(files[0])
    assert file.schema_arrow.metadata == {b"owner": b"clinic"}
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert file.read().to_pylist() == [{"person": "bob", "n": 1}]


@pytest.mark.parametrize("partition", [f"person={CANARY}", "Person=x"])
def test_a_partition_by_the_person_is_refused_since_the_folder_names_them(folder, partition):
    (folder / partition).mkdir()
    pq.write_table(pa.table({"n": [1]}), folder / partition / "part-0.parquet")
    place = Place("files", str(folder), "**/*.parquet", "person")
    for call in (CONNECTOR.locate, CONNECTOR.erase, CONNECTOR.verify):
        with refused(StorageUnreadableError, place):
            call(place, frozenset({CANARY}))
    with refused(StorageUnreadableError, place):
        list(CONNECTOR.members(place))


@pytest.mark.parametrize("log", ["_delta_log/0.json", "metadata/v1.metadata.json"])
def test_files_of_a_table_format_are_not_rewritten_behind_its_back(folder, log):
    for name in ("t/data/a.parquet", f"t/{log}"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"person": [CANARY]}), folder / name)
    place = Place("files", str(folder), "t/data/*.parquet", "person")
    with refused(StorageUnreadableError, place):
        CONNECTOR.erase(place, frozenset({CANARY}))
    assert CONNECTOR.verify(place, frozenset({CANARY})) == 1


def test_bloom_filters_are_made_anew_and_the_old_are_gone(folder):
    file = folder / "a.parquet"
    table = pa.table({"person": [f"p{n}" for n in range(1_000)], "n": range(1_000)})
    pq.write_table(table, file, bloom_filter_options={"person": {"ndv": 1_000}})
    CONNECTOR.erase(Place("files", str(folder), "a.parquet", "person"), frozenset({"p5"}))
    group = pq.ParquetFile(file).metadata.row_group(0)
    assert group.column(0).bloom_filter_length > 0
    assert not group.column(1).bloom_filter_length
