"""SQL tables: the contract on SQLite and PostgreSQL, and what only databases can do."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from consent.connectors.base import (
    Place,
    StorageBusyError,
    StorageMissingError,
    StorageReadOnlyError,
    StorageRefusedError,
    StorageUnreachableError,
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

SABOTAGE = """
from consent.connectors import sql
delete = sql._Subjects.delete
def delete_and_die(self, values): delete(self, values); die()
sql._Subjects.delete = delete_and_die
"""
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


DATABASE_URL = os.environ.get("DATABASE_URL", "")


class PostgresStorage:
    sabotage = SABOTAGE

    def __init__(self) -> None:
        self.schema = f"c_{uuid4().hex}"
        self.address = DATABASE_URL
        self.run(f"CREATE SCHEMA {self.schema}")

    def close(self) -> None:
        self.run(f"DROP SCHEMA {self.schema} CASCADE")

    def run(self, *statements: str) -> list[tuple]:
        plain = make_url(self.address).set(drivername="postgresql")
        with psycopg.connect(plain.render_as_string(hide_password=False)) as connection:
            done = [connection.execute(sql.SQL(each)) for each in statements]
            return done[-1].fetchall() if done[-1].description else []

    def place(self, table: str = "people", column: str = "person") -> Place:
        return Place("sql", self.address, f"{self.schema}.{table}", column)

    def holding(self, rows: list[Row], *, numbers: bool = False) -> Place:
        self.run(
            f"CREATE TABLE {self.schema}.people "
            f"(person {'integer' if numbers and len(rows) < 4 else 'bigint' if numbers else 'text'}"
            ", note text, at integer)"
        )
        plain = make_url(self.address).set(drivername="postgresql")
        with psycopg.connect(plain.render_as_string(hide_password=False)) as connection:
            copy = f"COPY {self.schema}.people FROM STDIN"
            with connection.cursor() as cursor, cursor.copy(copy) as out:
                for row in rows:
                    out.write_row(row)
        return self.place()

    def rows(self, place: Place) -> list[Row]:
        return self.run(f"SELECT person, note, at FROM {self.schema}.people ORDER BY at")

    def add(self, place: Place, row: Row) -> None:
        self.run(f"INSERT INTO {self.schema}.people VALUES ('{row[0]}', '{row[1]}', {row[2]})")

    def remove(self, place: Place) -> None:
        self.run(f"DROP TABLE {self.schema}.people")

    def spoil(self, place: Place) -> Place:
        with self.role("") as address:
            pass
        return replace(place, address=address)

    @contextmanager
    def read_only(self, place: Place) -> Iterator[Place]:
        with self.role("SELECT") as address:
            yield replace(place, address=address)

    @contextmanager
    def role(self, rights: str) -> Iterator[str]:
        """Connect as ourselves but act as somebody who has these rights only."""
        name = f"r_{self.schema}"
        self.run(f"CREATE ROLE {name}", f"GRANT USAGE ON SCHEMA {self.schema} TO {name}")
        if rights:
            self.run(f"GRANT {rights} ON {self.schema}.people TO {name}")
        url = make_url(self.address)
        url = url.update_query_dict({"options": f"-c role={name}"})
        try:
            yield url.render_as_string(hide_password=False)
        finally:
            self.run(f"DROP OWNED BY {name}", f"DROP ROLE {name}")


@pytest.mark.skipif(not DATABASE_URL, reason="DATABASE_URL is not set")
class TestPostgresTable(ConnectorContract):
    @pytest.fixture
    def storage(self) -> Iterator[Storage]:
        storage = PostgresStorage()
        yield storage
        storage.close()

    def test_what_cannot_be_read_is_unreadable(self, storage):
        place = storage.holding(people(CANARY))
        with storage.role("INSERT") as address:
            self._every_read_is_refused(replace(place, address=address))

    def _every_read_is_refused(self, place: Place) -> None:
        for call in (CONNECTOR.locate, CONNECTOR.verify):
            with refused(StorageUnreadableError, place):
                call(place, frozenset({CANARY}))
        with refused(StorageUnreadableError, place):
            list(CONNECTOR.members(place))
        with refused(StorageReadOnlyError, place):
            CONNECTOR.erase(place, frozenset({CANARY}))

    def test_rows_that_a_policy_hides_are_not_taken_for_erased(self, storage):
        place = storage.holding(people(CANARY))
        storage.run(
            f"ALTER TABLE {storage.schema}.people ENABLE ROW LEVEL SECURITY",
            f"CREATE POLICY none ON {storage.schema}.people USING (false)",
        )
        with storage.role("SELECT, DELETE") as address:
            self._every_read_is_refused(replace(place, address=address))

    @pytest.mark.parametrize("kind", ["uuid", "varchar(40)", "char(40)", "text"])
    def test_a_uuid_is_found_by_its_text_whatever_the_column(self, storage, kind):
        person, other = uuid4(), uuid4()
        storage.run(
            f"CREATE TABLE {storage.schema}.people (person {kind})",
            f"INSERT INTO {storage.schema}.people VALUES ('{person}'), ('{other}'), (NULL)",
        )
        place = storage.place()
        assert {str(person), str(other)} == {m for b in CONNECTOR.members(place) for m in b}
        erased = CONNECTOR.erase(place, frozenset({str(person), "ann", str(uuid4())}))
        assert erased.rows == 1
        assert CONNECTOR.verify(place, frozenset({str(other)})) == 1

    @pytest.mark.parametrize(
        ("kind", "stored", "text"),
        [
            ("smallint", "7", "7"),
            ("numeric(10,2)", "7", "7.00"),
            ("numeric", "12345678901234567890123", "12345678901234567890123"),
            ("boolean", "true", "true"),
            ("date", "2026-01-02", "2026-01-02"),
            ("inet", "10.0.0.1", "10.0.0.1/32"),
        ],
    )
    def test_other_types_are_compared_by_the_databases_own_text(self, storage, kind, stored, text):
        storage.run(
            f"CREATE TABLE {storage.schema}.people (person {kind})",
            f"INSERT INTO {storage.schema}.people VALUES ('{stored}'), (NULL)",
        )
        place = storage.place()
        assert list(CONNECTOR.members(place)) == [[text]]
        assert CONNECTOR.erase(place, frozenset({"99999", "x", "\0", text})).rows == 1

    def test_domains_and_enums_are_found(self, storage):
        storage.run(
            f"SET search_path TO {storage.schema}",
            "CREATE DOMAIN code AS bigint",
            "CREATE TYPE who AS ENUM ('ann', 'bob')",
            "CREATE TABLE people (a code, b who)",
            "INSERT INTO people VALUES (7, 'ann'), (8, 'bob')",
        )
        assert CONNECTOR.erase(storage.place(column="a"), frozenset({"7", "x"})).rows == 1
        assert CONNECTOR.erase(storage.place(column="b"), frozenset({"bob", "x"})).rows == 1

    @pytest.mark.parametrize("column", ["text", "integer", "uuid"])
    def test_the_index_is_used(self, storage, column, monkeypatch):
        values = {"text": "i::text", "integer": "i", "uuid": "md5(i::text)::uuid"}
        storage.run(
            f"CREATE TABLE {storage.schema}.people AS "
            f"SELECT ({values[column]})::{column} AS person FROM generate_series(1, 3000) i",
            f"CREATE INDEX ON {storage.schema}.people (person)",
            f"ANALYZE {storage.schema}.people",
        )
        place = storage.place()
        (known,) = storage.run(f"SELECT person::text FROM {storage.schema}.people LIMIT 1")[0]
        plans = []
        monkeypatch.setattr(
            "consent.connectors.sql._Subjects.delete",
            lambda self, values: plans.extend(self.connection.execute(_explain(self, values))) or 0,
        )
        CONNECTOR.erase(place, frozenset({known}))
        assert "Index" in str(plans)

    def test_odd_table_schema_and_column_names_are_quoted(self, storage):
        table, column = '"my ""odd"". % table"', "per%son (:id) ünï"
        storage.run(
            f'CREATE TABLE {storage.schema}.{table} ("{column}" text)',
            f"INSERT INTO {storage.schema}.{table} VALUES ('ann')",
        )
        place = storage.place(table, column)
        assert CONNECTOR.locate(place, frozenset({"ann"})).parts == (place.location,)
        assert CONNECTOR.erase(place, frozenset({"ann"})).rows == 1
        assert CONNECTOR.verify(place, frozenset({"ann"})) == 0

    def test_rows_that_others_refer_to_are_refused_and_all_stay(self, storage):
        place = storage.holding(people("bob", CANARY))
        storage.run(
            f"ALTER TABLE {storage.schema}.people ADD PRIMARY KEY (person)",
            f"CREATE TABLE {storage.schema}.visits (p text REFERENCES {storage.schema}.people)",
            f"INSERT INTO {storage.schema}.visits VALUES ('{CANARY}')",
        )
        with refused(StorageRefusedError, place):
            CONNECTOR.erase(place, frozenset({"bob", CANARY}))
        assert storage.rows(place) == people("bob", CANARY)

    def test_a_locked_table_is_busy(self, storage, monkeypatch):
        monkeypatch.setattr("consent.connectors.sql.WAIT", 1)
        place = storage.holding(people(CANARY))
        plain = make_url(DATABASE_URL).set(drivername="postgresql")
        with psycopg.connect(plain.render_as_string(hide_password=False)) as other:
            other.execute(f"LOCK TABLE {storage.schema}.people IN SHARE MODE")
            with refused(StorageBusyError, place):
                CONNECTOR.erase(place, frozenset({CANARY}))
        assert storage.rows(place) == people(CANARY)

    def test_nobody_listening_is_unreachable_and_can_be_tried_again(self):
        place = Place("sql", "postgresql://u:secret@127.0.0.1:9/x", "people", "person")
        with refused(StorageUnreachableError, place):
            CONNECTOR.verify(place, frozenset({CANARY}))
        assert StorageUnreachableError.retryable

    def test_no_connection_is_left_open(self, storage):
        place = storage.holding(people("ann"))
        CONNECTOR.erase(place, frozenset({"ann"}))
        next(CONNECTOR.members(place), None)
        open_ones = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%people%' AND pid <> "
        assert storage.run(f"{open_ones} pg_backend_pid() AND state <> 'active'") == [(0,)]


def _explain(subjects, values):
    import sqlalchemy as sa

    (chosen,) = subjects._chosen(values)
    statement = sa.delete(subjects.table).where(chosen)
    bound = statement.compile(
        subjects.connection, compile_kwargs={"literal_binds": True, "render_postcompile": True}
    )
    return sa.text(f"EXPLAIN {bound}".replace(":", r"\:"))


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
