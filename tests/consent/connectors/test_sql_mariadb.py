"""SQL tables on MariaDB: the contract, and what only it does."""

from dataclasses import replace
from uuid import UUID

import pytest
import sqlalchemy as sa

from consent.connectors.base import (
    Place,
    StorageBusyError,
    StorageRefusedError,
    StorageUnreachableError,
    StorageUnreadableError,
)
from consent.connectors.sql import SqlConnector
from tests.consent.connectors.contract import CANARY, ConnectorContract, Storage, people, refused
from tests.consent.connectors.mariadb import MariadbStorage

CONNECTOR = SqlConnector()


class TestMariadbTable(ConnectorContract):
    @pytest.fixture
    def storage(self, database) -> Storage:
        return database


def holding(database: MariadbStorage, column: str, *values: str) -> Place:
    """Make a table of one column of a kind."""
    database.run(f"CREATE TABLE {database.name}.people (person {column})")
    for each in values:
        database.run(f"INSERT INTO {database.name}.people VALUES (%s)", rows=[(each,)])
    return database.place()


def held_by(database: MariadbStorage) -> list[str]:
    rows = database.run(f"SELECT CAST(person AS char) FROM {database.name}.people ORDER BY 1")
    return [row[0] for row in rows]


def test_what_may_not_be_read_is_unreadable(database):
    place = database.holding(people(CANARY))
    with database.account("INSERT") as address:
        hidden = replace(place, address=address)
        for call in (CONNECTOR.locate, CONNECTOR.verify):
            with refused(StorageUnreadableError, hidden):
                call(hidden, frozenset({CANARY}))
    assert database.rows(place) == people(CANARY)


@pytest.mark.parametrize(
    "column",
    [
        "varchar(40) COLLATE utf8mb4_bin",
        "text COLLATE utf8mb4_bin",
        "char(40) COLLATE utf8mb4_bin",
        "enum('ann', 'Ann') COLLATE utf8mb4_bin",
        "varchar(40) CHARACTER SET latin1 COLLATE latin1_bin",
        "varbinary(40)",
    ],
)
def test_upper_and_lower_case_are_two_people(database, column):
    place = holding(database, column, "ann", "Ann")
    assert CONNECTOR.erase(place, frozenset({"ann", "bob"})).rows == 1
    assert list(CONNECTOR.members(place)) == [["Ann"]]


@pytest.mark.parametrize(
    ("collation", "other"),
    [("utf8mb4_general_ci", "Ann"), ("utf8mb4_unicode_ci", "änn"), ("utf8mb4_bin", "ann ")],
)
def test_a_collation_that_takes_two_people_for_one_is_refused_before_it_matters(
    database, collation, other
):
    place = holding(database, f"varchar(40) COLLATE {collation}", "ann", "bob")
    assert CONNECTOR.erase(place, frozenset({"bob"})).rows == 1
    database.run(f"INSERT INTO {database.name}.people VALUES (%s)", rows=[(other,)])
    with refused(StorageUnreadableError, place):
        CONNECTOR.erase(place, frozenset({"ann"}))
    assert sorted(held_by(database)) == sorted(["ann", other])


@pytest.mark.parametrize(
    ("column", "stored", "text"),
    [
        ("int unsigned", "7", "7"),
        ("bigint unsigned", "18446744073709551615", "18446744073709551615"),
        ("decimal(10,2)", "7", "7.00"),
        ("date", "2026-01-02", "2026-01-02"),
        ("uuid", str(UUID(int=7)), str(UUID(int=7))),
    ],
)
def test_other_types_are_compared_by_the_databases_own_text(database, column, stored, text):
    place = holding(database, column, stored)
    assert list(CONNECTOR.members(place)) == [[text]]
    assert CONNECTOR.erase(place, frozenset({text, "x", "99999"})).rows == 1
    assert held_by(database) == []


def test_a_locked_row_is_busy(database, monkeypatch):
    monkeypatch.setattr("consent.connectors.sql.WAIT", 1)
    place = database.holding(people(CANARY))
    other = sa.create_engine(database.address, poolclass=sa.NullPool)
    with other.begin() as holder:
        holder.exec_driver_sql(f"SELECT * FROM {database.name}.people FOR UPDATE")
        with refused(StorageBusyError, place):
            CONNECTOR.erase(place, frozenset({CANARY}))
    assert database.rows(place) == people(CANARY)


def test_rows_that_others_refer_to_are_refused_and_all_stay(database):
    place = database.holding(people("bob", CANARY))
    database.run(
        f"ALTER TABLE {database.name}.people ADD PRIMARY KEY (person)",
        f"CREATE TABLE {database.name}.visits (p varchar(320),"
        f" FOREIGN KEY (p) REFERENCES {database.name}.people (person))",
        f"INSERT INTO {database.name}.visits VALUES ('{CANARY}')",
    )
    with refused(StorageRefusedError, place):
        CONNECTOR.erase(place, frozenset({"bob", CANARY}))
    assert database.rows(place) == people("bob", CANARY)


def test_no_connection_is_left_open(database):
    place = database.holding(people("ann"))
    CONNECTOR.erase(place, frozenset({"ann"}))
    next(CONNECTOR.members(place), None)
    assert database.run("SELECT count(*) FROM information_schema.processlist") == [(1,)]


def test_nobody_listening_is_unreachable():
    place = Place("sql", "mysql+pymysql://u:secret@127.0.0.1:9/x", "people", "person")
    with refused(StorageUnreachableError, place):
        CONNECTOR.verify(place, frozenset({CANARY}))
