"""SQL tables on DuckDB: the contract."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import duckdb
import pyarrow as pa
import pytest

from consent.connectors.base import Place, StorageMissingError, StorageRefusedError
from consent.connectors.sql import SqlConnector
from tests.consent.connectors.contract import (
    CANARY,
    ConnectorContract,
    Row,
    Storage,
    refused,
)
from tests.consent.connectors.postgres import SABOTAGE

CONNECTOR = SqlConnector()


class DuckdbStorage:
    sabotage = SABOTAGE

    def __init__(self, folder: Path) -> None:
        self.file = folder / "people.duckdb"

    def run(self, statement: str, rows: list[Row] | None = None) -> list[tuple]:
        with duckdb.connect(str(self.file)) as database:
            if rows is not None:
                return database.executemany(statement, rows).fetchall() if rows else []
            return database.execute(statement).fetchall()

    def place(self, column: str = "person") -> Place:
        return Place("sql", f"duckdb:///{self.file}", "people", column)

    def holding(self, rows: list[Row], *, numbers: bool = False) -> Place:
        kind = "BIGINT" if numbers else "VARCHAR"
        self.run(f'CREATE TABLE people (person {kind}, note VARCHAR, "at" INTEGER)')
        kind = pa.int64() if numbers else pa.string()
        given = [pa.array(each) for each in zip(*rows, strict=True)]
        held = pa.table([given[0].cast(kind), *given[1:]], ["person", "note", "at"])
        with duckdb.connect(str(self.file)) as database:
            database.register("held", held)
            database.execute("INSERT INTO people SELECT * FROM held")
        return self.place()

    def rows(self, place: Place) -> list[Row]:
        return self.run('SELECT person, note, "at" FROM people ORDER BY "at"')

    def add(self, place: Place, row: Row) -> None:
        self.run("INSERT INTO people VALUES (?, ?, ?)", [row])

    def remove(self, place: Place) -> None:
        self.run("DROP TABLE people")

    def spoil(self, place: Place) -> Place:
        self.file.write_bytes(b"no database at all " * 1_000)
        return place

    @contextmanager
    def read_only(self, place: Place) -> Iterator[Place]:
        yield replace(place, address=f"{place.address}?access_mode=READ_ONLY")


class TestDuckdbTable(ConnectorContract):
    @pytest.fixture
    def storage(self, folder) -> Storage:
        return DuckdbStorage(folder)

    def test_a_database_file_that_is_not_there_is_missing_and_not_made(self, tmp_path):
        place = Place("sql", f"duckdb:///{tmp_path}/none.duckdb", "people", "person")
        with refused(StorageMissingError, place):
            CONNECTOR.erase(place, frozenset({CANARY}))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("kind", ["UUID", "UBIGINT", "HUGEINT", "DATE"])
    def test_other_types_are_compared_by_the_databases_own_text(self, storage, kind):
        text = {"UUID": str(uuid4()), "DATE": "2026-01-02"}.get(kind, "18446744073709551615")
        storage.run(f"CREATE TABLE people AS SELECT CAST('{text}' AS {kind}) AS person")
        place = storage.place()
        assert list(CONNECTOR.members(place)) == [[text]]
        assert CONNECTOR.erase(place, frozenset({text, "x", "7"})).rows == 1

    def test_a_mask_that_a_constraint_forbids_changes_nothing(self, storage):
        storage.run("CREATE TABLE people (person VARCHAR NOT NULL)")
        storage.run(f"INSERT INTO people VALUES ('{CANARY}')")
        place = replace(storage.place(), options={"set": {"person": None}})
        with refused(StorageRefusedError, place):
            CONNECTOR.erase(place, frozenset({CANARY}))
        assert CONNECTOR.verify(place, frozenset({CANARY})) == 1
