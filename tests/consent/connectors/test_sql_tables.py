"""SQL tables on SQLite: the contract, and what only it does; and how a table is named."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from consent.connectors.base import (
    Place,
    StorageBusyError,
    StorageMissingError,
    StorageRefusedError,
    StorageUnreadableError,
)
from consent.connectors.sql import SqlConnector, split_location
from tests.consent.connectors.contract import (
    CANARY,
    ConnectorContract,
    Row,
    Storage,
    people,
    refused,
)
from tests.consent.connectors.postgres import SABOTAGE

CONNECTOR = SqlConnector()


class SqliteStorage:
    sabotage = SABOTAGE

    def __init__(self, folder: Path) -> None:
        self.file = folder / "people.db"

    def run(self, *statements: str) -> list[tuple]:
        with closing(sqlite3.connect(self.file)) as database, database:
            return [row for each in statements for row in database.execute(each)]

    def holding(self, rows: list[Row], *, numbers: bool = False) -> Place:
        kind = "INTEGER" if numbers else "TEXT"
        with closing(sqlite3.connect(self.file)) as database, database:
            database.execute(f"CREATE TABLE people (person {kind}, note TEXT, at INTEGER)")
            database.executemany("INSERT INTO people VALUES (?, ?, ?)", rows)
        return Place("sql", f"sqlite:///{self.file}", "people", "person")

    def rows(self, place: Place) -> list[Row]:
        return self.run("SELECT person, note, at FROM people ORDER BY at")

    def add(self, place: Place, row: Row) -> None:
        with closing(sqlite3.connect(self.file)) as database, database:
            database.execute("INSERT INTO people VALUES (?, ?, ?)", row)

    def remove(self, place: Place) -> None:
        self.run("DROP TABLE people")

    def spoil(self, place: Place) -> Place:
        self.file.write_bytes(b"no database at all " * 100)
        return place

    @contextmanager
    def read_only(self, place: Place) -> Iterator[Place]:
        yield replace(place, address=f"sqlite:///file:{self.file}?mode=ro&uri=true")


class TestSqliteTable(ConnectorContract):
    @pytest.fixture
    def storage(self, tmp_path) -> Storage:
        return SqliteStorage(tmp_path)

    def test_a_database_file_that_is_not_there_is_missing_and_not_made(self, tmp_path):
        place = Place("sql", f"sqlite:///{tmp_path}/none.db", "people", "person")
        with refused(StorageMissingError, place):
            CONNECTOR.erase(place, frozenset({CANARY}))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("journal", ["DELETE", "WAL"])
    def test_nothing_of_a_deleted_row_stays_in_the_files(self, storage, journal):
        storage.run(f"PRAGMA journal_mode = {journal}")
        place = storage.holding(people(CANARY, "bob"))
        with closing(sqlite3.connect(storage.file)) as other:  # the last to leave would clear up
            other.execute("SELECT count(*) FROM sqlite_master").fetchall()
            assert CONNECTOR.erase(place, frozenset({CANARY})).rows == 1
            left = b"".join(file.read_bytes() for file in storage.file.parent.iterdir())
        assert b"bob" in left
        assert CANARY.encode() not in left

    def test_text_that_no_number_column_should_hold_is_found_there_too(self, storage):
        place = storage.holding([*people(7), ("A12", "untyped", 5)], numbers=True)
        assert CONNECTOR.erase(place, frozenset({"A12", "007", "7.0"})).rows == 1
        assert storage.rows(place) == people(7)

    def test_a_column_that_ignores_case_does_not_make_two_people_one(self, storage):
        storage.run(
            "CREATE TABLE people (person TEXT COLLATE NOCASE PRIMARY KEY, note, at)",
            "INSERT INTO people VALUES ('ann', '', 0)",
        )
        place = Place("sql", f"sqlite:///{storage.file}", "people", "person")
        assert CONNECTOR.erase(place, frozenset({"ANN"})).rows == 0
        assert CONNECTOR.erase(place, frozenset({"ann"})).rows == 1

    def test_an_untyped_column_is_compared_as_text(self, storage):
        storage.run(
            "CREATE TABLE people (person, note, at)",
            "INSERT INTO people VALUES (7, '', 0), ('7', '', 1), ('007', '', 2)",
        )
        place = Place("sql", f"sqlite:///{storage.file}", "people", "person")
        assert CONNECTOR.erase(place, frozenset({"7"})).rows == 2

    def test_the_index_is_used(self, storage):
        for kind in ("TEXT", "INTEGER"):
            storage.run(
                f"CREATE TABLE {kind}s (person {kind})", f"CREATE INDEX i{kind} ON {kind}s (person)"
            )
        text = "EXPLAIN QUERY PLAN DELETE FROM TEXTs WHERE (person COLLATE \"BINARY\") IN ('a')"
        number = "EXPLAIN QUERY PLAN DELETE FROM INTEGERs WHERE person IN (1)"
        assert "USING" in str(storage.run(text))
        assert "USING" in str(storage.run(number))

    def test_a_refusal_in_the_second_statement_undoes_the_first(self, storage):
        names = [f"{number:05}" for number in range(1_500)]
        place = storage.holding(people(*names, CANARY))
        storage.run(
            "CREATE TRIGGER keep BEFORE DELETE ON people WHEN old.person = '01499' "
            f"BEGIN SELECT RAISE(ABORT, 'cannot delete {CANARY}'); END"
        )
        with refused(StorageRefusedError, place):
            CONNECTOR.erase(place, frozenset([*names, CANARY]))
        assert len(storage.rows(place)) == 1_501

    def test_a_locked_database_is_busy_and_can_be_tried_again(self, storage, monkeypatch):
        monkeypatch.setattr("consent.connectors.sql.WAIT", 0)
        place = storage.holding(people(CANARY))
        with closing(sqlite3.connect(storage.file, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with refused(StorageBusyError, place):
                CONNECTOR.erase(place, frozenset({CANARY}))
        assert StorageBusyError.retryable
        assert CONNECTOR.erase(place, frozenset({CANARY})).rows == 1

    def test_a_lax_collation_of_an_unknown_database_is_refused(self, storage, monkeypatch):
        storage.run(
            "CREATE TABLE people (person TEXT COLLATE NOCASE, note, at)",
            f"INSERT INTO people VALUES ('{CANARY.upper()}', '', 0), ('{CANARY}', '', 1)",
        )
        place = Place("sql", f"sqlite:///{storage.file}", "people", "person")
        monkeypatch.setattr(
            "consent.connectors.sql._comparison",
            lambda column, _: (column, column.type, str),
        )
        with refused(StorageUnreadableError, place):
            CONNECTOR.erase(place, frozenset({CANARY}))
        assert CONNECTOR.verify(place, frozenset({CANARY})) == 1
        told = list(CONNECTOR.rows(place, frozenset({CANARY})))
        assert told == [{"person": CANARY, "note": "", "at": 1}]
        assert len(storage.rows(place)) == 2

    @pytest.mark.parametrize("address", ["", "nonsense", "sqlite://", "a://secret:p@[/x"])
    def test_an_address_that_is_none_is_refused(self, storage, address):
        place = replace(storage.holding(people(CANARY)), address=address)
        with pytest.raises((StorageUnreadableError, StorageMissingError)) as caught:
            CONNECTOR.erase(place, frozenset({CANARY}))
        assert "secret" not in str(caught.value)

    def test_a_database_without_a_driver_says_what_to_install(self, storage):
        place = Place("sql", "oracle+cx_oracle://u:secret@h/x", "people", "person")
        with refused(StorageUnreadableError, place):
            CONNECTOR.verify(place, frozenset({CANARY}))

    def test_a_place_shown_in_a_log_does_not_tell_its_address(self):
        assert "secret" not in repr(Place("sql", "postgresql://u:secret@h/x", "people", "person"))


@pytest.mark.parametrize(
    ("location", "parts"),
    [
        ("people", (None, "people")),
        ("archive.people", ("archive", "people")),
        ("My Archive.my people", ("My Archive", "my people")),
        ('"a.b"."say ""hi"""', ("a.b", 'say "hi"')),
        ('archive."2026"', ("archive", "2026")),
        ("it's", (None, "it's")),
    ],
)
def test_a_location_is_a_table_or_a_schema_and_a_table(location, parts):
    assert split_location(location) == parts


@pytest.mark.parametrize("location", ["", ".", "a.", ".a", "a.b.c", '"a', '"a"b', 'a."b', '""'])
def test_any_other_location_is_refused(location):
    with pytest.raises(StorageUnreadableError):
        split_location(location)
