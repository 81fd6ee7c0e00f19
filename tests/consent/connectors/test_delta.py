"""Delta Lake: the contract, and that neither old versions nor the log go on naming people."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from consent.connectors.base import (
    LocationEscapesStorageError,
    Place,
    StorageBusyError,
    StorageMissingError,
    StorageReadOnlyError,
    StorageRefusedError,
    StorageUnreachableError,
    StorageUnreadableError,
)
from consent.connectors.delta import DeltaConnector
from consent.connectors.s3 import s3_address
from tests.consent.connectors import s3
from tests.consent.connectors.contract import CANARY, ConnectorContract, Row, people, refused
from tests.consent.connectors.folders import as_nobody

CONNECTOR = DeltaConnector()
CANARIES = frozenset({CANARY})


def table_of(rows: list[Row], *, numbers: bool = False) -> pa.Table:
    persons, notes, order = zip(*rows, strict=True) if rows else ((), (), ())
    columns = {
        "person": pa.array(persons, pa.int64() if numbers else pa.string()),
        "note": pa.array(notes, pa.string()),
        "at": pa.array(order, pa.int64()),
    }
    return pa.table(columns)


class DeltaStorage:
    sabotage = """
import deltalake
deltalake.table.TableMerger.execute = die
"""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "lake" / "people"

    def place(self, column: str = "person") -> Place:
        return Place("delta", str(self.folder), "lake/people", column)

    def holding(self, rows: list[Row], *, numbers: bool = False) -> Place:
        self.path.mkdir(parents=True)
        write_deltalake(str(self.path), table_of(rows, numbers=numbers))
        return self.place()

    def rows(self, place: Place) -> list[Row]:
        rows = DeltaTable(str(self.path)).to_pyarrow_table().to_pylist()
        return sorted((tuple(row.values()) for row in rows), key=lambda row: row[2])

    def add(self, place: Place, row: Row) -> None:
        write_deltalake(str(self.path), table_of([row]), mode="append")

    def remove(self, place: Place) -> None:
        shutil.rmtree(self.path)

    def spoil(self, place: Place) -> Place:
        log = self.path / "_delta_log" / f"{0:020}.json"
        log.write_text(log.read_text()[:-30])
        return place

    @contextmanager
    def read_only(self, place: Place) -> Iterator[Place]:
        folders = [self.path, self.path / "_delta_log"]
        for each in folders:
            each.chmod(0o555)
        with as_nobody():
            yield place
        for each in folders:
            each.chmod(0o755)

    def files(self) -> dict[str, bytes]:
        every = (each for each in self.path.rglob("*") if each.is_file())
        return {str(each.relative_to(self.path)): each.read_bytes() for each in every}


class TestDelta(ConnectorContract):
    @pytest.fixture
    def storage(self, folder) -> DeltaStorage:
        return DeltaStorage(folder)

    def test_no_file_and_no_log_entry_goes_on_holding_the_person(self, storage):
        place = storage.holding(people(CANARY, "bob"))
        storage.add(place, ("cid", "later", 5))
        erased = CONNECTOR.erase(place, CANARIES)
        assert CANARY.encode() not in b"".join(storage.files().values())
        assert erased.evidence == {
            "version_before": 1, "version_after": 4, "rows_deleted": 1,
            "old_files_with_the_rows": 1, "old_files_removed": 1, "log_entries_removed": 4,
            "time_travel": "ends before version 4",
        }  # fmt: skip
        assert storage.rows(place) == [("bob", "note 1", 1), ("cid", "later", 5)]
        storage.add(place, ("dora", "still writable", 6))
        assert DeltaTable(str(storage.path)).version() == 5

    def test_files_of_others_are_neither_read_anew_nor_lost_with_the_log(self, storage):
        place = storage.holding(people("bob", "cid"))
        storage.add(place, (CANARY, "alone", 5))
        before = storage.files()
        CONNECTOR.erase(place, CANARIES)
        kept = [name for name in before if name.endswith(".parquet") and name in storage.files()]
        assert len(kept) == 1

    def test_a_person_only_in_an_old_version_is_found_there_and_erased(self, storage):
        place = storage.holding(people(CANARY, "bob"))
        DeltaTable(str(storage.path)).delete(f"person = '{CANARY}'")
        assert storage.rows(place) == people(CANARY, "bob")[1:]
        assert CANARY in {each for batch in CONNECTOR.members(place) for each in batch}
        assert CONNECTOR.verify(place, CANARIES) == 1
        erased = CONNECTOR.erase(place, CANARIES)
        assert (erased.rows, erased.evidence["old_files_removed"]) == (0, 1)
        assert CONNECTOR.verify(place, CANARIES) == 0
        assert CANARY.encode() not in b"".join(storage.files().values())

    def test_killed_between_deleting_and_vacuuming_the_next_one_vacuums(self, storage, monkeypatch):
        place = storage.holding(people(CANARY, "bob"))
        with monkeypatch.context() as patch:
            patch.setattr("consent.connectors.delta._Table.forget", interrupted)
            with pytest.raises(KeyboardInterrupt):
                CONNECTOR.erase(place, CANARIES)
        assert storage.rows(place) == people(CANARY, "bob")[1:]
        assert CONNECTOR.verify(place, CANARIES) == 1
        CONNECTOR.erase(place, CANARIES)
        assert CONNECTOR.verify(place, CANARIES) == 0

    def test_somebody_elses_time_travel_stays_when_no_old_file_holds_the_person(self, storage):
        place = storage.holding(people("bob"))
        write_deltalake(str(storage.path), table_of(people("cid")), mode="overwrite")
        erased = CONNECTOR.erase(place, CANARIES)
        assert erased.evidence == {
            "version_before": 1, "version_after": 1, "rows_deleted": 0,
            "old_files_with_the_rows": 0, "old_files_removed": 0, "log_entries_removed": 0,
        }  # fmt: skip
        assert DeltaTable(str(storage.path), version=0).to_pyarrow_table().num_rows == 1

    def test_the_change_feed_does_not_keep_the_rows(self, storage):
        storage.path.mkdir(parents=True)
        feed = {"delta.enableChangeDataFeed": "true"}
        write_deltalake(str(storage.path), table_of(people(CANARY, "bob")), configuration=feed)
        assert CONNECTOR.erase(storage.place(), CANARIES).rows == 1
        assert CANARY.encode() not in b"".join(storage.files().values())

    def test_a_file_that_no_version_names_is_refused_until_it_is_gone(self, storage):
        place = storage.holding(people(CANARY, "bob"))
        stray = storage.path / "part-unfinished.parquet"
        pq.write_table(table_of(people(CANARY)), stray)
        with refused(StorageRefusedError, place) as _:
            CONNECTOR.erase(place, CANARIES)
        assert stray.exists()
        assert CONNECTOR.verify(place, CANARIES) == 1
        stray.unlink()
        CONNECTOR.erase(place, CANARIES)
        assert CONNECTOR.verify(place, CANARIES) == 0

    def test_deletion_vectors_are_refused_since_they_only_hide_rows(self, storage, monkeypatch):
        place = storage.holding(people(CANARY))
        log = storage.path / "_delta_log" / f"{0:020}.json"
        actions = [json.loads(line) for line in log.read_text().splitlines()]
        for action in actions:
            if "protocol" in action:
                features = {"readerFeatures": ["deletionVectors"]}
                features |= {"writerFeatures": ["deletionVectors"]}
                action["protocol"] = {"minReaderVersion": 3, "minWriterVersion": 7, **features}
            if "add" in action:  # the inline vector of the specification: rows 3, 4, 7, 11, 18, 29
                action["add"]["deletionVector"] = {
                    "storageType": "i", "sizeInBytes": 40, "cardinality": 6,
                    "pathOrInlineDv": "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L",
                }  # fmt: skip
        log.write_text("\n".join(map(json.dumps, actions)))
        self._every_call_is_refused(StorageUnreadableError, place)

    def test_a_partition_by_the_person_is_refused(self, storage):
        storage.path.mkdir(parents=True)
        rows = table_of(people("bob"))
        write_deltalake(str(storage.path), rows, partition_by=["person"])
        self._every_call_is_refused(StorageUnreadableError, storage.place())

    def test_another_partition_and_a_nested_column_are_no_obstacle(self, storage):
        storage.path.mkdir(parents=True)
        rows = pa.table(
            {"d a": ["x y", "x y", "z"], "who": [{"i'd": CANARY}, None, {"i'd": "bob"}]}
        )
        write_deltalake(str(storage.path), rows, partition_by=["d a"])
        assert CONNECTOR.erase(storage.place("who.i'd"), CANARIES).rows == 1
        assert CONNECTOR.verify(storage.place("who.i'd"), CANARIES) == 0
        assert CANARY.encode() not in b"".join(storage.files().values())
        assert DeltaTable(str(storage.path)).to_pyarrow_table().num_rows == 2

    def test_a_table_that_only_grows_is_refused(self, storage):
        storage.path.mkdir(parents=True)
        only = {"delta.appendOnly": "true"}
        write_deltalake(str(storage.path), table_of(people(CANARY)), configuration=only)
        with refused(StorageReadOnlyError, storage.place()):
            CONNECTOR.erase(storage.place(), CANARIES)

    def test_who_writes_at_the_same_time_wins_and_we_try_again(self, storage, monkeypatch):
        place = storage.holding(people(CANARY, "bob"))
        merge = DeltaTable.merge

        def late(self, *asked, **options):
            merger = merge(self, *asked, **options)
            write_deltalake(str(storage.path), table_of(people("dora")), mode="overwrite")
            return merger

        with monkeypatch.context() as patch:
            patch.setattr(DeltaTable, "merge", late)
            with refused(StorageBusyError, place):
                CONNECTOR.erase(place, CANARIES)
        assert storage.rows(place) == people("dora")

    def test_a_location_that_leads_out_is_refused(self, storage):
        place = Place("delta", str(storage.folder), "../people", "person")
        self._every_call_is_refused(LocationEscapesStorageError, place)


def interrupted(*_):
    raise KeyboardInterrupt


def test_a_table_in_s3_is_erased_from_and_vacuumed():
    with s3.running() as bucket:
        root = bucket.address("lake")
        url, settings = f"{s3_address(root).url}/people", s3_address(root).for_rust()
        write_deltalake(url, table_of(people(CANARY, "bob")), storage_options=settings)
        place = Place("delta", root, "people", "person")
        erased = CONNECTOR.erase(place, CANARIES)
        assert (erased.rows, erased.evidence["old_files_removed"]) == (1, 1)
        assert CONNECTOR.verify(place, CANARIES) == 0
        assert not any(CANARY.encode() in bucket.get(key) for key in bucket.listed())
        missing = Place("delta", root, f"none-{uuid4()}", "person")
        with refused(StorageMissingError, missing):
            CONNECTOR.verify(missing, CANARIES)
    with refused(StorageUnreachableError, place):
        CONNECTOR.verify(place, CANARIES)
