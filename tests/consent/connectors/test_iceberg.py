"""Iceberg: the contract, and that older snapshots and manifests do not go on naming people."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import EqualTo
from pyiceberg.table import Table
from sqlalchemy import make_url

from consent.connectors.base import (
    Place,
    StorageMissingError,
    StorageRefusedError,
    StorageUnreachableError,
)
from consent.connectors.iceberg import IcebergConnector
from tests.consent.connectors import s3
from tests.consent.connectors.contract import CANARY, ConnectorContract, Row, people, refused
from tests.consent.connectors.folders import as_nobody

CONNECTOR = IcebergConnector()
CANARIES = frozenset({CANARY})
DATABASE_URL = os.environ.get("DATABASE_URL", "")


def table_of(rows: list[Row], *, numbers: bool = False) -> pa.Table:
    persons, notes, order = zip(*rows, strict=True) if rows else ((), (), ())
    columns = {
        "person": pa.array(persons, pa.int64() if numbers else pa.string()),
        "note": pa.array(notes, pa.string()),
        "at": pa.array(order, pa.int64()),
    }
    return pa.table(columns)


class IcebergStorage:
    sabotage = """
import pyiceberg.table
pyiceberg.table.Transaction.commit_transaction = die
"""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"sqlite:///{folder}/catalogue.db"
        self.catalogue = SqlCatalog(
            "default", uri=self.address, warehouse=f"file://{folder}/warehouse"
        )
        self.catalogue.create_namespace("clinic")

    @property
    def table(self) -> Table:
        return self.catalogue.load_table("clinic.people")

    def place(self) -> Place:
        return Place("iceberg", self.address, "clinic.people", "person")

    def holding(self, rows: list[Row], *, numbers: bool = False) -> Place:
        content = table_of(rows, numbers=numbers)
        self.catalogue.create_table("clinic.people", schema=content.schema).append(content)
        return self.place()

    def rows(self, place: Place) -> list[Row]:
        rows = self.table.scan().to_arrow().to_pylist()
        return sorted((tuple(row.values()) for row in rows), key=lambda row: row[2])

    def add(self, place: Place, row: Row) -> None:
        self.table.append(table_of([row]))

    def remove(self, place: Place) -> None:
        self.catalogue.drop_table("clinic.people")

    def spoil(self, place: Place) -> Place:
        for file in (self.folder / "warehouse").rglob("*.parquet"):
            file.write_bytes(file.read_bytes()[:-20])
        return place

    @contextmanager
    def read_only(self, place: Place) -> Iterator[Place]:
        folders = [each for each in self.folder.rglob("*") if each.is_dir()]
        for each in folders:
            each.chmod(0o555)
        with as_nobody():
            yield place
        for each in folders:
            each.chmod(0o755)

    def told(self) -> str:
        """Return all that data files and manifests say, bounds of deleted files included."""
        table, said = self.table, []
        for snapshot in table.snapshots():
            for manifest in snapshot.manifests(table.io):
                entries = manifest.fetch_manifest_entry(table.io, discard_deleted=False)
                said += [f"{e.data_file.lower_bounds} {e.data_file.upper_bounds}" for e in entries]
        files = (self.folder / "warehouse").rglob("*.parquet")
        return "".join(said) + "".join(each.read_bytes().decode("latin-1") for each in files)


class TestIceberg(ConnectorContract):
    @pytest.fixture
    def storage(self, folder) -> Iterator[IcebergStorage]:
        storage = IcebergStorage(folder)
        yield storage
        storage.catalogue.close()

    def test_no_old_file_and_no_manifest_goes_on_naming_the_person(self, storage):
        place = storage.holding(people(CANARY, "bob"))
        storage.add(place, ("cid", "later", 5))
        assert CANARY[:11] in storage.told()
        erased = CONNECTOR.erase(place, CANARIES)
        assert CANARY[:11] not in storage.told()
        assert erased.evidence == {
            "rows_deleted": 1, "old_files_removed": 1, "snapshots_expired": 3,
            "time_travel": "ends before this erasure",
        }  # fmt: skip
        assert storage.rows(place) == [("bob", "note 1", 1), ("cid", "later", 5)]
        avro = {each.name for each in storage.folder.rglob("*.avro")}
        assert len(avro) == len({m.manifest_path for m in storage.table.snapshots()[0].manifests(
            storage.table.io)}) + 1  # fmt: skip
        storage.add(place, ("dora", "still writable", 6))

    def test_a_person_only_in_an_old_snapshot_is_found_there_and_erased(self, storage):
        place = storage.holding(people(CANARY, "bob"))
        storage.table.delete(EqualTo("person", CANARY))
        assert CANARY in {each for batch in CONNECTOR.members(place) for each in batch}
        assert CONNECTOR.verify(place, CANARIES) == 1
        assert CONNECTOR.erase(place, CANARIES).evidence["old_files_removed"] == 1
        assert CONNECTOR.verify(place, CANARIES) == 0
        assert CANARY[:11] not in storage.told()

    def test_killed_before_the_snapshots_expire_the_next_one_expires_them(
        self, storage, monkeypatch
    ):
        place = storage.holding(people(CANARY, "bob"))
        with monkeypatch.context() as patch:
            patch.setattr("consent.connectors.iceberg._Table.forget", interrupted)
            with pytest.raises(KeyboardInterrupt):
                CONNECTOR.erase(place, CANARIES)
        assert CONNECTOR.verify(place, CANARIES) == 1
        assert CONNECTOR.erase(place, CANARIES).evidence["snapshots_expired"] == 2
        assert CONNECTOR.verify(place, CANARIES) == 0

    def test_a_tag_that_still_holds_the_person_is_refused_by_name(self, storage):
        place = storage.holding(people(CANARY, "bob"))
        table = storage.table
        table.manage_snapshots().create_tag(
            table.current_snapshot().snapshot_id, "release"
        ).commit()
        with refused(StorageRefusedError, place):
            CONNECTOR.erase(place, CANARIES)
        assert CONNECTOR.verify(place, CANARIES) == 1
        storage.table.manage_snapshots().remove_tag("release").commit()
        CONNECTOR.erase(place, CANARIES)
        assert CONNECTOR.verify(place, CANARIES) == 0

    def test_what_others_write_at_the_same_time_is_not_lost(self, storage, monkeypatch):
        place = storage.holding(people(CANARY, "bob"))
        commit = SqlCatalog.commit_table

        def late(self, table, *asked):
            monkeypatch.undo()
            storage.add(place, ("dora", "", 9))
            return commit(self, table, *asked)

        monkeypatch.setattr(SqlCatalog, "commit_table", late)
        CONNECTOR.erase(place, CANARIES)
        assert {row[0] for row in storage.rows(place)} == {"bob", "dora"}
        assert CONNECTOR.verify(place, CANARIES) == 0

    def test_a_catalogue_that_is_not_there_is_missing_and_not_made(self, storage, tmp_path):
        place = replace(storage.place(), address=f"sqlite:///{tmp_path}/none.db")
        self._every_call_is_refused(StorageMissingError, place)
        assert list(tmp_path.iterdir()) == []


def interrupted(*_):
    raise KeyboardInterrupt


@pytest.mark.skipif(not DATABASE_URL, reason="DATABASE_URL is not set")
def test_a_catalogue_in_postgresql_and_files_in_s3():
    name = f"c{uuid4().hex}"
    url = make_url(DATABASE_URL).set(drivername="postgresql+psycopg")
    with s3.running() as bucket:
        about = {
            "s3.endpoint": bucket.endpoint, "s3.region": "us-east-1",
            "s3.access-key-id": s3.KEY, "s3.secret-access-key": s3.SECRET,
        }  # fmt: skip
        uri = url.render_as_string(hide_password=False)
        catalogue = SqlCatalog(name, uri=uri, warehouse=f"s3://{s3.BUCKET}/w", **about)
        try:
            catalogue.create_namespace(name)
            rows = table_of(people(CANARY, "bob"))
            catalogue.create_table(f"{name}.people", schema=rows.schema).append(rows)
            address = url.update_query_dict({**about, "catalog": name})
            place = Place(
                "iceberg", address.render_as_string(hide_password=False), f"{name}.people", "person"
            )
            erased = CONNECTOR.erase(place, CANARIES)
            assert (erased.rows, erased.evidence["old_files_removed"]) == (1, 1)
            assert CONNECTOR.verify(place, CANARIES) == 0
            data = [key for key in bucket.listed() if key.endswith(".parquet")]
            assert not any(CANARY.encode() in bucket.get(key) for key in data)
            bucket.server.stop()
            with refused(StorageUnreachableError, place):
                CONNECTOR.verify(place, CANARIES)
        finally:
            catalogue.destroy_tables()
            catalogue.close()
